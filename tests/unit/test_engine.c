/* The CPU engine against a plain reference in double precision (straight loops over PyTorch's
 * layout), and against itself: threads, instruction sets and frozen layers give the same bits.
 *
 * "Close" means: the largest error of a tensor is at most 1e-5 of its largest value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/engine.h>

#include "base/random.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOSE 1e-5

/* Under the thread sanitizer only the threads matter, and all else is slow. */
#ifdef __SANITIZE_THREAD__
enum { QUICK = 1 };
#else
enum { QUICK = 0 };
#endif

static qg_error error;

static void must(qg_status status)
{
    if (status) fail_msg("%s", error.message);
}

static void *zeros(size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size);
    assert_non_null(block);
    return block;
}

/* ---- The reference: a network in doubles ---- */

typedef struct reference {
    qg_architecture a;
    size_t count;
    size_t at[QG_MAX_LAYERS]; /* of a layer's weights; its biases follow */
    double *parameters, *gradient;
    double *values[QG_MAX_LAYERS + 1]; /* [channel][y][x] of the inputs, then of every layer */
    double *deltas[QG_MAX_LAYERS + 1];
} reference;

static size_t outputs(const qg_layer *l)
{
    return (size_t)l->outputs * (size_t)l->out_height * (size_t)l->out_width;
}

static reference reference_create(const qg_architecture *a)
{
    reference r = {.a = *a, .count = qg_architecture_parameters(a)};
    r.parameters = zeros(r.count, sizeof(double));
    r.gradient = zeros(r.count, sizeof(double));
    const size_t inputs = (size_t)a->channels * (size_t)a->height * (size_t)a->width;
    r.values[0] = zeros(inputs, sizeof(double));
    r.deltas[0] = zeros(inputs, sizeof(double));
    size_t at = 0;
    for (int i = 0; i < a->layer_count; i++) {
        r.at[i] = at;
        at += qg_layer_weights(&a->layers[i]) + (size_t)a->layers[i].outputs;
        r.values[i + 1] = zeros(outputs(&a->layers[i]), sizeof(double));
        r.deltas[i + 1] = zeros(outputs(&a->layers[i]), sizeof(double));
    }
    return r;
}

static void reference_free(reference *r)
{
    free(r->parameters);
    free(r->gradient);
    for (int i = 0; i <= r->a.layer_count; i++) {
        free(r->values[i]);
        free(r->deltas[i]);
    }
}

/* Calls visit(weight, input, output) for every product of a layer: indices into the layer's
 * weights, its inputs and its outputs. */
typedef void visit_product(reference *r, int layer, size_t weight, size_t input, size_t output);

static void walk(reference *r, int i, visit_product *visit)
{
    const qg_layer *l = &r->a.layers[i];
    const size_t fan_in = qg_layer_fan_in(l);
    if (l->kind == QG_LINEAR) {
        for (size_t n = 0; n < (size_t)l->outputs; n++)
            for (size_t k = 0; k < fan_in; k++)
                visit(r, i, n * fan_in + k, k, n);
        return;
    }
    for (int n = 0; n < l->outputs; n++)
        for (int y = 0; y < l->out_height; y++)
            for (int x = 0; x < l->out_width; x++)
                for (int c = 0; c < l->in_channels; c++)
                    for (int ky = 0; ky < l->kernel; ky++)
                        for (int kx = 0; kx < l->kernel; kx++) {
                            const int v = y * l->stride + ky - l->padding;
                            const int u = x * l->stride + kx - l->padding;
                            if (v < 0 || u < 0 || v >= l->in_height || u >= l->in_width) continue;
                            visit(r, i,
                                  (size_t)(((n * l->in_channels + c) * l->kernel + ky) * l->kernel +
                                           kx),
                                  (size_t)((c * l->in_height + v) * l->in_width + u),
                                  (size_t)((n * l->out_height + y) * l->out_width + x));
                        }
}

static void visit_forward(reference *r, int i, size_t weight, size_t input, size_t output)
{
    r->values[i + 1][output] += r->parameters[r->at[i] + weight] * r->values[i][input];
}

static void visit_backward(reference *r, int i, size_t weight, size_t input, size_t output)
{
    r->gradient[r->at[i] + weight] += r->deltas[i + 1][output] * r->values[i][input];
    r->deltas[i][input] += r->deltas[i + 1][output] * r->parameters[r->at[i] + weight];
}

/* The q-values of state `index`. */
static const double *reference_forward(reference *r, const qg_states *states, int index)
{
    const qg_architecture *a = &r->a;
    const int pixels = a->height * a->width;
    memset(r->values[0], 0, (size_t)(a->channels * pixels) * sizeof(double));
    for (int p = 0; p < states->parts; p++) {
        const uint8_t *screen = states->screens[index * states->parts + p];
        for (int k = 0; screen && k < pixels; k++)
            for (int c = 0; c < states->part_channels; c++)
                r->values[0][(p * states->part_channels + c) * pixels + k] =
                    screen[k * states->part_channels + c] / (double)a->input_max;
    }
    for (int i = 0; i < a->layer_count; i++) {
        const qg_layer *l = &a->layers[i];
        const size_t count = outputs(l), each = count / (size_t)l->outputs;
        for (size_t k = 0; k < count; k++)
            r->values[i + 1][k] = r->parameters[r->at[i] + qg_layer_weights(l) + k / each];
        walk(r, i, visit_forward);
        for (size_t k = 0; k < count && i + 1 < a->layer_count; k++)
            r->values[i + 1][k] = fmax(r->values[i + 1][k], 0);
    }
    return r->values[a->layer_count];
}

