/* The verdicts on all experiments, which are judged together. */
#include "report/stages.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* All arms and baselines of one measure, normalised. */
typedef struct arms {
    qg_arm *arms;          /* [experiment_count] */
    qg_group *baselines;   /* [baseline_count] */
    const qg_side **sides; /* [baseline_count] whose they are */
    double *values;        /* of all */
    size_t baseline_count, used;
} arms;

static void arms_free(arms *a)
{
    free(a->arms);
    free(a->baselines);
    free(a->sides);
    free(a->values);
}

static qg_status arms_create(const qg_results *r, arms *a, qg_error *error)
{
    size_t runs = 0;
    for (size_t i = 0; i < r->experiment_count; i++)
        runs += r->experiments[i].transfer.count + r->experiments[i].baseline.count;
    a->arms = qg_results_memory(r->experiment_count, sizeof *a->arms, error);
    a->baselines = qg_results_memory(r->experiment_count, sizeof *a->baselines, error);
    a->sides = qg_results_memory(r->experiment_count, sizeof *a->sides, error);
    a->values = qg_results_memory(runs, sizeof *a->values, error);
    return a->arms && a->baselines && a->sides && a->values ? QG_OK : error->code;
}

/* The group of a side. NaN scores (there was no evaluation at step 0) make it empty. */
static qg_group add_group(arms *a, const qg_side *side, const qg_game_scale *game, qg_measure m,
                          qg_stratum stratum)
{
    qg_group group = {a->values + a->used, side->seeds, side->count, stratum, NULL};
    for (size_t s = 0; s < side->count; s++) {
        a->values[a->used] = qg_normalised(&game->scale, side->levels[s][m]);
        if (isnan(a->values[a->used++])) group.count = 0;
    }
    return group;
}

/* Experiments of the same baseline share it, unless they end at other evaluations. */
static size_t find_baseline(arms *a, const qg_experiment *e, qg_measure m)
{
    const qg_group *same = NULL;
    for (size_t b = a->baseline_count; b-- > 0;)
        if (a->sides[b]->run == e->baseline.run) {
            if (a->sides[b]->points == e->baseline.points) return b;
            same = &a->baselines[b];
        }
    a->sides[a->baseline_count] = &e->baseline;
    a->baselines[a->baseline_count] = add_group(a, &e->baseline, e->game, m, QG_BASELINES);
    a->baselines[a->baseline_count].same_runs = same;
    return a->baseline_count++;
}

/* An arm without runs counts in the family that it will belong to; before its baseline has runs,
 * in one of an empty baseline. */
static size_t find_family(const qg_results *r, arms *a, size_t experiment)
{
    const int baseline = r->study->runs[r->experiments[experiment].run].baseline;
    for (size_t b = 0; b < a->baseline_count; b++)
        if (!a->sides[b] || a->sides[b]->run == baseline) return b; /* the empty one is the last */
    a->sides[a->baseline_count] = NULL;
    a->baselines[a->baseline_count] = (qg_group){.stratum = QG_BASELINES};
    return a->baseline_count++;
}

static void fill(const qg_results *r, qg_measure m, arms *a)
{
    assert(a->arms); /* arms_create */
    a->baseline_count = a->used = 0;
    for (size_t i = 0; i < r->experiment_count; i++) /* these have all of it, and stand for it */
        if (!r->experiments[i].problem[0] && r->experiments[i].complete)
            find_baseline(a, &r->experiments[i], m);
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *e = &r->experiments[i];
        a->arms[i] = (qg_arm){.control = e->control && !r->only_controls,
                              .unfinished = e->problem[0] || !e->complete};
        if (e->problem[0]) continue;
        a->arms[i].baseline = find_baseline(a, e, m);
        a->arms[i].runs = add_group(a, &e->transfer, e->game, m,
                                    r->study->runs[e->run].choice.frozen ? QG_FROZEN : QG_FREE);
    }
    for (size_t i = 0; i < r->experiment_count; i++)
        if (r->experiments[i].problem[0]) a->arms[i].baseline = find_family(r, a, i);
}

