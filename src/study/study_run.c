/* A study as a whole: what it will take here, and its run from the lock to the last task. */
#include <qgraft/study.h>

#include "base/team.h"
#include "base/text.h"
#include "study/estimate.h"
#include "study/executor.h"
#include "study/kinds.h"
#include "study/lost_networks.h"
#include "study/schedule.h"
#include "study/study_folder.h"
#include "study/task_folder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------- outlook */

static qg_status find_only(const qg_study *study, const char *name, int *task, qg_error *error)
{
    char text[QG_TASK_NAME];
    for (*task = study->task_count - 1; name && *task >= 0; --*task) {
        qg_task_name(study, *task, text, sizeof text);
        if (strcmp(text, name) == 0) return QG_OK;
    }
    *task = -1;
    if (!name) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE, "'%.80s' is no run of the study with its seed (ID:SEED)",
                   name);
}

/* As many runs at once as there are cores for, and memory; a number that was asked for is not
 * doubted. */
static void set_limits(const qg_study *study, const char *folder, int jobs,
                       qg_study_outlook *outlook)
{
    qg_capacity capacity;
    qg_capacity_look(folder, &capacity);
    const int most = capacity.cores / study->threads;
    outlook->memory = capacity.memory;
    outlook->disk = capacity.disk;
    outlook->limits.jobs = jobs ? jobs : most > 1 ? most : 1;
    outlook->limits.memory = jobs ? INFINITY : capacity.memory;
}

/* Whether a task will be finished without running, or waits; anew[task]: all of it again. */
static qg_status find_work(const qg_study *study, const char *folder, qg_study_outlook *outlook,
                           qg_task_state *states, bool *anew, qg_error *error)
{
    qg_other_runs others;
    qg_status status = qg_other_runs_find(study, folder, &others, error);
    for (int t = 0; t < study->task_count && !status; t++) {
        status = qg_task_look_back(study, t, folder, &others, &outlook->returning[t], error);
        states[t] =
            outlook->statuses[t].state == QG_TASK_FINISHED ? QG_TASK_FINISHED : QG_TASK_WAITING;
    }
    qg_other_runs_free(&others);
    if (status) return status;
    qg_study_find_lost(study, folder, states, anew);
    for (int t = 0; t < study->task_count; t++)
        if (outlook->returning[t].state == QG_TASK_FINISHED && !anew[t])
            states[t] = QG_TASK_FINISHED;
    return QG_OK;
}

/* The share of a task that is done already. */
static double share_done(const qg_task_status *status)
{
    const bool goes_on = status->state == QG_TASK_STOPPED || status->state == QG_TASK_RUNNING ||
                         status->state == QG_TASK_FAILED;
    return goes_on && status->steps > 0 ? fmin(1, (double)status->step / (double)status->steps) : 0;
}

static qg_status forecast(const qg_study *study, qg_study_outlook *outlook,
                          const qg_task_state *states, const bool *anew, qg_error *error)
{
    const size_t count = (size_t)study->task_count + 1;
    qg_task_load *left = calloc(count, sizeof *left);
    if (!left) return qg_fail_memory(error, "a forecast", count * sizeof *left);
    for (int t = 0; t < study->task_count; t++) {
        left[t] = outlook->loads[t];
        if (!anew[t])
            left[t].seconds *=
                1 - fmax(share_done(&outlook->statuses[t]), share_done(&outlook->returning[t]));
    }
    const qg_status status =
        qg_schedule_forecast(study, states, left, &outlook->limits, &outlook->forecast, error);
    free(left);
    return status;
}

static qg_status weigh(const qg_study *study, const char *folder, qg_study_outlook *outlook,
                       qg_error *error)
{
    const size_t count = (size_t)study->task_count + 1;
    if (outlook->only >= 0) /* a forecast of the others is not asked for */
        return qg_study_estimate(study, NULL, outlook->loads, error);
    qg_task_state *states = calloc(count, sizeof *states);
    bool *anew = calloc(count, sizeof *anew);
    qg_status status = states && anew ? find_work(study, folder, outlook, states, anew, error)
                                      : qg_fail_memory(error, "a forecast", count * sizeof *states);
    if (!status) status = qg_study_estimate(study, states, outlook->loads, error);
    if (!status) status = forecast(study, outlook, states, anew, error);
    free(anew);
    free(states);
    return status;
}

