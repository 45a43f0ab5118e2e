/* Every engine against a plain reference in double precision (reference.h), and against itself:
 * threads, instruction sets and frozen layers give the same bits, where its class says so.
 *
 * "Close" means: the largest error of a tensor is at most the class's `error` of its largest
 * value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/engine.h>

#include "base/random.h"

#include "reference.h"
#include "quick.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const qg_engine_class *tested;
static bool anchored; /* are engines made with an anchor? */
static qg_optimiser_kind learns_by = QG_RMSPROP_CENTRED;

/* Rounds what its products take? Then it is compared with a reference that rounds, too. */
static bool rounds(void)
{
    return tested->exactness.error > 1e-4;
}

static reference reference_for(const qg_architecture *a)
{
    reference r = reference_create(a);
    r.bf16 = rounds();
    return r;
}

static qg_engine *engine_for(const problem *p, int max_batch, int threads, const char *isa)
{
    qg_engine *engine;
    must(qg_engine_create(&(qg_engine_options){.architecture = &p->a,
                                               .precision = tested->name,
                                               .max_batch = max_batch,
                                               .machine = {threads, isa},
                                               .target = true,
                                               .anchored = anchored,
                                               .optimiser = learns_by},
                          &engine, &error));
    write_sets(engine, p);
    return engine;
}

static bool is_held(int set)
{
    return anchored || (set != QG_ANCHOR && set != QG_PULL);
}

static const qg_learning dqn3 = {
    .optimiser = {QG_RMSPROP_CENTRED, .learning_rate = 0.00025f, .rmsprop = {0.95f, 0.01f}}};

static const qg_learning adam = {
    .optimiser = {QG_ADAM, .learning_rate = 0.001f, .adam = {0.9, 0.999, 1e-8}}};

/* A loss that pulls every output towards its goal: sum (goal - q)^2 / 2. Keeps what it saw. */
typedef struct pull {
    const problem *p;
    float *q;
} pull;

static void pull_loss(void *context, int size, const float *q_values, float *gradient)
{
    const pull *l = context;
    const size_t count = (size_t)(size * l->p->a.actions);
    for (size_t k = 0; k < count; k++) {
        assert_true(gradient[k] == 0);
        gradient[k] = l->p->goals[k] - q_values[k];
    }
    if (l->q) memcpy(l->q, q_values, count * sizeof *q_values);
}

/* One step on the problem; q [size][actions] may be NULL. */
static void descend(qg_engine *engine, const problem *p, const qg_learning *learning, uint64_t draw,
                    float *q)
{
    pull l = {p, q};
    must(qg_engine_descend(engine,
                           &(qg_descent){.learning = learning,
                                         .states = p->states,
                                         .loss = pull_loss,
                                         .context = &l,
                                         .draw = draw,
                                         .keep_gradient = true},
                           &error));
}

/* ---- Against the reference ---- */

/* q-values of the states; the gradient is summed in `online`. */
static void reference_descend(reference *online, const problem *p, double *q)
{
    const int actions = p->a.actions;
    double direction[32];
    for (int i = 0; i < p->states.size; i++, q += actions) {
        memcpy(q, reference_forward(online, &p->states, i), (size_t)actions * sizeof *q);
        for (int a = 0; a < actions; a++)
            direction[a] = (double)p->goals[i * actions + a] - q[a];
        reference_backward(online, direction);
    }
}

static size_t layer_end(const problem *p, int l)
{
    const float *next = l + 1 < p->a.layer_count
                            ? p->sets[0].weights[l + 1]
                            : p->sets[0].parameters + qg_architecture_parameters(&p->a);
    return (size_t)(next - p->sets[0].parameters);
}

/* What torch.optim.Adam multiplies the learning rate with, `step` counted from 1. */
static double reference_adam(const qg_optimiser *o, uint64_t step, double d, double *m1, double *m2)
{
    const double beta1 = o->adam.beta1, beta2 = o->adam.beta2, t = (double)step;
    *m1 = beta1 * *m1 + (1 - beta1) * d;
    *m2 = beta2 * *m2 + (1 - beta2) * d * d;
    const double first = 1 - pow(beta1, t), second = 1 - pow(beta2, t);
    return 1 / first * *m1 / (sqrt(*m2) / sqrt(second) + o->adam.epsilon);
}

