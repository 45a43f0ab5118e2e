#include "agent/run_folder.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double wall_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

qg_status qg_run_folder_text(const qg_run_folder *folder, const char *name, const char *text,
                             qg_error *error)
{
    char *path = qg_path_join(folder->path, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder->path));
    const qg_piece piece = {text, strlen(text)};
    const qg_status status = qg_file_replace(path, &piece, 1, error);
    free(path);
    return status;
}

void qg_yaml_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', out);
        fputc((unsigned char)*text < 0x20 ? '?' : *text, out);
    }
    fputc('"', out);
}

/* What a transfer adds: the frozen layers, and notes such as the pedigree, quoted. */
static void write_transfer(FILE *out, const qg_train_options *options,
                           const qg_architecture *architecture, bool unchanged)
{
    const char *separator = "frozen: [";
    for (int l = 0; l < architecture->layer_count; l++)
        if (options->frozen[l]) {
            fprintf(out, "%s%s", separator, architecture->layers[l].name);
            separator = ", ";
        }
    if (strcmp(separator, ", ") == 0) fprintf(out, "]\n");
    if (unchanged) fprintf(out, "frozen_unchanged: true # bit for bit, checked at the end\n");
    for (size_t i = 0; i < options->note_count; i++) {
        fprintf(out, "%s: ", options->notes[i].key);
        qg_yaml_string(out, options->notes[i].value);
        fputc('\n', out);
    }
}

/* run.yaml: everything that determines the result. `unchanged`: the frozen layers were found so. */
static qg_status write_run(const qg_run_folder *folder, const qg_train_options *options,
                           const qg_domain *domain, const qg_engine *engine, bool unchanged,
                           qg_error *error)
{
    const qg_architecture *architecture = qg_engine_architecture(engine);
    char *settings, *text = NULL;
    size_t size = 0;
    const qg_status status = qg_settings_format_yaml(&options->settings, &settings, error);
    if (status) return status;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        fprintf(out, "# One run of qgraft; the same values give the same files.\n");
        fprintf(out, "qgraft: %s\ninstruction_set: %s\n", QG_VERSION, qg_engine_isa(engine));
        fprintf(out, "domain: \"%s\"\nseed: %" PRIu64 "\nsteps: %" PRId64 "\n", domain->name,
                options->seed, options->steps);
        write_transfer(out, options, architecture, unchanged);
        fprintf(out, "settings:\n");
        for (char *line = strtok(settings, "\n"); line; line = strtok(NULL, "\n"))
            fprintf(out, "  %s\n", line);
    }
    const bool good = out && fclose(out) == 0;
    free(settings);
    const qg_status written = good ? qg_run_folder_text(folder, "run.yaml", text, error)
                                   : qg_fail_memory(error, "run.yaml", 4096);
    free(text);
    return written;
}

qg_status qg_run_folder_csv(const qg_run_folder *folder, const char *name, const char *header,
                            qg_csv **csv, qg_error *error)
{
    char *path = qg_path_join(folder->path, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder->path));
    unlink(path); /* of a run that is overwritten */
    const qg_status status = qg_csv_open(path, header, -1, csv, error);
    free(path);
    return status;
}

/* Refuses a folder with a run in it. */
static qg_status check_empty(const char *folder, qg_error *error)
{
    char *path = qg_path_join(folder, "run.yaml");
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    const bool there = access(path, F_OK) == 0;
    free(path);
    if (!there) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE,
                   "%s: holds a run already: choose another folder (--out) or add --overwrite",
                   folder);
}

/* The networks of a run that is overwritten: the new one may end before it writes its own. */
static qg_status remove_networks(const char *folder, qg_error *error)
{
    static const char *const names[] = {"best.safetensors", "last.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = qg_path_join(folder, names[i]);
        if (!path) return qg_fail_memory(error, "a path", strlen(folder));
        unlink(path);
        free(path);
    }
    return QG_OK;
}

qg_status qg_run_folder_create(qg_run_folder *folder, const char *path, bool overwrite,
                               qg_error *error)
{
    *folder = (qg_run_folder){.path = path, .lock = {-1}, .started = wall_time()};
    qg_status status = qg_folder_create(path, error);
    if (!status) status = qg_lock_folder(path, &folder->lock, error);
    if (!status && !overwrite) status = check_empty(path, error);
    if (!status) status = remove_networks(path, error);
    if (status) qg_run_folder_close(folder);
    return status;
}

static qg_status open_files(qg_run_folder *folder, const qg_train_options *options,
                            const qg_domain *domain, const qg_engine *engine, qg_error *error)
{
    qg_status status = write_run(folder, options, domain, engine, false, error);
    if (!status)
        status = qg_run_folder_csv(folder, "evaluations.csv", QG_EVALUATION_COLUMNS,
                                   &folder->evaluations, error);
    if (!status)
        status = qg_run_folder_csv(folder, "training.csv",
                                   "step,epsilon,episodes,mean_return,updates,td_error",
                                   &folder->training, error);
    if (!status) status = qg_events_open(folder->path, folder->started, 0, &folder->events, error);
    return status;
}