static qg_status look_ahead(const qg_study *study, const char *folder,
                            const qg_study_options *options, qg_study_outlook *outlook,
                            qg_error *error)
{
    const size_t count = (size_t)study->task_count + 1;
    if (study->threads < 1 || study->threads > QG_MAX_THREADS)
        return qg_fail(error, QG_ERROR_USAGE, "`threads`: %d is not from 1 to %d", study->threads,
                       QG_MAX_THREADS);
    if (options->jobs < 0)
        return qg_fail(error, QG_ERROR_USAGE, "`jobs`: %d is below 0", options->jobs);
    qg_status status = find_only(study, options->only, &outlook->only, error);
    if (status) return status;
    set_limits(study, folder, options->jobs, outlook);
    outlook->statuses = calloc(count, sizeof *outlook->statuses);
    outlook->returning = calloc(count, sizeof *outlook->returning);
    outlook->loads = calloc(count, sizeof *outlook->loads);
    if (!outlook->statuses || !outlook->returning || !outlook->loads)
        return qg_fail_memory(error, "a study's tasks", count * sizeof *outlook->statuses);
    status = outlook->only < 0
                 ? qg_study_look(study, folder, outlook->statuses, error)
                 : qg_task_look(study, outlook->only, folder, outlook->statuses, error);
    return status ? status : weigh(study, folder, outlook, error);
}

qg_status qg_study_foresee(const qg_study *study, const char *folder,
                           const qg_study_options *options, qg_study_outlook *outlook,
                           qg_error *error)
{
    *outlook = (qg_study_outlook){.only = -1};
    const qg_status status = look_ahead(study, folder, options, outlook, error);
    if (status) qg_study_outlook_free(outlook);
    return status;
}

void qg_study_outlook_free(qg_study_outlook *outlook)
{
    free(outlook->statuses);
    free(outlook->returning);
    free(outlook->loads);
    *outlook = (qg_study_outlook){.only = -1};
}

/* Whether runs were begun, which hold room on the disk and give it back when they are finished. */
static bool has_begun(const qg_study *study, const qg_study_outlook *outlook)
{
    for (int t = 0; t < study->task_count; t++) {
        const qg_task_state state = outlook->statuses[t].state;
        if (state == QG_TASK_STOPPED || state == QG_TASK_RUNNING || state == QG_TASK_FAILED)
            return true;
    }
    return false;
}

qg_status qg_study_check_room(const qg_study *study, const qg_study_outlook *outlook,
                              qg_error *error)
{
    const bool begun = has_begun(study, outlook);
    for (int t = 0; t < study->task_count; t++) {
        const qg_task_load *const load = &outlook->loads[t];
        const qg_task_state state = outlook->statuses[t].state;
        if (outlook->only >= 0 && t != outlook->only) continue;
        const qg_study_run *const run = &study->runs[study->tasks[t].run];
        const bool memory = load->memory > outlook->memory;
        const bool disk = load->disk > outlook->disk && !begun;
        if (state == QG_TASK_FINISHED || (!memory && !disk)) continue;
        char needed[32], there[32];
        return qg_fail(
            error, QG_ERROR_USAGE,
            "%s: a run of it needs %s of %s, there are %s: shrink it with `scale`, or set a "
            "smaller '%s'",
            run->id, qg_text_from_bytes(memory ? load->memory : load->disk, needed),
            memory ? "memory" : "disk",
            qg_text_from_bytes(memory ? outlook->memory : outlook->disk, there),
            qg_study_kind_of(run)->size);
    }
    return QG_OK;
}

/* ------------------------------------------------------------------------------------- work */

qg_status qg_study_execute(const qg_study *study, const char *folder,
                           const qg_study_options *options, qg_study_result *result,
                           qg_error *error)
{
    qg_study_options resolved = *options;
    qg_study_outlook outlook;
    qg_lock lock = {-1};
    if (!(resolved.stall_seconds > 0)) resolved.stall_seconds = 1800;
    *result = (qg_study_result){.failed = -1};
    qg_status status = qg_study_foresee(study, folder, &resolved, &outlook, error);
    if (status) return status;
    status = qg_study_check_room(study, &outlook, error);
    if (!status && outlook.only < 0) status = qg_study_hold(study, folder, NULL, &lock, error);
    qg_domains_release(); /* the runs are other processes */
    if (!status) status = qg_executor_run(study, folder, &resolved, &outlook, result, error);
    qg_unlock_folder(&lock);
    qg_study_outlook_free(&outlook);
    return status;
}
