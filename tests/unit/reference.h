/* A network in double precision by straight loops over PyTorch's layout, and the networks and
 * states that engines and learners are compared with it on. For unit tests: include cmocka before.
 */
#ifndef QG_REFERENCE_H
#define QG_REFERENCE_H

#include <qgraft/engine.h>

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static qg_error error;

static inline void must(qg_status status)
{
    if (status) fail_msg("%s", error.message);
}

static inline void *zeros(size_t count, size_t size)
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
    double *normed[QG_MAX_LAYERS + 1]; /* what a layer's norm makes of its outputs */
    double inverse[QG_MAX_LAYERS + 1]; /* 1 / deviation there */
    double q[32];                      /* of a dueling network: its outputs joined */
    bool bf16; /* rounds what products of all layers but the last take, as that engine does */
} reference;

static inline bool is_rounded(const reference *r, int layer)
{
    return r->bf16 && layer + 1 < r->a.layer_count;
}

/* x rounded to 8 bits where the layer's operands are */
static inline double operand(const reference *r, int layer, double x)
{
    if (!is_rounded(r, layer) || x == 0) return x;
    int exponent;
    const double mantissa = frexp(x, &exponent);
    return ldexp(nearbyint(ldexp(mantissa, 8)), exponent - 8);
}

static inline size_t outputs(const qg_layer *l)
{
    return (size_t)l->outputs * (size_t)l->out_height * (size_t)l->out_width;
}

static inline reference reference_create(const qg_architecture *a)
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
        r.normed[i + 1] = zeros(outputs(&a->layers[i]), sizeof(double));
    }
    return r;
}

static inline void reference_free(reference *r)
{
    free(r->parameters);
    free(r->gradient);
    for (int i = 0; i <= r->a.layer_count; i++) {
        free(r->values[i]);
        free(r->deltas[i]);
        free(r->normed[i]);
    }
}

/* Calls visit(weight, input, output) for every product of a layer: indices into the layer's
 * weights, its inputs and its outputs. */
typedef void visit_product(reference *r, int layer, size_t weight, size_t input, size_t output);

static inline void walk(reference *r, int i, visit_product *visit)
{
    const qg_layer *l = &r->a.layers[i];
    const size_t fan_in = qg_layer_fan_in(l);
    if (l->kind == QG_LINEAR) {
        for (size_t n = 0; n < (size_t)l->outputs; n++)
            for (size_t k = 0; k < fan_in; k++)
                visit(r, i, n * fan_in + k, l->heads && n > 0 ? fan_in + k : k, n);
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

static inline void visit_forward(reference *r, int i, size_t weight, size_t input, size_t output)
{
    r->values[i + 1][output] +=
        operand(r, i, r->parameters[r->at[i] + weight]) * r->values[i][input];
}

static inline void visit_backward(reference *r, int i, size_t weight, size_t input, size_t output)
{
    r->gradient[r->at[i] + weight] += r->deltas[i + 1][output] * r->values[i][input];
    r->deltas[i][input] +=
        r->deltas[i + 1][output] * operand(r, i, r->parameters[r->at[i] + weight]);
}

/* Ba et al. 2016, equation 3. */
static inline void norm_forward(reference *r, int i, size_t count)
{
    double mean = 0, variance = 0;
    for (size_t k = 0; k < count; k++)
        mean += r->values[i][k] / (double)count;
    for (size_t k = 0; k < count; k++)
        variance += (r->values[i][k] - mean) * (r->values[i][k] - mean) / (double)count;
    r->inverse[i] = 1 / sqrt(variance + 1e-5);
    for (size_t k = 0; k < count; k++)
        r->values[i][k] = r->normed[i][k] = (r->values[i][k] - mean) * r->inverse[i];
}

static inline void norm_backward(reference *r, int i, size_t count)
{
    double mean = 0, along = 0;
    for (size_t k = 0; k < count; k++) {
        mean += r->deltas[i][k] / (double)count;
        along += r->deltas[i][k] * r->normed[i][k] / (double)count;
    }
    for (size_t k = 0; k < count; k++)
        r->deltas[i][k] = (r->deltas[i][k] - mean - r->normed[i][k] * along) * r->inverse[i];
}

/* The q-values of state `index`. */
static inline const double *reference_forward(reference *r, const qg_states *states, int index)
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
        if (l->norm) norm_forward(r, i + 1, count);
        for (size_t k = 0; k < count && i + 1 < a->layer_count; k++)
            r->values[i + 1][k] = operand(r, i + 1, fmax(r->values[i + 1][k], 0));
    }
    const double *heads = r->values[a->layer_count];
    if (!qg_architecture_is_dueling(a)) return heads;
    double mean = 0; /* Wang et al. 2016, equation 9 */
    for (int n = 0; n < a->actions; n++)
        mean += heads[1 + n] / a->actions;
    for (int n = 0; n < a->actions; n++)
        r->q[n] = heads[0] + heads[1 + n] - mean;
    return r->q;
}

