/* The folder of a task: what its supervisor notes in it, what its run says of itself, and what both
 * together mean. */
#include "study/task_folder.h"

#include "base/file.h"
#include "base/json_text.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST_JSON ((size_t)1 << 16)

char *qg_task_path(const qg_study *study, int task, const char *folder, const char *name)
{
    char *const run = qg_path_join(folder, study->tasks[task].folder);
    if (!run || !name) return run;
    char *const path = qg_path_join(run, name);
    free(run);
    return path;
}

/* A small JSON object; NULL where it is not there, cut off or damaged: it is only a note, and what
 * it told of is done again at worst. */
static qg_status read_object(const char *run_folder, const char *name, json_t **object,
                             qg_error *error)
{
    *object = NULL;
    char *const path = qg_path_join(run_folder, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(run_folder));
    const qg_status status = qg_json_read_object(path, LARGEST_JSON, object, error);
    free(path);
    return status == QG_ERROR_DATA ? QG_OK : status;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* What fits of it, fit to be printed. */
static void copy_text(const json_t *object, const char *key, char *text, size_t size)
{
    snprintf(text, size, "%s", text_of(object, key));
    qg_text_make_safe(text);
}

static double real_of(const json_t *object, const char *key, double otherwise)
{
    const json_t *const value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* A whole number that a file may say; 0: it says none. */
static int64_t count_of(const json_t *object, const char *key)
{
    const double value = real_of(object, key, 0);
    return value >= 0 && value <= 0x1p53 ? (int64_t)value : 0;
}

/* ------------------------------------------------------------------------------- states */

/* Whether the note is of the task. A given network may have been saved again since. */
static bool is_of(const json_t *note, const qg_study_task *task)
{
    return strcmp(text_of(note, "hash"), task->hash) == 0 ||
           strcmp(text_of(note, "network_hash"), task->network_hash) == 0;
}

static qg_task_state state_of_note(const json_t *note, bool locked, const qg_study_task *task)
{
    if (locked) return QG_TASK_RUNNING;
    if (!note) return QG_TASK_WAITING;
    if (!is_of(note, task)) return QG_TASK_STALE;
    const char *const state = text_of(note, "state");
    if (strcmp(state, "finished") == 0) return QG_TASK_FINISHED;
    return strcmp(state, "failed") == 0 ? QG_TASK_FAILED : QG_TASK_STOPPED;
}

static qg_status look_at_progress(const char *run_folder, qg_task_status *status, qg_error *error)
{
    json_t *progress;
    const qg_status read = read_object(run_folder, "progress.json", &progress, error);
    if (read || !progress) return read;
    status->step = count_of(progress, "step");
    const int64_t steps = count_of(progress, "steps");
    if (steps > 0) status->steps = steps;
    status->score = real_of(progress, "score", NAN);
    copy_text(progress, "phase", status->phase, sizeof status->phase);
    if (status->state == QG_TASK_RUNNING) status->rate = real_of(progress, "rate", 0);
    json_decref(progress);
    return QG_OK;
}

static qg_status look_at_task(const qg_study *study, int task, const char *run_folder,
                              qg_task_status *status, qg_error *error)
{
    json_t *note;
    *status = (qg_task_status){.steps = study->runs[study->tasks[task].run].steps, .score = NAN};
    qg_status read = read_object(run_folder, "task.json", &note, error);
    if (read) return read;
    status->state = state_of_note(note, qg_folder_is_locked(run_folder), &study->tasks[task]);
    if (status->state != QG_TASK_STALE && status->state != QG_TASK_WAITING) {
        read = look_at_progress(run_folder, status, error);
        status->seconds = real_of(note, "seconds", 0);
        copy_text(note, "host", status->host, sizeof status->host);
        if (status->state == QG_TASK_FAILED)
            copy_text(note, "message", status->message, sizeof status->message);
    }
    json_decref(note);
    return read;
}

/* Of a task that has not failed itself: the first parent that has, or is blocked. Parents stand
 * before their children, so that one pass is enough. */
static void block(const qg_study *study, int task, qg_task_status *statuses)
{
    qg_task_status *const status = &statuses[task];
    const qg_study_task *const t = &study->tasks[task];
    if (status->state != QG_TASK_WAITING && status->state != QG_TASK_STALE) return;
    for (int i = 0; i < t->parent_count; i++) {
        const qg_task_state parent = statuses[t->parents[i]].state;
        if (parent != QG_TASK_FAILED && parent != QG_TASK_BLOCKED) continue;
        status->state = QG_TASK_BLOCKED;
        snprintf(status->message, sizeof status->message, "%s %s",
                 study->tasks[t->parents[i]].folder, qg_task_state_name(parent));
        return;
    }
}

static qg_status look(const qg_study *study, int task, const char *folder, qg_task_status *statuses,
                      qg_error *error)
{
    char *const run_folder = qg_task_path(study, task, folder, NULL);
    if (!run_folder) return qg_fail_memory(error, "a path", strlen(folder));
    const qg_status status = look_at_task(study, task, run_folder, &statuses[task], error);
    free(run_folder);
    if (!status) block(study, task, statuses);
    return status;
}

qg_status qg_study_look(const qg_study *study, const char *folder, qg_task_status *statuses,
                        qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0; i < study->task_count && !status; i++)
        status = look(study, i, folder, statuses, error);
    return status;
}

qg_status qg_task_look(const qg_study *study, int task, const char *folder,
                       qg_task_status *statuses, qg_error *error)
{
    const qg_study_task *const t = &study->tasks[task];
    qg_status status = QG_OK;
    for (int p = 0; p < t->parent_count && !status; p++)
        status = look(study, t->parents[p], folder, statuses, error);
    return status ? status : look(study, task, folder, statuses, error);
}

/* ------------------------------------------------------------------------------- prepare */

/* "FOLDER/runs/stale/ID-sSEED-HASH", the first digits of it: on the disk of the runs. No run's
 * folder is called so, even if its ID is "stale". */
static char *stale_path(const qg_study *study, int task, const char *folder, const char *hash)
{
    const qg_study_task *const t = &study->tasks[task];
    char *path;
    return asprintf(&path, "%s/runs/stale/%s-s%llu-%.16s", folder, study->runs[t->run].id,
                    (unsigned long long)t->seed, hash) < 0
               ? NULL
               : path;
}

/* Renames `from` to `to`, over whatever of the same hash was there before. */
static qg_status move_folder(const char *from, const char *to, qg_error *error)
{
    if (rename(from, to) == 0) return QG_OK;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return qg_fail_errno(error, "%s: cannot be moved to %s", from, to);
    char *aside; /* two runs of the same settings: both are kept */
    if (asprintf(&aside, "%s-%ld", to, (long)getpid()) < 0)
        return qg_fail_memory(error, "a path", strlen(to));
    const int failed = rename(from, aside);
    free(aside);
    return failed ? qg_fail_errno(error, "%s: cannot be moved to %s", from, to) : QG_OK;
}

static qg_status move_away(const qg_study *study, int task, const char *folder,
                           const char *run_folder, const char *hash, qg_error *error)
{
    /* What the note calls a hash becomes part of a path: it is one, or it is not believed. */
    const bool is_hash = strlen(hash) == 64 && strspn(hash, "0123456789abcdef") == 64;
    char *const place = stale_path(study, task, folder, is_hash ? hash : "unknown");
    char *const parent = qg_path_join(folder, "runs/stale");
    qg_status status = place && parent ? qg_folder_create(parent, error)
                                       : qg_fail_memory(error, "a path", strlen(folder));
    if (!status) status = move_folder(run_folder, place, error);
    free(parent);
    free(place);
    return status;
}

static bool is_folder(const char *path)
{
    struct stat information;
    return lstat(path, &information) == 0 && S_ISDIR(information.st_mode);
}

/* Whether the folder holds the task's run and nobody works in it. */
static bool holds(const char *run_folder, const qg_study_task *task)
{
    qg_error ignored;
    json_t *note = NULL;
    const bool there = is_folder(run_folder) && !qg_folder_is_locked(run_folder) &&
                       !read_object(run_folder, "task.json", &note, &ignored);
    const bool found = there && strcmp(text_of(note, "hash"), task->hash) == 0;
    json_decref(note);
    return found;
}

static bool is_id(const qg_study *study, const char *name)
{
    for (int r = 0; r < study->run_count; r++)
        if (strcmp(study->runs[r].id, name) == 0) return true;
    return false;
}

qg_status qg_other_runs_find(const qg_study *study, const char *folder, qg_other_runs *others,
                             qg_error *error)
{
    *others = (qg_other_runs){0};
    char *const runs = qg_path_join(folder, "runs");
    if (!runs) return qg_fail_memory(error, "a path", strlen(folder));
    DIR *const directory = opendir(runs);
    qg_status status = QG_OK;
    for (const struct dirent *entry; directory && !status && (entry = readdir(directory));) {
        if (*entry->d_name == '.' || is_id(study, entry->d_name)) continue;
        char *path = qg_path_join(runs, entry->d_name);
        char **const paths = realloc(others->paths, (others->count + 1) * sizeof *paths);
        if (paths) others->paths = paths;
        if (!path || !paths)
            status = qg_fail_memory(error, "the names of runs", others->count * sizeof *paths);
        else if (is_folder(path)) {
            others->paths[others->count++] = path;
            path = NULL;
        }
        free(path);
    }
    if (directory) closedir(directory);
    free(runs);
    if (status) qg_other_runs_free(others);
    return status;
}

void qg_other_runs_free(qg_other_runs *others)
{
    for (size_t i = 0; i < others->count; i++)
        free(others->paths[i]);
    free(others->paths);
    *others = (qg_other_runs){0};
}

/* "FOLDER/runs/OTHER/sSEED" with the task's run in it; NULL: there is none. */
static char *renamed_path(const qg_other_runs *others, const qg_study_task *task)
{
    for (size_t i = 0; i < others->count; i++) {
        char *path;
        if (asprintf(&path, "%s%s", others->paths[i], strrchr(task->folder, '/')) < 0) return NULL;
        if (holds(path, task)) return path;
        free(path);
    }
    return NULL;
}

/* Where the task's run lies if not in its folder; NULL: nowhere, or no memory. */
static char *other_place(const qg_study *study, int task, const char *folder,
                         const qg_other_runs *others)
{
    struct stat information;
    char *const stale = stale_path(study, task, folder, study->tasks[task].hash);
    if (stale && stat(stale, &information) == 0) return stale;
    free(stale);
    return renamed_path(others, &study->tasks[task]);
}

static qg_status bring_back(const qg_study *study, int task, const char *folder,
                            const char *run_folder, qg_error *error)
{
    qg_other_runs others;
    qg_status status = qg_other_runs_find(study, folder, &others, error);
    if (status) return status;
    char *const place = other_place(study, task, folder, &others);
    qg_other_runs_free(&others);
    if (!place) return qg_folder_create(run_folder, error);
    char *const parent = strdup(run_folder);
    if (!parent)
        status = qg_fail_memory(error, "a path", strlen(run_folder));
    else {
        *strrchr(parent, '/') = '\0'; /* "FOLDER/runs/ID" */
        status = qg_folder_create(parent, error);
        if (!status && rename(place, run_folder) != 0)
            status = qg_fail_errno(error, "%s: cannot be moved to %s", place, run_folder);
        *strrchr(place, '/') = '\0';
        if (strcmp(strrchr(place, '/'), "/stale") != 0)
            rmdir(place); /* of a name that is used no more, if this was the last run */
    }
    free(parent);
    free(place);
    return status;
}

/* No folder in `runs`, runs/stale and runs/ID is a link: through one, a run would write outside the
 * study's folder, or be moved there. */
static qg_status refuse_links(const char *folder, const char *run_folder, qg_error *error)
{
    char *const paths[] = {qg_path_join(folder, "runs"), qg_path_join(folder, "runs/stale"),
                           strdup(run_folder)};
    qg_status status = QG_OK;
    if (paths[2]) *strrchr(paths[2], '/') = '\0'; /* "FOLDER/runs/ID" */
    for (int i = 0; i < 3; i++) {
        if (!status)
            status = paths[i] ? qg_folder_refuse_links(paths[i], NULL, error)
                              : qg_fail_memory(error, "a path", strlen(run_folder));
        free(paths[i]);
    }
    return status;
}

/* Whether a run has begun in the folder. */
static bool has_run(const char *run_folder)
{
    struct stat information;
    char *const path = qg_path_join(run_folder, "run.yaml");
    const bool has = !path || stat(path, &information) == 0;
    free(path);
    return has;
}

/* Whether the task's folder is there, its note, and whether what it holds is the task's. */
static qg_status look_inside(const qg_study_task *task, const char *run_folder, bool *there,
                             json_t **note, bool *ours, qg_error *error)
{
    struct stat information;
    *note = NULL;
    *there = stat(run_folder, &information) == 0;
    const qg_status status = *there ? read_object(run_folder, "task.json", note, error) : QG_OK;
    *ours =
        *there && (*note ? is_of(*note, task) : !has_run(run_folder)); /* killed before its note */
    return status;
}

static qg_status prepare(const qg_study *study, int task, const char *folder,
                         const char *run_folder, qg_error *error)
{
    json_t *note;
    bool there, ours;
    qg_status status = look_inside(&study->tasks[task], run_folder, &there, &note, &ours, error);
    const char *const hash = text_of(note, "hash");
    if (!status && there && qg_folder_is_locked(run_folder))
        status = qg_fail(error, QG_ERROR_BUSY, "%s: another process works in it", run_folder);
    else if (!status && there && !ours)
        status = move_away(study, task, folder, run_folder, hash, error);
    if (!status && !ours) status = bring_back(study, task, folder, run_folder, error);
    if (!status) status = qg_folder_refuse_links(run_folder, NULL, error);
    json_decref(note);
    return status;
}

qg_status qg_task_prepare(const qg_study *study, int task, const char *folder, qg_error *error)
{
    char *const run_folder = qg_task_path(study, task, folder, NULL);
    if (!run_folder) return qg_fail_memory(error, "a path", strlen(folder));
    qg_status status = refuse_links(folder, run_folder, error);
    if (!status) status = prepare(study, task, folder, run_folder, error);
    free(run_folder);
    return status;
}

qg_status qg_task_look_back(const qg_study *study, int task, const char *folder,
                            const qg_other_runs *others, qg_task_status *status, qg_error *error)
{
    char *const run_folder = qg_task_path(study, task, folder, NULL), *place = NULL;
    json_t *note = NULL;
    bool there, ours;
    *status = (qg_task_status){.score = NAN};
    qg_status look = run_folder
                         ? look_inside(&study->tasks[task], run_folder, &there, &note, &ours, error)
                         : qg_fail_memory(error, "a path", strlen(folder));
    if (!look && !ours) place = other_place(study, task, folder, others);
    if (place) look = look_at_task(study, task, place, status, error);
    if (status->state == QG_TASK_STALE) status->state = QG_TASK_WAITING; /* of another one's hash */
    json_decref(note);
    free(place);
    free(run_folder);
    return look;
}

qg_status qg_task_note(const qg_study *study, int task, const char *folder,
                       const qg_task_status *status, qg_error *error)
{
    char *const path = qg_task_path(study, task, folder, "task.json");
    const qg_study_task *const t = &study->tasks[task];
    const bool given = strcmp(t->network_hash, t->hash) != 0; /* networks from files */
    json_t *const note =
        json_pack("{s:s, s:s*, s:s, s:f, s:s, s:s}", "hash", t->hash, "network_hash",
                  given ? t->network_hash : NULL, "state", qg_task_state_name(status->state),
                  "seconds", status->seconds, "host", status->host, "message", status->message);
    char *const text = note ? qg_json_text(note, JSON_INDENT(2)) : NULL;
    json_decref(note);
    const qg_status result = path && text
                                 ? qg_file_replace(path, &(qg_piece){text, strlen(text)}, 1, error)
                                 : qg_fail_memory(error, "task.json", 0);
    free(text);
    free(path);
    return result;
}
