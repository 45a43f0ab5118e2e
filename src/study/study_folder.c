/* The folder of a study: the file it was made of, and which study it is. */
#include "study/study_folder.h"

#include "base/json_text.h"
#include "base/text.h"
#include "study/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST_JSON ((size_t)1 << 16)

/* study.json as an object; NULL and QG_OK where there is none. */
static qg_status read_head(const char *folder, json_t **head, qg_error *error)
{
    *head = NULL;
    char *const path = qg_path_join(folder, "study.json");
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    qg_status status = qg_json_read_object(path, LARGEST_JSON, head, error);
    if (status == QG_ERROR_DATA) {
        const qg_error inner = *error;
        status = qg_fail(error, QG_ERROR_DATA, "%.400s; or else remove it", inner.message);
    }
    free(path);
    return status;
}

/* Nothing in the folder leads elsewhere but `runs`, which may lie on another disk. */
static qg_status refuse_links(const char *folder, qg_error *error)
{
    static const char *const names[] = {"figures", "slurm"};
    qg_status status = qg_folder_refuse_links(folder, "runs", error);
    for (size_t i = 0; i < sizeof names / sizeof *names && !status; i++) {
        char *const path = qg_path_join(folder, names[i]);
        status = path ? qg_folder_refuse_links(path, NULL, error)
                      : qg_fail_memory(error, "a path", strlen(folder));
        free(path);
    }
    return status;
}

static qg_status open_with_head(const char *folder, const json_t *head, qg_study **study,
                                qg_error *error)
{
    const char *const base = json_string_value(json_object_get(head, "base"));
    const char *const name = json_string_value(json_object_get(head, "study"));
    const json_t *const scale = json_object_get(head, "scale");
    char id[QG_STUDY_NAME] = "";
    if (!base || *base != '/' || !name || !json_is_number(scale) ||
        json_integer_value(json_object_get(head, "format")) != 1 || !qg_study_append_id(id, name) ||
        strcmp(id, name) != 0)
        return qg_fail(error, QG_ERROR_DATA, "%s/study.json: is not what this version writes",
                       folder);
    char *const path = qg_path_join(folder, "study.yaml");
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    qg_status status = qg_study_load_from(path, base, json_number_value(scale), study, error);
    free(path);
    if (status) return status;
    /* A file that does not name its study had its name from its file. */
    snprintf((*study)->name, sizeof(*study)->name, "%s", name);
    const char *const file = json_string_value(json_object_get(head, "file"));
    if (file && !strchr(file, '/') && !((*study)->file = strdup(file))) {
        qg_study_free(*study);
        *study = NULL;
        return qg_fail_memory(error, "a path", strlen(file));
    }
    return QG_OK;
}

qg_status qg_study_open(const char *folder, qg_study **study, qg_error *error)
{
    json_t *head;
    struct stat there;
    *study = NULL;
    if (stat(folder, &there) != 0 && errno == ENOENT)
        return qg_fail(error, QG_ERROR_USAGE, "%s: there is no such folder (`run` makes a study's)",
                       folder);
    if (stat(folder, &there) == 0 && !S_ISDIR(there.st_mode))
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: a file: the folder that `run` made of it is needed, usually runs/NAME",
                       folder);
    qg_status status = read_head(folder, &head, error);
    if (!status) status = refuse_links(folder, error);
    if (!status && !head)
        status = qg_fail(error, QG_ERROR_USAGE, "%s: holds no study (`run` makes one)", folder);
    if (!status) status = open_with_head(folder, head, study, error);
    json_decref(head);
    if (!status) status = qg_study_take_looks(*study, folder, error);
    if (!status) return QG_OK;
    qg_study_free(*study);
    *study = NULL;
    return status;
}

/* Whether a process that was killed as it began may have left the entry. */
static bool is_left_over(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lock") == 0 ||
           fnmatch("study.*.tmp-[0-9]*-[0-9]*", name, 0) == 0;
}

