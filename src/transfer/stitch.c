#include <qgraft/stitch.h>

#include "agent/fixed_states.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 50, APART = 10, SEED = 1, BATCH = 32, TESTED = QG_STITCH_STATES / 2 };

typedef struct seam {
    const qg_stitch_options *options;
    qg_fixed_states fixed;
    qg_engine *engines[2]; /* of source and target */
    float *outputs[2];     /* [CHUNK][units][places] of the layer below the seam */
    size_t units, places;
    double *square, *product; /* [units][units]: X'X, X'Y; then the map: B in `product` */
} seam;

/* ----------------------------------------------------------------------------------- checks */

static bool same_layer(const qg_layer *a, const qg_layer *b)
{
    return a->kind == b->kind && a->outputs == b->outputs && a->kernel == b->kernel &&
           a->stride == b->stride && a->padding == b->padding && a->norm == b->norm &&
           a->heads == b->heads && a->in_channels == b->in_channels &&
           a->in_height == b->in_height && a->in_width == b->in_width;
}

static qg_status check(const qg_stitch_options *o, qg_error *error)
{
    const qg_architecture *a = &o->source->architecture, *b = &o->target->architecture;
    if (o->cut < 1 || o->cut >= b->layer_count || o->cut >= a->layer_count)
        return qg_fail(
            error, QG_ERROR_USAGE,
            "`at`: %d: the networks have %d and %d weighted layers, of which the first 1 "
            "to %d can be the source's",
            o->cut, a->layer_count, b->layer_count,
            (a->layer_count < b->layer_count ? a->layer_count : b->layer_count) - 1);
    if (a->channels != b->channels || a->height != b->height || a->width != b->width ||
        a->input_max != b->input_max)
        return qg_fail(error, QG_ERROR_USAGE,
                       "the networks see different states: %dx%dx%d (max %d) and %dx%dx%d (max %d)",
                       a->channels, a->height, a->width, a->input_max, b->channels, b->height,
                       b->width, b->input_max);
    for (int l = 0; l < o->cut; l++)
        if (!same_layer(&a->layers[l], &b->layers[l]))
            return qg_fail(error, QG_ERROR_USAGE,
                           "layer %d (%s) of the two networks has another shape: stitch below it",
                           l + 1, b->layers[l].name);
    if (b->layers[o->cut].heads && o->mapped)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`at`: %d: the heads of a dueling network each see half of the layer below: "
                       "stitch further below",
                       o->cut);
    return QG_OK;
}

/* ------------------------------------------------------------------------------- the network */

/* The target with the source's first layers. */
static qg_status put_together(const qg_stitch_options *o, qg_network *stitched, qg_error *error)
{
    const qg_architecture *a = &o->target->architecture;
    const qg_status status = qg_network_create(a, stitched, error);
    if (status) return status;
    memcpy(stitched->parameters, o->target->parameters,
           qg_architecture_parameters(a) * sizeof(float));
    for (int l = 0; l < o->cut; l++) {
        memcpy(stitched->weights[l], o->source->weights[l],
               qg_layer_weights(&a->layers[l]) * sizeof(float));
        memcpy(stitched->biases[l], o->source->biases[l],
               (size_t)a->layers[l].outputs * sizeof(float));
    }
    return QG_OK;
}

/* The map into the layer above: w[o][c][i] becomes the sum over m of w[o][m][i] B[c][m]. */
static qg_status absorb(const seam *s, qg_network *stitched, qg_error *error)
{
    const int l = s->options->cut;
    const qg_layer *layer = &stitched->architecture.layers[l];
    const size_t fan_in = qg_layer_fan_in(layer), inner = fan_in / s->units;
    double *row = malloc(fan_in * sizeof *row);
    if (!row) return qg_fail_memory(error, "a layer", fan_in * sizeof *row);
    for (int o = 0; o < layer->outputs; o++) {
        float *weights = stitched->weights[l] + (size_t)o * fan_in;
        memset(row, 0, fan_in * sizeof *row);
        for (size_t c = 0; c < s->units; c++)
            for (size_t m = 0; m < s->units; m++)
                for (size_t i = 0; i < inner; i++)
                    row[c * inner + i] +=
                        (double)weights[m * inner + i] * s->product[c * s->units + m];
        for (size_t k = 0; k < fan_in; k++)
            weights[k] = (float)row[k];
    }
    free(row);
    return QG_OK;
}

