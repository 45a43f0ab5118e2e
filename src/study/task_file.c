#include "study/task_file.h"

#include "base/file.h"
#include "study/kinds.h"
#include "study/task_folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A network that a run of the study makes; NULL: no memory. */
static char *made_network(const qg_study_source *source, const char *maker, const char *folder)
{
    char *path;
    const char *const top = folder ? folder : "", *const slash = folder ? "/" : "";
    const int length =
        source->take == QG_TAKE_STEP
            ? asprintf(&path, "%s%s%s/step-%" PRId64 ".safetensors", top, slash, maker, source->at)
            : asprintf(&path, "%s%s%s/%s.safetensors", top, slash, maker,
                       source->take == QG_TAKE_LAST ? "last" : "best");
    return length < 0 ? NULL : path;
}

/* One for all seeds, or the one of the task's. */
static const char *given_network(const qg_study *study, const qg_study_source *source,
                                 uint64_t seed)
{
    int file = 0;
    while (source->file_count > 1 && study->seeds[file] != seed)
        file++;
    return source->files[file];
}

qg_status qg_task_networks(const qg_study *study, int task, const char *folder, char **files,
                           int *count, qg_error *error)
{
    const qg_study_task *const t = &study->tasks[task];
    const qg_study_run *const run = &study->runs[t->run];
    int sources[QG_MAX_TEACHERS], parent = 0;
    const int source_count = qg_study_kind_of(run)->sources(run, sources);
    for (*count = 0; *count < source_count; ++*count) {
        const qg_study_source *const s = &study->sources[sources[*count]];
        files[*count] = s->run < 0
                            ? strdup(given_network(study, s, t->seed))
                            : made_network(s, study->tasks[t->parents[parent++]].folder, folder);
        if (!files[*count]) break;
    }
    if (*count == source_count) return QG_OK;
    while (*count > 0)
        free(files[--*count]);
    return qg_fail_memory(error, "a path", 4096);
}

qg_status qg_task_run_file(const qg_study *study, int task, qg_run_file *file, qg_error *error)
{
    const qg_study_task *const t = &study->tasks[task];
    const qg_study_run *const run = &study->runs[t->run];
    *file = (qg_run_file){
        .kind = run->kind, .seed = t->seed, .settings = run->settings, .reinit_seed = -1};
    qg_status status =
        qg_task_networks(study, task, NULL, file->parents, &file->parent_count, error);
    if (!status) status = qg_study_kind_of(run)->fill(run, file, error);
    if (status) qg_run_file_free(file);
    return status;
}

qg_status qg_task_write_file(const qg_study *study, int task, const char *folder, qg_error *error)
{
    qg_run_file file;
    char *text = NULL, *path = NULL;
    qg_status status = qg_task_run_file(study, task, &file, error);
    if (status) return status;
    status = qg_run_file_format(&file, &text, error);
    qg_run_file_free(&file);
    if (!status && !(path = qg_task_path(study, task, folder, QG_TASK_FILE)))
        status = qg_fail_memory(error, "a path", strlen(folder));
    if (!status) status = qg_file_replace(path, &(qg_piece){text, strlen(text)}, 1, error);
    free(path);
    free(text);
    return status;
}
