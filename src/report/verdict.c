/* All arms of a study are judged together: their variances are moderated by each other, those of
 * one baseline are adjusted by Dunnett, all experiments by Benjamini and Hochberg. */
#include <qgraft/statistics.h>

#include "report/distributions.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

const char *qg_decision_name(qg_decision decision)
{
    static const char *const names[] = {[QG_NOT_DECIDED] = "not decided",
                                        [QG_POSITIVE] = "positive",
                                        [QG_NEGATIVE] = "negative",
                                        [QG_WITHIN_MARGIN] = "no effect"};
    assert(decision < QG_DECISIONS);
    return names[decision];
}

const char *qg_reason_text(qg_reason reason)
{
    static const char *const texts[] = {
        [QG_NO_RUNS] = "there is nothing to compare",
        [QG_UNFINISHED] = "its runs are not finished",
        [QG_ONE_SEED] = "one seed decides nothing",
        [QG_NO_SPREAD] = "nothing scatters from seed to seed: what others would do is not known",
        [QG_ZERO_OUTSIDE] = "the adjusted interval excludes zero",
        [QG_IN_MARGIN] = "the effect is not larger than the margin",
        [QG_ZERO_INSIDE] = "the interval holds zero",
        [QG_ONE_OF_MANY] = "it would be decided alone, but it is one of many comparisons",
        [QG_PERMUTATION_OPEN] = "the permutation test does not agree",
        [QG_DECIDED_AT_LOOK] = "decided at one of the study's looks, by its level",
        [QG_NOT_AT_ANY_LOOK] = "decided at none of the study's looks so far",
    };
    assert(reason <= QG_NOT_AT_ANY_LOOK);
    return texts[reason];
}

/* -------------------------------------------------------------------------------- the effects */

typedef struct work {
    const qg_group *baselines;
    size_t baseline_count;
    const qg_arm *arms;
    size_t arm_count;
    const qg_rule *rule;
    uint64_t seed;
    qg_variance *variances; /* [baselines, then arms] */
    qg_verdict *verdicts;   /* [arm] */
    double *p, *adjusted;   /* [arm] room */
    size_t *members;        /* [arm] room */
} work;

static qg_status check_group(const qg_group *group, const char *what, size_t number,
                             qg_error *error)
{
    for (size_t i = 0; i < group->count; i++)
        if (!(fabs(group->values[i]) <= 1e100))
            return qg_fail(error, QG_ERROR_DATA,
                           "%s %zu: the value of run %zu is not within -1e100 and 1e100", what,
                           number + 1, i + 1);
    return QG_OK;
}

static qg_status check(const work *w, qg_error *error)
{
    qg_status status = QG_OK;
    for (size_t i = 0; i < w->baseline_count && !status; i++)
        status = check_group(&w->baselines[i], "baseline", i, error);
    for (size_t i = 0; i < w->arm_count && !status; i++)
        status = check_group(&w->arms[i].runs, "arm", i, error);
    return status;
}

static qg_status find_variances(work *w, qg_error *error)
{
    const size_t count = w->baseline_count + w->arm_count;
    qg_group *groups = calloc(count + 1, sizeof *groups);
    if (!groups) return qg_fail_memory(error, "verdicts", count * sizeof *groups);
    for (size_t i = 0; i < count; i++)
        groups[i] = i < w->baseline_count ? w->baselines[i] : w->arms[i - w->baseline_count].runs;
    const bool moderated = w->rule->compare == QG_COMPARE_MODERATED;
    const qg_status status = qg_variances_of(groups, count, moderated, w->variances, error);
    free(groups);
    return status;
}

/* The arm's values minus those of the baseline with the same seed; returns their number. */
static size_t subtract(const qg_group *baseline, const qg_group *arm, double *differences)
{
    size_t count = 0;
    for (size_t i = 0; i < arm->count; i++)
        for (size_t j = 0; j < baseline->count; j++)
            if (baseline->seeds[j] == arm->seeds[i])
                differences[count++] = arm->values[i] - baseline->values[j];
    return count;
}

static qg_status compare_paired(work *w, const qg_group *baseline, const qg_group *arm,
                                qg_verdict *v, qg_error *error)
{
    double *differences = calloc(arm->count + 1, sizeof *differences);
    if (!differences) return qg_fail_memory(error, "verdicts", arm->count * sizeof *differences);
    const size_t count = subtract(baseline, arm, differences);
    v->effect = qg_effect_of_pairs(differences, count);
    v->seeds = v->baseline_seeds = count;
    qg_status status = QG_OK;
    if (count >= QG_ENOUGH_SEEDS && !w->rule->effects_only)
        status = qg_sign_flip_p(differences, count, w->seed, &v->permutation_p, error);
    free(differences);
    return status;
}