/* ------------------------------------------------------------------------------------ the map */

static qg_status open_seam(seam *s, qg_error *error)
{
    const qg_stitch_options *o = s->options;
    const qg_network *const networks[] = {o->source, o->target};
    const qg_layer *below = &o->target->architecture.layers[o->cut - 1];
    const qg_fixed_states_plan plan = {.domain = o->domain,
                                       .parts = o->history,
                                       .count = QG_STITCH_STATES,
                                       .steps = (int64_t)QG_STITCH_STATES * APART,
                                       .seed = SEED,
                                       .stop = o->stop};
    s->units = (size_t)below->outputs;
    s->places = qg_layer_width(below) / s->units;
    s->square = calloc(2 * s->units * s->units, sizeof *s->square);
    if (!s->square) return qg_fail_memory(error, "a map", 2 * s->units * s->units * sizeof(double));
    s->product = s->square + s->units * s->units;
    qg_status status = qg_fixed_states_create(&plan, &s->fixed, error);
    for (int side = 0; side < 2 && !status; side++) {
        const size_t bytes = CHUNK * qg_layer_width(below) * sizeof(float);
        s->outputs[side] = malloc(bytes);
        if (!s->outputs[side]) return qg_fail_memory(error, "activations", bytes);
        status =
            qg_engine_create(&(qg_engine_options){.architecture = &networks[side]->architecture,
                                                  .precision = o->precisions[side],
                                                  .max_batch = BATCH},
                             &s->engines[side], error);
        if (!status) status = qg_engine_write(s->engines[side], QG_ONLINE, networks[side], error);
    }
    return status;
}

static void close_seam(seam *s)
{
    for (int side = 0; side < 2; side++) {
        qg_engine_destroy(s->engines[side]);
        free(s->outputs[side]);
    }
    qg_fixed_states_free(&s->fixed);
    free(s->square);
}

/* Both networks' outputs for one chunk of the states. */
static qg_status find_outputs(seam *s, int chunk, qg_error *error)
{
    const qg_states some = qg_states_some(&s->fixed.states, chunk * CHUNK, CHUNK);
    qg_status status = QG_OK;
    for (int side = 0; side < 2 && !status; side++)
        status = qg_engine_activations(s->engines[side], QG_ONLINE, &some, s->options->cut - 1,
                                       s->outputs[side], error);
    return status;
}

/* X'X and X'Y, of every second chunk. */
static void add_chunk(seam *s)
{
    const size_t n = s->units, p = s->places;
    for (size_t state = 0; state < CHUNK; state++) {
        const float *x = s->outputs[0] + state * n * p, *y = s->outputs[1] + state * n * p;
        for (size_t a = 0; a < n; a++)
            for (size_t place = 0; place < p; place++) {
                const double own = (double)x[a * p + place];
                if (own == 0) continue; /* about half, behind a ReLU */
                for (size_t b = 0; b < n; b++) {
                    s->square[a * n + b] += own * (double)x[b * p + place];
                    s->product[a * n + b] += own * (double)y[b * p + place];
                }
            }
    }
}

/* Solves (X'X + ridge) B = X'Y by Cholesky's factor, in place. False: X is all zero, or so large
 * that there are no finite sums. */
