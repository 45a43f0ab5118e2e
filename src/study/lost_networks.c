#include "study/lost_networks.h"

#include <qgraft/agent.h>

#include "study/reader.h"
#include "study/task_folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Which of a task's parents does not have the network that it begins from; -1: all have. The
 * networks stand behind the command's name; those of files have no parent. */
static int find_missing(const qg_study *study, int t, const char *folder,
                        const qg_task_state *states)
{
    const qg_study_task *task = &study->tasks[t];
    const qg_study_run *run = &study->runs[task->run];
    const int *sources = run->kind == QG_RUN_DISTILL ? run->teachers : &run->source;
    char **arguments;
    qg_error ignored; /* what cannot be named now fails when the task is started */
    int missing = -1, parent = 0;
    if (task->parent_count == 0 || qg_task_command(study, t, folder, &arguments, &ignored))
        return -1;
    for (int i = 0; parent < task->parent_count && missing < 0; i++) {
        if (study->sources[sources[i]].run < 0) continue;
        const int maker = task->parents[parent++];
        if (states[maker] == QG_TASK_FINISHED && access(arguments[1 + i], F_OK) != 0)
            missing = maker;
    }
    qg_arguments_free(arguments);
    return missing;
}

void qg_study_find_lost(const qg_study *study, const char *folder, qg_task_state *states,
                        bool *anew)
{
    for (int t = study->task_count - 1; t >= 0; t--) {
        int missing;
        while (states[t] == QG_TASK_WAITING &&
               (missing = find_missing(study, t, folder, states)) >= 0) {
            states[missing] = QG_TASK_WAITING;
            anew[missing] = true;
        }
    }
}

bool qg_study_has_passed(const qg_study *study, int task, const char *folder)
{
    const qg_study_run *run = &study->runs[study->tasks[task].run];
    char *const run_folder = run->snapshot_count ? qg_task_path(study, task, folder, NULL) : NULL;
    qg_run_state state;
    qg_error ignored;
    bool passed = false;
    if (run_folder && !qg_run_look(run_folder, &state, &ignored))
        for (int i = 0; i < run->snapshot_count && !passed; i++) {
            char name[64];
            snprintf(name, sizeof name, "step-%" PRId64 ".safetensors", run->snapshots[i]);
            char *const path = qg_task_path(study, task, folder, name);
            passed = run->snapshots[i] < state.checkpoint_step && path && access(path, F_OK) != 0;
            free(path);
        }
    free(run_folder);
    return passed;
}
