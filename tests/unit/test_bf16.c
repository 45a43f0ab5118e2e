/* The engine bf16 bit for bit against its definition (kernels/kernels.h): chains written out in
 * plain C over PyTorch's layout, on every instruction set that this machine has, on shapes and
 * batches that divide nothing, and on numbers at both ends of what a float holds.
 *
 * The first line of output names the instruction sets that ran. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/engine.h>

#include "base/random.h"
#include "network/cpu/bf16.h"

#include "quick.h"
#include "reference.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNK = 32, SETS = 4 };
static const char *const sets[SETS] = {"portable", "avx2", "avx512", "amx"};

/* ---- The definition ---- */

/* A sum of products that grows chunk by chunk. */
typedef struct chains {
    float sum, chain[2];
    int at; /* k in the chunk */
} chains;

static void end_chunk(chains *c)
{
    if (c->at > 0) c->sum = qg_bf16_flush(c->sum + qg_bf16_flush(c->chain[0] + c->chain[1]));
    c->chain[0] = c->chain[1] = 0;
    c->at = 0;
}

static void add(chains *c, float a, float b)
{
    c->chain[c->at % 2] = qg_bf16_fma(a, b, c->chain[c->at % 2]);
    if (++c->at == CHUNK) end_chunk(c);
}

/* One network and a batch that passed through it. Tensors are in PyTorch's order; the weights of
 * all layers but the last are rounded. */
typedef struct emulation {
    const qg_architecture *a;
    int size;
    float *weights[QG_MAX_LAYERS], *biases[QG_MAX_LAYERS];
    float *values[QG_MAX_LAYERS + 1]; /* [image][channel][y][x]: bytes, then outputs of layers */
    float *deltas[QG_MAX_LAYERS + 1]; /* gradients of them */
    qg_network gradient;
} emulation;

/* A layer as a convolution: a linear one has a kernel as large as its inputs. */
typedef struct view {
    int channels, padded; /* as they are stored: in eights, but for the screens */
    int height, width, out_height, out_width, outputs, kernel_height, kernel_width, stride, padding;
    size_t in_image, out_image, fan_in;
    bool bf16;
} view;

static view view_of(const qg_architecture *a, int l)
{
    const qg_layer *layer = &a->layers[l];
    const bool conv = layer->kind == QG_CONV;
    return (view){.channels = layer->in_channels,
                  .padded = l ? (layer->in_channels + 7) / 8 * 8 : layer->in_channels,
                  .height = layer->in_height,
                  .width = layer->in_width,
                  .out_height = layer->out_height,
                  .out_width = layer->out_width,
                  .outputs = layer->outputs,
                  .kernel_height = conv ? layer->kernel : layer->in_height,
                  .kernel_width = conv ? layer->kernel : layer->in_width,
                  .stride = conv ? layer->stride : 1,
                  .padding = conv ? layer->padding : 0,
                  .in_image = (size_t)(layer->in_channels * layer->in_height * layer->in_width),
                  .out_image = outputs(layer),
                  .fan_in = qg_layer_fan_in(layer),
                  .bf16 = l + 1 < a->layer_count};
}

/* Where tap (c, ky, kx) of output pixel (y, x) lies in an image; -1: in the border. */
static int input_at(const view *v, int y, int x, int c, int ky, int kx)
{
    const int row = y * v->stride + ky - v->padding, column = x * v->stride + kx - v->padding;
    if (row < 0 || column < 0 || row >= v->height || column >= v->width) return -1;
    return (c * v->height + row) * v->width + column;
}

static size_t weight_at(const view *v, int n, int c, int ky, int kx)
{
    return (size_t)n * v->fan_in + (size_t)((c * v->kernel_height + ky) * v->kernel_width + kx);
}