/* Adds error * dQ(state, action)/dw to the gradient, of the state of the last forward. */
static void reference_backward(reference *r, int action, double td_error)
{
    const int layers = r->a.layer_count;
    for (int i = 0; i < layers; i++)
        memset(r->deltas[i + 1], 0, outputs(&r->a.layers[i]) * sizeof(double));
    r->deltas[layers][action] = td_error;
    for (int i = layers - 1; i >= 0; i--) {
        const qg_layer *l = &r->a.layers[i];
        const size_t count = outputs(l), each = count / (size_t)l->outputs;
        for (size_t k = 0; k < count; k++) {
            if (i + 1 < layers && r->values[i + 1][k] <= 0) r->deltas[i + 1][k] = 0;
            r->gradient[r->at[i] + qg_layer_weights(l) + k / each] += r->deltas[i + 1][k];
        }
        walk(r, i, visit_backward);
    }
}

/* ---- Cases ---- */

typedef struct shape {
    const char *layers;
    int channels, height, width, max, actions;
    int parts, part_channels; /* of the states; fewer than `channels` leave zeros */
} shape;

static const shape shapes[] = {
    {"[]", 1, 2, 3, 1, 2, 1, 1},
    {"[{\"linear\":33},{\"linear\":10}]", 3, 5, 4, 255, 3, 3, 1},
    {"[{\"linear\":90}]", 16, 3, 3, 1, 18, 1, 10},
    {"[{\"conv\":10,\"kernel\":1}]", 1, 6, 5, 255, 4, 1, 1},
    {"[{\"conv\":7,\"kernel\":3,\"stride\":2,\"padding\":1},{\"conv\":33,\"kernel\":2},"
     "{\"conv\":10,\"kernel\":1},{\"linear\":19}]",
     3, 13, 9, 255, 6, 3, 1},
    {"[{\"conv\":16,\"kernel\":2,\"stride\":3},{\"conv\":8,\"kernel\":3,\"padding\":2},"
     "{\"linear\":16}]",
     7, 11, 9, 255, 3, 1, 7},
    {"[{\"conv\":24,\"kernel\":5},{\"linear\":8}]", 10, 5, 5, 1, 6, 1, 4},
    {"[{\"conv\":16,\"kernel\":8,\"stride\":4,\"padding\":1},{\"conv\":20,\"kernel\":4,"
     "\"stride\":2},{\"linear\":40}]",
     4, 20, 28, 255, 6, 4, 1},
    {"[{\"conv\":33,\"kernel\":3},{\"conv\":3,\"kernel\":3,\"stride\":2,\"padding\":2}]", 33, 7, 6,
     255, 5, 3, 11},
    {"[{\"conv\":17,\"kernel\":1,\"stride\":2},{\"conv\":9,\"kernel\":2,\"padding\":1},"
     "{\"conv\":16,\"kernel\":3,\"stride\":2},{\"linear\":16},{\"linear\":17}]",
     16, 8, 7, 1, 7, 2, 8},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* A batch and networks for a shape: screens with many zeros and some missing ones, weights around
 * Torch's, targets whose values differ, moments of an earlier life. */
typedef struct problem {
    qg_architecture a;
    qg_batch batch;
    uint8_t *pixels;
    const uint8_t **screens;
    int32_t *actions;
    float *rewards;
    uint8_t *terminals;
    qg_network sets[QG_PARAMETER_SETS]; /* what goes into the engine; the last: for reading */
} problem;

static void fill_pixels(const shape *s, problem *p, size_t count, qg_random *random)
{
    p->pixels = zeros(count, 1);
    for (size_t i = 0; i < count; i++) {
        const uint64_t draw = qg_random_u64(random);
        p->pixels[i] = draw & 1 ? (uint8_t)(s->max == 1 ? 1 : draw >> 8 & 255) : 0;
    }
}

static problem problem_create(const shape *s, int size, uint64_t seed)
{
    problem p = {0};
    qg_random random = qg_random_stream(seed, "problem");
    if (qg_architecture_make(s->layers, s->channels, s->height, s->width, s->max, s->actions, &p.a,
                             &error))
        fail_msg("%s", error.message);
    const size_t each = (size_t)(s->height * s->width * s->part_channels);
    const size_t count = 2 * (size_t)(size * s->parts);
    fill_pixels(s, &p, each * count, &random);
    p.screens = zeros(count, sizeof *p.screens);
    for (size_t i = 0; i < count; i++)
        p.screens[i] = qg_random_below(&random, 8) ? p.pixels + i * each : NULL;
    p.actions = zeros((size_t)size, sizeof *p.actions);
    p.rewards = zeros((size_t)size, sizeof *p.rewards);
    p.terminals = zeros((size_t)size, 1);
    for (int i = 0; i < size; i++) {
        p.actions[i] = (int32_t)qg_random_below(&random, (uint64_t)s->actions);
        p.rewards[i] = (float)(4 * qg_random_uniform(&random) - 2);
        p.terminals[i] = qg_random_below(&random, 4) == 0;
    }
    const qg_states states = {size, s->parts, s->part_channels, p.screens};
    p.batch = (qg_batch){states, states, p.actions, p.rewards, p.terminals};
    p.batch.next_states.screens += count / 2;
    for (int set = 0; set < QG_PARAMETER_SETS; set++) {
        assert_int_equal(qg_network_create(&p.a, &p.sets[set], &error), QG_OK);
        qg_network_initialise(&p.sets[set], seed + (uint64_t)set);
    }
    for (size_t k = 0; k < qg_architecture_parameters(&p.a); k++) { /* E d^2 >= (E d)^2 */
        const float m1 = p.sets[QG_MOMENT1].parameters[k];
        float *m2 = &p.sets[QG_MOMENT2].parameters[k];
        *m2 = m1 * m1 + *m2 * *m2;
    }
    return p;
}

static void problem_free(problem *p)
{
    free(p->pixels);
    free(p->screens);
    free(p->actions);
    free(p->rewards);
    free(p->terminals);
    for (int set = 0; set < QG_PARAMETER_SETS; set++)
        qg_network_free(&p->sets[set]);
}

static qg_engine *engine_for(const problem *p, int max_batch, int threads, const char *isa)
{
    qg_engine *engine;
    must(qg_engine_create(&(qg_engine_options){&p->a, NULL, max_batch, {threads, isa}}, &engine,
                          &error));
    for (qg_parameter_set set = QG_ONLINE; set < QG_GRADIENT; set++)
        must(qg_engine_write(engine, set, &p->sets[set], &error));
    return engine;
}

static const qg_learning dqn3 = {.discount = 0.99f,
                                 .clip_error = 1,
                                 .learning_rate = 0.00025f,
                                 .rms_decay = 0.95f,
                                 .rms_epsilon = 0.01f};

static void assert_close(const char *what, const shape *s, const float *values,
                         const double *expected, size_t count)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(values[i]));
        worst = fmax(worst, fabs((double)values[i] - expected[i]));
        largest = fmax(largest, fabs(expected[i]));
    }
    if (worst > CLOSE * largest)
        fail_msg("%s of %s: error %g, largest value %g", what, s->layers, worst, largest);
}

