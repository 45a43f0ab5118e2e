/* From curves to pairs: each listed graft beside its baseline. */
#include "report/stages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void explain(qg_experiment *e, const char *why)
{
    snprintf(e->problem, sizeof e->problem, "%s", why);
}

/* What each seed of a run reached up to a point, of that many of its evaluations. */
static qg_status measure_side(const qg_results *r, int run, size_t points, qg_side *side,
                              qg_error *error)
{
    qg_curves curves = r->runs[run].curves;
    curves.point_count = points;
    *side = (qg_side){run, curves.seed_count, points, curves.seeds, NULL, 0};
    side->levels = qg_results_memory(curves.seed_count, sizeof *side->levels, error);
    return side->levels ? qg_levels_measure(&curves, side->levels, error) : error->code;
}

/* The pairs of a run and its baseline, at the steps that both have; a problem is written down. */
static qg_status pair_up(qg_results *r, qg_experiment *e, qg_error *error)
{
    const int baseline_run = r->study->runs[e->run].baseline;
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
    e->pairs = qg_results_memory(transfer.seed_count, sizeof *e->pairs, error);
    if (!e->pairs) return error->code;
    if (qg_pairs_measure(&baseline, &transfer, &e->game->scale, e->pairs, &e->pair_count, error)) {
        explain(e, error->message);
        return QG_OK;
    }
    if (e->pair_count == 0 && r->study->rule.compare == QG_COMPARE_PAIRED) {
        explain(e, "it has no seed in common with its baseline");
        return QG_OK;
    }
    qg_status status = measure_side(r, e->run, transfer.point_count, &e->transfer, error);
    if (!status) status = measure_side(r, baseline_run, baseline.point_count, &e->baseline, error);
    return status ? status : qg_threshold_times_of(e->pairs, e->pair_count, &e->times, error);
}

/* ----------------------------------------------------------------------------- what is compared */

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
    e->control = qg_study_is_control(r->study, &r->study->runs[e->run]);
}

/* Whether all seeds of the run have all their evaluations in this report. */
static bool is_complete(const qg_results *r, int run)
{
    const qg_study_run *it = &r->study->runs[run];
    const qg_curves *curves = &r->runs[run].curves;
    if (curves->seed_count < (size_t)it->seed_count) return false;
    return curves->steps[curves->point_count - 1] >= it->steps; /* its last step is evaluated */
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
        e->complete = is_complete(r, i) && is_complete(r, run->baseline);
        if (pair_up(r, e, error)) return error->code;
    }
    return QG_OK;
}
