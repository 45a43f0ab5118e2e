/* What somebody said, held against what was found; and all experiments together.
 *
 * Experiments of a study share baselines and sources, so they are no independent draws: only the
 * seeds are. For each seed the mean over the experiments is taken, and the verdict is over these.
 */
#include "report/stages.h"

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

/* An experiment with fewer seeds than others would take its missing seeds from all of them. */
static size_t most_pairs(const qg_results *r)
{
    size_t most = 0;
    for (size_t i = 0; i < r->experiment_count; i++)
        if (qg_results_pooled(r, &r->experiments[i]) && r->experiments[i].pair_count > most)
            most = r->experiments[i].pair_count;
    return most;
}

static qg_status find_iqm(qg_results *r, qg_error *error)
{
    double *values = calloc(count_pairs(r) + 1, sizeof *values);
    const double **tasks = calloc(r->compared + 1, sizeof *tasks);
    size_t *counts = calloc(r->compared + 1, sizeof *counts), used = 0, task = 0;
    const size_t most = most_pairs(r);
    qg_status status = values && tasks && counts ? QG_OK : qg_fail_memory(error, "the IQM", 1024);
    for (size_t i = 0; i < r->experiment_count && !status; i++) {
        const qg_experiment *e = &r->experiments[i];
        if (!qg_results_pooled(r, e) || e->pair_count < most) continue;
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
    const size_t most = most_pairs(r);
    qg_status status = create(&all, count_pairs(r), error);
    for (size_t i = 0; i < r->experiment_count && !status; i++) {
        const qg_experiment *e = &r->experiments[i];
        if (!qg_results_pooled(r, e)) continue;
        r->pooled_count++;
        r->decided[e->verdicts[QG_AREA].decision]++;
        for (size_t p = 0; e->pair_count == most && p < most; p++)
            add(&all, e->pairs[p].seed, e->pairs[p].difference[QG_AREA]);
    }
    if (!status) status = judge(&all, &r->pooled, error);
    destroy(&all);
    return status ? status : find_iqm(r, error);
}

/* ----------------------------------------------------------------------------------- claims */

/* The experiments that a claim speaks of: those that were compared, over as many seeds as any. */
typedef struct selection {
    const qg_experiment **items;
    size_t count, pairs;
} selection;

static qg_status choose(const qg_results *r, const int *runs, int count, selection *s,
                        qg_error *error)
{
    size_t most = 0;
    *s = (selection){.items = calloc((size_t)count + 1, sizeof(qg_experiment *))};
    if (!s->items) return qg_fail_memory(error, "the experiments of a claim", sizeof *s->items);
    for (int i = 0; i < count; i++) {
        const qg_experiment *e = qg_results_experiment(r, runs[i]);
        if (!e || e->problem[0] || e->pair_count < most) continue;
        if (e->pair_count > most) s->count = 0; /* those so far have fewer */
        most = e->pair_count;
        s->items[s->count++] = e;
    }
    s->pairs = s->count * most;
    return QG_OK;
}

/* The mean difference of the experiments on a game (NULL: any) with this seed; NaN: there is none,
 * or one of them lacks the seed. */
static double seed_mean(const selection *s, const qg_game_scale *game, uint64_t seed,
                        qg_measure measure)
{
    double sum = 0;
    int found = 0, wanted = 0;
    for (size_t i = 0; i < s->count; i++) {
        const qg_experiment *e = s->items[i];
        if (game && e->game != game) continue;
        wanted++;
        for (size_t p = 0; p < e->pair_count; p++)
            if (e->pairs[p].seed == seed) {
                sum += e->pairs[p].difference[measure];
                found++;
            }
    }
    return found > 0 && found == wanted ? sum / found : (double)NAN;
}

static bool has_game(const selection *s, const qg_game_scale *game)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i]->game == game) return true;
    return false;
}

/* The experiments against their baselines. */
static void collect(const selection *of, qg_measure measure, differences *d)
{
    for (size_t i = 0; i < of->count; i++)
        for (size_t p = 0; p < of->items[i]->pair_count; p++)
            add(d, of->items[i]->pairs[p].seed, of->items[i]->pairs[p].difference[measure]);
}