/* A folder that is to become a study's: this study's already, or empty, or not there. */
static qg_status check_folder(const qg_study *study, const char *folder, qg_error *error)
{
    json_t *head;
    qg_status status = read_head(folder, &head, error);
    if (status) return status;
    if (head) {
        const char *const name = json_string_value(json_object_get(head, "study"));
        if (!name || strcmp(name, study->name) != 0)
            status = qg_fail(error, QG_ERROR_USAGE,
                             "%s: holds the study '%.60s', not '%.60s': choose another `folder`",
                             folder, name ? name : "?", study->name);
        json_decref(head);
        return status;
    }
    DIR *const directory = opendir(folder);
    if (!directory) return errno == ENOENT ? QG_OK : qg_fail_errno(error, "%s", folder);
    int entries = 0;
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (!is_left_over(entry->d_name)) entries++;
    closedir(directory);
    if (entries)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: is not empty and holds no study: choose another `folder`", folder);
    return QG_OK;
}

static qg_status write_file(const char *folder, const char *name, const void *data, size_t size,
                            qg_error *error)
{
    char *const path = qg_path_join(folder, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    const qg_status status = qg_file_replace(path, &(qg_piece){data, size}, 1, error);
    free(path);
    return status;
}

static bool is_text(const char *path)
{
    for (size_t size; *path; path += size)
        if (!(size = qg_text_character(path))) return false;
    return true;
}

qg_status qg_study_save(const qg_study *study, const char *folder, qg_error *error)
{
    qg_status status = check_folder(study, folder, error);
    if (!status) status = refuse_links(folder, error);
    if (!status) status = qg_folder_create(folder, error);
    if (status) return status;
    const char *const file = study->file && is_text(study->file) ? study->file : NULL;
    json_t *const head = json_pack("{s:i, s:s, s:f, s:s, s:s*}", "format", 1, "study", study->name,
                                   "scale", study->scale, "base", study->base, "file", file);
    char *const text = head ? qg_json_text(head, JSON_INDENT(2)) : NULL;
    json_decref(head);
    if (!text && !is_text(study->base)) /* which JSON cannot hold */
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: the name of the study file's folder is not UTF-8 text", study->base);
    if (!text) return qg_fail_memory(error, "study.json", 0);
    /* First what makes it this study's: killed before the second, the same command mends it. */
    status = write_file(folder, "study.json", text, strlen(text), error);
    if (!status) status = write_file(folder, "study.yaml", study->text, study->text_size, error);
    free(text);
    return status;
}

qg_status qg_study_hold(const qg_study *study, const char *folder, qg_study_check *check,
                        qg_lock *lock, qg_error *error)
{
    /* A folder of a study is locked before it is changed; others are the business of the save. */
    char *path = qg_path_join(folder, "study.json");
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    const bool there = access(path, F_OK) == 0;
    free(path);
    *lock = (qg_lock){-1};
    qg_status status = there ? qg_lock_folder(folder, lock, error) : QG_OK;
    if (!status && check) status = check(study, folder, error);
    if (!status) status = qg_study_save(study, folder, error);
    if (!status && !there) status = qg_lock_folder(folder, lock, error);
    if (status) qg_unlock_folder(lock);
    return status;
}

/* ------------------------------------------------------------------- looking several times */

/* Who has seen results may not choose how often, and how strictly, is looked. */
static qg_status refuse_finished(const qg_study *study, const char *folder, qg_error *error)
{
    qg_task_status *statuses = calloc((size_t)study->task_count + 1, sizeof *statuses);
    if (!statuses) return qg_fail_memory(error, "a study's tasks", sizeof *statuses);
    const qg_status status = qg_study_look(study, folder, statuses, error);
    int count = 0;
    for (int t = 0; t < study->task_count && !status; t++)
        count += study->runs[study->tasks[t].run].listed && statuses[t].state == QG_TASK_FINISHED;
    free(statuses);
    if (status || count == 0) return status;
    return qg_fail(error, QG_ERROR_USAGE,
                   "%s: %d of the runs that are compared have finished: how often is looked is "
                   "fixed before anybody sees results; take another `folder`",
                   folder, count);
}

qg_status qg_study_start_looks(qg_study *study, const char *folder, int64_t max_seeds,
                               qg_spending spending, qg_error *error)
{
    qg_lock lock = {-1};
    qg_status status = qg_study_begin_looks(study, max_seeds, spending, error);
    if (!status) status = refuse_finished(study, folder, error);
    if (!status) status = qg_study_hold(study, folder, NULL, &lock, error);
    if (!status) status = qg_study_write_looks(study, folder, error);
    qg_unlock_folder(&lock);
    return status;
}
