/* What somebody said, held against what was found; and all experiments together.
 *
 * Experiments of a study share baselines and sources, so they are no independent draws: only the
 * seeds are. For each seed the mean over the experiments is taken, and effects are found over
 * these.
 */
#include "report/mean.h"
#include "report/stages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- seed by seed */

/* The experiments that something speaks of: those that were compared. Means are over the seeds that
 * all of them have. */
typedef struct selection {
    const qg_experiment **items;
    size_t count, lacking, dropped;
} selection;

/* One value a seed. */
typedef struct seed_values {
    uint64_t *seeds;
    double *values;
    size_t count;
} seed_values;

static qg_status create(seed_values *v, size_t most, qg_error *error)
{
    *v = (seed_values){.seeds = calloc(most + 1, sizeof *v->seeds),
                       .values = calloc(most + 1, sizeof *v->values)};
    if (v->seeds && v->values) return QG_OK;
    return qg_fail_memory(error, "the seeds' means", most * 2 * sizeof(double));
}

static void destroy(seed_values *v)
{
    free(v->seeds);
    free(v->values);
}

static void add(seed_values *v, uint64_t seed, double value)
{
    if (!isfinite(value)) return;
    v->seeds[v->count] = seed;
    v->values[v->count++] = value;
}

static double side_value(const qg_experiment *e, const qg_side *side, uint64_t seed,
                         qg_measure measure)
{
    for (size_t s = 0; s < side->count; s++)
        if (side->seeds[s] == seed) return qg_normalised(&e->game->scale, side->levels[s][measure]);
    return (double)NAN;
}

/* Which of a side's seeds count: of a study that looks several times those of its file, as only
 * they do not depend on what was seen. */
static bool counts(const qg_results *r, const qg_side *side, uint64_t seed)
{
    return qg_looks_first_seed(&r->study->runs[side->run], seed);
}

static size_t count_seeds(const qg_results *r, const qg_side *side)
{
    size_t count = 0;
    for (size_t i = 0; i < side->count; i++)
        count += counts(r, side, side->seeds[i]);
    return count;
}

/* The mean over the experiments of what the transfers, or their baselines, with each seed reached,
 * for seeds that all of them have. */
static void average(const qg_results *r, const selection *s, bool transfer, qg_measure measure,
                    seed_values *means)
{
    const qg_experiment *first = s->items[0];
    const qg_side *side = transfer ? &first->transfer : &first->baseline;
    for (size_t i = 0; i < side->count; i++) {
        qg_mean all = {0};
        if (!counts(r, side, side->seeds[i])) continue;
        for (size_t k = 0; k < s->count; k++) {
            const qg_experiment *e = s->items[k];
            qg_mean_add(&all, side_value(e, transfer ? &e->transfer : &e->baseline, side->seeds[i],
                                         measure));
        }
        add(means, side->seeds[i], qg_mean_of(&all));
    }
}

/* The mean of the experiments on a game (NULL: any) with this seed: of the differences from their
 * baselines, or of the transfers alone; NaN: there is none, or one of them lacks the seed. */
static double seed_mean(const selection *s, const qg_game_scale *game, bool alone, uint64_t seed,
                        qg_measure measure)
{
    qg_mean all = {0};
    for (size_t i = 0; i < s->count; i++) {
        const qg_experiment *e = s->items[i];
        if (game && e->game != game) continue;
        qg_mean_add(&all, side_value(e, &e->transfer, seed, measure) -
                              (alone ? 0 : side_value(e, &e->baseline, seed, measure)));
    }
    return qg_mean_of(&all);
}

static bool has_game(const selection *s, const qg_game_scale *game)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i]->game == game) return true;
    return false;
}

/* Whether all experiments of both on a game have one baseline: it is no part of their difference.
 */
static bool share_baseline(const selection *of, const selection *than, const qg_game_scale *game)
{
    int baseline = -1;
    for (size_t i = 0; i < of->count + than->count; i++) {
        const qg_experiment *e = i < of->count ? of->items[i] : than->items[i - of->count];
        if (e->game != game) continue;
        if (baseline >= 0 && e->baseline.run != baseline) return false;
        baseline = e->baseline.run;
    }
    return true;
}

