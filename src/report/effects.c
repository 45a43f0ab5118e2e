/* Differences of means and their errors. Variances that few seeds tell badly are moderated by what
 * all groups of a stratum say together: Smyth 2004, "Linear models and empirical Bayes methods for
 * assessing differential expression in microarray experiments". */
#include <qgraft/statistics.h>

#include "report/distributions.h"
#include "report/effects.h"
#include "report/mean.h"
#include "report/order.h"

#include <math.h>
#include <stdlib.h>

static double mean(const double *values, size_t count)
{
    qg_mean all = {0};
    for (size_t i = 0; i < count; i++)
        qg_mean_add(&all, values[i]);
    return qg_mean_of(&all);
}

static double squares(const double *values, size_t count)
{
    const double centre = mean(values, count);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (values[i] - centre) * (values[i] - centre);
    return sum;
}

/* ---------------------------------------------------------------------------------- variances */

static qg_variance own_variance(const qg_group *group)
{
    const double degrees = (double)group->count - 1;
    if (group->count < 2) return (qg_variance){(double)NAN, 0, false};
    return (qg_variance){squares(group->values, group->count) / degrees, degrees, false};
}

/* What the groups of a stratum have in common: a variance, and how many degrees of freedom it is
 * worth for each of them; at most `pooled` stand behind it. */
typedef struct prior {
    double value, degrees, pooled; /* value 0: there is none */
} prior;

/* From the mean and the variance of log s^2 over the groups (Smyth 2004, section 6.2). `least`:
 * smaller variances count as this. */
static prior fit(const qg_variance *own, size_t count, double least)
{
    double sum = 0, sum_squares = 0, expected = 0, total = 0, values = 0;
    for (size_t i = 0; i < count; i++) {
        const double half = own[i].degrees / 2, value = fmax(own[i].value, least);
        const double e = log(value) - qg_digamma(half) + log(half);
        sum += e;
        expected += qg_trigamma(half);
        total += own[i].degrees;
        values += own[i].degrees * value;
    }
    const double n = (double)count, centre = sum / n;
    for (size_t i = 0; i < count; i++) {
        const double half = own[i].degrees / 2;
        const double e = log(fmax(own[i].value, least)) - qg_digamma(half) + log(half) - centre;
        sum_squares += e * e;
    }
    const double excess = sum_squares / (n - 1) - expected / n;
    if (!(excess > 0)) return (prior){values / total, INFINITY, total};
    const double degrees = 2 * qg_trigamma_inverse(excess);
    return (prior){exp(centre + qg_digamma(degrees / 2) - log(degrees / 2)), degrees, total};
}

static double median_variance(const qg_variance *own, size_t count, double *room)
{
    for (size_t i = 0; i < count; i++)
        room[i] = own[i].value;
    qg_sort(room, count);
    return qg_quantile(room, count, 0.5);
}

static qg_variance moderate(const qg_variance *own, const prior *p)
{
    if (isinf(p->degrees)) return (qg_variance){p->value, p->pooled, true};
    const double degrees = p->degrees + own->degrees;
    return (qg_variance){(p->degrees * p->value + own->degrees * own->value) / degrees,
                         fmin(degrees, p->pooled), true};
}

static bool is_member(const qg_group *group, qg_stratum stratum)
{
    return group->stratum == stratum && group->count > 1;
}

/* `own` and `room` have room for all groups. */
static void moderate_stratum(const qg_group *groups, size_t count, qg_stratum stratum,
                             qg_variance *own, double *room, qg_variance *variances)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (is_member(&groups[i], stratum) && !groups[i].same_runs) own[found++] = variances[i];
    if (found < 3) return;
    const double median = median_variance(own, found, room);
    if (!(median > 0)) return;
    const prior p = fit(own, found, 1e-5 * median);
    for (size_t i = 0; i < count; i++)
        if (is_member(&groups[i], stratum)) variances[i] = moderate(&variances[i], &p);
}

qg_status qg_variances_of(const qg_group *groups, size_t count, bool moderated,
                          qg_variance *variances, qg_error *error)
{
    for (size_t i = 0; i < count; i++)
        variances[i] = own_variance(&groups[i]);
    if (!moderated) return QG_OK;
    qg_variance *own = calloc(count + 1, sizeof *own);
    double *room = calloc(count + 1, sizeof *room);
    for (int s = 0; s < QG_STRATA && own && room; s++)
        moderate_stratum(groups, count, (qg_stratum)s, own, room, variances);
    const bool failed = !own || !room;
    free(own);
    free(room);
    return failed ? qg_fail_memory(error, "variances", count * sizeof *own) : QG_OK;
}

