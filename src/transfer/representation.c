#include "transfer/representation.h"

#include <qgraft/agent.h>
#include <qgraft/similarity.h>

#include "agent/history.h"
#include "transfer/random_play.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 32 }; /* states that go through a network together */

/* ------------------------------------------------------------------------------------ CKA */

/* Eight sums that do not wait for each other. */
static double inner_product(const float *a, const float *b, size_t width)
{
    double sums[8] = {0};
    size_t k = 0;
    for (; k + 8 <= width; k += 8)
        for (size_t lane = 0; lane < 8; lane++)
            sums[lane] += (double)a[k + lane] * (double)b[k + lane];
    for (; k < width; k++)
        sums[0] += (double)a[k] * (double)b[k];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void qg_gram(const float *features, size_t n, size_t width, double *gram)
{
    enum { BLOCK = 8 }; /* rows that stay in the cache while others pass */
    for (size_t first = 0; first < n; first += BLOCK)
        for (size_t j = first; j < n; j++)
            for (size_t i = first; i < first + BLOCK && i <= j; i++)
                gram[i * n + j] = gram[j * n + i] =
                    inner_product(features + i * width, features + j * width, width);
}

/* H K H of a square part of K: rows and columns with mean 0. */
static void centre(const double *k, size_t n, size_t begin, size_t m, double *centred)
{
    double all = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++)
            all += k[(begin + i) * n + begin + j];
    all /= (double)(m * m);
    for (size_t i = 0; i < m; i++) {
        const double *row = k + (begin + i) * n + begin;
        double mean = 0; /* of row i, and of column i */
        for (size_t j = 0; j < m; j++)
            mean += row[j];
        mean /= (double)m;
        for (size_t j = 0; j < m; j++)
            centred[i * m + j] = row[j] - mean;
    }
    for (size_t j = 0; j < m; j++) {
        double mean = 0;
        for (size_t i = 0; i < m; i++)
            mean += k[(begin + i) * n + begin + j];
        mean = mean / (double)m - all;
        for (size_t i = 0; i < m; i++)
            centred[i * m + j] -= mean;
    }
}

