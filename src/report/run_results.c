/* What the folders of the runs hold: states, facts, curves and what each seed reached. */
#include "report/stages.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------ completeness */

static bool is_measurement(const qg_results *r, int task)
{
    return qg_study_is_measurement(&r->study->runs[r->study->tasks[task].run]);
}

/* A study with runs to do is refused, unless what there is will do; measurements may be missing. */
static qg_status check_finished(const qg_results *r, qg_error *error)
{
    int missing = 0, all = 0, first = -1;
    for (int t = 0; t < r->study->task_count; t++) {
        if (is_measurement(r, t)) continue;
        all++;
        if (r->statuses[t].state == QG_TASK_FINISHED) continue;
        if (first < 0) first = t;
        missing++;
    }
    if (missing == 0 || r->partial) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE,
                   "%s: %d of %d runs are not finished (%s is %s): `run` goes on with them, "
                   "`partial` reports what there is",
                   r->folder, missing, all, r->study->tasks[first].folder,
                   qg_task_state_name(r->statuses[first].state));
}

static qg_status look(qg_results *r, qg_error *error)
{
    const size_t tasks = (size_t)r->study->task_count;
    r->statuses = qg_results_memory(tasks, sizeof *r->statuses, error);
    r->facts = qg_results_memory(tasks, sizeof *r->facts, error);
    r->trainings = qg_results_memory(tasks, sizeof *r->trainings, error);
    r->runs = qg_results_memory((size_t)r->study->run_count, sizeof *r->runs, error);
    if (!r->statuses || !r->facts || !r->trainings || !r->runs) return error->code;
    const qg_status status = qg_study_look(r->study, r->folder, r->statuses, error);
    return status ? status : check_finished(r, error);
}

/* ------------------------------------------------------------------------------------ curves */

static bool has_begun(const qg_task_status *status)
{
    return status->state == QG_TASK_FINISHED || status->state == QG_TASK_RUNNING ||
           status->state == QG_TASK_STOPPED || status->state == QG_TASK_FAILED;
}

/* Whether the curve goes as far as the run should. */
static qg_status check_length(const qg_results *r, const qg_study_task *task, const qg_curve *curve,
                              qg_error *error)
{
    const qg_study_run *run = &r->study->runs[task->run];
    if (curve->count < 2)
        return qg_fail(error, QG_ERROR_DATA, "%s/evaluations.csv: %zu evaluations, no curve yet",
                       task->folder, curve->count);
    const int64_t last = curve->steps[curve->count - 1];
    if (r->partial || last >= run->steps) return QG_OK;
    return qg_fail(error, QG_ERROR_DATA,
                   "%s/evaluations.csv: ends at step %" PRId64 " of %" PRId64
                   ": `partial` takes the steps that all runs have",
                   task->folder, last, run->steps);
}

/* Adds the curve of a task to its run's. */
static qg_status read_task(qg_results *r, int task_index, const char *folder, qg_error *error)
{
    const qg_study_task *task = &r->study->tasks[task_index];
    qg_run_curves *run = &r->runs[task->run];
    qg_curve curve;
    qg_status status = qg_curve_read(folder, &curve, &r->warnings, error);
    if (!status) status = qg_training_read(folder, &r->trainings[task_index], &r->warnings, error);
    if (!status) status = check_length(r, task, &curve, error);
    if (!status && !qg_run_curves_fit(run, &curve))
        status = qg_fail(error, QG_ERROR_DATA,
                         "%s/evaluations.csv: evaluated at other steps than the other seeds",
                         task->folder);
    if (status) {
        qg_curve_free(&curve);
        return qg_results_do_without(r, "the seed", status, error);
    }
    qg_run_curves_add(run, task->seed, &curve);
    return QG_OK;
}

/* Reads what the folder of a task says; its curve, too, if it is to be shown. */
static qg_status visit_task(qg_results *r, int t, qg_error *error)
{
    const qg_study_task *task = &r->study->tasks[t];
    if (!has_begun(&r->statuses[t]) && is_measurement(r, t)) return QG_OK;
    if (!has_begun(&r->statuses[t]))
        return qg_warn(&r->warnings, error, "%s is %s: not in this report", task->folder,
                       qg_task_state_name(r->statuses[t].state));
    char *folder = qg_path_join(r->folder, task->folder);
    if (!folder) return qg_fail_memory(error, "a path", strlen(r->folder));
    qg_status status = QG_OK;
    qg_run_facts_read(folder, &r->facts[t]);
    if (r->statuses[t].state == QG_TASK_FAILED)
        status =
            qg_warn(&r->warnings, error, "%s failed: %s", task->folder, r->statuses[t].message);
    if (!status && r->runs[task->run].shown) status = read_task(r, t, folder, error);
    free(folder);
    return status;
}