/* Layer by layer, weights and biases apart. */
static void assert_tensors_close(const char *what, const shape *s, const problem *p,
                                 const float *values, const double *expected)
{
    for (int i = 0; i < p->a.layer_count; i++) {
        const size_t counts[] = {qg_layer_weights(&p->a.layers[i]), (size_t)p->a.layers[i].outputs};
        for (int part = 0; part < 2; part++) {
            assert_close(what, s, values, expected, counts[part]);
            values += counts[part];
            expected += counts[part];
        }
    }
}

/* ---- Against the reference ---- */

static void to_doubles(const qg_network *network, double *out)
{
    for (size_t k = 0; k < qg_architecture_parameters(&network->architecture); k++)
        out[k] = (double)network->parameters[k];
}

static double clip(double x, double limit)
{
    return limit > 0 ? fmax(-limit, fmin(limit, x)) : x;
}

/* TD errors and q-values of the batch; the gradient is summed in `online`. */
static void reference_learn(reference *online, reference *target, const qg_learning *learning,
                            const qg_batch *batch, double *q, double *td_errors)
{
    const int actions = online->a.actions;
    for (int i = 0; i < batch->states.size; i++) {
        const double *next = reference_forward(target, &batch->next_states, i);
        double best = next[0];
        for (int a = 1; a < actions; a++)
            best = fmax(best, next[a]);
        const double *values = reference_forward(online, &batch->states, i);
        memcpy(q + i * actions, values, (size_t)actions * sizeof *q);
        td_errors[i] = clip((double)batch->rewards[i] +
                                (batch->terminals[i] ? 0 : (double)learning->discount * best) -
                                values[batch->actions[i]],
                            (double)learning->clip_error);
        reference_backward(online, batch->actions[i], td_errors[i]);
    }
}

static void check_update(const shape *s, int size, const qg_learning *learning)
{
    problem p = problem_create(s, size, (uint64_t)size);
    reference online = reference_create(&p.a), target = reference_create(&p.a);
    to_doubles(&p.sets[QG_ONLINE], online.parameters);
    to_doubles(&p.sets[QG_TARGET], target.parameters);
    const size_t q_count = (size_t)(size * s->actions);
    double *q = zeros(q_count, sizeof *q), *td_errors = zeros((size_t)size, sizeof *td_errors);
    reference_learn(&online, &target, learning, &p.batch, q, td_errors);

    qg_engine *engine = engine_for(&p, size, 2, NULL);
    float *our_q = zeros(q_count, sizeof *our_q), *ours = zeros((size_t)size, sizeof *ours);
    must(qg_engine_forward(engine, QG_ONLINE, &p.batch.states, our_q, &error));
    assert_close("forward", s, our_q, q, q_count);
    must(qg_engine_update(engine, learning, &p.batch, true, our_q, ours, &error));
    assert_close("q", s, our_q, q, q_count);
    assert_close("TD errors", s, ours, td_errors, (size_t)size);

    double *expected[QG_PARAMETER_SETS] = {0};
    for (int set = 0; set < QG_PARAMETER_SETS; set++) {
        expected[set] = zeros(online.count, sizeof(double));
        to_doubles(&p.sets[set], expected[set]);
    }
    const double rate = (double)learning->learning_rate, decay = (double)learning->rms_decay;
    for (size_t k = 0; k < online.count; k++) { /* Graves 2013, eq. 38-45, without momentum */
        const double d = expected[QG_GRADIENT][k] = online.gradient[k];
        double *m1 = &expected[QG_MOMENT1][k], *m2 = &expected[QG_MOMENT2][k];
        *m1 = decay * *m1 + (1 - decay) * d;
        *m2 = decay * *m2 + (1 - decay) * d * d;
        expected[QG_ONLINE][k] += rate * d / sqrt(*m2 - *m1 * *m1 + (double)learning->rms_epsilon);
    }
    static const char *const names[] = {"parameters", "target", "moment 1", "moment 2", "gradient"};
    for (int set = 0; set < QG_PARAMETER_SETS; set++) {
        qg_network read;
        assert_int_equal(qg_network_create(&p.a, &read, &error), QG_OK);
        must(qg_engine_read(engine, (qg_parameter_set)set, &read, &error));
        assert_tensors_close(names[set], s, &p, read.parameters, expected[set]);
        if (set == QG_ONLINE) { /* what was added, which the parameters would hide */
            for (size_t k = 0; k < online.count; k++)
                expected[set][k] -= (double)p.sets[set].parameters[k];
            for (size_t k = 0; k < online.count; k++)
                if (fabs((double)(read.parameters[k] - p.sets[set].parameters[k]) -
                         expected[set][k]) > 1e-5 * fabs(expected[set][k]) + FLT_EPSILON)
                    fail_msg("step of parameter %zu of %s", k, s->layers);
        }
        qg_network_free(&read);
        free(expected[set]);
    }
    qg_engine_destroy(engine);
    free(q);
    free(td_errors);
    free(our_q);
    free(ours);
    reference_free(&online);
    reference_free(&target);
    problem_free(&p);
}