static double product(const double *a, const double *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Whether what is left after centring is more than rounding. */
static bool varies(const double *k, size_t n, size_t begin, size_t m, double hsic)
{
    double largest = 0;
    for (size_t i = begin; i < begin + m; i++)
        largest = fmax(largest, k[i * n + i]);
    return sqrt(hsic) > 1e-12 * (double)m * largest;
}

double qg_linear_cka(const double *k, const double *l, size_t n, size_t begin, size_t end,
                     double *scratch)
{
    assert(begin < end && end <= n);
    const size_t m = end - begin, count = m * m;
    double *const a = scratch, *const b = scratch + count;
    centre(k, n, begin, m, a);
    centre(l, n, begin, m, b);
    const double own_a = product(a, a, count), own_b = product(b, b, count);
    if (!varies(k, n, begin, m, own_a) || !varies(l, n, begin, m, own_b)) return NAN;
    return fmin(fmax(product(a, b, count) / sqrt(own_a * own_b), 0), 1);
}

/* --------------------------------------------------------------------------------- states */

/* States of one domain in the form of the networks' input. */
typedef struct sample {
    int64_t steps;
    int parts, part_channels, wanted, taken;
    size_t pixels; /* of a screen */
    size_t value;  /* bytes of one: 1, or a float's */
    qg_history history;
    uint8_t *memory; /* [wanted][parts][pixels][part_channels] values; zeros for missing channels */
} sample;

static void keep_state(sample *s)
{
    const qg_states state = qg_history_state(&s->history);
    const size_t channels = (size_t)s->part_channels * s->value;
    const size_t own = (size_t)state.part_channels * s->value;
    uint8_t *to = s->memory + (size_t)s->taken * (size_t)s->parts * s->pixels * channels;
    for (int part = 0; part < s->parts; part++, to += s->pixels * channels)
        for (size_t k = 0; k < s->pixels && state.screens[part]; k++)
            memcpy(to + k * channels, state.screens[part] + k * own, own);
    s->taken++;
}

static qg_status visit(void *context, qg_domain *domain, int64_t step, const uint8_t *observation,
                       qg_error *error)
{
    (void)error;
    sample *s = context;
    if (step < 0) qg_history_clear(&s->history);
    memcpy(qg_history_next(&s->history), observation, qg_observation_size(&domain->shape));
    qg_history_push(&s->history);
    if (s->taken < s->wanted && step == s->taken * s->steps / s->wanted) keep_state(s);
    return QG_OK;
}

static qg_status sample_create(const char *name, const qg_architecture *a, int64_t steps, sample *s,
                               qg_error *error)
{
    const qg_domain_options options = {.seed = 1, .sticky = -1};
    qg_domain *domain;
    qg_status status = qg_domain_open(name, &options, &domain, error);
    if (status) return status;
    s->parts = qg_network_history(NULL, a, domain);
    if (s->parts < 1 || s->parts > QG_MAX_HISTORY || a->channels % s->parts)
        status = qg_fail(error, QG_ERROR_USAGE,
                         "the network's input of %d channels does not fit %s", a->channels, name);
    if (!status) status = qg_network_fits(a, domain, s->parts, error);
    if (!status) {
        s->steps = steps;
        s->part_channels = a->channels / s->parts;
        s->wanted = steps < QG_REPRESENTATION_STATES ? (int)steps : QG_REPRESENTATION_STATES;
        s->pixels = (size_t)a->height * (size_t)a->width;
        s->value = a->input_max == 0 ? sizeof(float) : 1;
        const size_t size = (size_t)a->channels * s->pixels * s->value;
        s->memory = calloc((size_t)s->wanted, size);
        if (!s->memory) status = qg_fail_memory(error, "states", (size_t)s->wanted * size);
    }
    if (!status) status = qg_history_create(&domain->shape, s->parts, &s->history, error);
    qg_domain_close(domain);
    return status;
}

static void sample_free(sample *s)
{
    qg_history_destroy(&s->history);
    free(s->memory);
}

/* ------------------------------------------------------------------------------ comparing */

static qg_status check_pair(const qg_architecture *a, const qg_architecture *b, qg_error *error)
{
    if (a->channels != b->channels || a->height != b->height || a->width != b->width ||
        a->input_max != b->input_max)
        return qg_fail(error, QG_ERROR_USAGE,
                       "the networks cannot see the same states: the first one's input is %dx%dx%d "
                       "(max %d), the second one's %dx%dx%d (max %d)",
                       a->channels, a->height, a->width, a->input_max, b->channels, b->height,
                       b->width, b->input_max);
    if (a->layer_count != b->layer_count)
        return qg_fail(
            error, QG_ERROR_USAGE,
            "the networks have %d and %d weighted layers: layers are compared one by one",
            a->layer_count, b->layer_count);
    return QG_OK;
}

static size_t layer_width(const qg_layer *layer)
{
    return (size_t)layer->outputs * (size_t)layer->out_height * (size_t)layer->out_width;
}

/* The Gram matrix of a layer's outputs. */
static qg_status layer_gram(qg_engine *engine, int layer, const qg_states *states, double *gram,
                            qg_error *error)
{
    const size_t n = (size_t)states->size;
    const size_t width = layer_width(&engine->architecture.layers[layer]);
    float *features = malloc(n * width * sizeof *features);
    if (!features) return qg_fail_memory(error, "activations", n * width * sizeof *features);
    const qg_status status =
        qg_engine_activations(engine, QG_ONLINE, states, layer, features, error);
    if (!status) qg_gram(features, n, width, gram);
    free(features);
    return status;
}

static qg_status compare_layers(qg_engine *const engines[2], const qg_states *states,
                                qg_representation *r, qg_error *error)
{
    const size_t n = (size_t)states->size, count = n * n, split = (size_t)r->states[0];
    double *memory = malloc(4 * count * sizeof *memory);
    if (!memory) return qg_fail_memory(error, "Gram matrices", 4 * count * sizeof *memory);
    double *const grams[2] = {memory, memory + count}, *const scratch = memory + 2 * count;
    qg_status status = QG_OK;
    for (int i = 0; i < r->layer_count && !status; i++) {
        for (int side = 0; side < 2 && !status; side++)
            status = layer_gram(engines[side], i, states, grams[side], error);
        if (status) break;
        r->layers[i].both = qg_linear_cka(grams[0], grams[1], n, 0, n, scratch);
        r->layers[i].on[0] = qg_linear_cka(grams[0], grams[1], n, 0, split, scratch);
        r->layers[i].on[1] = qg_linear_cka(grams[0], grams[1], n, split, n, scratch);
    }
    free(memory);
    return status;
}

static qg_status compare_on(const sample samples[2], const qg_network *const networks[2],
                            const char *const precisions[2], qg_representation *r, qg_error *error)
{
    const int parts = samples[0].parts, n = samples[0].taken + samples[1].taken;
    const size_t screen = samples[0].pixels * samples[0].value * (size_t)samples[0].part_channels;
    const uint8_t **screens = malloc((size_t)n * (size_t)parts * sizeof *screens);
    if (!screens) return qg_fail_memory(error, "states", (size_t)n * sizeof *screens);
    size_t at = 0;
    for (int side = 0; side < 2; side++)
        for (size_t k = 0; k < (size_t)(samples[side].taken * parts); k++)
            screens[at++] = samples[side].memory + k * screen;
    const qg_states states = {n, parts, samples[0].part_channels, screens};
    qg_engine *engines[2] = {NULL, NULL};
    qg_status status = QG_OK;
    for (int side = 0; side < 2 && !status; side++) {
        const qg_engine_options options = {.architecture = &networks[side]->architecture,
                                           .precision = precisions[side],
                                           .max_batch = BATCH};
        status = qg_engine_create(&options, &engines[side], error);
        if (!status) status = qg_engine_write(engines[side], QG_ONLINE, networks[side], error);
    }
    if (!status) status = compare_layers(engines, &states, r, error);
    qg_engine_destroy(engines[0]);
    qg_engine_destroy(engines[1]);
    free(screens);
    return status;
}

qg_status qg_representation_compare(const char *const domains[2],
                                    const qg_network *const networks[2],
                                    const char *const precisions[2], int64_t frames, uint32_t seed,
                                    qg_representation *r, qg_error *error)
{
    const qg_architecture *a = &networks[0]->architecture, *b = &networks[1]->architecture;
    sample samples[2] = {{0}, {0}};
    qg_status status = check_pair(a, b, error);
    for (int side = 0; side < 2 && !status; side++)
        status = sample_create(domains[side], side ? b : a, frames, &samples[side], error);
    if (!status && samples[0].parts != samples[1].parts)
        status = qg_fail(error, QG_ERROR_USAGE, "%s gives the networks %d screens, %s gives %d",
                         domains[0], samples[0].parts, domains[1], samples[1].parts);
    for (int side = 0; side < 2 && !status; side++)
        status = qg_random_play(domains[side], frames, seed, NULL, visit, &samples[side], error);
    if (!status) {
        *r = (qg_representation){.layer_count = a->layer_count,
                                 .states = {samples[0].taken, samples[1].taken}};
        for (int i = 0; i < a->layer_count; i++) {
            memcpy(r->layers[i].names[0], a->layers[i].name, sizeof a->layers[i].name);
            memcpy(r->layers[i].names[1], b->layers[i].name, sizeof b->layers[i].name);
        }
        status = compare_on(samples, networks, precisions, r, error);
    }
    sample_free(&samples[0]);
    sample_free(&samples[1]);
    return status;
}
