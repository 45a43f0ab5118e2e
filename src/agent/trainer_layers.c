/* layers.csv: what evaluations see of the layers. Nothing here changes what the training does: it
 * plays a domain of its own, draws by a stream of its own, and learns in an engine of its own,
 * which is there as long as it looks. What it sees is a function of the training's state, so that
 * it needs none in checkpoints. */
#include "agent/layer_measures.h"
#include "agent/trainer.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MINIBATCHES = 8 }; /* whose gradients are compared */

/* --------------------------------------------------------------------------------- gradients */

/* A second learner, as the training's is now. */
typedef struct shadow {
    qg_trainer *trainer;
    qg_td_learner learner;
    qg_minibatch minibatch;
    qg_network gradient, after; /* room */
    float *td_errors;
    int clipped;
    qg_gradient_sums sums;
} shadow;

static bool is_frozen(const qg_trainer *t, int l)
{
    const int64_t thaw = t->options->thaw[l];
    return t->options->frozen[l] && (thaw == 0 || t->run.step < thaw);
}

/* All of the training's parameters, moments and counters. */
static qg_status copy_state(shadow *s, qg_error *error)
{
    const qg_engine *from = s->trainer->learner.engine;
    qg_engine *to = s->learner.engine;
    qg_status status = QG_OK;
    memcpy(to->idle, from->idle, sizeof to->idle);
    for (size_t i = 0; i < from->slot_count && !status; i++) {
        const qg_slot *slot = &from->slots[i];
        if (slot->counter) {
            *to->slots[i].counter = *slot->counter;
            continue;
        }
        status = qg_engine_read(from, slot->set, &s->after, error);
        if (!status) status = qg_engine_write(to, slot->set, &s->after, error);
    }
    return status;
}

static qg_status open_shadow(qg_trainer *t, shadow *s, qg_error *error)
{
    const qg_architecture *a = &t->network.architecture;
    const size_t parameters = qg_architecture_parameters(a);
    *s = (shadow){.trainer = t,
                  .td_errors = calloc((size_t)t->settings->minibatch, sizeof(float)),
                  .sums = {.sum = calloc(parameters, sizeof(double))}};
    if (!s->td_errors || !s->sums.sum)
        return qg_fail_memory(error, "gradients", parameters * sizeof(double));
    qg_status status = qg_td_learner_create(a, t->settings, t->options->pull,
                                            &t->options->run.machine, &s->learner, error);
    s->learner.learning.layer_rates = t->options->layer_rates;
    for (int l = 0; l < a->layer_count && !status; l++)
        qg_engine_freeze(s->learner.engine, l, is_frozen(t, l));
    if (!status) status = qg_network_create(a, &s->gradient, error);
    if (!status) status = qg_network_create(a, &s->after, error);
    return status ? status
                  : qg_minibatch_create(qg_replay_form(t->replay), t->settings->minibatch,
                                        &s->minibatch, error);
}

static void close_shadow(shadow *s)
{
    qg_td_learner_free(&s->learner);
    qg_minibatch_destroy(&s->minibatch);
    qg_network_free(&s->gradient);
    qg_network_free(&s->after);
    free(s->td_errors);
    free(s->sums.sum);
}

/* The first step is the one that would come next; those after it go nowhere, for their gradients.
 */
static qg_status read_step(shadow *s, qg_error *error)
{
    qg_engine *engine = s->learner.engine;
    qg_status status = qg_engine_read(engine, QG_ONLINE, &s->after, error);
    if (!status) status = qg_engine_write(engine, QG_ONLINE, &s->trainer->network, error);
    s->learner.learning.optimiser.learning_rate = 0;
    return status;
}

/* A step on one more minibatch. */
static qg_status try_step(shadow *s, qg_random *random, qg_error *error)
{
    qg_trainer *t = s->trainer;
    const float limit = s->learner.clip_error;
    const qg_td_trace trace = {.td_errors = s->td_errors, .keep_gradient = true};
    qg_trainer_draw(t, random, &s->minibatch);
    qg_status status = qg_trainer_study(t, &s->learner, &s->minibatch.batch.states, error);
    if (status) return status;
    status = qg_td_learner_update(&s->learner, &s->minibatch.batch, qg_random_u64(random), &trace,
                                  error);
    if (!status) status = qg_engine_read(s->learner.engine, QG_GRADIENT, &s->gradient, error);
    if (!status && s->sums.count == 0) status = read_step(s, error);
    if (status) return status;
    for (int i = 0; i < t->settings->minibatch; i++)
        s->clipped += limit > 0 && fabsf(s->td_errors[i]) >= limit;
    qg_gradient_sums_add(&s->sums, &s->gradient);
    return QG_OK;
}

