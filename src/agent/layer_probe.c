#include "agent/layer_probe.h"

#include "agent/cka.h"
#include "agent/layer_measures.h"
#include "agent/spectrum.h"

#include <assert.h>
#include <stdlib.h>

enum { APART = 10, SEED = 1, BATCH = 32 };

static int place_of(qg_layer_measure measure)
{
    assert(measure == QG_SOURCE_CKA || measure == QG_BASELINE_CKA);
    return measure == QG_BASELINE_CKA;
}

qg_status qg_layer_probe_open(const char *domain, int history, int count,
                              const qg_architecture *architecture,
                              const volatile sig_atomic_t *stop, qg_layer_probe *probe,
                              qg_error *error)
{
    const qg_fixed_states_plan plan = {.domain = domain,
                                       .parts = history,
                                       .count = count,
                                       .steps = (int64_t)count * APART,
                                       .seen_by = architecture,
                                       .seed = SEED,
                                       .stop = stop};
    *probe = (qg_layer_probe){.architecture = *architecture, .stop = stop};
    return qg_fixed_states_create(&plan, &probe->fixed, error);
}

void qg_layer_probe_close(qg_layer_probe *probe)
{
    qg_fixed_states_free(&probe->fixed);
    for (int l = 0; l < QG_MAX_LAYERS; l++) {
        free(probe->grams[0][l]);
        free(probe->grams[1][l]);
    }
    *probe = (qg_layer_probe){.fixed = {.screens = NULL}};
}

/* ---------------------------------------------------------------------------------- others */

/* As many channels do not tell how many screens they are: those of a grid are filled up. */
static bool sees(const qg_architecture *a, int history, const qg_layer_probe *probe)
{
    const qg_architecture *own = &probe->architecture;
    const qg_states *s = &probe->fixed.states;
    return a->height == own->height && a->width == own->width && a->input_max == own->input_max &&
           a->channels >= s->parts * s->part_channels && (history == 0 || history == s->parts);
}

static qg_status keep_grams(qg_layer_probe *probe, double **grams, qg_engine *engine,
                            const int layers[QG_MAX_LAYERS], qg_error *error)
{
    const qg_architecture *a = &engine->architecture;
    const size_t n = (size_t)probe->fixed.states.size, bytes = n * n * sizeof(double);
    float *of[QG_MAX_LAYERS];
    qg_status status = qg_layer_features(engine, &probe->fixed.states, of, error);
    if (status) return status;
    for (int l = 0; l < probe->architecture.layer_count && !status; l++) {
        if (layers[l] < 0) continue;
        if (!grams[l]) grams[l] = malloc(bytes);
        if (grams[l])
            qg_gram(of[layers[l]], n, qg_layer_width(&a->layers[layers[l]]), grams[l]);
        else
            status = qg_fail_memory(error, "Gram matrices", bytes);
    }
    free(of[0]);
    return status;
}

qg_status qg_layer_probe_compare(qg_layer_probe *probe, qg_layer_measure measure,
                                 const qg_network *other, int history,
                                 const int layers[QG_MAX_LAYERS], const char *precision,
                                 qg_error *error)
{
    qg_engine *engine;
    if (!sees(&other->architecture, history, probe)) return QG_OK;
    qg_status status = qg_engine_create(&(qg_engine_options){.architecture = &other->architecture,
                                                             .precision = precision,
                                                             .max_batch = BATCH},
                                        &engine, error);
    if (status) return status;
    status = qg_engine_write(engine, QG_ONLINE, other, error);
    if (!status) status = keep_grams(probe, probe->grams[place_of(measure)], engine, layers, error);
    qg_engine_destroy(engine);
    return status;
}

/* --------------------------------------------------------------------------------- looking */

/* What the layer's features are and are like; `room`: n^2 + 2 n numbers. */
static void look_at(const qg_layer_probe *probe, int l, const float *features, double *room,
                    double *values)
{
    const qg_layer *layer = &probe->architecture.layers[l];
    const size_t n = (size_t)probe->fixed.states.size;
    double *const gram = room + 2 * n, *const singular = room;
    if (l + 1 < probe->architecture.layer_count) /* q-values are not to be off */
        qg_measure_dormancy(features, n, layer, &values[QG_DORMANT], &values[QG_DEAD]);
    qg_gram(features, n, qg_layer_width(layer), gram);
    for (int other = 0; other < 2; other++)
        if (probe->grams[other][l])
            values[other ? QG_BASELINE_CKA : QG_SOURCE_CKA] =
                qg_debiased_cka(gram, probe->grams[other][l], n, 0, n, room);
    qg_eigenvalues(gram, n, singular, room + n);
    qg_singular_values(singular, n);
    values[QG_EFFECTIVE_RANK] = qg_effective_rank(singular, n);
    values[QG_SRANK] = qg_srank(singular, n, QG_SRANK_DELTA);
}

qg_status qg_layer_probe_look(const qg_layer_probe *probe, qg_engine *engine,
                              qg_layer_row rows[QG_MAX_LAYERS], qg_error *error)
{
    const size_t n = (size_t)probe->fixed.states.size;
    float *of[QG_MAX_LAYERS];
    qg_status status = qg_layer_features(engine, &probe->fixed.states, of, error);
    if (status) return status;
    double *room = malloc((n * n + 2 * n) * sizeof *room);
    if (!room) status = qg_fail_memory(error, "a Gram matrix", n * n * sizeof *room);
    for (int l = 0; l < probe->architecture.layer_count && !status; l++)
        if (probe->stop && *probe->stop) /* thousands of states take seconds a layer */
            status = qg_fail(error, QG_STOPPED, "stopped");
        else
            look_at(probe, l, of[l], room, rows[l].values);
    free(of[0]);
    free(room);
    return status;
}