/* The k of an output in the engine's order: a linear layer's inputs are one row. */
static float forward_sum(const emulation *e, int l, const view *v, int image, int n, int y, int x)
{
    const float *in = e->values[l] + (size_t)image * v->in_image;
    const bool linear = e->a->layers[l].kind == QG_LINEAR;
    float sum = e->biases[l][n];
    chains c = {0};
    for (int ky = 0; ky < v->kernel_height; ky++) {
        for (int kx = 0; kx < v->kernel_width; kx++)
            for (int channel = 0; channel < v->padded; channel++) {
                const bool real = channel < v->channels;
                const int at = real ? input_at(v, y, x, channel, ky, kx) : -1;
                const float value = at < 0 ? 0 : in[at];
                const float weight = real ? e->weights[l][weight_at(v, n, channel, ky, kx)] : 0;
                if (v->bf16)
                    add(&c, value, weight);
                else
                    sum = fmaf(value, weight, sum);
            }
        if (!linear) end_chunk(&c);
    }
    end_chunk(&c);
    if (!v->bf16) return sum;
    const float scale = l == 0 && e->a->input_max > 1 ? 1 / 255.0f : 1;
    return qg_bf16_flush(fmaf(c.sum, scale, qg_bf16_flush(sum)));
}

static void forward(emulation *e)
{
    for (int l = 0; l < e->a->layer_count; l++) {
        const view v = view_of(e->a, l);
        float *out = e->values[l + 1];
        for (int i = 0; i < e->size; i++)
            for (int n = 0; n < v.outputs; n++)
                for (int y = 0; y < v.out_height; y++)
                    for (int x = 0; x < v.out_width; x++) {
                        const float sum = forward_sum(e, l, &v, i, n, y, x);
                        const float positive = sum > 0 ? sum : 0; /* NaN, too */
                        *out++ = !v.bf16                     ? sum
                                 : l + 2 < e->a->layer_count ? qg_bf16_round(positive)
                                                             : positive;
                    }
    }
}

static float weight_gradient(const emulation *e, int l, const view *v, int n, int c, int ky, int kx,
                             bool bias)
{
    chains sum = {0};
    float plain = 0;
    for (int first = 0; first < e->size; first += CHUNK)
        for (int y = 0; y < v->out_height; y++)
            for (int x = 0; x < v->out_width; x++) {
                const int at = bias ? 0 : input_at(v, y, x, c, ky, kx);
                for (int i = first; i < e->size && i < first + CHUNK; i++) {
                    const float g =
                        e->deltas[l + 1][(size_t)i * v->out_image +
                                         (size_t)((n * v->out_height + y) * v->out_width + x)];
                    const float value = bias ? 1
                                        : at < 0
                                            ? 0
                                            : e->values[l][(size_t)i * v->in_image + (size_t)at];
                    if (v->bf16)
                        add(&sum, value, g);
                    else
                        plain = fmaf(value, g, plain);
                }
                end_chunk(&sum);
            }
    const float scale = !bias && l == 0 && e->a->input_max > 1 ? 1 / 255.0f : 1;
    return v->bf16 ? qg_bf16_flush(fmaf(sum.sum, scale, 0)) : plain;
}

static float input_gradient(const emulation *e, int l, const view *v, int image, int c, int row,
                            int column)
{
    const float *g = e->deltas[l + 1] + (size_t)image * v->out_image;
    chains sum = {0};
    float plain = 0;
    for (int ky = 0; ky < v->kernel_height; ky++)
        for (int kx = 0; kx < v->kernel_width; kx++) {
            const int y = row + v->padding - ky, x = column + v->padding - kx;
            if (y < 0 || x < 0 || y % v->stride || x % v->stride ||
                y / v->stride >= v->out_height || x / v->stride >= v->out_width)
                continue;
            const int pixel = y / v->stride * v->out_width + x / v->stride;
            for (int n = 0; n < v->outputs; n++) {
                const float value = g[n * v->out_height * v->out_width + pixel];
                const float weight = e->weights[l][weight_at(v, n, c, ky, kx)];
                if (v->bf16)
                    add(&sum, weight, value);
                else
                    plain = fmaf(value, weight, plain);
            }
            end_chunk(&sum);
        }
    return v->bf16 ? sum.sum : plain;
}