static void test_reference(void **state)
{
    (void)state;
    static const int sizes[] = {5, 1, 32, 33};
    for (int i = 0; i < SHAPES; i++)
        for (size_t k = 0; k < (QUICK ? 1 : 4); k++)
            check_update(&shapes[i], sizes[k], &dqn3);
}

static void test_settings(void **state)
{
    (void)state;
    static const qg_learning others[] = {
        {.discount = 0.99f,
         .clip_error = 0,
         .learning_rate = 0.00025f,
         .rms_decay = 0.95f,
         .rms_epsilon = 0.01f}, /* not clipped */
        {.discount = 0.99f,
         .clip_error = 0.1f,
         .learning_rate = 0.00025f,
         .rms_decay = 0.95f,
         .rms_epsilon = 0.01f},
        {.discount = 0, .clip_error = 1, .learning_rate = 1, .rms_decay = 0, .rms_epsilon = 1},
        {.discount = 1,
         .clip_error = 1000,
         .learning_rate = 0.5f,
         .rms_decay = 0.999f,
         .rms_epsilon = 1e-3f},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check_update(&shapes[4], 7, &others[i]);
}

/* ---- Finite differences ---- */

/* The gradient is the descent of sum (r + discount * max Q_target - Q)^2 / 2. */
static double loss(reference *online, const qg_batch *batch, const double *targets)
{
    double sum = 0;
    for (int i = 0; i < batch->states.size; i++) {
        const double delta =
            targets[i] - reference_forward(online, &batch->states, i)[batch->actions[i]];
        sum += delta * delta / 2;
    }
    return sum;
}

static void test_finite_differences(void **state)
{
    (void)state;
    enum { SIZE = 3, PER_LAYER = QUICK ? 1 : 8 };
    const qg_learning learning = {.discount = 0.99f,
                                  .clip_error = 0,
                                  .learning_rate = 0.1f,
                                  .rms_decay = 0.95f,
                                  .rms_epsilon = 0.01f};
    for (int i = 0; i < SHAPES; i++) {
        problem p = problem_create(&shapes[i], SIZE, 11);
        reference online = reference_create(&p.a);
        to_doubles(&p.sets[QG_ONLINE], online.parameters);
        float q[SIZE * 32], td_errors[SIZE];
        qg_engine *engine = engine_for(&p, SIZE, 1, NULL);
        must(qg_engine_update(engine, &learning, &p.batch, true, q, td_errors, &error));
        must(qg_engine_read(engine, QG_GRADIENT, &p.sets[QG_GRADIENT], &error));
        double targets[SIZE];
        for (int k = 0; k < SIZE; k++)
            targets[k] = (double)td_errors[k] + (double)q[k * p.a.actions + p.actions[k]];
        qg_random random = qg_random_stream(5, "places");
        for (int l = 0; l < p.a.layer_count; l++) {
            const size_t count = qg_layer_weights(&p.a.layers[l]) + (size_t)p.a.layers[l].outputs;
            double largest = 0;
            for (size_t k = 0; k < count; k++)
                largest =
                    fmax(largest, fabs((double)p.sets[QG_GRADIENT].parameters[online.at[l] + k]));
            assert_true(largest > 0);
            for (int k = 0; k < PER_LAYER; k++) {
                const size_t at = online.at[l] + qg_random_below(&random, count);
                const double was = online.parameters[at], h = 1e-6;
                online.parameters[at] = was + h;
                const double above = loss(&online, &p.batch, targets);
                online.parameters[at] = was - h;
                const double below = loss(&online, &p.batch, targets);
                online.parameters[at] = was;
                const double slope = -(above - below) / (2 * h);
                if (fabs(slope - (double)p.sets[QG_GRADIENT].parameters[at]) > 1e-4 * largest)
                    fail_msg("%s, layer %d: slope %g, gradient %g", shapes[i].layers, l + 1, slope,
                             (double)p.sets[QG_GRADIENT].parameters[at]);
            }
        }
        qg_engine_destroy(engine);
        reference_free(&online);
        problem_free(&p);
    }
}

/* ---- The same bits ---- */

static void assert_same(const problem *p, const qg_engine *a, const qg_engine *b, const char *what)
{
    qg_network x, y;
    assert_int_equal(qg_network_create(&p->a, &x, &error), QG_OK);
    assert_int_equal(qg_network_create(&p->a, &y, &error), QG_OK);
    for (qg_parameter_set set = QG_ONLINE; set < QG_PARAMETER_SETS; set++) {
        must(qg_engine_read(a, set, &x, &error));
        must(qg_engine_read(b, set, &y, &error));
        if (memcmp(x.parameters, y.parameters, qg_architecture_parameters(&p->a) * sizeof(float)))
            fail_msg("%s: set %d of %s differs", what, set, p->a.text);
    }
    qg_network_free(&x);
    qg_network_free(&y);
}

static void test_threads_and_instruction_sets(void **state)
{
    (void)state;
    enum { SIZE = QUICK ? 11 : 33 };
    static const struct {
        int threads;
        const char *isa;
    } kinds[] = {{2, NULL}, {3, NULL}, {5, NULL}, {1, "portable"}, {3, "portable"}};
    for (int i = 0; i < SHAPES; i++) {
        problem p = problem_create(&shapes[i], SIZE, 3);
        const size_t q_count = SIZE * (size_t)p.a.actions;
        float *q = zeros(q_count, sizeof *q), *other = zeros(q_count, sizeof *q);
        float td_errors[SIZE], others[SIZE];
        qg_engine *engine = engine_for(&p, SIZE, 1, NULL);
        for (int k = 0; k < 3; k++)
            must(qg_engine_update(engine, &dqn3, &p.batch, true, q, td_errors, &error));
        for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
            qg_engine *b = engine_for(&p, SIZE, kinds[kind].threads, kinds[kind].isa);
            if (kinds[kind].isa) assert_string_equal(qg_engine_isa(b), kinds[kind].isa);
            for (int k = 0; k < 3; k++)
                must(qg_engine_update(b, &dqn3, &p.batch, true, other, others, &error));
            assert_memory_equal(q, other, q_count * sizeof *q);
            assert_memory_equal(td_errors, others, sizeof others);
            assert_same(&p, engine, b, kinds[kind].isa ? kinds[kind].isa : "threads");
            qg_engine_destroy(b);
        }
        qg_engine_destroy(engine);
        free(q);
        free(other);
        problem_free(&p);
    }
}

