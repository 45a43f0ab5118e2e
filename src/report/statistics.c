/* The aggregates of rliable (Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the
 * Statistical Precipice"), computed from the picks of a resample. What needs an order is sorted
 * once: a resample then only counts how often each value was picked. */
#include <qgraft/statistics.h>

#include "report/bootstrap.h"
#include "report/distributions.h"
#include "report/order.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------ aggregates */

typedef struct ranking {
    double *sorted; /* [run] all values */
    size_t *ranks;  /* [run] where a run's value stands in it */
    size_t *counts; /* [rank] how often it was picked */
} ranking;

static size_t find_rank(const double *sorted, size_t count, double value)
{
    size_t low = 0, high = count; /* the first that is not below the value */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (sorted[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static qg_status ranking_create(const double *values, size_t count, ranking *r, qg_error *error)
{
    r->sorted = calloc(count + 1, sizeof *r->sorted);
    r->ranks = calloc(count + 1, sizeof *r->ranks);
    r->counts = calloc(count + 1, sizeof *r->counts);
    if (!r->sorted || !r->ranks || !r->counts)
        return qg_fail_memory(error, "an aggregate", count * sizeof *r->sorted);
    for (size_t i = 0; i < count; i++)
        r->sorted[i] = values[i];
    qg_sort(r->sorted, count);
    for (size_t i = 0; i < count; i++)
        r->ranks[i] = find_rank(r->sorted, count, values[i]);
    return QG_OK;
}

static void ranking_free(ranking *r)
{
    free(r->sorted);
    free(r->ranks);
    free(r->counts);
}

/* scipy.stats.trim_mean(values, 0.25) of the `count` values counted: a quarter of them, rounded
 * down, goes at either end. */
static double trimmed_mean(const ranking *r, size_t count)
{
    const size_t cut = count / 4, end = count - cut;
    double sum = 0;
    for (size_t rank = 0, seen = 0; seen < end; rank++) {
        const size_t from = seen > cut ? seen : cut;
        seen += r->counts[rank];
        const size_t to = seen < end ? seen : end;
        if (to > from) sum += r->sorted[rank] * (double)(to - from);
    }
    return sum / (double)(end - cut);
}

static double interquartile_mean(void *context, const qg_sample *sample)
{
    const ranking *r = context;
    memset(r->counts, 0, sample->count * sizeof *r->counts);
    for (size_t i = 0; i < sample->count; i++)
        r->counts[r->ranks[sample->picks[i]]]++;
    return trimmed_mean(r, sample->count);
}

static double median_of_task_means(void *context, const qg_sample *sample)
{
    double *means = context; /* [task] */
    size_t begin = 0;
    for (size_t t = 0; t < sample->task_count; begin = sample->ends[t++]) {
        double sum = 0;
        for (size_t i = begin; i < sample->ends[t]; i++)
            sum += sample->values[sample->picks[i]];
        means[t] = sum / (double)(sample->ends[t] - begin);
    }
    qg_sort(means, sample->task_count);
    return qg_quantile(means, sample->task_count, 0.5);
}

static qg_status aggregate_iqm(qg_sample *sample, uint64_t seed, qg_estimate *estimate,
                               qg_error *error)
{
    ranking r = {0};
    qg_status status = ranking_create(sample->values, sample->count, &r, error);
    if (!status)
        status = qg_bootstrap_interval(sample, interquartile_mean, &r, seed, estimate, error);
    ranking_free(&r);
    return status;
}

static qg_status aggregate_median(qg_sample *sample, uint64_t seed, qg_estimate *estimate,
                                  qg_error *error)
{
    double *means = calloc(sample->task_count, sizeof *means);
    if (!means) return qg_fail_memory(error, "an aggregate", sample->task_count * sizeof *means);
    const qg_status status =
        qg_bootstrap_interval(sample, median_of_task_means, means, seed, estimate, error);
    free(means);
    return status;
}

qg_status qg_aggregate_of(const qg_tasks *tasks, qg_aggregate aggregate, uint64_t seed,
                          qg_estimate *estimate, qg_error *error)
{
    qg_sample sample;
    qg_status status = qg_sample_create(&tasks, 1, &sample, error);
    if (!status && aggregate == QG_IQM)
        status = aggregate_iqm(&sample, seed, estimate, error);
    else if (!status && aggregate == QG_MEDIAN)
        status = aggregate_median(&sample, seed, estimate, error);
    else if (!status)
        status = qg_bootstrap_interval(&sample, qg_mean_of_task_means, NULL, seed, estimate, error);
    qg_sample_free(&sample);
    return status;
}

/* The picks are seeds; each brings its value of every experiment. */
typedef struct by_seed {
    size_t experiments;
    ranking ranking; /* of [experiment][seed] */
} by_seed;

static double iqm_of_seeds(void *context, const qg_sample *sample)
{
    const by_seed *b = context;
    const size_t seeds = sample->count, all = b->experiments * seeds;
    memset(b->ranking.counts, 0, all * sizeof *b->ranking.counts);
    for (size_t e = 0; e < b->experiments; e++)
        for (size_t i = 0; i < seeds; i++)
            b->ranking.counts[b->ranking.ranks[e * seeds + sample->picks[i]]]++;
    return trimmed_mean(&b->ranking, all);
}

qg_status qg_iqm_over_seeds(const double *values, size_t experiments, size_t seeds, uint64_t seed,
                            qg_estimate *estimate, qg_error *error)
{
    *estimate = (qg_estimate){(double)NAN, (double)NAN, (double)NAN};
    if (experiments == 0 || seeds == 0) return QG_OK;
    by_seed b = {.experiments = experiments};
    const qg_tasks first = {1, &seeds, &values}, *const tasks = &first; /* for the picks alone */
    qg_sample sample;
    qg_status status = qg_sample_create(&tasks, 1, &sample, error);
    if (!status) status = ranking_create(values, experiments * seeds, &b.ranking, error);
    if (!status && seeds >= QG_ENOUGH_SEEDS)
        status = qg_bootstrap_interval(&sample, iqm_of_seeds, &b, seed, estimate, error);
    else if (!status)
        estimate->value = iqm_of_seeds(&b, &sample);
    ranking_free(&b.ranking);
    qg_sample_free(&sample);
    return status;
}

/* --------------------------------------------------------------- probability of improvement */

/* Of one task: twice Mann-Whitney's U over the picks from x and y, a tie counting one half. */
static size_t count_wins(const qg_sample *sample, size_t x, size_t x_end, size_t y, size_t y_end)
{
    size_t wins = 0;
    for (size_t i = x; i < x_end; i++) {
        const double value = sample->values[sample->picks[i]];
        for (size_t j = y; j < y_end; j++) {
            const double other = sample->values[sample->picks[j]];
            wins += (size_t)(value > other) + (size_t)(value >= other);
        }
    }
    return wins;
}

/* The first half of the sample's tasks is x, the second y. */
static double improvement(void *context, const qg_sample *sample)
{
    (void)context;
    const size_t tasks = sample->task_count / 2;
    double sum = 0;
    for (size_t t = 0; t < tasks; t++) {
        const size_t x = t > 0 ? sample->ends[t - 1] : 0, x_end = sample->ends[t];
        const size_t y = sample->ends[tasks + t - 1], y_end = sample->ends[tasks + t];
        sum += (double)count_wins(sample, x, x_end, y, y_end) /
               (2 * (double)(x_end - x) * (double)(y_end - y));
    }
    return sum / (double)tasks;
}

qg_status qg_probability_of_improvement(const qg_tasks *x, const qg_tasks *y, uint64_t seed,
                                        qg_estimate *estimate, qg_error *error)
{
    if (x->task_count != y->task_count)
        return qg_fail(error, QG_ERROR_DATA,
                       "one side has %zu tasks, the other %zu; compare the same tasks",
                       x->task_count, y->task_count);
    qg_sample sample;
    qg_status status = qg_sample_create((const qg_tasks *const[]){x, y}, 2, &sample, error);
    if (!status) status = qg_bootstrap_interval(&sample, improvement, NULL, seed, estimate, error);
    qg_sample_free(&sample);
    return status;
}

/* Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann-Whitney
 * statistic", part 2, method 5: the theta that lie within 1.96 of their own standard errors, by the
 * variance of Hanley and McNeil with both sizes at their mean. */
static double improvement_end(double theta, double x_count, double y_count, double sign)
{
    const double z = qg_student_reach(INFINITY, QG_ALPHA);
    const double middle = (x_count + y_count) / 2 - 1;
    double near = theta, far = sign > 0 ? 1 : 0;
    for (int i = 0; i < 100; i++) {
        const double end = (near + far) / 2;
        const double variance = end * (1 - end) *
                                (1 + middle * ((1 - end) / (2 - end) + end / (1 + end))) /
                                (x_count * y_count);
        if ((end - theta) * (end - theta) < z * z * variance)
            near = end;
        else
            far = end;
    }
    return near;
}

qg_estimate qg_improvement_of(const double *x, size_t x_count, const double *y, size_t y_count)
{
    double wins = 0;
    for (size_t i = 0; i < x_count; i++)
        for (size_t j = 0; j < y_count; j++)
            wins += (x[i] > y[j]) + (x[i] >= y[j]);
    const double n = (double)x_count, m = (double)y_count, theta = wins / (2 * n * m);
    if (x_count < 2 || y_count < 2) return (qg_estimate){theta, (double)NAN, (double)NAN};
    return (qg_estimate){theta, improvement_end(theta, n, m, -1), improvement_end(theta, n, m, 1)};
}

/* ---------------------------------------------------------------------- performance profile */

typedef struct profiler {
    size_t tau_count, levels; /* levels: number of runs above a tau, 0 ... all */
    size_t *below;            /* [run] taus below its value */
    size_t *counts;           /* [tau_count + 1] picks with so many taus below them */
    uint32_t *histogram;      /* [tau][level] resamples */
} profiler;

static qg_status profiler_create(const qg_sample *sample, const double *taus, size_t tau_count,
                                 profiler *p, qg_error *error)
{
    *p = (profiler){.tau_count = tau_count, .levels = sample->count + 1};
    size_t cells = 0;
    const bool fits = !__builtin_mul_overflow(tau_count, p->levels, &cells);
    p->below = calloc(sample->count, sizeof *p->below);
    p->counts = calloc(tau_count + 1, sizeof *p->counts);
    p->histogram = fits ? calloc(cells + 1, sizeof *p->histogram) : NULL;
    if (!p->below || !p->counts || !p->histogram)
        return qg_fail_memory(error, "a performance profile", cells * sizeof *p->histogram);
    for (size_t i = 0; i < sample->count; i++)
        p->below[i] = find_rank(taus, tau_count, sample->values[i]);
    return QG_OK;
}

static void profiler_free(profiler *p)
{
    free(p->below);
    free(p->counts);
    free(p->histogram);
}

static void add_profile(void *context, const qg_sample *sample, size_t resample)
{
    (void)resample;
    profiler *p = context;
    for (size_t t = 0; t <= p->tau_count; t++)
        p->counts[t] = 0;
    for (size_t i = 0; i < sample->count; i++)
        p->counts[p->below[sample->picks[i]]]++;
    size_t above = 0;
    for (size_t t = p->tau_count; t-- > 0;) {
        above += p->counts[t + 1];
        p->histogram[t * p->levels + above]++;
    }
}

/* The level of the resample that stands at `position` in ascending order. */
static size_t find_level(const uint32_t *histogram, size_t position)
{
    size_t level = 0, seen = histogram[0];
    while (seen <= position)
        seen += histogram[++level];
    return level;
}

/* qg_quantile of the levels, as a share of the runs. */
static double level_quantile(const profiler *p, size_t tau, double share)
{
    const uint32_t *histogram = p->histogram + tau * p->levels;
    const double position = share * (QG_RESAMPLES - 1);
    const size_t below = (size_t)position;
    const double ends[] = {(double)find_level(histogram, below),
                           (double)find_level(histogram, below + 1)};
    return (ends[0] + (position - (double)below) * (ends[1] - ends[0])) / (double)(p->levels - 1);
}

static void summarise_profile(const qg_sample *sample, const profiler *p, qg_estimate *profile)
{
    for (size_t t = 0; t < p->tau_count; t++) {
        size_t above = 0;
        for (size_t i = 0; i < sample->count; i++)
            above += p->below[i] > t;
        profile[t].value = (double)above / (double)sample->count;
        profile[t].low = level_quantile(p, t, QG_ALPHA / 2);
        profile[t].high = level_quantile(p, t, 1 - QG_ALPHA / 2);
    }
}

static qg_status check_taus(const double *taus, size_t count, qg_error *error)
{
    for (size_t t = 0; t < count; t++)
        if (!isfinite(taus[t]) || (t > 0 && taus[t] <= taus[t - 1]))
            return qg_fail(error, QG_ERROR_DATA, "tau %zu (%g): taus must be finite and rise",
                           t + 1, taus[t]);
    return QG_OK;
}

qg_status qg_performance_profile(const qg_tasks *tasks, const double *taus, size_t tau_count,
                                 uint64_t seed, qg_estimate *profile, qg_error *error)
{
    qg_sample sample = {0};
    profiler p = {0};
    qg_status status = check_taus(taus, tau_count, error);
    if (!status) status = qg_sample_create(&tasks, 1, &sample, error);
    if (!status) status = profiler_create(&sample, taus, tau_count, &p, error);
    if (!status) {
        qg_bootstrap(&sample, seed, add_profile, &p);
        summarise_profile(&sample, &p, profile);
    }
    profiler_free(&p);
    qg_sample_free(&sample);
    return status;
}