static qg_status compare(work *w, size_t i, qg_error *error)
{
    const qg_arm *arm = &w->arms[i];
    const qg_group *baseline = &w->baselines[arm->baseline];
    const qg_estimate none = {(double)NAN, (double)NAN, (double)NAN};
    qg_verdict *v = &w->verdicts[i];
    *v = (qg_verdict){.seeds = arm->runs.count,
                      .baseline_seeds = baseline->count,
                      .effect = {(double)NAN, (double)NAN, 0, 0, 0},
                      .family_p = (double)NAN,
                      .q = (double)NAN,
                      .permutation_p = (double)NAN,
                      .margin_p = (double)NAN,
                      .raw = none,
                      .adjusted = none};
    qg_status status = QG_OK;
    if (w->rule->compare == QG_COMPARE_PAIRED) {
        status = compare_paired(w, baseline, &arm->runs, v, error);
    } else {
        v->effect = qg_effect_of_groups(baseline, &w->variances[arm->baseline], &arm->runs,
                                        &w->variances[w->baseline_count + i]);
        if (!w->rule->effects_only && arm->runs.count >= QG_ENOUGH_SEEDS &&
            baseline->count >= QG_ENOUGH_SEEDS)
            status = qg_permutation_p(arm->runs.values, arm->runs.count, baseline->values,
                                      baseline->count, w->seed, &v->permutation_p, error);
    }
    v->p = qg_effect_p(&v->effect);
    v->raw = qg_effect_interval(&v->effect, QG_ALPHA);
    return status;
}

/* ----------------------------------------------------------------------------- the families */

static double level_of(const qg_rule *rule)
{
    return rule->level > 0 ? rule->level : QG_ALPHA;
}

/* Of the comparison's squared error, the root of the baseline's part. Paired differences have one
 * error each, about half of it the baseline's. */
static double baseline_share(const work *w, size_t i)
{
    if (w->rule->compare == QG_COMPARE_PAIRED) return M_SQRT1_2;
    return sqrt(1 - w->verdicts[i].effect.share);
}

static qg_status adjust_family(work *w, size_t count, qg_error *error)
{
    qg_largest_t *largest;
    for (size_t k = 0; k < count; k++) {
        const size_t i = w->members[k];
        w->p[k] = isnan(w->verdicts[i].p) ? 0 : baseline_share(w, i);
    }
    if (qg_largest_t_create(w->p, count, &largest, error)) return error->code;
    for (size_t k = 0; k < count; k++) {
        qg_verdict *v = &w->verdicts[w->members[k]];
        if (isnan(v->p)) continue;
        const double level = level_of(w->rule), error_ = v->effect.error;
        const double degrees = qg_effect_degrees(&v->effect, level / (double)count);
        const double t = fabs(v->effect.value) / error_;
        v->family_p = fmax(v->p, qg_largest_t_p(largest, t, degrees));
        if (w->rule->adjust != QG_ADJUST_DUNNETT) continue;
        const double reach = qg_largest_t_reach(largest, level, degrees) * error_;
        v->adjusted =
            (qg_estimate){v->effect.value, v->effect.value - reach, v->effect.value + reach};
        const double room = (w->rule->margin - fabs(v->effect.value)) / error_;
        const double alone = qg_effect_margin_p(&v->effect, w->rule->margin);
        /* Each may be near either margin, so that the signs of their errors do not go together. */
        v->margin_p =
            fmax(alone, fmin((double)count * alone, qg_largest_t_p(largest, room, degrees)));
    }
    qg_largest_t_free(largest);
    return QG_OK;
}

/* The baseline that stands for an arm's. */
static size_t family_of(const work *w, size_t arm)
{
    const size_t b = w->arms[arm].baseline;
    return w->baselines[b].same_runs ? (size_t)(w->baselines[b].same_runs - w->baselines) : b;
}

/* Dunnett, among the arms of each baseline, experiments and controls apart. Arms without p, as
 * those without runs, count as independent ones: the family does not grow. */
static qg_status adjust_families(work *w, bool controls, qg_error *error)
{
    for (size_t b = 0; b < w->baseline_count; b++) {
        size_t count = 0, known = 0;
        for (size_t i = 0; i < w->arm_count; i++) {
            if (family_of(w, i) != b || w->arms[i].control != controls) continue;
            w->members[count++] = i;
            known += isnan(w->verdicts[i].p) ? 0 : 1;
        }
        if (known > 0 && adjust_family(w, count, error)) return error->code;
    }
    return QG_OK;
}