/* One state alone, in a batch, in a batch larger than the engine's: the same bits. */
static void test_batches(void **state)
{
    (void)state;
    enum { SIZE = QUICK ? 11 : 33 };
    for (int i = 0; i < SHAPES; i++) {
        problem p = problem_create(&shapes[i], SIZE, 4);
        const size_t actions = (size_t)p.a.actions, q_count = SIZE * actions;
        float *q = zeros(q_count, sizeof *q), *parts = zeros(q_count, sizeof *q);
        float one[32];
        qg_engine *engine = engine_for(&p, SIZE, 2, NULL), *small = engine_for(&p, 5, 3, NULL);
        const qg_states *states = &p.batch.states;
        for (qg_parameter_set set = QG_ONLINE; set <= QG_TARGET; set++) {
            must(qg_engine_forward(engine, set, states, q, &error));
            must(qg_engine_forward(small, set, states, parts, &error));
            assert_memory_equal(q, parts, q_count * sizeof *q);
            for (int k = 0; k < SIZE; k++) {
                const qg_states single = {1, states->parts, states->part_channels,
                                          states->screens + k * states->parts};
                must(qg_engine_forward(k % 2 ? engine : small, set, &single, one, &error));
                assert_memory_equal(one, q + (size_t)k * actions, actions * sizeof *q);
            }
        }
        qg_engine_destroy(engine);
        qg_engine_destroy(small);
        free(q);
        free(parts);
        problem_free(&p);
    }
}

/* The outputs of every layer, in batches that do not divide the states. */
static void test_activations(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        problem p = problem_create(&shapes[i], 7, 50);
        qg_engine *engine = engine_for(&p, 3, 2, NULL);
        reference r = reference_create(&p.a);
        to_doubles(&p.sets[QG_TARGET], r.parameters);
        for (int l = 0; l < p.a.layer_count; l++) {
            const size_t count = outputs(&p.a.layers[l]);
            float *values = zeros(7 * count, sizeof *values);
            double *expected = zeros(7 * count, sizeof *expected);
            for (int k = 0; k < 7; k++) {
                reference_forward(&r, &p.batch.states, k);
                memcpy(expected + (size_t)k * count, r.values[l + 1], count * sizeof *expected);
            }
            must(qg_engine_activations(engine, QG_TARGET, &p.batch.states, l, values, &error));
            assert_close("activations", &shapes[i], values, expected, 7 * count);
            free(values);
            free(expected);
        }
        reference_free(&r);
        qg_engine_destroy(engine);
        problem_free(&p);
    }
}

/* A missing screen is a screen of zeros, also where the state before had more channels. */
static void test_missing_screens(void **state)
{
    (void)state;
    static const char *const layers[] = {"[{\"conv\":8,\"kernel\":3,\"padding\":1}]",
                                         "[{\"linear\":8}]"};
    enum { SIDE = 5, BYTES = SIDE * SIDE };
    uint8_t full[BYTES], none[BYTES] = {0};
    for (int k = 0; k < BYTES; k++)
        full[k] = (uint8_t)(k * 9 + 1);
    for (size_t i = 0; i < 2; i++) {
        const shape s = {layers[i], 4, SIDE, SIDE, 255, 3, 4, 1};
        problem p = problem_create(&s, 2, 1);
        qg_engine *engine = engine_for(&p, 2, 1, NULL);
        const uint8_t *const zeroed[] = {full, full, none, none, full, full, none, none};
        const uint8_t *const missing[] = {full, full, NULL, NULL, full, full, NULL, NULL};
        const uint8_t *const all[] = {full, full, full, full, full, full, full, full};
        const uint8_t *const two[] = {full, full, full, full};
        float expected[6], got[6];
        must(qg_engine_forward(engine, QG_ONLINE, &(qg_states){2, 4, 1, zeroed}, expected, &error));
        must(qg_engine_forward(engine, QG_ONLINE, &(qg_states){2, 4, 1, all}, got, &error));
        assert_memory_not_equal(got, expected, sizeof got);
        must(qg_engine_forward(engine, QG_ONLINE, &(qg_states){2, 4, 1, missing}, got, &error));
        assert_memory_equal(got, expected, sizeof got);
        must(qg_engine_forward(engine, QG_ONLINE, &(qg_states){2, 4, 1, all}, got, &error));
        must(qg_engine_forward(engine, QG_ONLINE, &(qg_states){2, 2, 1, two}, got, &error));
        assert_memory_equal(got, expected, sizeof got);
        qg_engine_destroy(engine);
        problem_free(&p);
    }
}

