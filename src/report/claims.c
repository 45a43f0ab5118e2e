/* What somebody said, held against what was found; and all experiments together.
 *
 * Experiments of a study share baselines and sources, so they are no independent draws: only the
 * seeds are. For each seed the mean over the experiments is taken, and the verdict is over these.
 */
#include "report/results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const qg_measure measures[] = {
    [QG_CLAIM_AREA] = QG_AREA,
    [QG_CLAIM_EARLY] = QG_BEGINNING,
    [QG_CLAIM_LATE] = QG_END,
    [QG_CLAIM_ASYMPTOTE] = QG_ASYMPTOTE,
    [QG_CLAIM_JUMPSTART] = QG_JUMPSTART,
    [QG_CLAIM_MAXIMUM] = QG_MAXIMUM,
};

/* One difference a seed and experiment (or game). */
typedef struct differences {
    uint64_t *seeds;
    double *values;
    size_t count;
} differences;

static qg_status create(differences *d, size_t most, qg_error *error)
{
    *d = (differences){.seeds = calloc(most + 1, sizeof *d->seeds),
                       .values = calloc(most + 1, sizeof *d->values)};
    if (d->seeds && d->values) return QG_OK;
    return qg_fail_memory(error, "the pooled differences", most * 2 * sizeof(double));
}

static void destroy(differences *d)
{
    free(d->seeds);
    free(d->values);
}

static void add(differences *d, uint64_t seed, double value)
{
    d->seeds[d->count] = seed;
    d->values[d->count++] = value;
}

static size_t count_pairs(const qg_results *r)
{
    size_t count = 0;
    for (size_t i = 0; i < r->experiment_count; i++)
        count += r->experiments[i].pair_count;
    return count;
}

/* The verdict over the seeds that have all of the differences. */
static qg_status judge(const differences *d, qg_verdict *verdict, qg_error *error)
{
    double *means = calloc(d->count + 1, sizeof *means);
    if (!means) return qg_fail_memory(error, "the seeds' means", d->count * sizeof *means);
    const size_t seeds = d->count ? qg_seed_means(d->seeds, d->values, d->count, means) : 0;
    const qg_estimate none = {NAN, NAN, NAN};
    qg_status status = QG_OK;
    if (seeds > 0)
        status = qg_verdict_of(means, seeds, QG_REPORT_SEED, verdict, error);
    else
        *verdict = (qg_verdict){.reason = QG_NO_PAIRS, .bootstrap = none, .student = none};
    free(means);
    return status;
}

/* -------------------------------------------------------------------------------- the study */

bool qg_results_pooled(const qg_results *results, const qg_experiment *experiment)
{
    return !experiment->problem[0] && results->study->runs[experiment->run].source >= 0;
}

static qg_status find_iqm(qg_results *r, qg_error *error)
{
    double *values = calloc(count_pairs(r) + 1, sizeof *values);
    const double **tasks = calloc(r->compared + 1, sizeof *tasks);
    size_t *counts = calloc(r->compared + 1, sizeof *counts), used = 0, task = 0;
    qg_status status = values && tasks && counts ? QG_OK : qg_fail_memory(error, "the IQM", 1024);
    for (size_t i = 0; i < r->experiment_count && !status; i++) {
        const qg_experiment *e = &r->experiments[i];
        if (!qg_results_pooled(r, e)) continue;
        tasks[task] = values + used;
        counts[task++] = e->pair_count;
        for (size_t p = 0; p < e->pair_count; p++)
            values[used++] = e->pairs[p].difference[QG_AREA];
    }
    const qg_tasks all = {task, counts, tasks};
    r->iqm = (qg_estimate){NAN, NAN, NAN};
    if (!status && task > 0) status = qg_aggregate_of(&all, QG_IQM, QG_REPORT_SEED, &r->iqm, error);
    free(values);
    free(tasks);
    free(counts);
    return status;
}

static qg_status pool(qg_results *r, qg_error *error)
{
    differences all;
    qg_status status = create(&all, count_pairs(r), error);
    for (size_t i = 0; i < r->experiment_count && !status; i++) {
        const qg_experiment *e = &r->experiments[i];
        if (!qg_results_pooled(r, e)) continue;
        r->pooled_count++;
        r->decided[e->verdicts[QG_AREA].decision]++;
        for (size_t p = 0; p < e->pair_count; p++)
            add(&all, e->pairs[p].seed, e->pairs[p].difference[QG_AREA]);
    }
    if (!status) status = judge(&all, &r->pooled, error);
    destroy(&all);
    return status ? status : find_iqm(r, error);
}

/* ----------------------------------------------------------------------------------- claims */

static const qg_experiment *compared(const qg_results *r, int run)
{
    const qg_experiment *e = qg_results_experiment(r, run);
    return e && !e->problem[0] ? e : NULL;
}

/* The mean difference of the runs on `game` (NULL: any) with this seed; NaN: there is none, or a
 * run that was compared lacks the seed. */
static double seed_mean(const qg_results *r, const int *runs, int count, const char *game,
                        uint64_t seed, qg_measure measure)
{
    double sum = 0;
    int found = 0, wanted = 0;
    for (int i = 0; i < count; i++) {
        const qg_experiment *e = compared(r, runs[i]);
        if (!e || (game && strcmp(r->study->runs[runs[i]].game, game) != 0)) continue;
        wanted++;
        for (size_t p = 0; p < e->pair_count; p++)
            if (e->pairs[p].seed == seed) {
                sum += e->pairs[p].difference[measure];
                found++;
            }
    }
    return found > 0 && found == wanted ? sum / found : (double)NAN;
}

