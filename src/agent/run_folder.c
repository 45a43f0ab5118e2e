#include "agent/run_folder.h"

#include "agent/checkpoint.h"
#include "agent/run_yaml.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/text.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------------- what is there */

/* A text file of the folder in *text, NULL when there is none; the caller frees it. */
static qg_status read_text(const char *folder, const char *name, char **text, qg_error *error)
{
    *text = NULL;
    char *path = qg_path_join(folder, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    uint8_t *data = NULL;
    size_t size = 0;
    const bool there = access(path, F_OK) == 0;
    qg_status status = there ? qg_file_read(path, 1 << 20, &data, &size, error) : QG_OK;
    const qg_file_kind kind = qg_file_kind_of(data, size);
    if (!status && !qg_file_kind_is_plain(kind)) {
        status = qg_fail_kind(error, QG_ERROR_DATA, path, "a file of a run", kind, NULL);
        free(data);
        data = NULL;
    }
    free(path);
    *text = (char *)data;
    return status;
}

static qg_status is_finished(const char *folder, bool *finished, qg_error *error)
{
    char *text;
    const qg_status status = read_text(folder, "process.yaml", &text, error);
    *finished = text && strstr(text, "\nstate: finished\n");
    free(text);
    return status;
}

qg_status qg_run_look(const char *folder, qg_run_state *state, qg_error *error)
{
    int64_t steps[QG_CHECKPOINTS];
    char *text;
    *state = (qg_run_state){.checkpoint_step = -1};
    qg_status status = read_text(folder, "run.yaml", &text, error);
    state->exists = text;
    free(text);
    if (status || !state->exists) return status;
    state->checkpoint_step = qg_checkpoints_look(folder, steps);
    return is_finished(folder, &state->complete, error);
}

/* Removes the files of `folder` whose names match; what cannot be removed is found when it is
 * written again. */
static void remove_files(const char *folder, const char *pattern)
{
    DIR *directory = opendir(folder);
    if (!directory) return;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (fnmatch(pattern, entry->d_name, 0) == 0) unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
}

/* What a killed process was writing. */
static void remove_temporary(const char *folder)
{
    remove_files(folder, "*.tmp-[0-9]*-[0-9]*");
}

/* The files of a run that is overwritten. First those that say how far it has come: when they are
 * removed and this is interrupted, nothing half removed must look complete or be gone on with. */
static const char *const patterns[] = {"process.yaml",
                                       "checkpoint-[AB]",
                                       "replay.bin",
                                       "replay.data",
                                       "best.safetensors",
                                       "last.safetensors",
                                       "step-[0-9]*.safetensors",
                                       "samples-[0-9]*",
                                       "task-[0-9]*.safetensors",
                                       "evaluations.csv",
                                       "evaluations-[0-9]*.csv",
                                       "other_evaluations.csv",
                                       "training.csv",
                                       "layers.csv",
                                       "distillation.csv",
                                       "teachers.csv",
                                       "held_out.csv",
                                       "student.csv",
                                       (QG_EVENTS_PREFIX "*")};

void qg_run_forget(const char *folder)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        remove_files(folder, patterns[i]);
}

static bool is_of_a_run(const char *name)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (fnmatch(patterns[i], name, 0) == 0) return true;
    return false;
}

qg_status qg_run_folder_spare(const char *folder, const char *file, qg_error *error)
{
    struct stat own, other;
    char *const found = realpath(file, NULL), *const path = found ? found : strdup(file);
    if (!path) return qg_fail_memory(error, "a path", strlen(file));
    char *const slash = strrchr(path, '/');
    bool lost = is_of_a_run(slash ? slash + 1 : path);
    if (slash) *slash = '\0';
    const char *const its = slash ? path : ".";
    lost = lost && (strcmp(its, folder) == 0 || /* which may not be there yet */
                    (stat(folder, &own) == 0 && stat(its, &other) == 0 &&
                     own.st_dev == other.st_dev && own.st_ino == other.st_ino));
    free(path);
    return !lost
               ? QG_OK
               : qg_fail(error, QG_ERROR_USAGE,
                         "%s: would be lost, as the run has a file of its own of that name: choose "
                         "another name or another `folder`",
                         file);
}

