/* Looks into the networks that a finished run has kept, as its evaluations looked into its layers
 * while it learned. */
#include <qgraft/diagnosis.h>
#include <qgraft/run_file.h>

#include "agent/layer_measures.h"
#include "agent/layer_probe.h"
#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATES = 128, BATCH = 32, MOST = 10000 };

typedef struct look {
    const char *folder;
    const qg_diagnosis_options *options;
    qg_run_file file; /* its run.yaml */
    qg_graft_beginning begun;
    qg_network start; /* parameters NULL: not known */
    qg_layer_probe probe;
    qg_engine *engine;
    int64_t *snapshots;
    size_t snapshot_count;
} look;

static void warn(const look *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(const look *k, const char *format, ...)
{
    char line[1200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (k->options->warn) k->options->warn(k->options->context, line);
}

/* ------------------------------------------------------------------------------- what is there */

static int by_step(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static qg_status list_snapshots(look *k, qg_error *error)
{
    DIR *directory = opendir(k->folder);
    qg_status status = QG_OK;
    if (!directory) return QG_OK; /* what is missing is found next */
    for (struct dirent *entry; !status && (entry = readdir(directory));) {
        char name[64];
        const bool numbered = strncmp(entry->d_name, "step-", 5) == 0;
        const long long step = numbered ? strtoll(entry->d_name + 5, NULL, 10) : -1;
        snprintf(name, sizeof name, "step-%lld.safetensors", step);
        if (step < 0 || strcmp(name, entry->d_name) != 0 || k->snapshot_count == MOST) continue;
        int64_t *more = realloc(k->snapshots, (k->snapshot_count + 1) * sizeof *more);
        if (!more) status = qg_fail_memory(error, "snapshots", k->snapshot_count);
        if (more) k->snapshots = more;
        if (more) k->snapshots[k->snapshot_count++] = step;
    }
    closedir(directory);
    if (k->snapshots) qsort(k->snapshots, k->snapshot_count, sizeof *k->snapshots, by_step);
    return status;
}

static qg_status load(const look *k, const char *name, qg_network *network, qg_network_info *info,
                      qg_error *error)
{
    char file[64];
    snprintf(file, sizeof file, "%s.safetensors", name);
    char *path = qg_path_join(k->folder, file);
    if (!path) return qg_fail_memory(error, "a path", strlen(k->folder));
    const qg_status status = qg_network_load(path, network, info, error);
    free(path);
    return status;
}

static qg_status read_run(look *k, qg_error *error)
{
    char *path = qg_path_join(k->folder, "run.yaml");
    if (!path) return qg_fail_memory(error, "a path", strlen(k->folder));
    const qg_status status = qg_run_file_load(path, &k->file, error);
    free(path);
    if (status) return status;
    if (k->file.kind == QG_RUN_TRAIN || k->file.kind == QG_RUN_GRAFT) return QG_OK;
    return qg_fail(
        error, QG_ERROR_USAGE,
        "%s: holds a run of the kind %s: the layers of trainings and grafts are looked at",
        k->folder, qg_run_kind_name(k->file.kind));
}

/* ------------------------------------------------------------------- what it is compared with */

/* Of a game that is another today than when the run was made, the start is of another shape. */
static void check_start(look *k, const qg_network *like)
{
    if (!k->start.parameters || qg_architecture_equal(&k->start.architecture, &like->architecture))
        return;
    warn(k, "%s: what it began with cannot be made again: %s has other screens or actions today",
         k->folder, k->file.domain);
    qg_network_free(&k->start);
    k->begun.compared.network = NULL;
}

/* What a training began with: fresh weights, or a network that was in memory then, of which the run
 * has a copy only where it kept the first step's. */
static qg_status find_training_start(look *k, const qg_network *like, qg_error *error)
{
    qg_network_info info;
    char sum[65] = "";
    if (!*k->file.initial_network_sha256) {
        const qg_status status = qg_network_create(&like->architecture, &k->start, error);
        if (!status) qg_network_initialise(&k->start, k->file.seed);
        return status;
    }
    if (load(k, "step-0", &k->start, &info, &(qg_error){0}) == QG_OK)
        qg_network_sha256(&k->start, sum);
    if (strcmp(sum, k->file.initial_network_sha256) == 0) return QG_OK;
    qg_network_free(&k->start);
    warn(k,
         "%s: nothing is compared with what it began with, a network in memory, which a snapshot "
         "of step 0 would have kept",
         k->folder);
    return QG_OK;
}

/* What the run began with, and its source. `like`: a network of it. */
static qg_status find_start(look *k, const qg_network *like, qg_error *error)
{
    qg_graft_options options = {.train = {.domain = k->file.domain}};
    qg_network_info info;
    qg_error why;
    if (k->file.kind == QG_RUN_TRAIN) return find_training_start(k, like, error);
    qg_status status = qg_run_file_find(&k->file, k->folder, &why);
    qg_run_file_graft(&k->file, &options);
    if (!status) status = qg_graft_begin(&options, &k->begun, &why);
    if (!status) {
        k->start = k->begun.start;
        k->begun.start.parameters = NULL;
        check_start(k, like);
        return QG_OK;
    }
    if (status == QG_ERROR_MEMORY) {
        *error = why;
        return status;
    }
    const bool kept = load(k, "step-0", &k->start, &info, &(qg_error){0}) == QG_OK;
    warn(k, "%s: nothing is compared with its source%s: %s", k->folder,
         kept ? "" : ", nor with what it began with", why.message);
    check_start(k, like);
    return QG_OK;
}

static qg_status compare_with_baseline(look *k, const qg_network *like, qg_error *error)
{
    const qg_architecture *a = &like->architecture, *b;
    const char *path = k->options->baseline;
    qg_network baseline = {.parameters = NULL};
    qg_network_info info;
    qg_error why;
    int layers[QG_MAX_LAYERS];
    if (!path) return QG_OK;
    if (qg_network_load(path, &baseline, &info, &why)) {
        warn(k, "no baseline: %s", why.message);
        return QG_OK;
    }
    b = &baseline.architecture;
    for (int l = 0; l < QG_MAX_LAYERS; l++)
        layers[l] = l;
    qg_status status = QG_OK;
    if (a->layer_count != b->layer_count || a->channels != b->channels || a->height != b->height ||
        a->width != b->width || a->input_max != b->input_max)
        warn(k,
             "%s: no baseline of %s: it has %d layers and sees %dx%dx%d, the run's networks %d "
             "layers and %dx%dx%d",
             path, k->folder, b->layer_count, b->channels, b->height, b->width, a->layer_count,
             a->channels, a->height, a->width);
    else if (info.history && info.history != k->file.settings.history)
        warn(k, "%s: no baseline of %s: it sees %d screens at a time, the run's networks %d", path,
             k->folder, info.history, k->file.settings.history);
    else
        status = qg_layer_probe_compare(&k->probe, QG_BASELINE_CKA, &baseline, info.history, layers,
                                        k->file.settings.precision, error);
    qg_network_free(&baseline);
    return status;
}

/* All that does not depend on which of its networks is looked at. */
static qg_status open_look(look *k, const qg_network *like, qg_error *error)
{
    const qg_settings *s = &k->file.settings;
    const int states = s->layer_states > 0 ? s->layer_states : STATES;
    qg_status status = find_start(k, like, error);
    if (!status)
        status = qg_layer_probe_open(k->file.domain, s->history, states, &like->architecture,
                                     k->options->stop, &k->probe, error);
    if (!status && k->begun.compared.network)
        status = qg_layer_probe_compare(&k->probe, QG_SOURCE_CKA, k->begun.compared.network,
                                        k->begun.compared.history, k->begun.compared.layers,
                                        s->precision, error);
    if (!status) status = compare_with_baseline(k, like, error);
    if (status) return status;
    return qg_engine_create(&(qg_engine_options){.architecture = &like->architecture,
                                                 .precision = s->precision,
                                                 .max_batch = BATCH},
                            &k->engine, error);
}

static void close_look(look *k)
{
    qg_engine_destroy(k->engine);
    qg_layer_probe_close(&k->probe);
    qg_graft_beginning_free(&k->begun);
    qg_network_free(&k->start);
    qg_run_file_free(&k->file);
    free(k->snapshots);
}

/* ------------------------------------------------------------------------------------ looking */

static qg_status look_at(look *k, const qg_network *network, qg_diagnosis *d, qg_error *error)
{
    const qg_architecture *a = &network->architecture;
    d->layer_count = a->layer_count;
    for (int l = 0; l < a->layer_count; l++) {
        const size_t count = qg_layer_parameters(&a->layers[l]);
        d->rows[l] = qg_layer_row_empty();
        double *values = d->rows[l].values;
        memcpy(d->layers[l], a->layers[l].name, sizeof d->layers[l]);
        if (k->start.parameters)
            qg_measure_drift(network->weights[l], k->start.weights[l], count,
                             &values[QG_START_DISTANCE], &values[QG_START_COSINE]);
        if (k->begun.compared.network)
            qg_measure_drift(network->weights[l], k->begun.copied.weights[l], count,
                             &values[QG_SOURCE_DISTANCE], &values[QG_SOURCE_COSINE]);
    }
    const qg_status status = qg_engine_write(k->engine, QG_ONLINE, network, error);
    return status ? status : qg_layer_probe_look(&k->probe, k->engine, d->rows, error);
}

/* One of its networks; *found: it is there, and is one. */
static qg_status diagnose_one(look *k, const char *name, qg_diagnosis *d, bool *found,
                              qg_error *error)
{
    qg_network network = {.parameters = NULL};
    qg_network_info info;
    qg_error why;
    qg_status status = load(k, name, &network, &info, &why);
    *found = !status;
    if (status) {
        warn(k, "%s", why.message);
        return status == QG_ERROR_MEMORY ? qg_fail(error, status, "%s", why.message) : QG_OK;
    }
    if (!k->engine) status = open_look(k, &network, error);
    if (!status && !qg_architecture_equal(&network.architecture, &k->probe.architecture)) {
        warn(k, "%s/%s.safetensors: of another architecture than the run's other networks",
             k->folder, name);
        *found = false;
    } else if (!status) {
        snprintf(d->name, sizeof d->name, "%s", name);
        d->step = info.step;
        status = look_at(k, &network, d, error);
    }
    qg_network_free(&network);
    return status;
}

static qg_status diagnose_all(look *k, qg_diagnosis *list, size_t *count, qg_error *error)
{
    static const char *const ends[] = {"best", "last"};
    qg_status status = QG_OK;
    for (size_t i = 0; i < k->snapshot_count + 2 && !status; i++) {
        char name[32];
        bool found;
        if (i < k->snapshot_count)
            snprintf(name, sizeof name, "step-%lld", (long long)k->snapshots[i]);
        else
            snprintf(name, sizeof name, "%s", ends[i - k->snapshot_count]);
        if (k->options->stop && *k->options->stop) return qg_fail(error, QG_STOPPED, "stopped");
        status = diagnose_one(k, name, &list[*count], &found, error);
        *count += !status && found;
    }
    if (!status && *count == 0)
        status = qg_fail(error, QG_ERROR_USAGE, "%s: none of its networks can be looked into",
                         k->folder);
    return status;
}

qg_status qg_diagnose(const char *folder, const qg_diagnosis_options *options, qg_diagnosis **list,
                      size_t *count, qg_error *error)
{
    look k = {.folder = folder, .options = options};
    *list = NULL;
    *count = 0;
    qg_status status = read_run(&k, error);
    if (!status) status = list_snapshots(&k, error);
    if (!status) {
        *list = calloc(k.snapshot_count + 2, sizeof **list);
        status = *list ? diagnose_all(&k, *list, count, error)
                       : qg_fail_memory(error, "a diagnosis", k.snapshot_count * sizeof **list);
    }
    if (status) {
        free(*list);
        *list = NULL;
    }
    close_look(&k);
    return status;
}