/* ------------------------------------------------------------------------------------ effects */

static const qg_effect no_effect = {(double)NAN, (double)NAN, 0, 0, 0};

/* Runs that all score the same say nothing of how far others would scatter. */
static double error_of(double square)
{
    return square > 0 ? sqrt(square) : (double)NAN;
}

qg_effect qg_effect_of_means(double value, qg_variance baseline, qg_variance arm)
{
    const double square = arm.value + baseline.value, share = arm.value / square;
    qg_effect e = {value, error_of(square), 0, 0, 0};
    if (isnan(e.error)) return e;
    e.share = share;
    if (arm.moderated || baseline.moderated) {
        e.degrees = arm.degrees;
        e.baseline_degrees = baseline.degrees;
    } else { /* with squares of errors, small and large ones would be no doubles */
        e.degrees =
            1 / (share * share / arm.degrees + (1 - share) * (1 - share) / baseline.degrees);
    }
    return e;
}

static qg_variance of_mean(const qg_group *group, const qg_variance *variance)
{
    return (qg_variance){variance->value / (double)group->count, variance->degrees,
                         variance->moderated};
}

qg_effect qg_effect_of_groups(const qg_group *baseline, const qg_variance *baseline_variance,
                              const qg_group *arm, const qg_variance *arm_variance)
{
    if (baseline->count == 0 || arm->count == 0) return no_effect;
    return qg_effect_of_means(mean(arm->values, arm->count) -
                                  mean(baseline->values, baseline->count),
                              of_mean(baseline, baseline_variance), of_mean(arm, arm_variance));
}

qg_effect qg_effect_of_pairs(const double *differences, size_t count)
{
    if (count == 0) return no_effect;
    const double degrees = (double)count - 1;
    const double square = count > 1 ? squares(differences, count) / degrees / (double)count : 0;
    return (qg_effect){mean(differences, count), error_of(square), degrees, 0, 0};
}

static qg_behrens_fisher distribution(const qg_effect *e)
{
    return (qg_behrens_fisher){e->share, {e->degrees, e->baseline_degrees}};
}

/* The probability of an error above t. */
static double above(const qg_effect *e, double t)
{
    if (!(e->baseline_degrees > 0)) return qg_student_above(t, e->degrees);
    const qg_behrens_fisher d = distribution(e);
    return t < 0 ? 1 - qg_behrens_fisher_above(&d, -t) : qg_behrens_fisher_above(&d, t);
}

static double reach(const qg_effect *e, double alpha)
{
    if (!(e->baseline_degrees > 0)) return qg_student_reach(e->degrees, alpha);
    const qg_behrens_fisher d = distribution(e);
    return qg_behrens_fisher_reach(&d, alpha);
}

double qg_effect_p(const qg_effect *effect)
{
    if (isnan(effect->error)) return (double)NAN;
    return fmin(1, 2 * above(effect, fabs(effect->value) / effect->error));
}

double qg_effect_margin_p(const qg_effect *effect, double margin)
{
    if (isnan(effect->error)) return (double)NAN;
    return above(effect, (margin - fabs(effect->value)) / effect->error);
}

qg_estimate qg_effect_interval(const qg_effect *effect, double alpha)
{
    if (isnan(effect->error)) return (qg_estimate){effect->value, (double)NAN, (double)NAN};
    const double far = reach(effect, alpha) * effect->error;
    return (qg_estimate){effect->value, effect->value - far, effect->value + far};
}

double qg_effect_degrees(const qg_effect *effect, double alpha)
{
    if (isnan(effect->error)) return (double)NAN;
    if (!(effect->baseline_degrees > 0)) return effect->degrees;
    return qg_student_degrees(reach(effect, alpha), alpha);
}

qg_status qg_curve_of(const qg_curves *curves, qg_estimate *curve, qg_error *error)
{
    const size_t seeds = curves->seed_count;
    double *scores = calloc(seeds + 1, sizeof *scores);
    if (!scores) return qg_fail_memory(error, "a curve", seeds * sizeof *scores);
    const double degrees = (double)seeds - 1;
    const double reach_of_t = seeds > 1 ? qg_student_reach(degrees, QG_ALPHA) : (double)NAN;
    for (size_t i = 0; i < curves->point_count; i++) {
        for (size_t s = 0; s < seeds; s++)
            scores[s] = curves->scores[s][i];
        const double value = mean(scores, seeds);
        const double band = reach_of_t * sqrt(squares(scores, seeds) / degrees / (double)seeds);
        curve[i] = (qg_estimate){value, value - band, value + band};
    }
    free(scores);
    return QG_OK;
}