/* Of a run whose curves were read: its band, and what each seed reached. */
static qg_status measure_run(qg_results *r, int index, qg_error *error)
{
    const qg_study_run *run = &r->study->runs[index];
    qg_run_curves *result = &r->runs[index];
    qg_curves *curves = &result->curves;
    if (curves->seed_count == 0) return QG_OK;
    qg_status status = qg_run_curves_finish(result, error);
    result->levels = qg_results_memory(curves->seed_count, sizeof *result->levels, error);
    if (!status && !result->levels) status = error->code;
    if (!status) status = qg_levels_measure(curves, result->levels, error);
    const int64_t last = curves->steps[curves->point_count - 1];
    if (status || last >= run->steps) return status;
    return qg_warn(&r->warnings, error,
                   "%s is shown up to step %" PRId64 " of %" PRId64
                   ", which all seeds in this report have reached",
                   run->id, last, run->steps);
}

/* Finds the runs of which a seed has begun, or cannot; all others share one line. */
static qg_status warn_of_waiting(qg_results *r, bool *begun, qg_error *error)
{
    int waiting = 0, all = 0;
    for (int t = 0; t < r->study->task_count; t++)
        begun[r->study->tasks[t].run] |= r->statuses[t].state != QG_TASK_WAITING;
    for (int i = 0; i < r->study->run_count; i++) {
        if (qg_study_is_measurement(&r->study->runs[i])) continue;
        all++;
        waiting += !begun[i];
    }
    if (waiting == 0) return QG_OK;
    return qg_warn(&r->warnings, error,
                   "%d of %d runs have not begun with any seed, and are not in this report",
                   waiting, all);
}

static qg_status warn_of_measurements(qg_results *r, qg_error *error)
{
    int missing = 0, all = 0;
    for (int t = 0; t < r->study->task_count; t++) {
        if (!is_measurement(r, t)) continue;
        all++;
        missing += r->statuses[t].state != QG_TASK_FINISHED;
    }
    if (missing == 0) return QG_OK;
    return qg_warn(&r->warnings, error,
                   "%d of %d measurements of games (what random play scores, how alike two games "
                   "are) have not been made: running the study again makes them; this "
                   "report does without",
                   missing, all);
}

static qg_status read_runs(qg_results *r, qg_error *error)
{
    for (int i = 0; i < r->study->run_count; i++) {
        const qg_study_run *run = &r->study->runs[i];
        if (!run->listed || run->kind == QG_RUN_DISTILL) continue;
        r->runs[i].shown = true;
        if (run->kind == QG_RUN_GRAFT && run->baseline >= 0) r->runs[run->baseline].shown = true;
    }
    for (int i = 0; i < r->study->run_count; i++)
        if (qg_run_curves_create(&r->runs[i], (size_t)r->study->runs[i].seed_count, error))
            return error->code;
    bool *const begun = qg_results_memory((size_t)r->study->run_count, sizeof *begun, error);
    if (!begun) return error->code;
    qg_status status = warn_of_waiting(r, begun, error);
    if (!status) status = warn_of_measurements(r, error);
    for (int t = 0; t < r->study->task_count && !status; t++)
        if (begun[r->study->tasks[t].run]) status = visit_task(r, t, error);
    free(begun);
    if (status) return status;
    for (int i = 0; i < r->study->run_count; i++)
        if (measure_run(r, i, error)) return error->code;
    return QG_OK;
}

/* Results of different versions are not the same experiment. */
static qg_status warn_mixed(qg_results *r, qg_error *error)
{
    const qg_run_facts *first = NULL;
    qg_status status = QG_OK;
    for (int t = 0; t < r->study->task_count && !status; t++) {
        const qg_run_facts *facts = &r->facts[t];
        if (!facts->version[0]) continue;
        if (!first) first = facts;
        if (strcmp(facts->version, first->version) != 0)
            status = qg_warn(&r->warnings, error, "runs of qgraft %s and %s are mixed",
                             first->version, facts->version);
    }
    return status;
}

/* Nor is a run that an environment did not let go on as it was. */
static qg_status warn_inexact(qg_results *r, qg_error *error)
{
    int runs = 0;
    for (int t = 0; t < r->study->task_count; t++)
        runs += r->facts[t].inexact_resumes > 0;
    if (runs == 0) return QG_OK;
    return qg_warn(
        &r->warnings, error,
        "inexact_resumes in process.yaml of %d runs: interrupted, they went on otherwise "
        "than without interruption, and run again they give other results",
        runs);
}

qg_status qg_results_read(qg_results *results, qg_error *error)
{
    qg_status status = look(results, error);
    if (!status) status = read_runs(results, error);
    if (!status) status = warn_mixed(results, error);
    return status ? status : warn_inexact(results, error);
}