static size_t find_members(work *w, bool controls)
{
    size_t count = 0;
    for (size_t i = 0; i < w->arm_count; i++)
        if (w->arms[i].control == controls) w->members[count++] = i;
    return count;
}

/* An unfinished arm counts as one that decides nothing. */
static double finished_p(const work *w, size_t i, double p)
{
    return w->arms[i].unfinished ? (double)NAN : p;
}

/* Benjamini and Hochberg, and the intervals of those that it selects. */
static qg_status adjust_rates(work *w, bool controls, qg_error *error)
{
    const size_t count = find_members(w, controls);
    for (size_t k = 0; k < count; k++)
        w->p[k] = finished_p(w, w->members[k], w->verdicts[w->members[k]].p);
    if (qg_adjust_rate(w->p, count, w->adjusted, error)) return error->code;
    size_t selected = 0;
    for (size_t k = 0; k < count; k++) {
        w->verdicts[w->members[k]].q = w->adjusted[k];
        selected += w->adjusted[k] <= level_of(w->rule);
    }
    if (w->rule->adjust != QG_ADJUST_BH) return QG_OK;
    const double alpha = level_of(w->rule) * (selected > 1 ? (double)selected : 1) / (double)count;
    for (size_t k = 0; k < count; k++) {
        qg_verdict *v = &w->verdicts[w->members[k]];
        v->adjusted = qg_effect_interval(&v->effect, alpha);
        w->p[k] = finished_p(w, w->members[k], qg_effect_margin_p(&v->effect, w->rule->margin));
    }
    if (qg_adjust_rate(w->p, count, w->adjusted, error)) return error->code;
    for (size_t k = 0; k < count; k++)
        w->verdicts[w->members[k]].margin_p = w->adjusted[k];
    return QG_OK;
}

static void adjust_nothing(work *w)
{
    for (size_t i = 0; i < w->arm_count; i++) {
        w->verdicts[i].adjusted = qg_effect_interval(&w->verdicts[i].effect, level_of(w->rule));
        w->verdicts[i].margin_p = qg_effect_margin_p(&w->verdicts[i].effect, w->rule->margin);
    }
}

/* ------------------------------------------------------------------------------- the decision */

static double decisive_p(const qg_rule *rule, const qg_verdict *v)
{
    return rule->adjust == QG_ADJUST_BH        ? v->q
           : rule->adjust == QG_ADJUST_DUNNETT ? v->family_p
                                               : v->p;
}

static void decide(const work *w, size_t i)
{
    qg_verdict *v = &w->verdicts[i];
    const double level = level_of(w->rule);
    v->decision = QG_NOT_DECIDED;
    if (isnan(v->effect.value)) {
        v->reason = QG_NO_RUNS;
    } else if (w->arms[i].unfinished) {
        v->reason = QG_UNFINISHED;
    } else if (isnan(v->p)) {
        v->reason = v->seeds > 1 && v->baseline_seeds > 1 ? QG_NO_SPREAD : QG_ONE_SEED;
    } else if (decisive_p(w->rule, v) <= level && !(v->permutation_p > QG_ALPHA)) {
        v->decision = v->effect.value > 0 ? QG_POSITIVE : QG_NEGATIVE;
        v->reason = QG_ZERO_OUTSIDE;
    } else if (v->margin_p <= level) {
        v->decision = QG_WITHIN_MARGIN;
        v->reason = QG_IN_MARGIN;
    } else {
        v->reason = decisive_p(w->rule, v) <= level ? QG_PERMUTATION_OPEN
                    : v->p <= level                 ? QG_ONE_OF_MANY
                                                    : QG_ZERO_INSIDE;
    }
}

static qg_status judge(work *w, qg_error *error)
{
    qg_status status = check(w, error);
    if (!status) status = find_variances(w, error);
    for (size_t i = 0; i < w->arm_count && !status; i++)
        status = compare(w, i, error);
    if (status || w->rule->effects_only) return status;
    if (w->rule->adjust == QG_ADJUST_NONE) adjust_nothing(w);
    for (int controls = 0; controls < 2 && !status; controls++) {
        status = adjust_families(w, controls, error);
        if (!status) status = adjust_rates(w, controls, error);
    }
    for (size_t i = 0; i < w->arm_count && !status; i++)
        decide(w, i);
    return status;
}