static bool has_game(const qg_results *r, const int *runs, int count, const char *game)
{
    for (int i = 0; i < count; i++)
        if (compared(r, runs[i]) && strcmp(r->study->runs[runs[i]].game, game) == 0) return true;
    return false;
}

/* Every seed that one of the runs was compared with, once. */
static size_t collect_seeds(const qg_results *r, const int *runs, int count, uint64_t *seeds)
{
    size_t known = 0;
    for (int i = 0; i < count; i++) {
        const qg_experiment *e = compared(r, runs[i]);
        for (size_t p = 0; e && p < e->pair_count; p++) {
            size_t s = 0;
            while (s < known && seeds[s] != e->pairs[p].seed)
                s++;
            if (s == known) seeds[known++] = e->pairs[p].seed;
        }
    }
    return known;
}

/* `of` minus `than`, seed by seed; game by game where they have games in common. */
static void subtract(const qg_results *r, const qg_study_claim *claim, const uint64_t *seeds,
                     size_t seed_count, differences *d)
{
    const qg_measure measure = measures[claim->metric];
    bool common = false;
    for (int g = 0; g <= r->study->game_count; g++) {
        const bool any = g == r->study->game_count; /* the last resort */
        const char *game = any ? NULL : r->study->games[g].name;
        if (any ? common
                : !has_game(r, claim->of, claim->of_count, game) ||
                      !has_game(r, claim->than, claim->than_count, game))
            continue;
        common = true;
        for (size_t s = 0; s < seed_count; s++) {
            const double of = seed_mean(r, claim->of, claim->of_count, game, seeds[s], measure);
            const double than =
                seed_mean(r, claim->than, claim->than_count, game, seeds[s], measure);
            if (isfinite(of - than)) add(d, seeds[s], of - than);
        }
    }
}

static size_t count_compared(const qg_results *r, const int *runs, int count)
{
    size_t found = 0;
    for (int i = 0; i < count; i++)
        found += compared(r, runs[i]) != NULL;
    return found;
}

/* `of` against its baselines. */
static void collect(const qg_results *r, const qg_study_claim *claim, differences *d)
{
    for (int i = 0; i < claim->of_count; i++) {
        const qg_experiment *e = compared(r, claim->of[i]);
        for (size_t p = 0; e && p < e->pair_count; p++)
            add(d, e->pairs[p].seed, e->pairs[p].difference[measures[claim->metric]]);
    }
}

/* Little: both intervals lie within the margin, or both beyond it. */
static qg_finding find_little(const qg_verdict *v, double margin)
{
    if (v->pairs < 2) return QG_OPEN;
    const double low = fmin(v->bootstrap.low, v->student.low);
    const double high = fmax(v->bootstrap.high, v->student.high);
    if (low > -margin && high < margin) return QG_HOLDS;
    return low > margin || high < -margin ? QG_FAILS : QG_OPEN;
}

static qg_finding find(const qg_study_claim *claim, const qg_verdict *verdict)
{
    if (claim->kind == QG_CLAIM_LITTLE) return find_little(verdict, claim->margin);
    if (verdict->decision == QG_NOT_DECIDED) return QG_OPEN;
    const bool up = claim->kind == QG_CLAIM_POSITIVE || claim->kind == QG_CLAIM_BETTER;
    return up == (verdict->decision == QG_POSITIVE) ? QG_HOLDS : QG_FAILS;
}

static qg_status check_claim(const qg_results *r, const qg_study_claim *claim,
                             qg_claim_result *result, qg_error *error)
{
    const size_t pairs = count_pairs(r);
    const bool two = claim->kind == QG_CLAIM_BETTER || claim->kind == QG_CLAIM_WORSE;
    uint64_t *seeds = calloc(pairs + 1, sizeof *seeds);
    differences d = {0};
    qg_status status = create(&d, pairs * (size_t)(r->study->game_count + 1), error);
    if (!seeds) status = qg_fail_memory(error, "the seeds of a claim", pairs * sizeof *seeds);
    if (!status && two)
        subtract(r, claim, seeds, collect_seeds(r, claim->of, claim->of_count, seeds), &d);
    else if (!status)
        collect(r, claim, &d);
    if (!status) status = judge(&d, &result->verdict, error);
    free(seeds);
    destroy(&d);
    if (status) return status;
    result->experiments = count_compared(r, claim->of, claim->of_count) +
                          (two ? count_compared(r, claim->than, claim->than_count) : 0);
    result->finding = find(claim, &result->verdict);
    return QG_OK;
}

qg_status qg_results_judge(qg_results *results, qg_error *error)
{
    const size_t claims = (size_t)results->study->claim_count;
    results->claims = calloc(claims + 1, sizeof *results->claims);
    if (!results->claims) return qg_fail_memory(error, "the claims", claims);
    qg_status status = pool(results, error);
    for (size_t i = 0; i < claims && !status; i++)
        status = check_claim(results, &results->study->claims[i], &results->claims[i], error);
    return status;
}