/* `of` minus `than`, game by game where both have games in common, so that a game that only one has
 * is no effect. */
static double compare_seed(const qg_results *r, const selection *of, const selection *than,
                           uint64_t seed, qg_measure measure)
{
    double sum = 0;
    size_t common = 0;
    for (int g = 0; g < r->study->game_count; g++) {
        const qg_game_scale *game = &r->games[g];
        if (!has_game(of, game) || !has_game(than, game)) continue;
        const bool alone = share_baseline(of, than, game);
        sum +=
            seed_mean(of, game, alone, seed, measure) - seed_mean(than, game, alone, seed, measure);
        common++;
    }
    if (common == 0)
        return seed_mean(of, NULL, false, seed, measure) -
               seed_mean(than, NULL, false, seed, measure);
    return sum / (double)common;
}

/* ------------------------------------------------------------------------------------- effects */

static const qg_pooled nothing = {.effect = {(double)NAN, (double)NAN, 0, 0, 0},
                                  .p = (double)NAN,
                                  .permutation_p = (double)NAN,
                                  .raw = {(double)NAN, (double)NAN, (double)NAN}};

static void finish(qg_pooled *pooled)
{
    pooled->p = qg_effect_p(&pooled->effect);
    pooled->raw = qg_effect_interval(&pooled->effect, QG_ALPHA);
}

static qg_status pool_pairs(const seed_values *differences, qg_pooled *pooled, qg_error *error)
{
    pooled->effect = qg_effect_of_pairs(differences->values, differences->count);
    pooled->seeds = differences->count;
    finish(pooled);
    if (differences->count < QG_ENOUGH_SEEDS) return QG_OK;
    return qg_sign_flip_p(differences->values, differences->count, QG_REPORT_SEED,
                          &pooled->permutation_p, error);
}

static qg_status pool_groups(const seed_values *transfers, const seed_values *baselines,
                             qg_pooled *pooled, qg_error *error)
{
    const qg_group groups[] = {
        {baselines->values, baselines->seeds, baselines->count, QG_BASELINES, NULL},
        {transfers->values, transfers->seeds, transfers->count, QG_FREE, NULL}};
    qg_variance variances[2];
    const qg_status status = qg_variances_of(groups, 2, false, variances, error);
    if (status) return status;
    pooled->effect = qg_effect_of_groups(&groups[0], &variances[0], &groups[1], &variances[1]);
    pooled->seeds = transfers->count;
    pooled->baseline_seeds = baselines->count;
    finish(pooled);
    if (transfers->count < QG_ENOUGH_SEEDS || baselines->count < QG_ENOUGH_SEEDS) return QG_OK;
    return qg_permutation_p(transfers->values, transfers->count, baselines->values,
                            baselines->count, QG_REPORT_SEED, &pooled->permutation_p, error);
}

/* The experiments against their baselines. */
static qg_status pool(const qg_results *r, const selection *s, qg_measure measure,
                      qg_pooled *pooled, qg_error *error)
{
    seed_values transfers = {0}, baselines = {0};
    *pooled = nothing;
    if (s->count == 0) return QG_OK;
    qg_status status = create(&transfers, s->items[0]->transfer.count, error);
    if (!status) status = create(&baselines, s->items[0]->baseline.count, error);
    if (!status && r->study->rule.compare == QG_COMPARE_PAIRED) {
        const qg_side *side = &s->items[0]->transfer;
        for (size_t i = 0; i < side->count; i++) {
            const uint64_t seed = side->seeds[i];
            if (counts(r, side, seed))
                add(&transfers, seed, seed_mean(s, NULL, false, seed, measure));
        }
        status = pool_pairs(&transfers, pooled, error);
    } else if (!status) {
        average(r, s, true, measure, &transfers);
        average(r, s, false, measure, &baselines);
        status = pool_groups(&transfers, &baselines, pooled, error);
    }
    destroy(&transfers);
    destroy(&baselines);
    return status;
}