qg_status qg_verdicts_of(const qg_group *baselines, size_t baseline_count, const qg_arm *arms,
                         size_t arm_count, const qg_rule *rule, uint64_t seed, qg_verdict *verdicts,
                         qg_error *error)
{
    work w = {baselines, baseline_count, arms, arm_count, rule, seed, .verdicts = verdicts};
    w.variances = calloc(baseline_count + arm_count + 1, sizeof *w.variances);
    w.p = calloc(2 * arm_count + 1, sizeof *w.p);
    w.members = calloc(arm_count + 1, sizeof *w.members);
    w.adjusted = w.p ? w.p + arm_count : NULL;
    const qg_status status = w.variances && w.p && w.members
                                 ? judge(&w, error)
                                 : qg_fail_memory(error, "verdicts", arm_count * sizeof *verdicts);
    free(w.variances);
    free(w.p);
    free(w.members);
    return status;
}

/* -------------------------------------------------------------------------------- the pairing */

/* Of values about their means, over arms: within an arm, the correlation of few seeds is nothing.
 */
typedef struct products {
    double xy, xx, yy;
    size_t degrees, arms;
} products;

static void add_pairs(const qg_group *baseline, const qg_group *arm, products *sum)
{
    double n = 0, x = 0, y = 0, xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < arm->count; i++)
        for (size_t j = 0; j < baseline->count; j++) {
            if (baseline->seeds[j] != arm->seeds[i]) continue;
            const double a = arm->values[i] - arm->values[0];
            const double b = baseline->values[j] - baseline->values[0];
            n++;
            x += a;
            y += b;
            xy += a * b;
            xx += a * a;
            yy += b * b;
        }
    if (n < 2) return;
    sum->xy += xy - x * y / n;
    sum->xx += xx - x * x / n;
    sum->yy += yy - y * y / n;
    sum->degrees += (size_t)n - 1;
    sum->arms++;
}

/* Whether pairing shortens Welch's interval of so many seeds an arm, and of the baseline, at this
 * correlation: the differences scatter less, for half of the degrees of freedom. */
static bool pairing_pays(double correlation, double seeds)
{
    return sqrt(1 - correlation) * qg_student_reach(seeds - 1, QG_ALPHA) <
           qg_student_reach(2 * (seeds - 1), QG_ALPHA);
}

/* Whether pairing would, in the geometric mean over the arms, shorten the intervals of the rule in
 * force at this correlation. A verdict's standard error is s sqrt(1/n + 1/m), that of n pairs s
 * sqrt(2 (1 - r) / n). */
static bool pairing_beats(double correlation, const qg_verdict *verdicts, size_t arm_count)
{
    double sum = 0;
    for (size_t i = 0; i < arm_count; i++) {
        const double n = (double)verdicts[i].seeds, m = (double)verdicts[i].baseline_seeds;
        const double pairs = fmin(n, m), degrees = qg_effect_degrees(&verdicts[i].effect, QG_ALPHA);
        if (!(pairs >= 2) || !(degrees > 0)) continue;
        sum += log(sqrt(2 * (1 - correlation) / pairs) * qg_student_reach(pairs - 1, QG_ALPHA)) -
               log(sqrt(1 / n + 1 / m) * qg_student_reach(degrees, QG_ALPHA));
    }
    return sum < 0;
}

qg_pairing qg_pairing_of(const qg_group *baselines, const qg_arm *arms, const qg_verdict *verdicts,
                         size_t arm_count)
{
    products sum = {0};
    for (size_t i = 0; i < arm_count; i++)
        add_pairs(&baselines[arms[i].baseline], &arms[i].runs, &sum);
    qg_pairing pairing = {.correlation = {(double)NAN, (double)NAN, (double)NAN}};
    if (sum.degrees < 2 || !(sum.xx > 0 && sum.yy > 0)) return pairing;
    const double r = fmax(-1, fmin(1, sum.xy / sqrt(sum.xx * sum.yy)));
    pairing.correlation.value = r;
    if (sum.degrees < 3 || fabs(r) >= 1) return pairing;
    const double reach = qg_student_reach(INFINITY, QG_ALPHA) / sqrt((double)sum.degrees - 2);
    pairing.correlation.low = tanh(atanh(r) - reach); /* Fisher 1921 */
    pairing.correlation.high = tanh(atanh(r) + reach);
    const double seeds = (double)sum.degrees / (double)sum.arms + 1;
    pairing.warranted = pairing_beats(pairing.correlation.low, verdicts, arm_count);
    pairing.refuted = !pairing_pays(pairing.correlation.high, seeds);
    return pairing;
}
