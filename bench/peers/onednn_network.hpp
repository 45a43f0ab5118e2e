/* A network's layers in oneDNN 2 (Debian's libdnnl-dev), forward and backward, every primitive in
 * the layout that it prefers. The work of one update is recorded once, on a tape. */
#ifndef PEERS_ONEDNN_NETWORK_HPP
#define PEERS_ONEDNN_NETWORK_HPP

#include <cmath>
#include <functional>
#include <unordered_map>
#include <vector>

#include <dnnl.hpp>

using namespace dnnl;
using tag = memory::format_tag;

static const float RATE = 0.00025f, DECAY = 0.95f, EPSILON = 0.01f;
static const engine cpu(engine::kind::cpu, 0);
static stream queue(cpu);
static std::vector<std::function<void()>> tape; /* the work of one update */
static const memory::data_type FLOAT = memory::data_type::f32;

enum { ONLINE, TARGET, MOMENT1, MOMENT2, SETS };

struct layer {
    int outputs, kernel, stride, padding; /* kernel 0: linear */
    memory::dims in, weight, out;
    memory::desc src, weights, dst;           /* forward */
    memory::desc w_src, w_diff, w_gradient;   /* to the weights */
    memory::desc i_weights, i_diff, i_result; /* to the inputs */
    primitive forward, to_weights, to_inputs;
    memory parameters[SETS], biases[SETS], input, output; /* the last two: of the learner */
};

static memory::desc any(const memory::dims &d)
{
    return {d, FLOAT, tag::any};
}

static memory::desc plain(const memory::dims &d, memory::data_type type = FLOAT)
{
    return {d, type, d.size() == 4 ? tag::abcd : d.size() == 2 ? tag::ab : tag::a};
}

static float *floats(const memory &m)
{
    return static_cast<float *>(m.get_data_handle());
}

static size_t count(const memory &m)
{
    return m.get_desc().get_size() / sizeof(float);
}

static void record(const primitive &work, const std::unordered_map<int, memory> &arguments)
{
    tape.push_back([=] { work.execute(queue, arguments); });
}

/* `from` in another layout, where that is needed. */
static memory matched(const memory &from, const memory::desc &to, float scale = 1)
{
    if (from.get_desc() == to) return from;
    memory copy(to, cpu);
    primitive_attr attributes;
    if (scale != 1) attributes.set_output_scales(0, {scale});
    record(reorder(from, copy, attributes), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, copy}});
    return copy;
}

template <class forward, class weights, class inputs>
static void adopt(layer &l, const forward &f, const weights &w, const inputs &i)
{
    l.src = f.src_desc(), l.weights = f.weights_desc(), l.dst = f.dst_desc();
    l.w_src = w.src_desc(), l.w_diff = w.diff_dst_desc(), l.w_gradient = w.diff_weights_desc();
    l.i_weights = i.weights_desc(), l.i_diff = i.diff_dst_desc(), l.i_result = i.diff_src_desc();
    l.forward = primitive(f.get()), l.to_weights = primitive(w.get());
    l.to_inputs = primitive(i.get());
}

static void make(layer &l, bool relu)
{
    const auto x = any(l.in), w = any(l.weight), b = plain({l.outputs}), y = any(l.out);
    const memory::dims stride(2, l.stride), padding(2, l.padding);
    const auto direct = algorithm::convolution_direct;
    const auto training = prop_kind::forward_training;
    primitive_attr attributes;
    post_ops after;
    if (relu) after.append_eltwise(1, algorithm::eltwise_relu, 0, 0);
    attributes.set_post_ops(after);
    if (l.kernel > 0) {
        const convolution_forward::primitive_desc f(
            {training, direct, x, w, b, y, stride, padding, padding}, attributes, cpu);
        adopt(l, f,
              convolution_backward_weights::primitive_desc(
                  {direct, x, w, b, y, stride, padding, padding}, cpu, f),
              convolution_backward_data::primitive_desc({direct, x, w, y, stride, padding, padding},
                                                        cpu, f));
    } else {
        const inner_product_forward::primitive_desc f({training, x, w, b, y}, attributes, cpu);
        adopt(l, f, inner_product_backward_weights::primitive_desc({x, w, b, y}, cpu, f),
              inner_product_backward_data::primitive_desc({x, w, y}, cpu, f));
    }
}

static memory forward(std::vector<layer> &layers, int set, memory x)
{
    for (layer &l : layers) {
        l.input = matched(x, l.src);
        l.output = x = memory(l.dst, cpu);
        record(l.forward, {{DNNL_ARG_SRC, l.input},
                           {DNNL_ARG_WEIGHTS, l.parameters[set]},
                           {DNNL_ARG_BIAS, l.biases[set]},
                           {DNNL_ARG_DST, x}});
    }
    return matched(x, plain(layers.back().out));
}

static void rmsprop(const memory sets[SETS], const memory &gradient)
{
    float *w = floats(sets[ONLINE]), *m1 = floats(sets[MOMENT1]), *m2 = floats(sets[MOMENT2]);
    const float *d = floats(gradient);
    const size_t end = count(gradient);
#pragma omp parallel for simd if (end > 10000)
    for (size_t i = 0; i < end; i++) {
        m1[i] = DECAY * m1[i] + (1 - DECAY) * d[i];
        m2[i] = DECAY * m2[i] + (1 - DECAY) * d[i] * d[i];
        w[i] += RATE * d[i] / std::sqrt(m2[i] - m1[i] * m1[i] + EPSILON);
    }
}

static void backward(std::vector<layer> &layers, memory diff)
{
    const auto relu = algorithm::eltwise_relu_use_dst_for_bwd;
    std::vector<std::function<void()>> learn;
    for (size_t i = layers.size(); i-- > 0;) {
        layer &l = layers[i];
        if (i + 1 < layers.size()) {
            diff = matched(diff, l.dst);
            const eltwise_forward::primitive_desc hint(
                {prop_kind::forward_training, relu, l.dst, 0}, cpu);
            record(
                eltwise_backward({{relu, l.dst, l.dst, 0}, cpu, hint}),
                {{DNNL_ARG_DST, l.output}, {DNNL_ARG_DIFF_DST, diff}, {DNNL_ARG_DIFF_SRC, diff}});
        }
        const memory gradient(l.w_gradient, cpu), biases(plain({l.outputs}), cpu);
        record(l.to_weights, {{DNNL_ARG_SRC, matched(l.input, l.w_src)},
                              {DNNL_ARG_DIFF_DST, matched(diff, l.w_diff)},
                              {DNNL_ARG_DIFF_WEIGHTS, gradient},
                              {DNNL_ARG_DIFF_BIAS, biases}});
        const memory same = matched(gradient, l.weights);
        learn.push_back([&l, same, biases] {
            rmsprop(l.parameters, same);
            rmsprop(l.biases, biases);
        });
        if (i == 0) continue;
        const memory below(l.i_result, cpu);
        record(l.to_inputs, {{DNNL_ARG_WEIGHTS, matched(l.parameters[ONLINE], l.i_weights)},
                             {DNNL_ARG_DIFF_DST, matched(diff, l.i_diff)},
                             {DNNL_ARG_DIFF_SRC, below}});
        diff = below;
    }
    tape.insert(tape.end(), learn.begin(), learn.end());
}

#endif