/* `t->network` is the online network. */
static qg_status look_at_learning(qg_trainer *t, qg_layer_row *rows, qg_error *error)
{
    char purpose[64];
    shadow s;
    snprintf(purpose, sizeof purpose, "layers/%" PRId64, t->run.step);
    qg_random random = qg_random_stream(t->options->run.seed, purpose);
    qg_status status = open_shadow(t, &s, error);
    if (!status) status = copy_state(&s, error);
    for (int i = 0; i < MINIBATCHES && !status; i++)
        status = try_step(&s, &random, error);
    for (int l = 0; l < t->network.architecture.layer_count && !status; l++) {
        double *values = rows[l].values;
        values[QG_UPDATE_SIZE] = qg_update_size(&t->network, &s.after, l);
        values[QG_GRADIENT_NOISE] = qg_gradient_noise(&s.sums, &t->network, l);
        values[QG_CLIPPED_ERRORS] = (double)s.clipped / (MINIBATCHES * t->settings->minibatch);
    }
    close_shadow(&s);
    return status;
}

/* ---------------------------------------------------------------------------------- features */

/* Plays for the states, and keeps what the source puts out on them. */
static qg_status open_probe(qg_trainer *t, qg_error *error)
{
    const qg_layer_source *source = t->options->source;
    qg_status status =
        qg_layer_probe_open(t->options->domain, t->settings->history, t->settings->layer_states,
                            &t->network.architecture, t->options->run.stop, &t->probe, error);
    if (status || !source) return status;
    return qg_layer_probe_compare(&t->probe, QG_SOURCE_CKA, source->network, source->history,
                                  source->layers, t->settings->precision, error);
}

/* -------------------------------------------------------------------------------- parameters */

static qg_status look_at_drift(const qg_trainer *t, qg_layer_row *rows, qg_error *error)
{
    const qg_layer_source *source = t->options->source;
    qg_network start;
    const qg_status status = qg_network_create(&t->network.architecture, &start, error);
    if (status) return status;
    qg_trainer_fill_initial(t->options, &start);
    for (int l = 0; l < start.architecture.layer_count; l++) {
        const size_t count = qg_layer_parameters(&start.architecture.layers[l]);
        double *values = rows[l].values;
        qg_measure_drift(t->network.weights[l], start.weights[l], count, &values[QG_START_DISTANCE],
                         &values[QG_START_COSINE]);
        if (source)
            qg_measure_drift(t->network.weights[l], source->copied->weights[l], count,
                             &values[QG_SOURCE_DISTANCE], &values[QG_SOURCE_COSINE]);
    }
    qg_network_free(&start);
    return QG_OK;
}

qg_status qg_trainer_look(qg_trainer *t, qg_layer_row rows[QG_MAX_LAYERS], qg_error *error)
{
    if (t->layers_table < 0) return QG_OK;
    for (int l = 0; l < QG_MAX_LAYERS; l++)
        rows[l] = qg_layer_row_empty();
    qg_status status = t->probe.fixed.memory ? QG_OK : open_probe(t, error);
    if (!status) status = qg_engine_read(t->learner.engine, QG_ONLINE, &t->network, error);
    if (!status) status = look_at_drift(t, rows, error);
    if (!status) status = qg_layer_probe_look(&t->probe, t->learner.engine, rows, error);
    if (!status && t->updates > 0 && qg_replay_can_sample(t->replay))
        status = look_at_learning(t, rows, error);
    return status;
}

/* ------------------------------------------------------------------------------------- files */

int qg_trainer_add_layers_table(qg_run_folder *folder)
{
    const int table = qg_run_folder_add_table(folder, "layers.csv", QG_LAYERS_HEADER);
    folder->tables[table].late = true;
    return table;
}

static qg_status write_layer(const qg_trainer *t, const char *layer, const double *values,
                             qg_error *error)
{
    const qg_run_folder *folder = &t->run.folder;
    char cells[32 * QG_LAYER_COLUMNS] = "", cell[32], name[64];
    qg_status status = QG_OK;
    for (int m = 0; m < QG_LAYER_COLUMNS && !status; m++) {
        qg_text_add(cells, sizeof cells, ",%s", qg_csv_real(values[m], cell));
        snprintf(name, sizeof name, "%s/%s", layer, qg_layer_measure_name((qg_layer_measure)m));
        status = qg_run_folder_scalar(folder, t->run.step, "layers", 0, name, values[m], error);
    }
    return status ? status
                  : qg_csv_row(folder->tables[t->layers_table].csv, error, "%" PRId64 ",%s%s",
                               t->run.step, layer, cells);
}

qg_status qg_trainer_write_layers(const qg_trainer *t, const qg_layer_row *rows, qg_error *error)
{
    const qg_architecture *a = &t->network.architecture;
    qg_status status = QG_OK;
    for (int l = 0; l < a->layer_count && t->layers_table >= 0 && !status; l++)
        status = write_layer(t, a->layers[l].name, rows[l].values, error);
    return status;
}