/* ---- Frozen layers ---- */

static size_t layer_end(const problem *p, int l)
{
    const float *next = l + 1 < p->a.layer_count
                            ? p->sets[0].weights[l + 1]
                            : p->sets[0].parameters + qg_architecture_parameters(&p->a);
    return (size_t)(next - p->sets[0].parameters);
}

/* Every choice of frozen layers: those stay as they are, the others learn the bits that they learn
 * when nothing is frozen. */
static void test_frozen(void **state)
{
    (void)state;
    const shape *s = &shapes[5];
    problem p = problem_create(s, 9, 2);
    const int layers = p.a.layer_count;
    assert_int_equal(layers, 4);
    qg_engine *plain = engine_for(&p, 9, 1, NULL);
    must(qg_engine_update(plain, &dqn3, &p.batch, true, NULL, NULL, &error));
    for (unsigned mask = 1; mask < 1u << layers; mask++) {
        qg_engine *engine = engine_for(&p, 9, 2, NULL);
        for (int l = 0; l < layers; l++)
            must(qg_engine_freeze(engine, l, mask >> l & 1, &error));
        must(qg_engine_update(engine, &dqn3, &p.batch, true, NULL, NULL, &error));
        for (qg_parameter_set set = QG_ONLINE; set < QG_PARAMETER_SETS; set++) {
            qg_network got, learned;
            assert_int_equal(qg_network_create(&p.a, &got, &error), QG_OK);
            assert_int_equal(qg_network_create(&p.a, &learned, &error), QG_OK);
            must(qg_engine_read(engine, set, &got, &error));
            must(qg_engine_read(plain, set, &learned, &error));
            if (set == QG_GRADIENT)
                memset(p.sets[set].parameters, 0, qg_architecture_parameters(&p.a) * sizeof(float));
            for (int l = 0; l < layers; l++) {
                const size_t begin = (size_t)(got.weights[l] - got.parameters);
                const qg_network *like = mask >> l & 1 ? &p.sets[set] : &learned;
                assert_memory_equal(got.parameters + begin, like->parameters + begin,
                                    (layer_end(&p, l) - begin) * sizeof(float));
                if (set != QG_TARGET) /* free layers do learn */
                    assert_memory_not_equal(learned.parameters + begin,
                                            p.sets[set].parameters + begin,
                                            (layer_end(&p, l) - begin) * sizeof(float));
            }
            qg_network_free(&got);
            qg_network_free(&learned);
        }
        for (int l = 0; l < layers; l++) /* thawed, it learns on like any other */
            must(qg_engine_freeze(engine, l, false, &error));
        must(qg_engine_update(engine, &dqn3, &p.batch, false, NULL, NULL, &error));
        qg_engine_destroy(engine);
    }
    qg_engine_destroy(plain);
    problem_free(&p);
}

/* ---- Weight decay and dropout ---- */

/* Weights get -l2 * w beside their gradient, biases and frozen layers do not. */
static void test_weight_decay(void **state)
{
    (void)state;
    enum { SIZE = 5, FROZEN = 1 };
    problem p = problem_create(&shapes[5], SIZE, 8);
    qg_learning decayed = dqn3;
    decayed.l2 = 0.3f;
    qg_engine *plain = engine_for(&p, SIZE, 1, NULL), *engine = engine_for(&p, SIZE, 2, NULL);
    qg_network expected, got;
    assert_int_equal(qg_network_create(&p.a, &expected, &error), QG_OK);
    assert_int_equal(qg_network_create(&p.a, &got, &error), QG_OK);
    must(qg_engine_freeze(plain, FROZEN, true, &error));
    must(qg_engine_freeze(engine, FROZEN, true, &error));
    must(qg_engine_update(plain, &dqn3, &p.batch, true, NULL, NULL, &error));
    must(qg_engine_update(engine, &decayed, &p.batch, true, NULL, NULL, &error));
    must(qg_engine_read(plain, QG_GRADIENT, &expected, &error));
    must(qg_engine_read(engine, QG_GRADIENT, &got, &error));
    for (int l = 0; l < p.a.layer_count; l++) {
        const size_t weights = qg_layer_weights(&p.a.layers[l]);
        for (size_t k = 0; k < weights && l != FROZEN; k++)
            expected.weights[l][k] =
                fmaf(-0.3f, p.sets[QG_ONLINE].weights[l][k], expected.weights[l][k]);
    }
    assert_memory_equal(got.parameters, expected.parameters,
                        qg_architecture_parameters(&p.a) * sizeof(float));
    must(qg_engine_read(engine, QG_ONLINE, &got, &error));
    const size_t begin = (size_t)(got.weights[FROZEN] - got.parameters);
    assert_memory_equal(got.parameters + begin, p.sets[QG_ONLINE].parameters + begin,
                        (layer_end(&p, FROZEN) - begin) * sizeof(float));
    qg_network_free(&expected);
    qg_network_free(&got);
    qg_engine_destroy(plain);
    qg_engine_destroy(engine);
    problem_free(&p);
}