/* ---------------------------------------------------------------------------- open and close */

static qg_status refuse(const qg_run_folder *folder, qg_error *error)
{
    if (folder->found == QG_FOUND_COMPLETE)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: holds a run already: choose another `folder` or add `overwrite`",
                       folder->path);
    return qg_fail(error, QG_ERROR_USAGE,
                   "%s: holds an unfinished run: add `resume` to go on with it or `overwrite` to "
                   "begin anew, or choose another `folder`",
                   folder->path);
}

/* What is in the folder, and whether it may be used. */
static qg_status examine(qg_run_folder *folder, const qg_run_claim *claim, qg_error *error)
{
    char *run;
    bool finished;
    qg_status status = read_text(folder->path, "run.yaml", &run, error);
    if (status || !run) return status;
    status = is_finished(folder->path, &finished, error);
    folder->found = finished ? QG_FOUND_COMPLETE : QG_FOUND_UNFINISHED;
    if (!status && claim->resume)
        status = qg_run_yaml_compare(folder->path, run, claim->run, error);
    else if (!status && !claim->overwrite)
        status = refuse(folder, error);
    free(run);
    return status;
}

qg_status qg_run_folder_create(qg_run_folder *folder, const qg_run_claim *claim, qg_error *error)
{
    folder->path = claim->path;
    folder->lock.descriptor = -1;
    folder->started = qg_clock_wall();
    if (claim->overwrite && claim->resume)
        return qg_fail(error, QG_ERROR_USAGE, "to resume a run and to overwrite it are two things");
    qg_status status = qg_folder_create(claim->path, error);
    if (!status) status = qg_folder_refuse_links(claim->path, NULL, error);
    if (!status) status = qg_lock_folder(claim->path, &folder->lock, error);
    if (!status) status = examine(folder, claim, error);
    if (status) {
        qg_run_folder_close(folder);
        return status;
    }
    remove_temporary(claim->path);
    return QG_OK;
}

void qg_run_folder_clear(qg_run_folder *folder)
{
    if (folder->found) qg_run_forget(folder->path);
    folder->found = QG_FOUND_NOTHING;
}

/* A run that is complete needs no memory and no samples: what there is is the new one's. */
static void clear_results(qg_run_folder *folder)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (strcmp(patterns[i], "replay.bin") != 0 && strcmp(patterns[i], "samples-[0-9]*") != 0)
            remove_files(folder->path, patterns[i]);
    folder->found = QG_FOUND_NOTHING;
}

int qg_run_folder_add_table(qg_run_folder *folder, const char *name, const char *header)
{
    assert(folder->table_count < QG_RUN_TABLES);
    qg_run_table *table = &folder->tables[folder->table_count];
    snprintf(table->name, sizeof table->name, "%s", name);
    table->header = header;
    return folder->table_count++;
}

static qg_status open_table(const qg_run_folder *folder, qg_run_table *table, int64_t kept,
                            qg_error *error)
{
    return qg_run_folder_csv(folder, table->name, table->header, kept, &table->csv, error);
}

qg_status qg_run_folder_begin(qg_run_folder *folder, const char *run, qg_error *error)
{
    if (folder->found == QG_FOUND_COMPLETE)
        clear_results(folder);
    else
        qg_run_folder_clear(folder);
    return qg_run_folder_text(folder, "run.yaml", run, error);
}

qg_status qg_run_folder_open_tables(qg_run_folder *folder, qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0; i < folder->table_count && !status; i++)
        status = open_table(folder, &folder->tables[i], 0, error);
    return status ? status
                  : qg_events_open(folder->path, folder->started, 0, &folder->events, error);
}