/* What every set is to hold after the step. */
static void reference_step(const problem *p, const reference *online, const qg_learning *learning,
                           uint64_t step, double *expected[QG_PARAMETER_SETS])
{
    const qg_optimiser *optimiser = &learning->optimiser;
    for (int set = 0; set < QG_PARAMETER_SETS; set++) {
        expected[set] = zeros(online->count, sizeof(double));
        to_doubles(&p->sets[set], expected[set]);
    }
    const double decay = (double)optimiser->rmsprop.decay;
    for (size_t k = 0; k < online->count; k++) { /* Graves 2013, eq. 38-45, without momentum */
        int l = 0;
        while (k >= layer_end(p, l))
            l++;
        const double rate = (double)optimiser->learning_rate *
                            (learning->layer_rates ? (double)learning->layer_rates[l] : 1);
        if (anchored)
            online->gradient[k] -=
                expected[QG_PULL][k] * (expected[QG_ONLINE][k] - expected[QG_ANCHOR][k]);
        const double d = expected[QG_GRADIENT][k] = online->gradient[k];
        double *m1 = &expected[QG_MOMENT1][k], *m2 = &expected[QG_MOMENT2][k];
        if (optimiser->kind == QG_ADAM) {
            expected[QG_ONLINE][k] += rate * reference_adam(optimiser, step, d, m1, m2);
            continue;
        }
        *m1 = decay * *m1 + (1 - decay) * d;
        *m2 = decay * *m2 + (1 - decay) * d * d;
        expected[QG_ONLINE][k] +=
            rate * d / sqrt(*m2 - *m1 * *m1 + (double)optimiser->rmsprop.epsilon);
    }
}

/* What was added to the parameters, which these would hide. */
static void check_steps(const problem *p, const float *after, const double *expected)
{
    const float *before = p->sets[QG_ONLINE].parameters;
    const size_t count = qg_architecture_parameters(&p->a);
    double largest = 0;
    for (size_t k = 0; k < count; k++)
        largest = fmax(largest, fabs(expected[k] - (double)before[k]));
    for (size_t k = 0; k < count; k++)
        if (fabs((double)after[k] - expected[k]) >
            tested->exactness.error * largest + (double)FLT_EPSILON)
            fail_msg("step of parameter %zu of %s", k, p->shape->layers);
}

static void check_sets(const problem *p, const qg_engine *engine,
                       double *const expected[QG_PARAMETER_SETS])
{
    static const char *const names[] = {"parameters", "target", "moment 1", "moment 2",
                                        "anchor",     "pull",   "gradient"};
    for (int set = 0; set < QG_PARAMETER_SETS; set++) {
        qg_network read;
        if (!is_held(set)) continue;
        must(qg_network_create(&p->a, &read, &error));
        must(qg_engine_read(engine, (qg_parameter_set)set, &read, &error));
        assert_tensors_close(names[set], p, tested->exactness.error, read.parameters,
                             expected[set]);
        if (set == QG_ONLINE) check_steps(p, read.parameters, expected[set]);
        qg_network_free(&read);
    }
}

/* `taken`: steps before. */
static void check_descent(const shape *s, int size, const qg_learning *learning, uint64_t taken)
{
    learns_by = learning->optimiser.kind;
    problem p = problem_create(s, size, (uint64_t)size);
    reference online = reference_for(&p.a);
    to_doubles(&p.sets[QG_ONLINE], online.parameters);
    const size_t q_count = (size_t)(size * s->actions);
    double *q = zeros(q_count, sizeof *q), *expected[QG_PARAMETER_SETS];
    reference_descend(&online, &p, q);
    reference_step(&p, &online, learning, taken + 1, expected);

    qg_engine *engine = engine_for(&p, size, 2, NULL);
    engine->steps = taken;
    float *our_q = zeros(q_count, sizeof *our_q);
    must(qg_engine_forward(engine, QG_ONLINE, &p.states, our_q, &error));
    assert_close("forward", s->layers, tested->exactness.error, our_q, q, q_count);
    descend(engine, &p, learning, 0, our_q);
    assert_close("q", s->layers, tested->exactness.error, our_q, q, q_count);
    check_sets(&p, engine, expected);
    for (int set = 0; set < QG_PARAMETER_SETS; set++)
        free(expected[set]);
    qg_engine_destroy(engine);
    free(q);
    free(our_q);
    reference_free(&online);
    problem_free(&p);
    learns_by = QG_RMSPROP_CENTRED;
}

