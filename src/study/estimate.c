#include "study/estimate.h"

#include "base/file.h"
#include "base/machine.h"
#include "study/kinds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

/* --------------------------------------------------------------------------- the machine */

/* Of the nearest folder above `path` that is there. */
static double free_above(char *path)
{
    struct statvfs disk;
    while (statvfs(path, &disk) != 0) {
        char *slash = strrchr(path, '/');
        if (slash == path || strcmp(path, ".") == 0) return INFINITY;
        if (slash)
            *slash = 0;
        else
            strcpy(path, ".");
    }
    return (double)disk.f_bavail * (double)disk.f_frsize;
}

double qg_study_disk(const char *folder)
{
    char *const runs = qg_path_join(folder, "runs");
    const double bytes = runs ? free_above(runs) : INFINITY;
    free(runs);
    return bytes;
}

void qg_capacity_look(const char *folder, qg_capacity *capacity)
{
    *capacity = (qg_capacity){qg_machine_cores(), qg_machine_memory(), qg_study_disk(folder)};
}

/* ------------------------------------------------------------------------------- the loads */

/* Whether the times of `a` are good for `b`, too. */
static bool is_alike(const qg_study_run *a, const qg_study_run *b)
{
    const qg_settings *s = &a->settings, *o = &b->settings;
    if (strcmp(a->game, b->game) != 0 || s->frame_skip != o->frame_skip) return false;
    return qg_study_is_measurement(b) || /* for which nobody learns */
           (strcmp(s->network, o->network) == 0 && strcmp(s->precision, o->precision) == 0 &&
            strcmp(s->actions, o->actions) == 0 && s->history == o->history &&
            strcmp(s->optimiser, o->optimiser) == 0 && s->double_q == o->double_q &&
            s->prioritised == o->prioritised && s->max_grad_norm == o->max_grad_norm &&
            s->minibatch == o->minibatch && s->dropout_conv == o->dropout_conv &&
            s->dropout_linear == o->dropout_linear);
}

static bool is_finished(const qg_study *study, const qg_task_state *states, int run)
{
    for (int t = 0; t < study->task_count; t++)
        if (study->tasks[t].run == run && states[t] != QG_TASK_FINISHED) return false;
    return true;
}

/* `all`: the times of each run, those measured by `measured`. */
static qg_status estimate_run(const qg_study *study, int r, bool measure, qg_run_times *all,
                              bool *measured, qg_error *error)
{
    for (int like = 0; like < r; like++)
        if (is_alike(&study->runs[like], &study->runs[r]) && measured[like] >= measure) {
            all[r] = all[like];
            measured[r] = measured[like];
            return QG_OK;
        }
    measured[r] = measure;
    const qg_status status =
        qg_measure_run(&study->runs[r], study->threads, measure, &all[r], error);
    all[r].plain = study->plain_replay;
    return status;
}

static qg_status estimate_runs(const qg_study *study, const qg_task_state *states,
                               qg_run_times *all, bool *measured, qg_task_load *runs,
                               qg_error *error)
{
    qg_status status = QG_OK;
    for (int r = 0; r < study->run_count && !status; r++) {
        const qg_study_run *const run = &study->runs[r];
        const bool measure = states && !is_finished(study, states, r);
        status = estimate_run(study, r, measure, all, measured, error);
        if (!status) status = qg_study_kind_of(run)->weigh(run, &all[r], &runs[r], error);
        if (states && !measure) runs[r].seconds = 0;
    }
    return status;
}

qg_status qg_study_estimate(const qg_study *study, const qg_task_state *states, qg_task_load *loads,
                            qg_error *error)
{
    const size_t count = (size_t)study->run_count + 1;
    qg_run_times *all = calloc(count, sizeof *all);
    bool *measured = calloc(count, sizeof *measured);
    qg_task_load *runs = calloc(count, sizeof *runs);
    qg_status status = all && measured && runs
                           ? estimate_runs(study, states, all, measured, runs, error)
                           : qg_fail_memory(error, "an estimate", count * sizeof *all);
    for (int t = 0; t < study->task_count && !status; t++)
        loads[t] = runs[study->tasks[t].run];
    free(all);
    free(measured);
    free(runs);
    return status;
}