void qg_run_folder_close(qg_run_folder *folder)
{
    for (int i = 0; i < folder->table_count; i++)
        qg_csv_close(folder->tables[i].csv);
    qg_events_close(folder->events);
    if (folder->lock.descriptor >= 0) qg_unlock_folder(&folder->lock);
    *folder = (qg_run_folder){.lock = {-1}};
}

/* -------------------------------------------------------------------------------- its state */

/* Writing waits until it is on the disk; reading opens it and cuts off what came after. */
static qg_status pass_table(const qg_run_folder *folder, qg_run_table *table, qg_tape *tape,
                            qg_error *error)
{
    int64_t kept = tape->reading ? 0 : qg_csv_size(table->csv);
    const bool absent = tape->reading && table->late && qg_tape_complete(tape);
    if (!absent) QG_TAPE_PASS(tape, kept);
    if (!tape->reading) return qg_csv_sync(table->csv, error);
    qg_tape_require(tape, kept > 0 || absent);
    if (!tape->good) return QG_OK;
    qg_csv_close(table->csv);
    table->csv = NULL;
    return open_table(folder, table, kept, error);
}

static qg_status pass_events(qg_run_folder *folder, qg_tape *tape, qg_error *error)
{
    char name[200] = "";
    int64_t size = 0;
    if (!tape->reading) {
        snprintf(name, sizeof name, "%s", qg_events_name(folder->events));
        size = qg_events_size(folder->events);
    }
    qg_tape_pass_text(tape, name, sizeof name);
    QG_TAPE_PASS(tape, size);
    if (!tape->reading) return qg_events_sync(folder->events, error);
    if (!tape->good) return QG_OK;
    qg_events_close(folder->events);
    const qg_status status = qg_events_resume(folder->path, name, size, &folder->events, error);
    /* TensorBoard's file may have been tidied away: no result depends on it. */
    return status == QG_ERROR_DATA
               ? qg_events_open(folder->path, folder->started, 0, &folder->events, error)
               : status;
}

qg_status qg_run_folder_pass(qg_run_folder *folder, qg_tape *tape, qg_error *error)
{
    qg_status status = QG_OK;
    for (int late = 0; late < 2 && !status; late++) {
        for (int i = 0; i < folder->table_count && !status; i++)
            if (folder->tables[i].late == late)
                status = pass_table(folder, &folder->tables[i], tape, error);
        if (!late && !status) status = pass_events(folder, tape, error);
    }
    return status;
}

qg_status qg_run_folder_sync(const qg_run_folder *folder, qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0; i < folder->table_count && !status; i++)
        status = qg_csv_sync(folder->tables[i].csv, error);
    return status ? status : qg_events_sync(folder->events, error);
}

/* Under its final name; one that cannot be renamed stays where it is, and can be read there: false.
 * Where a run has one already, the other is of an overwrite that did not begin. */
static bool keep_replay_memory(const qg_run_folder *folder)
{
    struct stat kept;
    bool done = false;
    char *from = qg_path_join(folder->path, "replay.bin");
    char *to = qg_path_join(folder->path, "replay.data");
    if (from && to && stat(to, &kept) == 0 && S_ISREG(kept.st_mode))
        done = unlink(from) == 0 || errno == ENOENT;
    else if (from && to)
        done = rename(from, to) == 0 || errno == ENOENT;
    free(from);
    free(to);
    return done;
}

bool qg_run_folder_has_replay(const qg_run_folder *folder)
{
    char *path = qg_path_join(folder->path, "replay.data");
    const bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

bool qg_run_folder_remove_state(const qg_run_folder *folder, bool keep_replay)
{
    bool done = true;
    remove_files(folder->path, "checkpoint-[AB]");
    if (keep_replay)
        done = keep_replay_memory(folder);
    else
        remove_files(folder->path, "replay.bin");
    remove_files(folder->path, "samples-[0-9]*");
    return done;
}

/* ------------------------------------------------------------------------------ its files */

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

qg_status qg_run_folder_csv(const qg_run_folder *folder, const char *name, const char *header,
                            int64_t kept, qg_csv **csv, qg_error *error)
{
    char *path = qg_path_join(folder->path, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder->path));
    const qg_status status = qg_csv_open(path, header, kept, csv, error);
    free(path);
    return status;
}