static bool solve(double *square, double *product, size_t n)
{
    double trace = 0;
    for (size_t i = 0; i < n; i++)
        trace += square[i * n + i];
    if (!(trace > 0) || !isfinite(trace)) return false;
    for (size_t i = 0; i < n; i++)
        square[i * n + i] += QG_STITCH_RIDGE * trace / (double)n;
    for (size_t i = 0; i < n; i++) /* the factor in the lower triangle */
        for (size_t j = 0; j <= i; j++) {
            double rest = square[i * n + j];
            for (size_t k = 0; k < j; k++)
                rest -= square[i * n + k] * square[j * n + k];
            square[i * n + j] = i == j ? sqrt(rest) : rest / square[j * n + j];
        }
    for (size_t i = 0; i < n; i++) /* forwards, then backwards, all columns at once */
        for (size_t b = 0; b < n; b++) {
            for (size_t k = 0; k < i; k++)
                product[i * n + b] -= square[i * n + k] * product[k * n + b];
            product[i * n + b] /= square[i * n + i];
        }
    for (size_t i = n; i-- > 0;)
        for (size_t b = 0; b < n; b++) {
            for (size_t k = i + 1; k < n; k++)
                product[i * n + b] -= square[k * n + i] * product[k * n + b];
            product[i * n + b] /= square[i * n + i];
        }
    return true;
}

/* Adds a chunk's errors, and for each unit its outputs and their squares. */
static void test_chunk(const seam *s, double *error, double *sums, double *squares)
{
    const size_t n = s->units, p = s->places;
    for (size_t state = 0; state < CHUNK; state++) {
        const float *x = s->outputs[0] + state * n * p, *y = s->outputs[1] + state * n * p;
        for (size_t m = 0; m < n; m++)
            for (size_t place = 0; place < p; place++) {
                const double own = (double)y[m * p + place];
                double mapped = 0;
                for (size_t c = 0; c < n; c++)
                    mapped += (double)x[c * p + place] * s->product[c * n + m];
                *error += (own - mapped) * (own - mapped);
                sums[m] += own;
                squares[m] += own * own;
            }
    }
}

static qg_status test_map(seam *s, double *fit, qg_error *error)
{
    double rest = 0, variance = 0, *sums = calloc(2 * s->units, sizeof *sums);
    const double count = (double)TESTED * (double)s->places;
    qg_status status = sums ? QG_OK : qg_fail_memory(error, "a map", s->units);
    for (int chunk = 1; chunk < QG_STITCH_STATES / CHUNK && !status; chunk += 2) {
        status = find_outputs(s, chunk, error);
        if (!status) test_chunk(s, &rest, sums, sums + s->units);
    }
    for (size_t m = 0; m < s->units && !status; m++)
        variance += sums[s->units + m] - sums[m] * sums[m] / count;
    *fit = variance > 0 ? 1 - rest / variance : NAN;
    free(sums);
    return status;
}

static qg_status fit_map(seam *s, double *fit, qg_error *error)
{
    qg_status status = open_seam(s, error);
    for (int chunk = 0; chunk < QG_STITCH_STATES / CHUNK && !status; chunk += 2) {
        if (s->options->stop && *s->options->stop) return qg_fail(error, QG_STOPPED, "stopped");
        status = find_outputs(s, chunk, error);
        if (!status) add_chunk(s);
    }
    if (status) return status;
    if (!solve(s->square, s->product, s->units))
        return qg_fail(error, QG_ERROR_USAGE,
                       "layer %d of the source gives nothing but 0 on %s, or values that are not "
                       "finite: there is no map from it",
                       s->options->cut, s->options->domain);
    return test_map(s, fit, error);
}

qg_status qg_stitch(const qg_stitch_options *options, qg_network *stitched, double *fit,
                    qg_error *error)
{
    seam s = {.options = options};
    *fit = NAN;
    *stitched = (qg_network){.parameters = NULL};
    qg_status status = check(options, error);
    if (!status) status = put_together(options, stitched, error);
    if (!status && options->mapped) {
        status = fit_map(&s, fit, error);
        if (!status) status = absorb(&s, stitched, error);
        close_seam(&s);
    }
    if (status) qg_network_free(stitched);
    return status;
}