static void backward(emulation *e)
{
    for (int l = e->a->layer_count - 1; l >= 0; l--) {
        const view v = view_of(e->a, l);
        float *w = e->gradient.weights[l];
        for (int n = 0; n < v.outputs; n++)
            for (int c = 0; c < v.channels; c++)
                for (int ky = 0; ky < v.kernel_height; ky++)
                    for (int kx = 0; kx < v.kernel_width; kx++)
                        *w++ = weight_gradient(e, l, &v, n, c, ky, kx, false);
        for (int n = 0; n < v.outputs; n++)
            e->gradient.biases[l][n] = weight_gradient(e, l, &v, n, 0, 0, 0, true);
        float *below = e->deltas[l];
        for (int i = 0; i < e->size && l > 0; i++)
            for (int c = 0; c < v.channels; c++)
                for (int y = 0; y < v.height; y++)
                    for (int x = 0; x < v.width; x++, below++) {
                        const bool active = e->values[l][below - e->deltas[l]] > 0;
                        *below = active ? qg_bf16_round(input_gradient(e, l, &v, i, c, y, x)) : 0;
                    }
    }
}

static emulation emulation_of(const problem *p)
{
    emulation e = {.a = &p->a, .size = p->states.size};
    const qg_architecture *a = &p->a;
    const size_t pixels = (size_t)(a->height * a->width), inputs = pixels * (size_t)a->channels;
    e.values[0] = zeros((size_t)e.size * inputs, sizeof(float));
    for (int i = 0; i < e.size; i++)
        for (int part = 0; part < p->states.parts; part++) {
            const uint8_t *screen = p->states.screens[i * p->states.parts + part];
            const int channels = p->states.part_channels;
            for (size_t k = 0; screen && k < pixels * (size_t)channels; k++)
                e.values[0][(size_t)i * inputs +
                            ((size_t)(part * channels) + k % (size_t)channels) * pixels +
                            k / (size_t)channels] = (float)screen[k];
        }
    must(qg_network_create(a, &e.gradient, &error));
    for (int l = 0; l < a->layer_count; l++) {
        const qg_layer *layer = &a->layers[l];
        const size_t count = qg_layer_weights(layer), all = (size_t)e.size * outputs(layer);
        e.weights[l] = zeros(count, sizeof(float));
        e.biases[l] = p->sets[QG_ONLINE].biases[l];
        e.values[l + 1] = zeros(all, sizeof(float));
        e.deltas[l + 1] = zeros(all, sizeof(float));
        for (size_t k = 0; k < count; k++) {
            const float w = p->sets[QG_ONLINE].weights[l][k];
            e.weights[l][k] = l + 1 < a->layer_count ? qg_bf16_round(w) : w;
        }
    }
    return e;
}

static void emulation_free(emulation *e)
{
    for (int l = 0; l <= e->a->layer_count; l++) {
        free(e->values[l]);
        free(e->deltas[l]);
        if (l < e->a->layer_count) free(e->weights[l]);
    }
    qg_network_free(&e->gradient);
}

/* ---- Against the engine ---- */

static qg_engine *engine_for(const problem *p, int max_batch, const char *isa, int threads)
{
    qg_engine *engine;
    must(qg_engine_create(&(qg_engine_options){.architecture = &p->a,
                                               .precision = "bf16",
                                               .max_batch = max_batch,
                                               .machine = {threads, isa},
                                               .target = true,
                                               .optimiser = QG_RMSPROP_CENTRED},
                          &engine, &error));
    assert_string_equal(qg_engine_isa(engine), isa);
    write_sets(engine, p);
    return engine;
}

static bool is_here(const char *isa)
{
    qg_architecture a;
    qg_engine *engine;
    must(qg_architecture_make("[]", 1, 2, 2, 1, 2, &a, &error));
    if (qg_engine_create(
            &(qg_engine_options){
                .architecture = &a, .precision = "bf16", .max_batch = 1, .machine = {1, isa}},
            &engine, &error))
        return false;
    qg_engine_destroy(engine);
    return true;
}

static void pull(void *context, int size, const float *q_values, float *gradient)
{
    const problem *p = context;
    for (int k = 0; k < size * p->a.actions; k++)
        gradient[k] = p->goals[k] - q_values[k];
}