static qg_status judge_measure(qg_results *r, qg_measure m, arms *a, qg_verdict *verdicts,
                               qg_error *error)
{
    const qg_rule effects = {.compare = r->study->rule.compare, .effects_only = true};
    fill(r, m, a);
    const qg_status status =
        qg_verdicts_of(a->baselines, a->baseline_count, a->arms, r->experiment_count,
                       m == QG_AREA ? &r->study->rule : &effects, QG_REPORT_SEED, verdicts, error);
    for (size_t i = 0; i < r->experiment_count && !status; i++) {
        r->experiments[i].effects[m] = verdicts[i].raw;
        if (m == QG_AREA) r->experiments[i].verdict = verdicts[i];
    }
    if (!status && m == QG_AREA)
        r->pairing = qg_pairing_of(a->baselines, a->arms, verdicts, r->experiment_count);
    return status;
}

/* ------------------------------------------------------------------------------- beside it */

/* A quarter of the way from random play to the reference, in the end. */
static size_t count_learned(const qg_experiment *e, const qg_side *side)
{
    size_t count = 0;
    for (size_t s = 0; s < side->count; s++)
        count += qg_has_learned(&e->game->scale, side->levels[s][QG_ASYMPTOTE]);
    return count;
}

static qg_status look_beside(qg_experiment *e, qg_error *error)
{
    const size_t n = e->transfer.count, m = e->baseline.count;
    double *areas = qg_results_memory(n + m, sizeof *areas, error);
    if (!areas) return error->code;
    for (size_t i = 0; i < n + m; i++)
        areas[i] = i < n ? e->transfer.levels[i][QG_AREA] : e->baseline.levels[i - n][QG_AREA];
    e->probability = qg_improvement_of(areas, n, areas + n, m);
    e->transfer.learned = count_learned(e, &e->transfer);
    e->baseline.learned = count_learned(e, &e->baseline);
    free(areas);
    return QG_OK;
}

static qg_status warn_of_pairing(qg_results *r, qg_error *error)
{
    const bool paired = r->study->rule.compare == QG_COMPARE_PAIRED;
    const qg_estimate *c = &r->pairing.correlation;
    if (paired ? !r->pairing.refuted : !r->pairing.warranted) return QG_OK;
    return qg_warn(&r->warnings, error,
                   "seed by seed, transfers and baselines go together with a correlation of %+.2f "
                   "(%+.2f to %+.2f): %s",
                   c->value, c->low, c->high,
                   paired ? "pairing costs more than it gives; a study like this may rather say "
                            "`compare: moderated`"
                          : "a study like this may rather say `compare: paired`");
}

qg_status qg_results_find_verdicts(qg_results *r, qg_error *error)
{
    arms a = {0};
    qg_verdict *verdicts = qg_results_memory(r->experiment_count, sizeof *verdicts, error);
    qg_status status = verdicts ? arms_create(r, &a, error) : error->code;
    for (int m = 0; m < QG_MEASURES && !status; m++)
        status = judge_measure(r, (qg_measure)m, &a, verdicts, error);
    for (size_t i = 0; i < r->experiment_count && !status; i++)
        if (!r->experiments[i].problem[0]) status = look_beside(&r->experiments[i], error);
    free(verdicts);
    arms_free(&a);
    return status ? status : warn_of_pairing(r, error);
}

/* --------------------------------------------------------------------------------- the spread */

typedef struct scatter_sum {
    double squares, degrees;
} scatter_sum;

static void add_side(const qg_experiment *e, const qg_side *side, scatter_sum *sum)
{
    double mean = 0;
    for (size_t s = 0; s < side->count; s++)
        mean += qg_normalised(&e->game->scale, side->levels[s][QG_AREA]) / (double)side->count;
    for (size_t s = 0; s < side->count; s++) {
        const double value = qg_normalised(&e->game->scale, side->levels[s][QG_AREA]) - mean;
        sum->squares += value * value;
    }
    sum->degrees += side->count > 1 ? (double)side->count - 1 : 0;
}

void qg_results_find_spread(const qg_results *r, double deviations[QG_STRATA])
{
    scatter_sum sums[QG_STRATA] = {{0}};
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *e = &r->experiments[i];
        bool known = e->problem[0] != '\0';
        if (known) continue;
        const bool frozen = r->study->runs[e->run].choice.frozen;
        add_side(e, &e->transfer, &sums[frozen ? QG_FROZEN : QG_FREE]);
        for (size_t j = 0; j < i && !known; j++)
            known =
                !r->experiments[j].problem[0] && r->experiments[j].baseline.run == e->baseline.run;
        if (!known) add_side(e, &e->baseline, &sums[QG_BASELINES]);
    }
    for (int s = 0; s < QG_STRATA; s++)
        deviations[s] = sums[s].degrees > 0 ? sqrt(sums[s].squares / sums[s].degrees) : (double)NAN;
}