static void test_reference(void **state)
{
    (void)state;
    enum { SIZES = SANITIZED ? 2 : 4 };
    static const int sizes[] = {1, 33, 5, 32};
    for (int i = 0; i < SHAPES; i++)
        for (int k = 0; k < SIZES; k++)
            check_descent(&shapes[i], sizes[k], &dqn3, 0);
}

static void test_optimisers(void **state)
{
    (void)state;
    static const qg_learning others[] = {
        {.optimiser = {QG_RMSPROP_CENTRED, .learning_rate = 1, .rmsprop = {0, 1}}},
        {.optimiser = {QG_RMSPROP_CENTRED, .learning_rate = 0.5f, .rmsprop = {0.999f, 1e-3f}}},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check_descent(&shapes[4], 7, &others[i], 0);
    for (uint64_t taken = 0; taken < 1000000; taken = 10 * taken + 9) {
        check_descent(&shapes[4], 7, &adam, taken);
        check_descent(&shapes[9], 33, &adam, taken);
    }
    const qg_learning other = {.optimiser = {QG_ADAM, 0.5f, .adam = {0, 0.25, 1}}};
    check_descent(&shapes[4], 7, &other, 2);
}

/* ---- Finite differences ---- */

/* The gradient is the descent of the loss. */
static double loss_of(reference *online, const problem *p)
{
    double sum = 0;
    for (int i = 0; i < p->states.size; i++) {
        const double *q = reference_forward(online, &p->states, i);
        for (int a = 0; a < p->a.actions; a++) {
            const double delta = (double)p->goals[i * p->a.actions + a] - q[a];
            sum += delta * delta / 2;
        }
    }
    return sum;
}

static void test_finite_differences(void **state)
{
    (void)state;
    enum { SIZE = 3, PER_LAYER = 8 };
    const double close = fmax(1e-4, 10 * tested->exactness.error); /* the loss is not rounded */
    for (int i = 0; i < SHAPES; i++) {
        problem p = problem_create(&shapes[i], SIZE, 11);
        reference online = reference_create(&p.a);
        to_doubles(&p.sets[QG_ONLINE], online.parameters);
        qg_engine *engine = engine_for(&p, SIZE, 1, NULL);
        descend(engine, &p, &dqn3, 0, NULL);
        must(qg_engine_read(engine, QG_GRADIENT, &p.sets[QG_GRADIENT], &error));
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
                const double above = loss_of(&online, &p);
                online.parameters[at] = was - h;
                const double below = loss_of(&online, &p);
                online.parameters[at] = was;
                const double slope = -(above - below) / (2 * h);
                if (fabs(slope - (double)p.sets[QG_GRADIENT].parameters[at]) > close * largest)
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
    must(qg_network_create(&p->a, &x, &error));
    must(qg_network_create(&p->a, &y, &error));
    for (qg_parameter_set set = QG_ONLINE; set < QG_PARAMETER_SETS; set++) {
        if (!is_held((int)set)) continue;
        must(qg_engine_read(a, set, &x, &error));
        must(qg_engine_read(b, set, &y, &error));
        if (memcmp(x.parameters, y.parameters, qg_architecture_parameters(&p->a) * sizeof(float)))
            fail_msg("%s: set %d of %s differs", what, set, p->a.text);
    }
    qg_network_free(&x);
    qg_network_free(&y);
}

static bool is_here(const qg_architecture *a, const char *isa)
{
    qg_engine *engine;
    const qg_engine_options options = {
        .architecture = a, .precision = tested->name, .max_batch = 1, .machine = {.isa = isa}};
    if (qg_engine_create(&options, &engine, &error)) return false;
    qg_engine_destroy(engine);
    return true;
}

/* Several numbers of threads with every instruction set that this machine has. */
static void check_same_bits(int shape_count, int size, const qg_learning *learning)
{
    enum { UPDATES = SANITIZED ? 1 : 3 };
    static const struct {
        int threads;
        const char *isa;
    } kinds[] = {{2, NULL},       {3, NULL},   {5, NULL},   {1, "portable"},
                 {3, "portable"}, {1, "avx2"}, {3, "avx2"}, {1, "avx512"},
                 {3, "avx512"},   {1, "amx"},  {3, "amx"}};
    learns_by = learning->optimiser.kind;
    for (int i = 0; i < shape_count && tested->exactness.same_bits; i++) {
        problem p = problem_create(&shapes[i], size, 3);
        const size_t q_count = (size_t)size * (size_t)p.a.actions;
        float *q = zeros(q_count, sizeof *q), *other = zeros(q_count, sizeof *q);
        qg_engine *engine = engine_for(&p, size, 1, NULL);
        for (int k = 0; k < UPDATES; k++)
            descend(engine, &p, learning, 0, q);
        must(qg_engine_mix_into_target(engine, 0.125f, &error));
        for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
            const char *isa = kinds[kind].isa;
            if (isa && (strcmp(isa, qg_engine_isa(engine)) == 0 || !is_here(&p.a, isa))) continue;
            qg_engine *b = engine_for(&p, size, kinds[kind].threads, isa);
            if (isa) assert_string_equal(qg_engine_isa(b), isa);
            for (int k = 0; k < UPDATES; k++)
                descend(b, &p, learning, 0, other);
            must(qg_engine_mix_into_target(b, 0.125f, &error));
            assert_memory_equal(q, other, q_count * sizeof *q);
            assert_same(&p, engine, b, isa ? isa : "threads");
            qg_engine_destroy(b);
        }
        qg_engine_destroy(engine);
        free(q);
        free(other);
        problem_free(&p);
    }
    learns_by = QG_RMSPROP_CENTRED;
}

/* The norm of a step's gradient is at most max_norm, and it points where it pointed; the same bits
 * whatever the machine. */
static void test_max_norm(void **state)
{
    (void)state;
    qg_learning learning = adam;
    for (int i = 0; i < SHAPES; i++) {
        problem p = problem_create(&shapes[i], 5, 14);
        const size_t count = qg_architecture_parameters(&p.a);
        double norm = 0;
        float factor = 0;
        learns_by = QG_ADAM;
        for (int k = 0; k < 3; k++) { /* as it is, half of it, twice of it */
            learning.max_norm = k == 0 ? 0 : (float)(k == 1 ? norm / 2 : 2 * norm);
            qg_engine *engine = engine_for(&p, 5, 2, NULL);
            descend(engine, &p, &learning, 0, NULL);
            qg_network *gradient = &p.sets[k == 0 ? QG_GRADIENT : QG_MOMENT1];
            must(qg_engine_read(engine, QG_GRADIENT, gradient, &error));
            for (size_t n = 0; n < count && k == 0; n++)
                norm += (double)gradient->parameters[n] * (double)gradient->parameters[n];
            if (k == 0) norm = sqrt(norm);
            factor = k == 1 ? 0.5f : 1;
            for (size_t n = 0; n < count && k > 0; n++)
                assert_true(
                    fabsf(gradient->parameters[n] - factor * p.sets[QG_GRADIENT].parameters[n]) <=
                    1e-5f * (float)norm);
            qg_engine_destroy(engine);
        }
        learns_by = QG_RMSPROP_CENTRED;
        problem_free(&p);
    }
    learning.max_norm = 0.01f;
    check_same_bits(QUICK ? 2 : SHAPES, 7, &learning);
    anchored = true;
    learning.l2 = 0.1f;
    check_same_bits(QUICK ? 1 : 3, 7, &learning);
    anchored = false;
}

/* A share of the way, to the bit; what the target network computes with follows. */
static void test_mix_into_target(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++) {
        problem p = problem_create(&shapes[i], 5, 10);
        const size_t count = qg_architecture_parameters(&p.a), actions = (size_t)p.a.actions;
        qg_engine *mixed = engine_for(&p, 5, 1, NULL), *written = engine_for(&p, 5, 1, NULL);
        const float *online = p.sets[QG_ONLINE].parameters;
        float *target = p.sets[QG_TARGET].parameters;
        must(qg_engine_mix_into_target(mixed, 0.3f, &error));
        for (size_t k = 0; k < count; k++) {
            const float way = 0.3f * (online[k] - target[k]);
            target[k] += way;
        }
        must(qg_engine_write(written, QG_TARGET, &p.sets[QG_TARGET], &error));
        assert_same(&p, mixed, written, "a soft target");
        float *q = zeros(5 * actions, sizeof *q), *other = zeros(5 * actions, sizeof *q);
        must(qg_engine_forward(mixed, QG_TARGET, &p.states, q, &error));
        must(qg_engine_forward(written, QG_TARGET, &p.states, other, &error));
        assert_memory_equal(q, other, 5 * actions * sizeof *q);
        free(q);
        free(other);
        qg_engine_destroy(mixed);
        qg_engine_destroy(written);
        problem_free(&p);
    }
}

