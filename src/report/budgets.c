/* What listed grafts take over all steps, and what a baseline of as many steps reaches. */
#include "report/stages.h"

#include <math.h>

/* Whether the report shows them: where layers alone are copied only if long baselines ask. */
static bool are_wanted(const qg_study *study)
{
    for (int i = 0; i < study->run_count; i++) {
        const qg_study_run *const run = &study->runs[i];
        if (run->long_run >= 0) return true;
        if (run->listed && run->kind == QG_RUN_GRAFT && qg_graft_reuses(&run->choice)) return true;
    }
    return false;
}

qg_status qg_results_find_budgets(qg_results *r, qg_error *error)
{
    if (!are_wanted(r->study)) return QG_OK;
    r->budgets = qg_results_memory((size_t)r->study->run_count, sizeof *r->budgets, error);
    if (!r->budgets) return QG_ERROR_MEMORY;
    qg_status status = QG_OK;
    for (int i = 0; i < r->study->run_count && !status; i++)
        status = qg_study_budget_of(r->study, i, &r->budgets[i], error);
    return status;
}

bool qg_results_is_long(const qg_results *r, int run)
{
    bool is_long = false;
    for (int i = 0; i < r->study->run_count; i++) {
        const qg_study_run *const other = &r->study->runs[i];
        if (other->listed && other->kind == QG_RUN_GRAFT && other->baseline == run) return false;
        is_long = is_long || other->long_run == run;
    }
    return is_long;
}

int qg_results_long_baseline(const qg_results *r, int baseline)
{
    return baseline < 0 ? -1 : r->study->runs[baseline].long_run;
}

/* The mean of the last evaluation that is not behind so many steps; NaN: there is none. */
static double score_at(const qg_run_curves *run, double steps)
{
    double score = NAN;
    for (size_t i = 0; i < run->curves.point_count; i++)
        if ((double)run->curves.steps[i] <= steps) score = run->band[i].value;
    return score;
}

bool qg_results_budget(const qg_results *r, int index, qg_budget_row *row)
{
    const qg_study_run *const run = &r->study->runs[index];
    if (!run->listed || run->kind != QG_RUN_GRAFT || !r->runs[index].curves.seed_count)
        return false;
    const qg_study_budget *const budget = &r->budgets[index];
    *row = (qg_budget_row){.run = index,
                           .long_baseline = qg_results_long_baseline(r, run->baseline),
                           .all = qg_study_budget_before(budget) + budget->steps,
                           .long_score = NAN};
    row->score = score_at(&r->runs[index], INFINITY);
    if (row->long_baseline >= 0) row->long_score = score_at(&r->runs[row->long_baseline], row->all);
    return true;
}
