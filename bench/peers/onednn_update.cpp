/* The update in oneDNN: onednn_update FOLDER. See compare.py for the files there and for the
 * conversation. Networks are read from online.f32 and target.f32, every layer's weights and biases
 * in a row; the learner is written to onednn.f32. */
#include "onednn_network.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

static const float DISCOUNT = 0.99f;
static std::string folder;

struct batch {
    int64_t size;
    std::vector<int64_t> actions;
    std::vector<float> rewards;
    std::vector<uint8_t> terminals;
};

static std::ifstream open_file(const std::string &name)
{
    std::ifstream file(folder + "/" + name, std::ios::binary);
    if (!file) {
        std::cerr << folder << "/" << name << ": cannot be read\n";
        std::exit(1);
    }
    return file;
}

template <class value> static void read_all(std::vector<value> &values, const std::string &name)
{
    open_file(name).read(reinterpret_cast<char *>(values.data()),
                         std::streamsize(values.size() * sizeof(value)));
}

static memory read_memory(std::istream &file, const memory::desc &desc)
{
    memory m(desc, cpu);
    file.read(static_cast<char *>(m.get_data_handle()), std::streamsize(desc.get_size()));
    return m;
}

/* From now on, not recorded. */
static memory converted(memory from, const memory::desc &to)
{
    memory copy(to, cpu);
    reorder(from, copy).execute(queue, from, copy);
    queue.wait();
    return copy;
}

static std::vector<layer> read_layers(batch &b, int &max, memory::dims &in)
{
    std::ifstream file = open_file("network.txt");
    int64_t channels, height, width;
    file >> b.size >> channels >> height >> width >> max;
    in = {b.size, channels, height, width};
    memory::dims x = in;
    std::vector<layer> layers;
    for (layer l; file >> l.outputs >> l.kernel >> l.stride >> l.padding; layers.push_back(l)) {
        const auto side = [&l](int64_t n) { return (n + 2 * l.padding - l.kernel) / l.stride + 1; };
        l.in = l.weight = x;
        l.weight[0] = l.outputs;
        l.out = {b.size, l.outputs};
        if (l.kernel > 0) {
            l.weight[2] = l.weight[3] = l.kernel;
            l.out = {b.size, l.outputs, side(x[2]), side(x[3])};
        }
        x = l.out;
    }
    for (layer &l : layers)
        make(l, &l != &layers.back());
    return layers;
}

static void read_networks(std::vector<layer> &layers)
{
    std::ifstream online = open_file("online.f32"), target = open_file("target.f32");
    for (layer &l : layers)
        for (int set = 0; set < SETS; set++) {
            l.parameters[set] = memory(l.weights, cpu);
            l.biases[set] = memory(plain({l.outputs}), cpu);
            std::fill_n(floats(l.parameters[set]), count(l.parameters[set]), 0.f);
            std::fill_n(floats(l.biases[set]), count(l.biases[set]), 0.f);
            if (set > TARGET) continue;
            std::ifstream &file = set == ONLINE ? online : target;
            l.parameters[set] = converted(read_memory(file, plain(l.weight)), l.weights);
            l.biases[set] = read_memory(file, plain({l.outputs}));
        }
}

static void write_learner(const std::vector<layer> &layers)
{
    std::ofstream file(folder + "/onednn.f32", std::ios::binary);
    for (const layer &l : layers)
        for (const memory &m : {converted(l.parameters[ONLINE], plain(l.weight)), l.biases[ONLINE]})
            file.write(static_cast<char *>(m.get_data_handle()),
                       std::streamsize(m.get_desc().get_size()));
}

static void td_gradient(const batch &b, const memory &q, const memory &next, const memory &gradient)
{
    const size_t actions = count(q) / size_t(b.size);
    std::fill_n(floats(gradient), count(gradient), 0.f);
    for (size_t i = 0; i < size_t(b.size); i++) {
        const float *n = floats(next) + i * actions;
        const float best = b.terminals[i] ? 0 : *std::max_element(n, n + actions);
        const size_t taken = i * actions + size_t(b.actions[i]);
        const float error = b.rewards[i] + DISCOUNT * best - floats(q)[taken];
        floats(gradient)[taken] = std::clamp(error, -1.f, 1.f);
    }
}

static double update()
{
    const auto start = std::chrono::steady_clock::now();
    for (const auto &work : tape)
        work();
    queue.wait();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
}

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : ".";
    batch b;
    int max;
    memory::dims in;
    std::vector<layer> layers = read_layers(b, max, in);
    read_networks(layers);
    b.actions.resize(size_t(b.size)), b.rewards.resize(size_t(b.size));
    b.terminals.resize(size_t(b.size));
    read_all(b.actions, "actions.i64"), read_all(b.rewards, "rewards.f32");
    read_all(b.terminals, "terminals.u8");
    std::ifstream file = open_file("states.u8"), next_file = open_file("next_states.u8");
    const memory::desc bytes = plain(in, memory::data_type::u8);
    const memory states = read_memory(file, bytes), next_states = read_memory(next_file, bytes);

    const float scale = 1 / float(max);
    const memory next = forward(layers, TARGET, matched(next_states, layers[0].src, scale));
    const memory q = forward(layers, ONLINE, matched(states, layers[0].src, scale));
    const memory gradient(q.get_desc(), cpu);
    tape.push_back([=] { queue.wait(), td_gradient(b, q, next, gradient); });
    backward(layers, gradient);

    update(), update();
    write_learner(layers);
    std::cout << "ready" << std::endl;
    for (double seconds; std::cin >> seconds;) {
        std::vector<double> times;
        for (double sum = 0; sum < seconds * 1e3 || times.size() < 5; sum += times.back())
            times.push_back(update());
        std::sort(times.begin(), times.end());
        std::cout << times[0] << " " << times[times.size() / 2] << std::endl;
    }
}