/* `of` against `than`, which begin from the same sources with the same seeds: paired. */
static qg_status pool_difference(const qg_results *r, const selection *of, const selection *than,
                                 qg_measure measure, qg_pooled *pooled, qg_error *error)
{
    seed_values differences = {0};
    *pooled = nothing;
    if (of->count == 0 || than->count == 0) return QG_OK;
    const qg_side *side = &of->items[0]->transfer; /* has every seed that all have */
    qg_status status = create(&differences, side->count, error);
    for (size_t i = 0; i < side->count && !status; i++)
        if (counts(r, side, side->seeds[i]))
            add(&differences, side->seeds[i], compare_seed(r, of, than, side->seeds[i], measure));
    if (!status) status = pool_pairs(&differences, pooled, error);
    destroy(&differences);
    return status;
}

/* ----------------------------------------------------------------------------------- the study */

static void choose(selection *s, const qg_experiment *e)
{
    if (!e || e->problem[0] || !e->complete) s->lacking++;
    if (e && !e->problem[0]) s->items[s->count++] = e;
}

/* How many seeds most of the experiments have; the larger number of two that are as frequent. */
static size_t usual_seeds(const qg_results *r, const selection *s)
{
    size_t usual = 0, most = 0;
    for (size_t i = 0; i < s->count; i++) {
        const size_t seeds = count_seeds(r, &s->items[i]->transfer);
        size_t alike = 0;
        for (size_t k = 0; k < s->count; k++)
            alike += count_seeds(r, &s->items[k]->transfer) == seeds;
        if (alike < most || (alike == most && seeds < usual)) continue;
        most = alike;
        usual = seeds;
    }
    return usual;
}

/* Leaves out those with fewer seeds than is usual, which would take them from all; `all`: also
 * those that are not to have more. */
static void drop(const qg_results *r, selection *s, bool all)
{
    const size_t usual = usual_seeds(r, s);
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        const qg_experiment *e = s->items[i];
        if ((all || !e->complete) && count_seeds(r, &e->transfer) < usual)
            s->dropped++;
        else
            s->items[kept++] = e;
    }
    s->count = kept;
}

static qg_status choose_pooled(const qg_results *r, selection *s, qg_error *error)
{
    *s = (selection){.items = calloc(r->experiment_count + 1, sizeof(qg_experiment *))};
    if (!s->items) return qg_fail_memory(error, "the pooled experiments", sizeof *s->items);
    for (size_t i = 0; i < r->experiment_count; i++)
        if (qg_results_pooled(r, &r->experiments[i])) choose(s, &r->experiments[i]);
    drop(r, s, true);
    return QG_OK;
}

static const qg_pair *find_pair(const qg_experiment *e, uint64_t seed)
{
    for (size_t p = 0; p < e->pair_count; p++)
        if (e->pairs[p].seed == seed) return &e->pairs[p];
    return NULL;
}

/* Whether a seed counts, and each of the experiments has a pair of it. */
static bool all_have_pair(const qg_results *r, const selection *s, uint64_t seed)
{
    for (size_t i = 0; i < s->count; i++)
        if (!counts(r, &s->items[i]->transfer, seed) || !find_pair(s->items[i], seed)) return false;
    return true;
}

/* Over the seeds of which all experiments have a pair. */
static qg_status find_iqm(qg_results *r, const selection *s, qg_error *error)
{
    const size_t most = s->count > 0 ? s->items[0]->pair_count : 0;
    size_t seeds = 0;
    uint64_t *common = calloc(most + 1, sizeof *common);
    double *values = calloc(s->count * most + 1, sizeof *values);
    for (size_t p = 0; common && p < most; p++)
        if (all_have_pair(r, s, s->items[0]->pairs[p].seed))
            common[seeds++] = s->items[0]->pairs[p].seed;
    for (size_t i = 0; values && common && i < s->count; i++)
        for (size_t k = 0; k < seeds; k++)
            values[i * seeds + k] = find_pair(s->items[i], common[k])->difference[QG_AREA];
    const qg_status status =
        values && common
            ? qg_iqm_over_seeds(values, seeds ? s->count : 0, seeds, QG_REPORT_SEED, &r->iqm, error)
            : qg_fail_memory(error, "the IQM", s->count * most * sizeof *values);
    free(common);
    free(values);
    return status;
}