/* Adds sum over the actions of direction[a] * dQ(state, a)/dw to the gradient, of the state of the
 * last forward. */
static inline void reference_backward(reference *r, const double *direction)
{
    const int layers = r->a.layer_count;
    for (int i = 0; i < layers; i++)
        memset(r->deltas[i + 1], 0, outputs(&r->a.layers[i]) * sizeof(double));
    const int actions = r->a.actions;
    double *delta = r->deltas[layers];
    if (qg_architecture_is_dueling(&r->a)) {
        for (int n = 0; n < actions; n++)
            for (int m = 0; m < actions; m++)
                delta[1 + n] += direction[m] * ((m == n) - 1.0 / actions);
        for (int m = 0; m < actions; m++)
            delta[0] += direction[m];
    } else {
        memcpy(delta, direction, (size_t)actions * sizeof(double));
    }
    for (int i = layers - 1; i >= 0; i--) {
        const qg_layer *l = &r->a.layers[i];
        const size_t count = outputs(l), each = count / (size_t)l->outputs;
        for (size_t k = 0; k < count && i + 1 < layers; k++)
            if (r->values[i + 1][k] <= 0) r->deltas[i + 1][k] = 0;
        for (size_t k = 0; k < count && l->norm; k++) /* they are stored in between */
            r->deltas[i + 1][k] = operand(r, i, r->deltas[i + 1][k]);
        if (l->norm) norm_backward(r, i + 1, count);
        for (size_t k = 0; k < count; k++) {
            r->deltas[i + 1][k] = operand(r, i, r->deltas[i + 1][k]);
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
    {"[{\"conv\":16,\"kernel\":6,\"stride\":2}]", 4, 22, 6, 255, 5, 4, 1},
    {"[{\"conv\":9,\"kernel\":3},{\"dueling\":13}]", 3, 7, 8, 255, 4, 3, 1},
    {"[{\"dueling\":40}]", 5, 4, 4, 1, 18, 1, 5},
    {"[{\"conv\":9,\"kernel\":3,\"norm\":true},{\"conv\":16,\"kernel\":2,\"stride\":2,\"padding\":"
     "1,"
     "\"norm\":true},{\"linear\":21,\"norm\":true},{\"linear\":9}]",
     4, 9, 8, 255, 5, 4, 1},
    {"[{\"linear\":70,\"norm\":true},{\"linear\":45,\"norm\":true}]", 3, 5, 4, 1, 6, 1, 3},
    {"[{\"conv\":12,\"kernel\":2},{\"conv\":43,\"kernel\":3,\"norm\":true}]", 4, 7, 6, 255, 5, 4,
     1},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* States and networks for a shape: screens with many zeros and some missing ones, weights around
 * Torch's, moments of an earlier life. */
typedef struct problem {
    const shape *shape;
    qg_architecture a;
    qg_states states, next_states; /* [size] each */
    uint8_t *pixels;
    const uint8_t **screens;
    float *goals;                       /* [size][actions] around the q-values */
    qg_network sets[QG_PARAMETER_SETS]; /* what goes into the engine; the last: for reading */
} problem;

static inline void fill_pixels(const shape *s, problem *p, size_t count, qg_random *random)
{
    p->pixels = zeros(count, 1);
    const size_t channels = (size_t)s->part_channels, width = (size_t)s->width;
    for (size_t i = 0; i < count; i++) {
        const uint64_t draw = qg_random_u64(random);
        const bool empty = i / channels % width / 2 % 3 == 1; /* columns that are in all states */
        p->pixels[i] = !empty && draw & 1 ? (uint8_t)(s->max == 1 ? 1 : draw >> 8 & 255) : 0;
    }
}

static inline problem problem_create(const shape *s, int size, uint64_t seed)
{
    problem p = {.shape = s};
    qg_random random = qg_random_stream(seed, "problem");
    must(qg_architecture_make(s->layers, s->channels, s->height, s->width, s->max, s->actions, &p.a,
                              &error));
    const size_t each = (size_t)(s->height * s->width * s->part_channels);
    const size_t count = 2 * (size_t)(size * s->parts);
    fill_pixels(s, &p, each * count, &random);
    p.screens = zeros(count, sizeof *p.screens);
    for (size_t i = 0; i < count; i++)
        p.screens[i] = qg_random_below(&random, 8) ? p.pixels + i * each : NULL;
    p.states = p.next_states = (qg_states){size, s->parts, s->part_channels, p.screens};
    p.next_states.screens += count / 2;
    p.goals = zeros((size_t)(size * s->actions), sizeof *p.goals);
    for (int i = 0; i < size * s->actions; i++)
        p.goals[i] = (float)(4 * qg_random_uniform(&random) - 2);
    for (int set = 0; set < QG_PARAMETER_SETS; set++) {
        must(qg_network_create(&p.a, &p.sets[set], &error));
        qg_network_initialise(&p.sets[set], seed + (uint64_t)set);
    }
    for (size_t k = 0; k < qg_architecture_parameters(&p.a); k++) { /* E d^2 >= (E d)^2 */
        const float m1 = p.sets[QG_MOMENT1].parameters[k];
        float *m2 = &p.sets[QG_MOMENT2].parameters[k];
        *m2 = m1 * m1 + *m2 * *m2;
        p.sets[QG_PULL].parameters[k] *= 100; /* beside gradients of a minibatch */
    }
    return p;
}

static inline void problem_free(problem *p)
{
    free(p->pixels);
    free(p->screens);
    free(p->goals);
    for (int set = 0; set < QG_PARAMETER_SETS; set++)
        qg_network_free(&p->sets[set]);
}

/* Parameters of an engine that learns. */
static inline void write_sets(qg_engine *engine, const problem *p)
{
    for (size_t i = 0; i < engine->slot_count; i++)
        if (!engine->slots[i].counter)
            must(qg_engine_write(engine, engine->slots[i].set, &p->sets[engine->slots[i].set],
                                 &error));
}

static inline void to_doubles(const qg_network *network, double *out)
{
    for (size_t k = 0; k < qg_architecture_parameters(&network->architecture); k++)
        out[k] = (double)network->parameters[k];
}

/* The largest error is at most `close` of the largest value. */
static inline void assert_close(const char *what, const char *whose, double close,
                                const float *values, const double *expected, size_t count)
{
    double worst = 0, largest = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(isfinite(values[i]));
        worst = fmax(worst, fabs((double)values[i] - expected[i]));
        largest = fmax(largest, fabs(expected[i]));
    }
    if (worst > close * largest)
        fail_msg("%s of %s: error %g, largest value %g", what, whose, worst, largest);
}

/* Layer by layer, weights and biases apart. */
static inline void assert_tensors_close(const char *what, const problem *p, double close,
                                        const float *values, const double *expected)
{
    for (int i = 0; i < p->a.layer_count; i++) {
        const size_t counts[] = {qg_layer_weights(&p->a.layers[i]), (size_t)p->a.layers[i].outputs};
        for (int part = 0; part < 2; part++) {
            assert_close(what, p->shape->layers, close, values, expected, counts[part]);
            values += counts[part];
            expected += counts[part];
        }
    }
}

#endif