/* q-values of the online network under a dropout draw, from an update that changes nothing. */
static void dropped_q(const problem *p, const qg_network *online, const qg_learning *learning,
                      float *q)
{
    qg_learning still = *learning;
    still.learning_rate = 0;
    qg_engine *engine = engine_for(p, p->batch.states.size, 1, NULL);
    must(qg_engine_write(engine, QG_ONLINE, online, &error));
    must(qg_engine_update(engine, &still, &p->batch, false, q, NULL, &error));
    qg_engine_destroy(engine);
}

static double squared_errors(const problem *p, const float *q, const double *targets)
{
    double sum = 0;
    for (int i = 0; i < p->batch.states.size; i++) {
        const double delta = targets[i] - (double)q[i * p->a.actions + p->actions[i]];
        sum += delta * delta / 2;
    }
    return sum;
}

/* The gradient under dropout is the slope of the loss under the same draw; another draw drops
 * others; threads make no difference; acting knows nothing of it. */
static void test_dropout(void **state)
{
    (void)state;
    enum { SIZE = 9, PROBES = 12 };
    const qg_learning learning = {.discount = 0.99f,
                                  .rms_decay = 0.95f,
                                  .rms_epsilon = 0.01f,
                                  .dropout_conv = 0.25f,
                                  .dropout_linear = 0.5f,
                                  .dropout_draw = 77};
    problem p = problem_create(&shapes[4], SIZE, 12);
    float q[SIZE * 6], plain[SIZE * 6], td_errors[SIZE];
    qg_engine *engine = engine_for(&p, SIZE, 1, NULL), *three = engine_for(&p, SIZE, 3, NULL);
    must(qg_engine_forward(engine, QG_ONLINE, &p.batch.states, plain, &error));
    must(qg_engine_update(engine, &learning, &p.batch, true, q, td_errors, &error));
    must(qg_engine_update(three, &learning, &p.batch, true, NULL, NULL, &error));
    assert_same(&p, engine, three, "dropout on three threads");
    assert_memory_not_equal(q, plain, sizeof q);
    must(qg_engine_read(engine, QG_GRADIENT, &p.sets[QG_GRADIENT], &error));

    double targets[SIZE];
    for (int i = 0; i < SIZE; i++)
        targets[i] = (double)td_errors[i] + (double)q[i * p.a.actions + p.actions[i]];
    qg_random random = qg_random_stream(6, "places");
    for (int probe = 0; probe < PROBES; probe++) {
        const int l = probe % p.a.layer_count;
        double largest = 0;
        for (size_t k = 0; k < qg_layer_weights(&p.a.layers[l]); k++)
            largest = fmax(largest, fabs((double)p.sets[QG_GRADIENT].weights[l][k]));
        float *weight =
            &p.sets[QG_ONLINE]
                 .weights[l][qg_random_below(&random, qg_layer_weights(&p.a.layers[l]))];
        const float gradient =
            p.sets[QG_GRADIENT].parameters[weight - p.sets[QG_ONLINE].parameters];
        const float was = *weight, h = 1e-3f;
        *weight = was + h;
        dropped_q(&p, &p.sets[QG_ONLINE], &learning, q);
        const double above = squared_errors(&p, q, targets);
        *weight = was - h;
        dropped_q(&p, &p.sets[QG_ONLINE], &learning, q);
        const double slope = -(above - squared_errors(&p, q, targets)) / (2 * (double)h);
        *weight = was;
        if (fabs(slope - (double)gradient) > 1e-2 * largest)
            fail_msg("layer %d: slope %g, gradient %g", l + 1, slope, (double)gradient);
    }

    qg_learning another = learning;
    another.dropout_draw++;
    float other[SIZE * 6];
    dropped_q(&p, &p.sets[QG_ONLINE], &learning, q);
    dropped_q(&p, &p.sets[QG_ONLINE], &another, other);
    assert_memory_not_equal(q, other, sizeof q);
    qg_engine_destroy(engine);
    qg_engine_destroy(three);
    problem_free(&p);
}

/* ---- Extreme numbers ---- */

static void test_terminal(void **state)
{
    (void)state;
    problem p = problem_create(&shapes[4], 5, 6);
    qg_network *target = &p.sets[QG_TARGET];
    const int last = p.a.layer_count - 1;
    memset(p.terminals, 1, 5);
    float td_errors[3][5];
    for (int kind = 0; kind < 3; kind++) {
        for (int n = 0; n < p.a.actions; n++)
            target->biases[last][n] = kind == 0 ? 0
                                      : kind == 1
                                          ? INFINITY /* NaN: not in a file, but to be sure */
                                          : NAN;
        qg_engine *engine = engine_for(&p, 5, 1, NULL);
        must(qg_engine_update(engine, &dqn3, &p.batch, false, NULL, td_errors[kind], &error));
        qg_engine_destroy(engine);
    }
    for (int i = 0; i < 5; i++)
        assert_true(isfinite(td_errors[0][i]));
    assert_memory_equal(td_errors[0], td_errors[1], sizeof td_errors[0]);
    assert_memory_equal(td_errors[0], td_errors[2], sizeof td_errors[0]);
    problem_free(&p);
}

/* Weights of 1e-42 (denormal) and 1e12: nothing is flushed to zero, and both instruction sets give
 * the same bits. */
