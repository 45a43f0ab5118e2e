#include "study/lost_networks.h"

#include <qgraft/agent.h>

#include "study/kinds.h"
#include "study/task_file.h"
#include "study/task_folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Which of a task's parents does not have the network that it begins from; -1: all have. Networks
 * of files have no parent. */
static int find_missing(const qg_study *study, int t, const char *folder,
                        const qg_task_state *states)
{
    const qg_study_task *task = &study->tasks[t];
    const qg_study_run *run = &study->runs[task->run];
    int sources[QG_MAX_TEACHERS], count, missing = -1, parent = 0;
    char *files[QG_MAX_TEACHERS];
    qg_error ignored; /* what cannot be named now fails when the task is started */
    if (task->parent_count == 0 || qg_task_networks(study, t, folder, files, &count, &ignored))
        return -1;
    qg_study_kind_of(run)->sources(run, sources);
    for (int i = 0; i < count; i++) {
        const int maker = study->sources[sources[i]].run < 0 ? -1 : task->parents[parent++];
        if (maker >= 0 && missing < 0 && states[maker] == QG_TASK_FINISHED &&
            access(files[i], F_OK) != 0)
            missing = maker;
        free(files[i]);
    }
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