/* `of` minus `than` on a game (NULL: any), for each seed that all of them have. */
static void subtract(const selection *of, const selection *than, const qg_game_scale *game,
                     qg_measure measure, differences *d)
{
    const qg_experiment *first = of->items[0]; /* has every seed that all have */
    for (size_t p = 0; p < first->pair_count; p++) {
        const uint64_t seed = first->pairs[p].seed;
        const double value =
            seed_mean(of, game, seed, measure) - seed_mean(than, game, seed, measure);
        if (isfinite(value)) add(d, seed, value);
    }
}

/* Game by game where both have games in common, so that a game that only one has is no effect. */
static void subtract_all(const qg_results *r, const selection *of, const selection *than,
                         qg_measure measure, differences *d)
{
    bool common = false;
    for (int g = 0; g < r->study->game_count; g++) {
        if (!has_game(of, &r->games[g]) || !has_game(than, &r->games[g])) continue;
        subtract(of, than, &r->games[g], measure, d);
        common = true;
    }
    if (!common && of->count > 0 && than->count > 0) subtract(of, than, NULL, measure, d);
}

/* Little: both intervals lie within the margin; not little: both lie beyond it. */
static qg_finding find_little(const qg_verdict *v, double margin)
{
    if (v->pairs < 2) return QG_OPEN;
    const double low = fmin(v->bootstrap.low, v->student.low);
    const double high = fmax(v->bootstrap.high, v->student.high);
    if (low > -margin && high < margin) return QG_HOLDS;
    return low > margin || high < -margin ? QG_FAILS : QG_OPEN;
}

const char *qg_finding_name(qg_finding finding)
{
    static const char *const names[] = {
        [QG_OPEN] = "not decided", [QG_HOLDS] = "holds", [QG_FAILS] = "does not hold"};
    return names[finding];
}

const char *qg_claim_reason(const qg_study_claim *claim, const qg_claim_result *result)
{
    static const char *const within[] = {[QG_OPEN] = "the intervals meet the margin",
                                         [QG_HOLDS] = "both intervals lie within the margin",
                                         [QG_FAILS] = "both intervals lie beyond the margin"};
    const bool little = claim->kind == QG_CLAIM_LITTLE && result->verdict.pairs > 1;
    return little ? within[result->finding] : qg_reason_text(result->verdict.reason);
}

static qg_finding find(const qg_study_claim *claim, const qg_verdict *verdict)
{
    if (claim->kind == QG_CLAIM_LITTLE) return find_little(verdict, claim->margin);
    if (verdict->decision == QG_NOT_DECIDED) return QG_OPEN;
    const bool up = claim->kind == QG_CLAIM_POSITIVE || claim->kind == QG_CLAIM_BETTER;
    return up == (verdict->decision == QG_POSITIVE) ? QG_HOLDS : QG_FAILS;
}

static qg_status compare(const qg_results *r, const qg_study_claim *claim, const selection *of,
                         const selection *than, qg_verdict *verdict, qg_error *error)
{
    differences d;
    qg_status status = create(&d, of->pairs * ((size_t)r->study->game_count + 1), error);
    if (!status) {
        if (claim->kind == QG_CLAIM_BETTER || claim->kind == QG_CLAIM_WORSE)
            subtract_all(r, of, than, measures[claim->metric], &d);
        else
            collect(of, measures[claim->metric], &d);
        status = judge(&d, verdict, error);
    }
    destroy(&d);
    return status;
}

static qg_status check_claim(const qg_results *r, const qg_study_claim *claim,
                             qg_claim_result *result, qg_error *error)
{
    selection of = {0}, than = {0};
    qg_status status = choose(r, claim->of, claim->of_count, &of, error);
    if (!status) status = choose(r, claim->than, claim->than_count, &than, error);
    if (!status) status = compare(r, claim, &of, &than, &result->verdict, error);
    result->experiments = of.count + than.count;
    if (!status) result->finding = find(claim, &result->verdict);
    free(of.items);
    free(than.items);
    return status;
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