qg_status qg_run_folder_scalar(const qg_run_folder *folder, int64_t step, const char *group,
                               int task, const char *name, double value, qg_error *error)
{
    char tag[96];
    if (isnan(value)) return QG_OK;
    if (task == 0)
        snprintf(tag, sizeof tag, "%s/%s", group, name);
    else
        snprintf(tag, sizeof tag, "%s-%d/%s", group, task, name);
    return qg_events_scalar(folder->events, step, qg_clock_wall(), tag, (float)value, error);
}

qg_status qg_run_folder_evaluation(const qg_run_folder *folder, int table, int task,
                                   const qg_evaluation_row *row, qg_error *error)
{
    char score[32], deviation[32], minimum[32], maximum[32], q[32], td_error[32];
    const qg_evaluation *e = &row->evaluation;
    const int64_t step = row->step;
    qg_status status = qg_csv_row(
        folder->tables[table].csv, error, "%" PRId64 ",%s,%" PRId64 ",%s,%s,%s,%s,%s", step,
        qg_csv_real(e->score, score), e->episodes, qg_csv_real(e->deviation, deviation),
        qg_csv_real(e->minimum, minimum), qg_csv_real(e->maximum, maximum),
        qg_csv_real(row->validation_q, q), qg_csv_real(row->validation_td_error, td_error));
    if (!status)
        status = qg_run_folder_scalar(folder, step, "evaluation", task, "score", e->score, error);
    if (!status)
        status =
            qg_run_folder_scalar(folder, step, "validation", task, "q", row->validation_q, error);
    if (!status)
        status = qg_run_folder_scalar(folder, step, "validation", task, "td_error",
                                      row->validation_td_error, error);
    return status;
}

char *qg_run_folder_network_path(const qg_run_folder *folder, const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "%s.safetensors", name);
    return qg_path_join(folder->path, file);
}

qg_status qg_run_folder_network(const qg_run_folder *folder, const char *name,
                                const qg_network *network, const qg_network_info *info,
                                qg_error *error)
{
    char *path = qg_run_folder_network_path(folder, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder->path));
    const qg_status status = qg_network_save(path, network, info, error);
    free(path);
    return status;
}

qg_status qg_run_folder_process(const qg_run_folder *folder, const qg_machine *machine,
                                const qg_run_result *result, const char *state, qg_error *error)
{
    char text[1024], host[256] = "", when[32] = "", inexact[96] = "";
    const char *isa = machine->isa;
    const time_t started = (time_t)folder->started;
    struct tm utc;
    if (gethostname(host, sizeof host - 1)) host[0] = 0;
    if (result->inexact_resumes > 0)
        snprintf(inexact, sizeof inexact,
                 "inexact_resumes: %d # the result is not the one without interruption\n",
                 result->inexact_resumes);
    for (char *c = host; *c; c++) /* it stands between quotes */
        if (*c == '"' || *c == '\\' || (unsigned char)*c < 0x20) *c = '?';
    if (gmtime_r(&started, &utc)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(text, sizeof text,
             "# How the run went on this machine; it does not change the result.\n"
             "state: %s\nhost: \"%s\"\npid: %ld\nthreads: %d\n%s%s%sstarted: %s\n"
             "seconds: %.1f\n"
             "step: %" PRId64 "\nsteps_per_second: %.1f\n%s",
             state, host, (long)getpid(), machine->threads, isa ? "instruction_set: " : "",
             isa ? isa : "", isa ? "\n" : "", when, result->seconds, result->step,
             result->steps_per_second, inexact);
    return qg_run_folder_text(folder, "process.yaml", text, error);
}