/* All NaN are one; a zero is one of its two. */
static void assert_bits(const char *what, const char *isa, const problem *p, const float *got,
                        const float *want, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (memcmp(&got[k], &want[k], sizeof *got) != 0 && !(got[k] == 0 && want[k] == 0) &&
            !(isnan(got[k]) && isnan(want[k])))
            fail_msg("%s by %s of %s, batch %d: number %zu is %a instead of %a", what, isa,
                     p->shape->layers, p->states.size, k, (double)got[k], (double)want[k]);
}

static void check_activations(qg_engine *engine, const emulation *e, const problem *p,
                              const char *isa)
{
    for (int l = 0; l < p->a.layer_count; l++) {
        const size_t count = (size_t)e->size * outputs(&p->a.layers[l]);
        float *got = zeros(count, sizeof *got);
        must(qg_engine_activations(engine, QG_ONLINE, &p->states, l, got, &error));
        assert_bits("activations", isa, p, got, e->values[l + 1], count);
        free(got);
    }
}

static void check_engine(const emulation *e, problem *p, const char *isa)
{
    static const qg_learning learning = {
        .optimiser = {QG_RMSPROP_CENTRED, .learning_rate = 0.00025f, .rmsprop = {0.95f, 0.01f}}};
    const size_t q_count = (size_t)(e->size * p->a.actions);
    const float *expected = e->values[p->a.layer_count];
    float *q = zeros(q_count, sizeof *q);
    qg_engine *engine = engine_for(p, e->size, isa, e->size % 3 + 1);
    must(qg_engine_forward(engine, QG_ONLINE, &p->states, q, &error));
    assert_bits("q", isa, p, q, expected, q_count);
    for (int i = 0; i < e->size; i += 7) { /* alone */
        const qg_states one = qg_states_some(&p->states, i, 1);
        must(qg_engine_forward(engine, QG_ONLINE, &one, q, &error));
        assert_bits("acting", isa, p, q, expected + i * p->a.actions, (size_t)p->a.actions);
    }
    check_activations(engine, e, p, isa);
    must(qg_engine_descend(engine,
                           &(qg_descent){.learning = &learning,
                                         .states = p->states,
                                         .loss = pull,
                                         .context = p,
                                         .keep_gradient = true},
                           &error));
    must(qg_engine_read(engine, QG_GRADIENT, &p->sets[QG_GRADIENT], &error));
    assert_bits("gradient", isa, p, p->sets[QG_GRADIENT].parameters, e->gradient.parameters,
                qg_architecture_parameters(&p->a));
    qg_engine_destroy(engine);
    free(q);
}

/* Every `every`-th weight becomes a zero of the other sign. */
static void scale_layer(problem *p, int l, float scale, size_t every)
{
    qg_network *online = &p->sets[QG_ONLINE];
    const size_t count = qg_layer_weights(&p->a.layers[l]);
    for (size_t k = 0; k < count; k++)
        online->weights[l][k] *= every && k % every == 0 ? -0.0f : scale;
    for (int n = 0; n < p->a.layers[l].outputs; n++)
        online->biases[l][n] *= scale;
}

static void check_problem(problem *p)
{
    emulation e = emulation_of(p);
    forward(&e);
    pull(p, e.size, e.values[p->a.layer_count], e.deltas[p->a.layer_count]);
    backward(&e);
    for (int i = 0; i < SETS; i++)
        if (is_here(sets[i])) check_engine(&e, p, sets[i]);
    emulation_free(&e);
}

static void test_shapes(void **state)
{
    (void)state;
    enum { SIZES = SANITIZED ? 2 : 5 };
    static const int sizes[] = {33, 5, 1, 32, 31};
    for (int i = 0; i < SHAPES && !strstr(shapes[i].layers, "dueling");
         i++) /* those are the last */
        for (int k = 0; k < SIZES; k++) {
            if (k % 2 && i % 2) continue; /* it takes long enough */
            problem p = problem_create(&shapes[i], sizes[k], (uint64_t)(i + 1));
            check_problem(&p);
            problem_free(&p);
        }
}

