/* What a transfer did, and how sure one can be of it.
 *
 * From the reward histories of a baseline and a transfer with the same seeds come the measures of
 * each pair (Taylor and Stone 2009); from such numbers over seeds and tasks the aggregates and
 * intervals of rliable (Agarwal et al. 2021), and a verdict that few seeds cannot fool. Only plain
 * arrays go in. docs/statistics.md has the formulas, the rule and what was measured of it. */
#ifndef QGRAFT_STATISTICS_H
#define QGRAFT_STATISTICS_H

#include <qgraft/error.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Measures of a transfer ---- */

/* Windows, in percent of the last evaluation's step. Step 0, before any training, is in none. */
#define QG_JUMPSTART_PERCENT 10 /* jumpstart: steps up to here, at least the first evaluation */
#define QG_ASYMPTOTE_PERCENT 90 /* asymptote: steps beyond here */
#define QG_BEGINNING_PERCENT 80 /* beginning: steps up to here, at least one; end: beyond */
#define QG_SMOOTHED          3  /* evaluations in the moving mean for threshold and crossover */

/* Scores of runs of one kind that were evaluated at the same steps. */
typedef struct qg_curves {
    size_t seed_count, point_count;
    const uint64_t *seeds;       /* [seed] all different */
    const int64_t *steps;        /* [point] rising, from 0 on */
    const double *const *scores; /* [seed][point] finite */
} qg_curves;

/* Scores that make games comparable: normalised = (score - random) / (reference - random). */
typedef struct qg_scale {
    double random;    /* of random play */
    double reference; /* of good play, above random */
    double threshold; /* to be reached, in the game's points */
} qg_scale;

typedef enum qg_measure {
    QG_ZERO_SHOT, /* the score at step 0; NaN where that was not evaluated */
    QG_JUMPSTART, /* mean score of its window, as the following */
    QG_BEGINNING,
    QG_END,
    QG_ASYMPTOTE,
    QG_MAXIMUM, /* best evaluation, without step 0 */
    QG_AREA,    /* area under the curve (trapezoids over all steps) / steps: the primary one */
    QG_MEASURES
} qg_measure;

const char *qg_measure_name(qg_measure measure); /* "zero_shot", "jumpstart", ... */

/* What each seed of a run reached by itself, in the game's points: levels [seed]. QG_ERROR_DATA as
 * of qg_pairs_measure. */
qg_status qg_levels_measure(const qg_curves *curves, double (*levels)[QG_MEASURES],
                            qg_error *error);

/* A transfer and its baseline with the same seed. */
typedef struct qg_pair {
    uint64_t seed;
    double baseline[QG_MEASURES], transfer[QG_MEASURES]; /* in the game's points */
    double difference[QG_MEASURES]; /* transfer - baseline, in units of reference - random: what
                                       can be pooled across games */
    double area_ratio;              /* (area T - area B) / area B, normalised; NaN where area B is
                                       not above 0: a ratio of negative scores means nothing */
    int64_t baseline_threshold; /* first step whose moving mean reaches the threshold; -1: none */
    int64_t transfer_threshold;
    int64_t crossover; /* last step at which the transfer's moving mean is ahead; -1: never */
} qg_pair;

/* Measures all seeds that both have, in the transfer's order. `pairs` has room for
 * transfer->seed_count. QG_ERROR_USAGE for a scale that is none, QG_ERROR_DATA for curves against
 * their contract, of fewer than two points, or with other steps than each other. */
qg_status qg_pairs_measure(const qg_curves *baseline, const qg_curves *transfer,
                           const qg_scale *scale, qg_pair *pairs, size_t *count, qg_error *error);

/* Time to threshold over pairs. A run that never reaches it counts as later than every other. */
typedef struct qg_threshold_times {
    size_t pairs, baseline_reached, transfer_reached, both_reached;
    double baseline_median, transfer_median; /* step; NaN when half of the runs or more never did */
    double difference; /* median of transfer - baseline where both reached it; NaN: nowhere */
} qg_threshold_times;

qg_status qg_threshold_times_of(const qg_pair *pairs, size_t count, qg_threshold_times *times,
                                qg_error *error);

/* ---- Intervals ---- */

#define QG_CONFIDENCE 0.95
#define QG_RESAMPLES  50000 /* of every bootstrap */

typedef struct qg_estimate {
    double value, low, high; /* the ends of the 95 % interval; NaN where there is none */
} qg_estimate;

