/* The end of a study, and its parts by name. */
#include "study/reader.h"

#include <stdlib.h>

void qg_study_free_source(qg_study_source *source)
{
    for (int i = 0; i < source->file_count; i++)
        free(source->files[i]);
    free(source->files);
}

void qg_study_free_run(qg_study_run *run)
{
    free(run->seeds);
    free(run->snapshots);
    free((char *)run->choice.part);
}

void qg_study_free(qg_study *study)
{
    if (!study) return;
    for (int i = 0; i < study->source_count; i++)
        qg_study_free_source(&study->sources[i]);
    for (int i = 0; i < study->run_count; i++)
        qg_study_free_run(&study->runs[i]);
    for (int i = 0; i < study->task_count; i++)
        free(study->tasks[i].folder);
    for (int i = 0; i < study->claim_count; i++) {
        free(study->claims[i].says);
        free(study->claims[i].source);
        free(study->claims[i].of);
        free(study->claims[i].than);
    }
    free(study->sources);
    free(study->runs);
    free(study->tasks);
    free(study->games);
    free(study->claims);
    free(study->seeds);
    free(study->question);
    free(study->path);
    free(study->base);
    free(study->text);
    free(study);
}

const char *qg_task_state_name(qg_task_state state)
{
    static const char *const names[] = {
        [QG_TASK_WAITING] = "waiting",   [QG_TASK_STALE] = "stale",
        [QG_TASK_RUNNING] = "running",   [QG_TASK_STOPPED] = "stopped",
        [QG_TASK_FINISHED] = "finished", [QG_TASK_FAILED] = "failed",
        [QG_TASK_BLOCKED] = "blocked"};
    return names[state];
}
