/* What became of the layers that were copied, from the layers.csv of an experiment's runs. */
#include "report/stages.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const qg_layer_measure measures[] = {[QG_CURVE_DISTANCE] = QG_SOURCE_DISTANCE,
                                            [QG_CURVE_CKA] = QG_SOURCE_CKA,
                                            [QG_CURVE_DORMANT] = QG_DORMANT};

/* Those with a distance from the source at every evaluation; returns how many. */
static int find_copied(const qg_layer_history *h, int indexes[QG_MAX_LAYERS])
{
    int count = 0;
    for (int l = 0; l < h->layer_count; l++) {
        size_t known = 0;
        for (size_t i = 0; i < h->count; i++) {
            const qg_layer_row *const row = &h->rows[i * (size_t)h->layer_count + (size_t)l];
            if (!isnan(row->values[QG_SOURCE_DISTANCE])) known++;
        }
        if (known == h->count) indexes[count++] = l;
    }
    return count;
}

/* The first seed says which layers there are. */
static qg_status create_layers(qg_experiment *e, const qg_layer_history *h, size_t seeds,
                               qg_error *error)
{
    int indexes[QG_MAX_LAYERS];
    const int count = find_copied(h, indexes);
    e->layers = qg_results_memory((size_t)count, sizeof *e->layers, error);
    if (!e->layers) return error->code;
    e->layer_count = count;
    for (int l = 0; l < count; l++) {
        qg_copied_layer *const layer = &e->layers[l];
        layer->index = indexes[l];
        memcpy(layer->name, h->names[indexes[l]], sizeof layer->name);
        for (int c = 0; c < QG_LAYER_CURVES; c++)
            if (qg_run_curves_create(&layer->curves[c], seeds, error)) return error->code;
    }
    return QG_OK;
}

static qg_status make_curve(const qg_layer_history *h, int layer, qg_layer_measure measure,
                            qg_curve *curve, qg_error *error)
{
    curve->count = h->count;
    curve->steps = qg_results_memory(h->count, sizeof *curve->steps, error);
    curve->scores = qg_results_memory(h->count, sizeof *curve->scores, error);
    if (!curve->steps || !curve->scores) return error->code;
    memcpy(curve->steps, h->steps, h->count * sizeof *curve->steps);
    for (size_t i = 0; i < h->count; i++)
        curve->scores[i] = h->rows[i * (size_t)h->layer_count + (size_t)layer].values[measure];
    return QG_OK;
}

/* Whether the seed has the layers, and the steps, of those before it. */
static bool fits(const qg_experiment *e, const qg_layer_history *h)
{
    int indexes[QG_MAX_LAYERS];
    const qg_curve steps = {.count = h->count, .steps = h->steps};
    if (find_copied(h, indexes) != e->layer_count) return false;
    for (int l = 0; l < e->layer_count; l++)
        if (indexes[l] != e->layers[l].index ||
            strcmp(h->names[indexes[l]], e->layers[l].name) != 0 ||
            !qg_run_curves_fit(&e->layers[l].curves[0], &steps))
            return false;
    return true;
}

static qg_status add_seed(qg_experiment *e, const qg_layer_history *h, uint64_t seed,
                          qg_error *error)
{
    for (int l = 0; l < e->layer_count; l++)
        for (int c = 0; c < QG_LAYER_CURVES; c++) {
            qg_curve curve = {0};
            if (make_curve(h, e->layers[l].index, measures[c], &curve, error)) {
                qg_curve_free(&curve);
                return error->code;
            }
            qg_run_curves_add(&e->layers[l].curves[c], seed, &curve);
        }
    return QG_OK;
}

/* How many runs should have a layers.csv, and how many of them have none. */
typedef struct tables {
    int runs, missing;
} tables;

static qg_status read_seed(qg_results *r, qg_experiment *e, const qg_study_task *task,
                           tables *found, qg_error *error)
{
    qg_layer_history history;
    char *const folder = qg_path_join(r->folder, task->folder);
    if (!folder) return qg_fail_memory(error, "a path", strlen(r->folder));
    qg_status status = qg_layer_history_read(folder, &history, &r->warnings, error);
    found->runs++;
    found->missing += status == QG_ERROR_IO;
    if (!status && !e->layers)
        status = create_layers(e, &history, (size_t)r->study->runs[e->run].seed_count, error);
    if (!status && !fits(e, &history))
        status = qg_fail(error, QG_ERROR_DATA,
                         "%s/layers.csv: other layers, or other steps, than the other seeds",
                         task->folder);
    if (!status) status = add_seed(e, &history, task->seed, error);
    qg_layer_history_free(&history);
    free(folder);
    if (status == QG_ERROR_IO) return QG_OK;
    if (!status || status == QG_ERROR_MEMORY) return status;
    const qg_error inner = *error;
    return qg_warn(&r->warnings, error, "what became of the layers of %s is not known: %s",
                   task->folder, inner.message);
}

/* Whether the seed is in the experiment's curves. */
static bool is_shown(const qg_run_curves *run, uint64_t seed)
{
    for (size_t s = 0; s < run->curves.seed_count; s++)
        if (run->seeds[s] == seed) return true;
    return false;
}

static qg_status find_layers(qg_results *r, qg_experiment *e, tables *found, qg_error *error)
{
    const qg_study *const study = r->study;
    for (int t = 0; t < study->task_count; t++)
        if (study->tasks[t].run == e->run && is_shown(&r->runs[e->run], study->tasks[t].seed) &&
            read_seed(r, e, &study->tasks[t], found, error))
            return error->code;
    for (int l = 0; l < e->layer_count; l++) {
        for (int c = 0; c < QG_LAYER_CURVES; c++)
            if (qg_run_curves_finish(&e->layers[l].curves[c], error)) return error->code;
        e->layers[l].fate = qg_layer_judge(&e->layers[l], study->runs[e->run].choice.frozen);
    }
    return QG_OK;
}

qg_status qg_results_find_copied_layers(qg_results *r, qg_error *error)
{
    tables found = {0};
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_study_run *const run = &r->study->runs[r->experiments[i].run];
        if (run->source < 0 || run->settings.layer_states == 0 || run->choice.way == QG_CHOOSE_NONE)
            continue;
        if (find_layers(r, &r->experiments[i], &found, error)) return error->code;
    }
    if (found.missing == 0) return QG_OK;
    return qg_warn(&r->warnings, error,
                   "%d of %d runs with copied layers have no layers.csv that can be read, as those "
                   "of older versions: what became of these layers is not said",
                   found.missing, found.runs);
}

bool qg_results_tell_layers(const qg_results *results)
{
    for (size_t i = 0; i < results->experiment_count; i++)
        if (results->experiments[i].layer_count > 0) return true;
    return false;
}