static void test_threads_and_instruction_sets(void **state)
{
    (void)state;
    check_same_bits(SHAPES, QUICK ? 11 : 33, &dqn3);
    check_same_bits(QUICK ? 2 : 5, 7, &adam);
}

/* Pulled back to an anchor, with a learning rate for each layer. */
static void test_anchored(void **state)
{
    (void)state;
    float rates[QG_MAX_LAYERS];
    qg_learning learning = dqn3;
    for (int l = 0; l < QG_MAX_LAYERS; l++)
        rates[l] = 0.1f * (float)(1 + l * 7 % 13);
    learning.layer_rates = rates;
    anchored = true;
    for (int i = 0; i < SHAPES; i++)
        check_descent(&shapes[i], 7, &learning, 0);
    learning.optimiser = adam.optimiser;
    check_descent(&shapes[4], 7, &learning, 3);
    learning.optimiser = dqn3.optimiser;
    learning.l2 = 0.3f;
    check_same_bits(SHAPES, 7, &learning);
    anchored = false;
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
        const qg_states *states = &p.states;
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
        reference r = reference_for(&p.a);
        to_doubles(&p.sets[QG_TARGET], r.parameters);
        for (int l = 0; l < p.a.layer_count; l++) {
            const size_t count = outputs(&p.a.layers[l]);
            float *values = zeros(7 * count, sizeof *values);
            double *expected = zeros(7 * count, sizeof *expected);
            for (int k = 0; k < 7; k++) {
                reference_forward(&r, &p.states, k);
                memcpy(expected + (size_t)k * count, r.values[l + 1], count * sizeof *expected);
            }
            must(qg_engine_activations(engine, QG_TARGET, &p.states, l, values, &error));
            assert_close("activations", shapes[i].layers, tested->exactness.error, values, expected,
                         7 * count);
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
    descend(plain, &p, &dqn3, 0, NULL);
    for (unsigned mask = 1; mask < 1u << layers; mask++) {
        qg_engine *engine = engine_for(&p, 9, 2, NULL);
        for (int l = 0; l < layers; l++)
            qg_engine_freeze(engine, l, mask >> l & 1);
        descend(engine, &p, &dqn3, 0, NULL);
        for (qg_parameter_set set = QG_ONLINE; set < QG_PARAMETER_SETS; set++) {
            if (!is_held((int)set)) continue;
            qg_network got, learned;
            must(qg_network_create(&p.a, &got, &error));
            must(qg_network_create(&p.a, &learned, &error));
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
            qg_engine_freeze(engine, l, false);
        descend(engine, &p, &dqn3, 0, NULL);
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
    must(qg_network_create(&p.a, &expected, &error));
    must(qg_network_create(&p.a, &got, &error));
    qg_engine_freeze(plain, FROZEN, true);
    qg_engine_freeze(engine, FROZEN, true);
    descend(plain, &p, &dqn3, 0, NULL);
    descend(engine, &p, &decayed, 0, NULL);
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

/* The loss under a dropout draw, from a step that changes nothing; q [size][actions] may be NULL.
 */
static double dropped_loss(const problem *p, const qg_learning *learning, uint64_t draw, float *q)
{
    const size_t count = (size_t)(p->states.size * p->a.actions);
    float *own = zeros(count, sizeof *own);
    qg_learning still = *learning;
    still.optimiser.learning_rate = 0;
    qg_engine *engine = engine_for(p, p->states.size, 1, NULL);
    descend(engine, p, &still, draw, own);
    qg_engine_destroy(engine);
    double sum = 0;
    for (size_t k = 0; k < count; k++) {
        const double delta = (double)p->goals[k] - (double)own[k];
        sum += delta * delta / 2;
    }
    if (q) memcpy(q, own, count * sizeof *q);
    free(own);
    return sum;
}

/* The gradient under dropout is the slope of the loss under the same draw; another draw drops
 * others; threads make no difference; acting knows nothing of it. */
static void test_dropout(void **state)
{
    (void)state;
    enum { SIZE = 9, PROBES = 12, DRAW = 77 };
    qg_learning learning = dqn3;
    learning.dropout_conv = 0.25f;
    learning.dropout_linear = 0.5f;
    problem p = problem_create(&shapes[4], SIZE, 12);
    float q[SIZE * 6], plain[SIZE * 6], other[SIZE * 6];
    qg_engine *engine = engine_for(&p, SIZE, 1, NULL), *three = engine_for(&p, SIZE, 3, NULL);
    must(qg_engine_forward(engine, QG_ONLINE, &p.states, plain, &error));
    descend(engine, &p, &learning, DRAW, q);
    descend(three, &p, &learning, DRAW, NULL);
    assert_same(&p, engine, three, "dropout on three threads");
    assert_memory_not_equal(q, plain, sizeof q);
    must(qg_engine_read(engine, QG_GRADIENT, &p.sets[QG_GRADIENT], &error));

    qg_random random = qg_random_stream(6, "places");
    for (int probe = 0; probe < PROBES && !rounds(); probe++) { /* or the slope is of steps */
        const int l = probe % p.a.layer_count;
        const size_t weights = qg_layer_weights(&p.a.layers[l]);
        double largest = 0;
        for (size_t k = 0; k < weights; k++)
            largest = fmax(largest, fabs((double)p.sets[QG_GRADIENT].weights[l][k]));
        const size_t at = qg_random_below(&random, weights);
        const double gradient = (double)p.sets[QG_GRADIENT].weights[l][at];
        float *weight = &p.sets[QG_ONLINE].weights[l][at];
        const float was = *weight, h = 2.5e-4f; /* a larger one steps over a ReLU's kink */
        *weight = was + h;
        const double above = dropped_loss(&p, &learning, DRAW, NULL);
        *weight = was - h;
        const double slope = -(above - dropped_loss(&p, &learning, DRAW, NULL)) / (2 * (double)h);
        *weight = was;
        if (fabs(slope - gradient) > 1e-2 * largest)
            fail_msg("layer %d: slope %g, gradient %g", l + 1, slope, gradient);
    }
    dropped_loss(&p, &learning, DRAW, q);
    dropped_loss(&p, &learning, DRAW + 1, other);
    assert_memory_not_equal(q, other, sizeof q);
    qg_engine_destroy(engine);
    qg_engine_destroy(three);
    problem_free(&p);
}

/* ---- Extreme numbers ---- */

/* The same, or both NaN. */
static bool same_number(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
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
        descend(a, &p, &dqn3, 0, q);
        descend(b, &p, &dqn3, 0, other);
        assert_memory_equal(q, other, sizeof q);
        assert_same(&p, a, b, "magnitudes");
        bool any = false;
        for (int k = 0; k < 6; k++) {
            const double *expected = reference_forward(&r, &p.states, k);
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

/* Sums that overflow: the same q-values alone, in a batch and by every instruction set, zeros where
 * a layer pads. */
static void test_overflow(void **state)
{
    (void)state;
    enum { SIZE = 18 };
    static const char *const sets[] = {NULL, "portable", "avx2", "avx512", "amx"};
    for (int i = 0; i < SHAPES; i++) {
        problem p = problem_create(&shapes[i], SIZE, 9);
        float expected[SIZE * 18], q[18];
        const size_t actions = (size_t)p.a.actions;
        p.sets[QG_ONLINE].biases[0][0] = 3.4e38f;
        for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) {
            if (sets[k] && !is_here(&p.a, sets[k])) continue;
            qg_engine *engine = engine_for(&p, SIZE, 2, sets[k]);
            float batch[SIZE * 18];
            must(qg_engine_forward(engine, QG_ONLINE, &p.states, batch, &error));
            if (k == 0) memcpy(expected, batch, sizeof batch);
            for (size_t n = 0; n < SIZE * actions; n++)
                assert_true(same_number(batch[n], expected[n]));
            for (int s = 0; s < SIZE; s++) {
                const qg_states one = qg_states_some(&p.states, s, 1);
                must(qg_engine_forward(engine, QG_ONLINE, &one, q, &error));
                for (size_t n = 0; n < actions; n++)
                    assert_true(same_number(q[n], expected[(size_t)s * actions + n]));
            }
            qg_engine_destroy(engine);
        }
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
    const uint8_t one = 1;
    const uint8_t *const screens[] = {&one};
    p.states.screens = screens;
    p.goals[0] = 1000; /* and a q-value of 0 */
    const qg_learning learning = {
        .optimiser = {QG_RMSPROP_CENTRED, .learning_rate = 1e-3f, .rmsprop = {0.95f, 0.25f}}};
    for (int k = 0; k < 2; k++) { /* the weight and the bias */
        p.sets[QG_ONLINE].parameters[k] = 0;
        p.sets[QG_MOMENT1].parameters[k] = 1000;
        p.sets[QG_MOMENT2].parameters[k] = 999999; /* 1000^2 - 1 */
    }
    static const char *const names[] = {NULL, "portable"};
    for (int i = 0; i < 2; i++) {
        qg_engine *engine = engine_for(&p, 1, 1, names[i]);
        qg_network read;
        must(qg_network_create(&p.a, &read, &error));
        descend(engine, &p, &learning, 0, NULL);
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
        must(qg_network_create(&p.a, &read, &error));
        for (qg_parameter_set set = QG_ONLINE; set < QG_GRADIENT; set++) {
            if (!is_held((int)set)) continue;
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

/* The state is the online network, the target where there is one, and what the optimiser keeps; a
 * new engine is all zeros; and it says how much memory it will take. */
static void test_create(void **state)
{
    (void)state;
    static const char *const names[] = {"online", "target", "moment1", "moment2", "steps"};
    problem p = problem_create(&shapes[4], 1, 1);
    size_t before = 0;
    static const qg_optimiser_kind learners[] = {QG_NO_OPTIMISER, QG_NO_OPTIMISER,
                                                 QG_RMSPROP_CENTRED, QG_ADAM};
    for (int kind = 0; kind < 4; kind++) { /* it acts; and has a target; and learns */
        const qg_engine_options options = {.architecture = &p.a,
                                           .precision = tested->name,
                                           .max_batch = 4,
                                           .target = kind >= 1,
                                           .optimiser = learners[kind]};
        qg_engine *engine;
        size_t bytes = 0;
        must(qg_engine_bytes(&options, &bytes, &error));
        if (kind < 3)
            assert_true(bytes > before + qg_architecture_parameters(&p.a) * 2);
        else
            assert_int_equal(bytes, before); /* both have two moments */
        before = bytes;
        must(qg_engine_create(&options, &engine, &error));
        assert_true(qg_architecture_equal(&engine->architecture, &p.a));
        static const size_t slots[] = {1, 2, 4, 5};
        assert_int_equal(engine->slot_count, slots[kind]);
        for (size_t i = 0; i < engine->slot_count; i++) {
            assert_string_equal(engine->slots[i].name, names[i]);
            if (i == 4) assert_ptr_equal(engine->slots[i].counter, &engine->steps);
            if (i == 4) continue;
            assert_null(engine->slots[i].counter);
            qg_network_initialise(&p.sets[0], 1);
            must(qg_engine_read(engine, engine->slots[i].set, &p.sets[0], &error));
            for (size_t k = 0; k < qg_architecture_parameters(&p.a); k++)
                assert_true(p.sets[0].parameters[k] == 0);
        }
        qg_engine_destroy(engine);
    }
    qg_engine_destroy(NULL);
    problem_free(&p);
}

static void test_unknown(void **state)
{
    (void)state;
    qg_architecture a;
    qg_engine *engine;
    size_t bytes;
    must(qg_architecture_make("[]", 1, 2, 2, 1, 2, &a, &error));
    qg_engine_options options = {.architecture = &a, .precision = "float31", .max_batch = 1};
    assert_int_equal(qg_engine_create(&options, &engine, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "precision: there is no 'float31'; allowed: "));
    assert_non_null(strstr(error.message, tested->name));
    assert_int_equal(qg_engine_bytes(&options, &bytes, &error), QG_ERROR_USAGE);
    options.precision = tested->name;
    for (int i = 0; i < 2; i++) {
        options.machine.threads = i ? 257 : -1;
        assert_int_equal(qg_engine_create(&options, &engine, &error), QG_ERROR_USAGE);
        assert_non_null(strstr(error.message, "`threads`"));
        assert_int_equal(qg_engine_bytes(&options, &bytes, &error), QG_ERROR_USAGE);
    }
    options.machine.threads = 0;
    options.machine.isa = "sse9";
    assert_int_equal(qg_engine_create(&options, &engine, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "'sse9'"));
    assert_non_null(strstr(error.message, "portable"));
    assert_int_equal(qg_engine_bytes(&options, &bytes, &error), QG_ERROR_USAGE);
}

/* Adam counts a layer's own steps: the first of one that thaws moves each parameter by the learning
 * rate, whatever came before, as the first of a layer that was never frozen does. */
static void test_adam_of_a_thawed_layer(void **state)
{
    (void)state;
    size_t count;
    const qg_engine_class *const *classes = qg_engine_classes(&count);
    for (size_t c = 0; c < count; c++) {
        problem p = problem_create(&shapes[4], 7, 5);
        pull l = {.p = &p};
        const qg_engine_options options = {.architecture = &p.a,
                                           .precision = classes[c]->name,
                                           .max_batch = 7,
                                           .target = true,
                                           .optimiser = QG_ADAM};
        qg_engine *engine;
        qg_network before, after;
        must(qg_engine_create(&options, &engine, &error));
        must(qg_engine_write(engine, QG_ONLINE, &p.sets[QG_ONLINE], &error));
        must(qg_network_create(&p.a, &before, &error));
        must(qg_network_create(&p.a, &after, &error));
        const qg_descent descent = {
            .learning = &adam, .states = p.states, .loss = pull_loss, .context = &l};
        qg_engine_freeze(engine, 0, true);
        for (int step = 0; step < 20; step++)
            must(qg_engine_descend(engine, &descent, &error));
        assert_int_equal(engine->idle[0], 20);
        must(qg_engine_read(engine, QG_ONLINE, &before, &error));
        qg_engine_freeze(engine, 0, false);
        must(qg_engine_descend(engine, &descent, &error));
        must(qg_engine_read(engine, QG_ONLINE, &after, &error));
        assert_int_equal(engine->idle[0], 20);
        double largest = 0;
        for (size_t k = 0; k < qg_layer_weights(&p.a.layers[0]); k++)
            largest =
                fmax(largest, fabs((double)after.weights[0][k] - (double)before.weights[0][k]));
        assert_true(largest > 0.00098 && largest < 0.00102); /* adam's learning rate is 0.001 */
        qg_network_free(&before);
        qg_network_free(&after);
        qg_engine_destroy(engine);
        problem_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_optimisers),
        cmocka_unit_test(test_adam_of_a_thawed_layer),
        cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_threads_and_instruction_sets),
        cmocka_unit_test(test_anchored),
        cmocka_unit_test(test_mix_into_target),
        cmocka_unit_test(test_max_norm),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_missing_screens),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_weight_decay),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_magnitudes),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_no_variance),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_unknown),
    };
    const struct CMUnitTest threaded[] = {
        cmocka_unit_test(test_threads_and_instruction_sets),
        cmocka_unit_test(test_max_norm),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_frozen),
    };
    size_t count;
    const qg_engine_class *const *classes = qg_engine_classes(&count);
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        tested = classes[i];
        failed += QUICK ? cmocka_run_group_tests_name(tested->name, threaded, NULL, NULL)
                        : cmocka_run_group_tests_name(tested->name, tests, NULL, NULL);
    }
    return failed;
}