/* Sums that are denormal, on their way or at the end; zeros of both signs; numbers whose products
 * are no floats any more. */
static void test_magnitudes(void **state)
{
    (void)state;
    static const float scales[][2] = {{1e-38f, 1},      {3e-39f, 1},    {1e-20f, 1e-18f},
                                      {1e-19f, 1e-19f}, {1, 3e-38f},    {1, 1e-19f},
                                      {1e17f, 1e17f},   {1e36f, 1e36f}, {1e-20f, 1e20f}};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        static const int which[] = {4, 5, 9};
        problem p = problem_create(&shapes[which[i % 3]], 6, 7);
        for (int l = 0; l + 1 < p.a.layer_count; l++)
            scale_layer(&p, l, scales[i][l % 2], 5);
        check_problem(&p);
        problem_free(&p);
    }
}

/* What fmaf and a flush afterwards get wrong: processors flush by the result with an exponent of
 * any size. */
static void test_smallest(void **state)
{
    (void)state;
    assert_true(fmaf(-0x1p-100f, 0x1p-50f, FLT_MIN) == FLT_MIN);
    assert_true(qg_bf16_fma(-0x1p-100f, 0x1p-50f, FLT_MIN) == 0);
    assert_true(qg_bf16_fma(0x1p-100f, 0x1p-50f, FLT_MIN) == FLT_MIN);
    assert_true(qg_bf16_fma(-0x1p-100f, 0x1p-51f, FLT_MIN) == FLT_MIN);
    assert_true(qg_bf16_fma(0x1p-100f, 0x1p-26f, 0) == FLT_MIN);
    const shape s = {"[{\"linear\":16}]", 8, 1, 1, 1, 2, 1, 8};
    problem p = problem_create(&s, 1, 1);
    uint8_t ones[8] = {1, 0, 1, 0, 1, 0, 1, 0};
    const uint8_t *const screens[] = {ones};
    p.states.screens = screens;
    for (int n = 0; n < 16; n++) { /* inputs are 1: sums of normal numbers that are denormal */
        float *w = p.sets[QG_ONLINE].weights[0] + 8 * n;
        w[0] = ldexpf(1, -126 + n / 4);
        w[2] = ldexpf(n % 2 ? -1 : 1, -126 + n / 2);
        w[4] = ldexpf(1 + (float)n / 128, -126);
        w[6] = ldexpf(-1, -126);
        p.sets[QG_ONLINE].biases[0][n] = n % 3 ? ldexpf(1, -128) : FLT_MIN;
    }
    check_problem(&p);
    problem_free(&p);
}

/* ---- Whoever calls, whatever happens meanwhile ---- */

/* An engine that learns, and what it holds after some steps. */
typedef struct learner {
    problem p;
    qg_engine *engine;
    qg_network network;
} learner;

enum { LEARNERS_STEPS = 12 };

static void *learn(void *context)
{
    static const qg_learning learning = {
        .optimiser = {QG_RMSPROP_CENTRED, .learning_rate = 0.00025f, .rmsprop = {0.95f, 0.01f}}};
    learner *l = context;
    float q[33 * 8];
    for (int i = 0; i < LEARNERS_STEPS; i++) {
        const qg_states one = qg_states_some(&l->p.states, i % l->p.states.size, 1);
        must(qg_engine_forward(l->engine, QG_ONLINE, &one, q, &error));
        must(qg_engine_descend(
            l->engine,
            &(qg_descent){
                .learning = &learning, .states = l->p.states, .loss = pull, .context = &l->p},
            &error));
    }
    must(qg_engine_read(l->engine, QG_ONLINE, &l->network, &error));
    return NULL;
}

static learner learner_for(const char *isa, int threads)
{
    learner l = {.p = problem_create(&shapes[7], 32, 5)};
    l.engine = engine_for(&l.p, 32, isa, threads);
    must(qg_network_create(&l.p.a, &l.network, &error));
    return l;
}

static void learner_free(learner *l)
{
    qg_engine_destroy(l->engine);
    qg_network_free(&l->network);
    problem_free(&l->p);
}