static void test_magnitudes(void **state)
{
    (void)state;
    static const float scales[] = {1e-41f, 1e-20f, 1e12f};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        const shape s = {"[]", 1, 4, 4, 255, 3, 1, 1};
        problem p = problem_create(&s, 6, 8);
        for (int k = 0; k < 16 * 3 + 3; k++)
            p.sets[QG_ONLINE].parameters[k] *= scales[i];
        reference r = reference_create(&p.a);
        to_doubles(&p.sets[QG_ONLINE], r.parameters);
        qg_engine *a = engine_for(&p, 6, 1, NULL), *b = engine_for(&p, 6, 1, "portable");
        float q[18], other[18];
        must(qg_engine_update(a, &dqn3, &p.batch, true, q, NULL, &error));
        must(qg_engine_update(b, &dqn3, &p.batch, true, other, NULL, &error));
        assert_memory_equal(q, other, sizeof q);
        assert_same(&p, a, b, "magnitudes");
        bool any = false;
        for (int k = 0; k < 6; k++) {
            const double *expected = reference_forward(&r, &p.batch.states, k);
            for (int n = 0; n < 3; n++) {
                any |= q[3 * k + n] != 0;
                assert_true(fabs((double)q[3 * k + n] - expected[n]) <=
                            1e-5 * (double)scales[i] + 32 * 0x1p-149);
            }
        }
        assert_true(any);
        qg_engine_destroy(a);
        qg_engine_destroy(b);
        reference_free(&r);
        problem_free(&p);
    }
}

/* A gradient that has been the same for ever has no variance; where rounding has made it slightly
 * negative, the step must not be NaN but that of no variance. */
static void test_no_variance(void **state)
{
    (void)state;
    const shape s = {"[]", 1, 1, 1, 1, 1, 1, 1};
    problem p = problem_create(&s, 1, 1);
    const uint8_t one = 1, terminal = 1;
    const uint8_t *const screens[] = {&one};
    const int32_t action = 0;
    const float reward = 1000; /* and a q-value of 0 */
    const qg_states states = {1, 1, 1, screens};
    const qg_batch batch = {states, states, &action, &reward, &terminal};
    const qg_learning learning = {.learning_rate = 1e-3f, .rms_decay = 0.95f, .rms_epsilon = 0.25f};
    for (int k = 0; k < 2; k++) { /* the weight and the bias */
        p.sets[QG_ONLINE].parameters[k] = 0;
        p.sets[QG_MOMENT1].parameters[k] = 1000;
        p.sets[QG_MOMENT2].parameters[k] = 999999; /* 1000^2 - 1 */
    }
    static const char *const names[] = {NULL, "portable"};
    for (int i = 0; i < 2; i++) {
        qg_engine *engine = engine_for(&p, 1, 1, names[i]);
        qg_network read;
        assert_int_equal(qg_network_create(&p.a, &read, &error), QG_OK);
        must(qg_engine_update(engine, &learning, &batch, false, NULL, NULL, &error));
        must(qg_engine_read(engine, QG_ONLINE, &read, &error));
        for (int k = 0; k < 2; k++) /* 0.001 * 1000 / sqrt(0.25) */
            assert_true(fabs((double)read.parameters[k] - 2) < 1e-5);
        qg_network_free(&read);
        qg_engine_destroy(engine);
    }
    problem_free(&p);
}

/* ---- The rest of the interface ---- */

static void test_parameters(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        problem p = problem_create(&shapes[i], 1, 9);
        qg_engine *engine = engine_for(&p, 1, 1, NULL);
        const size_t bytes = qg_architecture_parameters(&p.a) * sizeof(float);
        qg_network read;
        assert_int_equal(qg_network_create(&p.a, &read, &error), QG_OK);
        assert_true(qg_architecture_equal(&engine->architecture, &p.a));
        for (qg_parameter_set set = QG_ONLINE; set < QG_GRADIENT; set++) {
            must(qg_engine_read(engine, set, &read, &error));
            assert_memory_equal(read.parameters, p.sets[set].parameters, bytes);
        }
        must(qg_engine_copy_to_target(engine, &error));
        must(qg_engine_read(engine, QG_TARGET, &read, &error));
        assert_memory_equal(read.parameters, p.sets[QG_ONLINE].parameters, bytes);
        qg_network_free(&read);
        qg_engine_destroy(engine);
        problem_free(&p);
    }
}

static void test_create(void **state)
{
    (void)state;
    qg_architecture a;
    qg_engine *engine;
    assert_int_equal(qg_architecture_make("[]", 1, 2, 2, 1, 2, &a, &error), QG_OK);
    qg_engine_options options = {&a, "float31", 1, {1, "portable"}};
    assert_int_equal(qg_engine_create(&options, &engine, &error), QG_ERROR_USAGE);
    assert_string_equal(error.message, "precision: there is no 'float31'; allowed: float32");
    options = (qg_engine_options){&a, NULL, 1, {1, "sse9"}};
    assert_int_equal(qg_engine_create(&options, &engine, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "'sse9'"));
    assert_non_null(strstr(error.message, "portable"));
    qg_engine_destroy(NULL);
    must(qg_engine_create(&(qg_engine_options){.architecture = &a, .max_batch = 1}, &engine,
                          &error));
    qg_network n;
    assert_int_equal(qg_network_create(&a, &n, &error), QG_OK);
    for (qg_parameter_set set = QG_ONLINE; set < QG_PARAMETER_SETS; set++) {
        qg_network_initialise(&n, 1);
        must(qg_engine_read(engine, set, &n, &error));
        for (int k = 0; k < 10; k++)
            assert_true(n.parameters[k] == 0);
    }
    qg_network_free(&n);
    qg_engine_destroy(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_threads_and_instruction_sets),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_missing_screens),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_weight_decay),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_magnitudes),
        cmocka_unit_test(test_no_variance),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_create),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