/* The t with P(|T| <= t) = confidence (0 < confidence < 1), T of Student's distribution. */
double qg_student_quantile(size_t degrees_of_freedom, double confidence);

/* The mean of count >= 1 values and Student's interval; none for a single value. */
qg_estimate qg_mean_of(const double *values, size_t count);

/* qg_mean_of the seeds (at least one) at every point: the curve of a figure and its band, `curve`
 * [point]. QG_ERROR_MEMORY. */
qg_status qg_curve_of(const qg_curves *curves, qg_estimate *curve, qg_error *error);

/* Values of independent runs on one or more tasks: [task][run], counts[task] >= 1. */
typedef struct qg_tasks {
    size_t task_count;
    const size_t *counts;
    const double *const *values;
} qg_tasks;

typedef enum qg_aggregate {
    QG_IQM,    /* mean of the middle half of all runs of all tasks (25 % trimmed mean) */
    QG_MEAN,   /* mean over tasks of the tasks' means */
    QG_MEDIAN, /* median over tasks of the tasks' means */
} qg_aggregate;

/* All with the interval of the stratified bootstrap: the runs of each task are drawn anew, with
 * replacement, from qg_random_stream(seed, "bootstrap"); 2.5 and 97.5 percentiles. QG_ERROR_DATA
 * for a value that is not finite or a task without runs, QG_ERROR_MEMORY. */

qg_status qg_aggregate_of(const qg_tasks *tasks, qg_aggregate aggregate, uint64_t seed,
                          qg_estimate *estimate, qg_error *error);

/* Of x over y: the mean over tasks of P(X > Y) + P(X = Y) / 2 (Mann-Whitney's U / (n m)). x and y
 * have the same tasks and any numbers of runs; they are drawn independently of each other. */
qg_status qg_probability_of_improvement(const qg_tasks *x, const qg_tasks *y, uint64_t seed,
                                        qg_estimate *estimate, qg_error *error);

/* The share of all runs whose value is above each tau: profile [tau_count], taus rising. */
qg_status qg_performance_profile(const qg_tasks *tasks, const double *taus, size_t tau_count,
                                 uint64_t seed, qg_estimate *profile, qg_error *error);

/* ---- Verdicts ---- */

typedef enum qg_decision {
    QG_NOT_DECIDED,
    QG_POSITIVE,
    QG_NEGATIVE,
} qg_decision;

typedef enum qg_reason {
    QG_BOTH_AGREE,     /* both intervals lie on the same side of zero: decided */
    QG_NO_PAIRS,       /* nothing to compare */
    QG_ONE_SEED,       /* a task has a single pair: its spread is unknown */
    QG_ZERO_IN_BOTH,   /* both intervals hold zero */
    QG_TOO_FEW_SEEDS,  /* only Student's interval holds zero */
    QG_ZERO_IN_SAMPLE, /* only the bootstrap's interval holds zero */
} qg_reason;

typedef struct qg_verdict {
    qg_decision decision;
    qg_reason reason;
    size_t tasks, pairs;
    qg_estimate bootstrap,
        student; /* both of the effect, the mean over tasks of the tasks' means */
} qg_verdict;

const char *qg_decision_name(qg_decision decision); /* "positive", "negative", "not decided" */
const char *qg_reason_text(qg_reason reason);       /* a sentence without its full stop */

/* Whether the mean of paired differences (transfer - baseline of any one measure, one for each
 * seed) is above or below zero: decided only when both the bootstrap's and Student's interval
 * exclude it. Errors as of qg_aggregate_of. */
qg_status qg_verdict_of(const double *differences, size_t count, uint64_t seed, qg_verdict *verdict,
                        qg_error *error);

/* The same for the mean over several tasks. Their runs must be independent: for experiments that
 * share baselines or sources take qg_seed_means and qg_verdict_of. */
qg_status qg_verdict_over_tasks(const qg_tasks *differences, uint64_t seed, qg_verdict *verdict,
                                qg_error *error);

/* One difference for each seed from those of several experiments, values[i] being of seeds[i]
 * [count]: the mean of the seed's values. Seeds that lack an experiment are left out, so that all
 * means are over the same. `means` has room for count values; returns their number. */
size_t qg_seed_means(const uint64_t *seeds, const double *values, size_t count, double *means);

#ifdef __cplusplus
}
#endif
#endif