/* What every learner must come to. */
static const learner *expected(void)
{
    static learner l;
    if (l.engine) return &l;
    l = learner_for("portable", 1);
    learn(&l);
    return &l;
}

static void assert_expected(const learner *l)
{
    assert_memory_equal(l->network.parameters, expected()->network.parameters,
                        qg_architecture_parameters(&l->p.a) * sizeof(float));
}

static const char *best(void)
{
    int i = SETS - 1;
    while (!is_here(sets[i]))
        i--;
    return sets[i];
}

/* An engine of this process goes on in a child, and so does a new one; the parent's as well. */
static void test_child(void **state)
{
    (void)state;
    learner l = learner_for(best(), 1);
    const float *parameters = expected()->network.parameters;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        learner other = learner_for(best(), 2);
        learn(&l);
        learn(&other);
        const size_t size = qg_architecture_parameters(&l.p.a) * sizeof(float);
        _exit(memcmp(l.network.parameters, parameters, size) != 0 ||
              memcmp(other.network.parameters, parameters, size) != 0);
    }
    learn(&l);
    assert_expected(&l);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    learner_free(&l);
}

/* A thread that is not of the engine's team uses it. */
static void test_other_threads(void **state)
{
    (void)state;
    learner l = learner_for(best(), 2);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, learn, &l), 0);
    pthread_join(thread, NULL);
    assert_expected(&l);
    learner_free(&l);
}

static learner *interrupting;
static volatile sig_atomic_t interruptions;

/* The next one in half a millisecond: however long this takes, the other gets on. */
static void interrupt_soon(void)
{
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 500}}, NULL);
}

/* Uses an engine of its own, and with it the tiles, in the midst of another's products. */
static void interrupt(int signal)
{
    (void)signal;
    float q[8];
    const qg_states one = qg_states_some(&interrupting->p.states, 0, 1);
    if (qg_engine_forward(interrupting->engine, QG_ONLINE, &one, q, &error) == QG_OK)
        interruptions++;
    interrupt_soon();
}

static void test_signals(void **state)
{
    (void)state;
    learner l = learner_for(best(), 2), other = learner_for(best(), 1);
    interrupting = &other;
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART}, before;
    const struct itimerval never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, &before);
    for (int round = 0; round < 2000 && interruptions < 20; round++) {
        write_sets(l.engine, &l.p);
        interrupt_soon();
        learn(&l);
        setitimer(ITIMER_REAL, &never, NULL);
        assert_expected(&l);
    }
    sigaction(SIGALRM, &before, NULL);
    assert_in_range(interruptions, 20, 2000);
    learner_free(&l);
    learner_free(&other);
}

static void test_rounding(void **state)
{
    (void)state;
    static const float pairs[][2] = {{1, 1},
                                     {0x1.01p0f, 0x1.0p0f},
                                     {0x1.03p0f, 0x1.04p0f},
                                     {0x1.010002p0f, 0x1.02p0f},
                                     {-0.0f, 0},
                                     {FLT_MIN, FLT_MIN},
                                     {FLT_MIN / 2, 0},
                                     {0x1.ff8p0f, 2},
                                     {FLT_MAX, INFINITY},
                                     {-0x1.7ep5f, -0x1.7ep5f},
                                     {INFINITY, INFINITY}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_true(qg_bf16_round(pairs[i][0]) == pairs[i][1]);
    assert_true(isnan(qg_bf16_round(NAN)));
    const uint32_t all_ones = 0xffffffff;
    float nan_of_ones;
    memcpy(&nan_of_ones, &all_ones, sizeof nan_of_ones);
    assert_true(isnan(qg_bf16_round(nan_of_ones)));
}

int main(void)
{
    printf("bf16 on:");
    for (int i = 0; i < SETS; i++)
        printf(" %s%s", sets[i], is_here(sets[i]) ? "" : " (not here)");
    printf("\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounding), cmocka_unit_test(test_smallest),
        cmocka_unit_test(test_shapes),   cmocka_unit_test(test_magnitudes),
        cmocka_unit_test(test_child),    cmocka_unit_test(test_other_threads),
        cmocka_unit_test(test_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