static qg_status pool_study(qg_results *r, qg_error *error)
{
    selection all;
    for (size_t i = 0; i < r->experiment_count; i++)
        if (qg_results_pooled(r, &r->experiments[i])) {
            r->pooled_count++;
            r->decided[r->experiments[i].verdict.decision]++;
        }
    qg_status status = choose_pooled(r, &all, error);
    if (!status) status = pool(r, &all, QG_AREA, &r->pooled, error);
    if (!status) status = find_iqm(r, &all, error);
    r->dropped = all.dropped;
    free(all.items);
    return status;
}

/* ----------------------------------------------------------------------------------- claims */

static bool is_game_of(const qg_results *r, const int *runs, int count, const char *game)
{
    for (int i = 0; i < count; i++)
        if (strcmp(r->study->runs[runs[i]].game, game) == 0) return true;
    return false;
}

/* The experiments of one side of a claim. Where both sides have games in common, the effect rests
 * on these (compare_seed), and the others are none of it. */
static qg_status choose_runs(const qg_results *r, const int *runs, int count, const int *others,
                             int other_count, selection *s, qg_error *error)
{
    bool common = false;
    *s = (selection){.items = calloc((size_t)count + 1, sizeof(qg_experiment *))};
    if (!s->items) return qg_fail_memory(error, "the experiments of a claim", sizeof *s->items);
    for (int i = 0; i < count && !common; i++)
        common = is_game_of(r, others, other_count, r->study->runs[runs[i]].game);
    for (int i = 0; i < count; i++)
        if (!common || is_game_of(r, others, other_count, r->study->runs[runs[i]].game))
            choose(s, qg_results_experiment(r, runs[i]));
    drop(r, s, false);
    return QG_OK;
}

static void count_signs(const qg_results *r, const selection *of, qg_measure measure,
                        qg_claim_result *result)
{
    for (size_t i = 0; i < of->count; i++) {
        const qg_experiment *e = of->items[i];
        const qg_graft_choice *choice = &r->study->runs[e->run].choice;
        qg_stratum_count *stratum = choice->frozen ? &result->frozen : &result->free;
        if (choice->way == QG_CHOOSE_NONE) continue; /* no layers, neither free nor frozen */
        const double effect = e->effects[measure].value;
        stratum->up += effect > 0;
        stratum->down += effect < 0;
        stratum->effect += effect;
        stratum->experiments++;
    }
    result->free.effect /= (double)result->free.experiments;
    result->frozen.effect /= (double)result->frozen.experiments;
}

/* How surely the effect lies within the margin, or beyond it: as the two-sided interval has it. */
static double little_p(const qg_effect *effect, double margin)
{
    const double within = qg_effect_margin_p(effect, margin);
    if (isnan(within)) return within;
    return fmin(1, 2 * fmin(within, 1 - within));
}

static qg_status check_claim(const qg_results *r, const qg_study_claim *claim,
                             qg_claim_result *result, qg_error *error)
{
    const qg_measure measure = claim->metric;
    selection of = {0}, than = {0};
    const bool compares = claim->than_count > 0;
    qg_status status =
        choose_runs(r, claim->of, claim->of_count, claim->than, claim->than_count, &of, error);
    if (!status)
        status = choose_runs(r, claim->than, claim->than_count, claim->of, claim->of_count, &than,
                             error);
    if (!status)
        status = compares ? pool_difference(r, &of, &than, measure, &result->pooled, error)
                          : pool(r, &of, measure, &result->pooled, error);
    if (!status) count_signs(r, &of, measure, result);
    result->experiments = of.count + than.count;
    result->lacking = of.lacking + than.lacking;
    result->dropped = of.dropped + than.dropped;
    const qg_pooled *pooled = &result->pooled;
    result->p = result->lacking > 0              ? (double)NAN
                : claim->kind == QG_CLAIM_LITTLE ? little_p(&pooled->effect, claim->margin)
                                                 : pooled->p;
    free(of.items);
    free(than.items);
    return status;
}