qg_status qg_run_folder_open(qg_run_folder *folder, const qg_train_options *options,
                             const qg_domain *domain, const qg_engine *engine, qg_error *error)
{
    qg_status status = qg_run_folder_create(folder, options->folder, options->overwrite, error);
    if (status) return status;
    status = open_files(folder, options, domain, engine, error);
    if (status) qg_run_folder_close(folder);
    return status;
}

void qg_run_folder_close(qg_run_folder *folder)
{
    qg_csv_close(folder->evaluations);
    qg_csv_close(folder->training);
    qg_events_close(folder->events);
    if (folder->lock.descriptor >= 0) qg_unlock_folder(&folder->lock);
    *folder = (qg_run_folder){.lock = {-1}};
}

/* A number of a CSV cell: nothing where there is none. */
static const char *cell(double value, char text[32])
{
    if (isnan(value)) return "";
    qg_text_from_real(value, text);
    return text;
}

qg_status qg_run_folder_scalar(const qg_run_folder *folder, int64_t step, const char *tag,
                               double value, qg_error *error)
{
    if (isnan(value)) return QG_OK;
    return qg_events_scalar(folder->events, step, wall_time(), tag, (float)value, error);
}

qg_status qg_evaluation_write(qg_csv *csv, const qg_evaluation_row *row, qg_error *error)
{
    char score[32], deviation[32], minimum[32], maximum[32], q[32], td_error[32];
    const qg_evaluation *e = &row->evaluation;
    return qg_csv_row(csv, error, "%" PRId64 ",%s,%" PRId64 ",%s,%s,%s,%s,%s", row->step,
                      cell(e->score, score), e->episodes, cell(e->deviation, deviation),
                      cell(e->minimum, minimum), cell(e->maximum, maximum),
                      cell(row->validation_q, q), cell(row->validation_td_error, td_error));
}

qg_status qg_run_folder_evaluation(qg_run_folder *folder, const qg_evaluation_row *row,
                                   qg_error *error)
{
    const int64_t step = row->step;
    qg_status status = qg_evaluation_write(folder->evaluations, row, error);
    if (!status)
        status =
            qg_run_folder_scalar(folder, step, "evaluation/score", row->evaluation.score, error);
    if (!status)
        status = qg_run_folder_scalar(folder, step, "validation/q", row->validation_q, error);
    if (!status)
        status = qg_run_folder_scalar(folder, step, "validation/td_error", row->validation_td_error,
                                      error);
    return status;
}

qg_status qg_run_folder_training(qg_run_folder *folder, const qg_training_row *row, qg_error *error)
{
    char epsilon[32], mean[32], td_error[32];
    qg_status status =
        qg_csv_row(folder->training, error, "%" PRId64 ",%s,%" PRId64 ",%s,%" PRId64 ",%s",
                   row->step, cell(row->epsilon, epsilon), row->episodes,
                   cell(row->mean_return, mean), row->updates, cell(row->td_error, td_error));
    if (!status)
        status =
            qg_run_folder_scalar(folder, row->step, "training/return", row->mean_return, error);
    if (!status)
        status = qg_run_folder_scalar(folder, row->step, "training/epsilon", row->epsilon, error);
    if (!status)
        status = qg_run_folder_scalar(folder, row->step, "training/td_error", row->td_error, error);
    return status;
}

qg_status qg_run_folder_network(const qg_run_folder *folder, const char *name,
                                const qg_network *network, const qg_network_info *info,
                                qg_error *error)
{
    char file[64];
    snprintf(file, sizeof file, "%s.safetensors", name);
    char *path = qg_path_join(folder->path, file);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder->path));
    const qg_status status = qg_network_save(path, network, info, error);
    free(path);
    return status;
}

qg_status qg_run_folder_frozen(const qg_run_folder *folder, const qg_train_options *options,
                               const qg_domain *domain, const qg_engine *engine, qg_error *error)
{
    return write_run(folder, options, domain, engine, true, error);
}

qg_status qg_run_folder_process(const qg_run_folder *folder, const qg_train_options *options,
                                const qg_train_result *result, const char *state, qg_error *error)
{
    char text[1024], host[256] = "", when[32] = "";
    const time_t started = (time_t)folder->started;
    struct tm utc;
    if (gethostname(host, sizeof host - 1)) host[0] = 0;
    for (char *c = host; *c; c++) /* it stands between quotes */
        if (*c == '"' || *c == '\\' || (unsigned char)*c < 0x20) *c = '?';
    if (gmtime_r(&started, &utc)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(text, sizeof text,
             "# How the run went on this machine; it does not change the result.\n"
             "state: %s\nhost: \"%s\"\npid: %ld\nthreads: %d\nstarted: %s\nseconds: %.1f\n"
             "step: %" PRId64 "\nsteps_per_second: %.1f\n",
             state, host, (long)getpid(), options->threads, when, result->seconds, result->step,
             result->learning_steps_per_second);
    return qg_run_folder_text(folder, "process.yaml", text, error);
}
