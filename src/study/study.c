/* The parts of a study by name, and its end. */
#include "study/reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool qg_study_append_id(char id[QG_STUDY_NAME], const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(id);
    if (!*text || (!length && (*text == '.' || *text == '-'))) return false;
    for (const char *c = text; *c; c++) {
        if (length + 1 == QG_STUDY_NAME) return false;
        id[length++] = strchr(allowed, *c) ? *c : '-';
    }
    id[length] = '\0';
    return true;
}

int qg_study_find_source(const qg_study *study, const char *name)
{
    for (int i = 0; i < study->source_count; i++)
        if (strcmp(study->sources[i].name, name) == 0) return i;
    return -1;
}

const char *qg_source_game(const qg_study *study, const qg_study_source *source)
{
    return source->run >= 0 ? study->runs[source->run].game : source->file_game;
}

const char *qg_source_network(const qg_study *study, const qg_study_source *source)
{
    return source->run >= 0 ? study->runs[source->run].settings.network
                            : source->file_architecture.text;
}

bool qg_study_is_control(const qg_study *study, const qg_study_run *run)
{
    return run->source < 0 ||
           strcmp(qg_source_game(study, &study->sources[run->source]), run->game) == 0;
}

void qg_task_name(const qg_study *study, int task, char *text, size_t size)
{
    const qg_study_task *const t = &study->tasks[task];
    snprintf(text, size, "%s:%" PRIu64, study->runs[t->run].id, t->seed);
}

void qg_study_free_source(qg_study_source *source)
{
    for (int i = 0; i < source->file_count; i++)
        free(source->files[i]);
    free(source->files);
}

void qg_study_free_run(qg_study_run *run)
{
    free(run->seeds);
    free(run->file_seeds);
    free(run->snapshots);
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
    qg_study_free_looks(&study->looks);
    free(study->sources);
    free(study->runs);
    free(study->tasks);
    free(study->games);
    free(study->claims);
    free(study->seeds);
    free(study->baseline_seeds);
    free(study->question);
    free(study->path);
    free(study->base);
    free(study->file);
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
