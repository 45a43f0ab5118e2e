/* From curves to pairs, from pairs to verdicts. */
#include "report/stages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The verdict on one measure; not where it is undefined for a pair (no evaluation at step 0). */
static qg_status judge_measure(const qg_experiment *e, int measure, qg_verdict *verdict,
                               qg_error *error)
{
    const qg_estimate none = {NAN, NAN, NAN};
    double *values = qg_results_memory(e->pair_count, sizeof *values, error);
    if (!values) return error->code;
    bool defined = e->pair_count > 0;
    for (size_t i = 0; i < e->pair_count; i++) {
        values[i] = e->pairs[i].difference[measure];
        defined = defined && isfinite(values[i]);
    }
    qg_status status = QG_OK;
    *verdict = (qg_verdict){.reason = QG_NO_PAIRS, .bootstrap = none, .student = none};
    if (defined) status = qg_verdict_of(values, e->pair_count, QG_REPORT_SEED, verdict, error);
    free(values);
    return status;
}

/* That the area of one of the transfers is larger than that of one of the baselines. */
static qg_status find_probability(qg_experiment *e, qg_error *error)
{
    double *areas = qg_results_memory(2 * e->pair_count, sizeof *areas, error);
    if (!areas) return error->code;
    for (size_t i = 0; i < e->pair_count; i++) {
        areas[i] = e->pairs[i].transfer[QG_AREA];
        areas[e->pair_count + i] = e->pairs[i].baseline[QG_AREA];
    }
    const double *transfer = areas, *baseline = areas + e->pair_count;
    const qg_tasks x = {1, &e->pair_count, &transfer}, y = {1, &e->pair_count, &baseline};
    const qg_status status =
        qg_probability_of_improvement(&x, &y, QG_REPORT_SEED, &e->probability, error);
    free(areas);
    return status;
}

static qg_status judge(qg_experiment *e, qg_error *error)
{
    qg_status status = QG_OK;
    for (int m = 0; m < QG_MEASURES && !status; m++)
        status = judge_measure(e, m, &e->verdicts[m], error);
    if (!status) status = find_probability(e, error);
    return status ? status : qg_threshold_times_of(e->pairs, e->pair_count, &e->times, error);
}

static void explain(qg_experiment *e, const char *why)
{
    snprintf(e->problem, sizeof e->problem, "%s", why);
}

/* The pairs of a run and its baseline, at the steps that both have; a problem is written down. */
static qg_status pair_up(qg_results *r, qg_experiment *e, qg_error *error)
{
    const int baseline_run = r->study->runs[e->run].baseline;
    if (baseline_run < 0) {
        explain(e, "the study has no baseline for it");
        return QG_OK;
    }
    qg_curves transfer = r->runs[e->run].curves, baseline = r->runs[baseline_run].curves;
    if (transfer.seed_count == 0 || baseline.seed_count == 0) {
        explain(e, transfer.seed_count == 0 ? "there is no curve of it yet"
                                            : "there is no curve of its baseline yet");
        return QG_OK;
    }
    if (e->game->problem[0]) {
        explain(e, e->game->problem);
        return QG_OK;
    }
    if (baseline.point_count < transfer.point_count) transfer.point_count = baseline.point_count;
    baseline.point_count = transfer.point_count;
    e->point_count = transfer.point_count;
    e->pairs = qg_results_memory(transfer.seed_count, sizeof *e->pairs, error);
    if (!e->pairs) return error->code;
    if (qg_pairs_measure(&baseline, &transfer, &e->game->scale, e->pairs, &e->pair_count, error)) {
        explain(e, error->message);
        return QG_OK;
    }
    if (e->pair_count == 0) {
        explain(e, "it has no seed in common with its baseline");
        return QG_OK;
    }
    r->compared++;
    return judge(e, error);
}

static const qg_game_scale *find_game(const qg_results *r, const char *name)
{
    for (int g = 0; g < r->study->game_count; g++)
        if (strcmp(r->study->games[g].name, name) == 0) return &r->games[g];
    static const qg_game_scale unknown = {.problem = "the study does not list its game"};
    return &unknown;
}

/* The facts of a run: of its first seed that says something. */
static const qg_run_facts *find_facts(const qg_results *r, int run)
{
    static const qg_run_facts none;
    for (int t = 0; t < r->study->task_count; t++)
        if (r->study->tasks[t].run == run && r->facts[t].version[0]) return &r->facts[t];
    return &none;
}

static void find_source_game(const qg_results *r, qg_experiment *e)
{
    const int source = r->study->runs[e->run].source;
    const char *game = e->facts.parent_domain;
    if (source < 0)
        game = "";
    else if (r->study->sources[source].run >= 0)
        game = r->study->runs[r->study->sources[source].run].game;
    snprintf(e->source_game, sizeof e->source_game, "%s", game);
    e->control = source < 0 || strcmp(game, r->study->runs[e->run].game) == 0;
}

qg_status qg_results_compare(qg_results *r, qg_error *error)
{
    r->experiments = qg_results_memory((size_t)r->study->run_count, sizeof *r->experiments, error);
    if (!r->experiments) return error->code;
    r->only_controls = true;
    for (int i = 0; i < r->study->run_count; i++) {
        const qg_study_run *run = &r->study->runs[i];
        if (!run->listed || run->kind != QG_RUN_GRAFT) continue;
        qg_experiment *e = &r->experiments[r->experiment_count++];
        *e = (qg_experiment){.run = i, .game = find_game(r, run->game), .facts = *find_facts(r, i)};
        find_source_game(r, e);
        r->only_controls = r->only_controls && e->control;
        if (pair_up(r, e, error)) return error->code;
    }
    return QG_OK;
}