static qg_finding find(const qg_study_claim *claim, const qg_claim_result *result)
{
    const double effect = result->pooled.effect.value;
    if (!(result->adjusted_p <= QG_ALPHA)) return QG_OPEN;
    if (claim->kind == QG_CLAIM_LITTLE) return fabs(effect) < claim->margin ? QG_HOLDS : QG_FAILS;
    /* A guard, not adjusted: of few seeds it has no p as small as Holm's steps. NaN: it has none.
     */
    if (result->pooled.permutation_p > QG_ALPHA) return QG_OPEN;
    const bool up = claim->kind == QG_CLAIM_POSITIVE || claim->kind == QG_CLAIM_BETTER;
    return up == (effect > 0) ? QG_HOLDS : QG_FAILS;
}

/* Holm's steps: the smallest p is tested at alpha / claims, the next at alpha / (claims - 1), ...;
 * those that are not decided at that of the first one. */
static double step_alpha(const qg_claim_result *claims, size_t count, const qg_claim_result *claim)
{
    size_t before = 0;
    for (size_t i = 0; i < count; i++) {
        const qg_claim_result *other = &claims[i];
        const bool decided = other->adjusted_p <= QG_ALPHA;
        before += decided && (!(claim->adjusted_p <= QG_ALPHA) || other->p < claim->p ||
                              (other->p <= claim->p && other < claim));
    }
    return QG_ALPHA / (double)(count - before);
}

static qg_status adjust_claims(qg_results *r, size_t count, qg_error *error)
{
    double *p = calloc(2 * count + 1, sizeof *p);
    if (!p) return qg_fail_memory(error, "the claims", count * sizeof *p);
    for (size_t i = 0; i < count; i++)
        p[i] = r->claims[i].p;
    const qg_status status = qg_adjust_any(p, count, p + count, error);
    for (size_t i = 0; i < count && !status; i++)
        r->claims[i].adjusted_p = p[count + i];
    for (size_t i = 0; i < count && !status; i++) {
        qg_claim_result *claim = &r->claims[i];
        claim->adjusted =
            qg_effect_interval(&claim->pooled.effect, step_alpha(r->claims, count, claim));
        claim->finding = find(&r->study->claims[i], claim);
    }
    free(p);
    return status;
}

qg_status qg_results_judge(qg_results *results, qg_error *error)
{
    const size_t claims = (size_t)results->study->claim_count;
    results->claims = calloc(claims + 1, sizeof *results->claims);
    if (!results->claims) return qg_fail_memory(error, "the claims", claims);
    qg_status status = pool_study(results, error);
    for (size_t i = 0; i < claims && !status; i++)
        status = check_claim(results, &results->study->claims[i], &results->claims[i], error);
    return status ? status : adjust_claims(results, claims, error);
}

/* ------------------------------------------------------------------------------------ words */

const char *qg_finding_name(qg_finding finding)
{
    static const char *const names[] = {
        [QG_OPEN] = "not decided", [QG_HOLDS] = "holds", [QG_FAILS] = "does not hold"};
    return names[finding];
}

const char *qg_claim_reason(const qg_study_claim *claim, const qg_claim_result *result)
{
    const bool little = claim->kind == QG_CLAIM_LITTLE, decided = result->finding != QG_OPEN;
    if (result->lacking > 0) return "runs of it are missing, not finished or could not be compared";
    if (result->experiments == 0) return qg_reason_text(QG_NO_RUNS);
    if (isnan(result->pooled.effect.value)) return "its runs have no seed in common";
    if (isnan(result->p))
        return qg_reason_text(result->pooled.seeds > 1 && result->pooled.baseline_seeds != 1
                                  ? QG_NO_SPREAD
                                  : QG_ONE_SEED);
    if (decided && little)
        return result->finding == QG_HOLDS ? "the adjusted interval lies within the margin"
                                           : "the adjusted interval lies beyond the margin";
    if (decided) return qg_reason_text(QG_ZERO_OUTSIDE);
    if (!little && result->p <= QG_ALPHA && result->pooled.permutation_p > QG_ALPHA)
        return qg_reason_text(QG_PERMUTATION_OPEN);
    if (result->p <= QG_ALPHA) return "it would be decided alone, but it is one of many claims";
    return little ? "the interval meets the margin" : qg_reason_text(QG_ZERO_INSIDE);
}
