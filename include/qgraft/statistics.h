/* What a transfer did, and how sure one can be of it.
 *
 * From the reward histories of baselines and transfers come the measures of each run (Taylor and
 * Stone 2009); from these effects with their errors, and verdicts that neither few seeds nor many
 * comparisons can fool; over seeds and tasks the aggregates and intervals of rliable (Agarwal et
 * al. 2021). Only plain arrays go in. docs/statistics.md has the formulas, the rule and what was
 * measured of it. */
#ifndef QGRAFT_STATISTICS_H
#define QGRAFT_STATISTICS_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Measures of a transfer ---- */

/* Windows, in percent of the last evaluation's step. Step 0, before any training, is in none. */
#define QG_JUMPSTART_PERCENT 10 /* jumpstart: steps up to here, at least the first evaluation */
#define QG_ASYMPTOTE_PERCENT 90 /* asymptote: steps beyond here */
#define QG_EARLY_PERCENT     80 /* early: steps up to here, at least one; late: beyond */
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
    QG_EARLY,
    QG_LATE,
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

#define QG_ALPHA     0.05  /* of errors that an interval or a verdict may make */
#define QG_RESAMPLES 50000 /* of every bootstrap */

typedef struct qg_estimate {
    double value, low, high; /* the ends of the 95 % interval; NaN where there is none */
} qg_estimate;

/* The mean of the seeds (at least one) and Student's interval at every point: the curve of a figure
 * and its band, `curve` [point]. QG_ERROR_MEMORY. */
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

/* The IQM of the values [experiments x seeds], all experiments with the same seeds, which the
 * bootstrap draws for all of them together: experiments share baselines and sources, seeds do not.
 * There is no interval for fewer than QG_ENOUGH_SEEDS. */
qg_status qg_iqm_over_seeds(const double *values, size_t experiments, size_t seeds, uint64_t seed,
                            qg_estimate *estimate, qg_error *error);

/* Of x over y: the mean over tasks of P(X > Y) + P(X = Y) / 2 (Mann-Whitney's U / (n m)). x and y
 * have the same tasks and any numbers of runs; they are drawn independently of each other. */
qg_status qg_probability_of_improvement(const qg_tasks *x, const qg_tasks *y, uint64_t seed,
                                        qg_estimate *estimate, qg_error *error);

/* P(X > Y) + P(X = Y) / 2 of one task with Newcombe's interval (2006, method 5), which needs no
 * bootstrap and is no point where all of x lie above all of y. Both counts at least 1; none for a
 * single run on either side. */
qg_estimate qg_improvement_of(const double *x, size_t x_count, const double *y, size_t y_count);

/* The share of all runs whose value is above each tau: profile [tau_count], taus rising. */
qg_status qg_performance_profile(const qg_tasks *tasks, const double *taus, size_t tau_count,
                                 uint64_t seed, qg_estimate *profile, qg_error *error);

/* ---- Effects ---- */

/* A difference of means, and how well it is known. */
typedef struct qg_effect {
    double value;   /* NaN: there is none */
    double error;   /* its standard error; NaN: not known, as of runs that do not scatter */
    double degrees; /* of freedom of the error, or, beside the next, of the arm's part */
    double baseline_degrees; /* of the other part, of moderated variances; 0: of none */
    double share;            /* of the arm in the squared error */
} qg_effect;

/* Groups of one stratum may have about the same variance. Frozen layers learn less, and scatter
 * less, than free ones. */
typedef enum qg_stratum { QG_BASELINES, QG_FREE, QG_FROZEN, QG_STRATA } qg_stratum;

/* Runs that differ in nothing but the seed. */
typedef struct qg_group {
    const double *values;  /* [count] finite */
    const uint64_t *seeds; /* [count] all different */
    size_t count;
    qg_stratum stratum;
    /* The group of the same runs that stands for them, NULL: itself. So it is with a baseline of
     * arms that have come to different steps: it is one baseline, of one family, and only one of
     * the groups that say together how variances are. */
    const struct qg_group *same_runs;
} qg_group;

/* What is known of a group's variance. */
typedef struct qg_variance {
    double value;   /* NaN: of a single run nothing is */
    double degrees; /* of freedom */
    bool moderated;
} qg_variance;

/* The variance of each group: its own; or moderated (Smyth 2004), between its own and what the
 * groups of its stratum have in common, the more of the latter the more alike they are. A stratum
 * of fewer than three groups with two runs keeps its own. */
qg_status qg_variances_of(const qg_group *groups, size_t count, bool moderated,
                          qg_variance *variances, qg_error *error);

/* The mean of `arm` - that of `baseline`: Welch's, with Satterthwaite's degrees of freedom. Those
 * take the variances for their estimates: of many arms that scatter unlike each other the ones
 * whose runs came out alike by chance would get far too many. Where a variance is moderated the
 * degrees of both stay apart, for Behrens' and Fisher's distribution, which is exact where the
 * variances have the distribution that moderates them. */
qg_effect qg_effect_of_groups(const qg_group *baseline, const qg_variance *baseline_variance,
                              const qg_group *arm, const qg_variance *arm_variance);

/* The mean of differences, paired. */
qg_effect qg_effect_of_pairs(const double *differences, size_t count);

/* Two-sided, that the effect is zero. That it is `margin` or more either way: two one-sided tests
 * (Schuirmann 1987). NaN where there is no effect or no error. */
double qg_effect_p(const qg_effect *effect);
double qg_effect_margin_p(const qg_effect *effect, double margin);

/* The interval that holds the effect with probability 1 - alpha, and the degrees of freedom with
 * which Student's distribution has the same. NaN where there is no error. */
qg_estimate qg_effect_interval(const qg_effect *effect, double alpha);
double qg_effect_degrees(const qg_effect *effect, double alpha);

/* Two-sided, by permutation of the runs of both groups with the studentised difference (Janssen
 * 1997), or by the signs of paired differences: exact where there are no more than QG_ARRANGEMENTS
 * of them, otherwise as many drawn from qg_random_stream(seed, "permutation"). QG_ERROR_MEMORY. */
#define QG_ARRANGEMENTS 20000
qg_status qg_permutation_p(const double *x, size_t x_count, const double *y, size_t y_count,
                           uint64_t seed, double *p, qg_error *error);
qg_status qg_sign_flip_p(const double *differences, size_t count, uint64_t seed, double *p,
                         qg_error *error);

/* ---- Many comparisons ---- */

/* p adjusted: by Benjamini and Hochberg (1995) for the false discovery rate, by Holm (1979) for
 * any error. A NaN counts as a comparison with p = 1 and stays. QG_ERROR_MEMORY. */
qg_status qg_adjust_rate(const double *p, size_t count, double *adjusted, qg_error *error);
qg_status qg_adjust_any(const double *p, size_t count, double *adjusted, qg_error *error);

/* How the largest of several t that share a baseline is distributed (Dunnett 1955; with variances
 * of their own Hasler and Hothorn 2008). The correlation of two is shares[i] shares[j], the square
 * of a share being the baseline's part of the squared error. */
typedef struct qg_largest_t qg_largest_t;
qg_status qg_largest_t_create(const double *shares, size_t count, qg_largest_t **largest,
                              qg_error *error);
void qg_largest_t_free(qg_largest_t *largest);

/* P(the largest |T| > t), all with so many degrees of freedom. To 1e-6. */
double qg_largest_t_p(const qg_largest_t *largest, double t, double degrees);

/* The t that the largest |T| exceeds with probability alpha. */
double qg_largest_t_reach(const qg_largest_t *largest, double alpha, double degrees);

/* ---- Looking several times ---- */

/* How much of the error rate is spent early: O'Brien and Fleming's way hardly any, Pocock's about
 * the same at each look. */
typedef enum qg_spending { QG_SPEND_OBRIEN_FLEMING, QG_SPEND_POCOCK } qg_spending;

/* The two-sided level of each look, levels [count], such that a test which looks when these shares
 * (rising, at most 1) of the information are there errs with probability alpha in all (Lan and
 * DeMets 1983, alpha / 2 on each side). That of a look depends on those before it only.
 * QG_ERROR_USAGE, QG_ERROR_MEMORY. */
qg_status qg_spending_levels(qg_spending spending, const double *fractions, size_t count,
                             double alpha, double *levels, qg_error *error);

/* ---- Verdicts ---- */

#define QG_ENOUGH_SEEDS 6   /* of both sides, for what resamples them */
#define QG_MARGIN       0.1 /* of effects that matter, unless a study says another */

typedef enum qg_compare { QG_COMPARE_MODERATED, QG_COMPARE_WELCH, QG_COMPARE_PAIRED } qg_compare;
typedef enum qg_adjust { QG_ADJUST_BH, QG_ADJUST_DUNNETT, QG_ADJUST_NONE } qg_adjust;

/* Fixed before looking. */
typedef struct qg_rule {
    qg_compare compare;
    qg_adjust adjust;  /* what verdicts rest on */
    double margin;     /* above 0 */
    bool effects_only; /* no verdicts: nothing is permuted or adjusted, which takes most of the time
                        */
    double level;      /* what adjusted p are held against at one look of several; 0: QG_ALPHA */
} qg_rule;

typedef enum qg_decision {
    QG_NOT_DECIDED,
    QG_POSITIVE,
    QG_NEGATIVE,
    QG_WITHIN_MARGIN, /* no effect larger than the margin */
    QG_DECISIONS
} qg_decision;

typedef enum qg_reason {
    QG_NO_RUNS,          /* nothing to compare */
    QG_UNFINISHED,       /* runs are missing or go on */
    QG_ONE_SEED,         /* the spread of a single run is unknown */
    QG_NO_SPREAD,        /* that of runs, or differences, that are all the same is, too */
    QG_ZERO_OUTSIDE,     /* decided: the adjusted interval excludes zero */
    QG_IN_MARGIN,        /* decided: so small that it does not matter */
    QG_ZERO_INSIDE,      /* even the unadjusted interval holds zero */
    QG_ONE_OF_MANY,      /* only the unadjusted interval excludes zero */
    QG_PERMUTATION_OPEN, /* the permutation test does not agree */
    QG_DECIDED_AT_LOOK,  /* decided: at one of several looks, by its level */
    QG_NOT_AT_ANY_LOOK   /* at no look of those that there were */
} qg_reason;

/* An arm of an experiment: runs that are compared with a baseline. */
typedef struct qg_arm {
    qg_group runs;   /* count 0: there are none yet */
    size_t baseline; /* which one */
    bool control;    /* adjusted among controls, not among experiments */
    bool unfinished; /* not decided, whatever it shows; it counts among the comparisons */
} qg_arm;

typedef struct qg_verdict {
    qg_decision decision;
    qg_reason reason;
    size_t seeds, baseline_seeds;
    qg_effect effect;
    double p;             /* raw; all p are NaN where there is none */
    double family_p;      /* Dunnett's, among the arms of the baseline */
    double q;             /* Benjamini and Hochberg's, over all experiments, or all controls */
    double permutation_p; /* raw; NaN below QG_ENOUGH_SEEDS */
    double margin_p;      /* that the effect is within the margin: adjusted as the rule says */
    qg_estimate raw;      /* the 95 % interval */
    qg_estimate adjusted; /* the one that excludes zero where the adjusted p is below QG_ALPHA: by
                             Dunnett's t; for BH that of Benjamini and Yekutieli (2005) */
} qg_verdict;

const char *qg_decision_name(qg_decision decision); /* "positive", "negative", "no effect", ... */
const char *qg_reason_text(qg_reason reason);       /* a sentence without its full stop */

/* Judges all arms together: positive or negative where the adjusted p is at most QG_ALPHA and, from
 * QG_ENOUGH_SEEDS on both sides on, the raw p by permutation too; otherwise within the margin where
 * that p is. verdicts [arm_count]. QG_ERROR_DATA for values that are not within -1e100 and 1e100
 * (their squares are needed), QG_ERROR_MEMORY. */
qg_status qg_verdicts_of(const qg_group *baselines, size_t baseline_count, const qg_arm *arms,
                         size_t arm_count, const qg_rule *rule, uint64_t seed, qg_verdict *verdicts,
                         qg_error *error);

/* How baselines and arms with the same seed go together: over all arms, of the differences from the
 * groups' means. With fewer than two degrees of freedom there is none. */
typedef struct qg_pairing {
    qg_estimate correlation;
    bool warranted; /* pairing by seed would make a typical interval shorter than those of the
                       verdicts, which another rule made, surely */
    bool refuted; /* it makes one longer than Welch's with as many seeds of the baseline, surely */
} qg_pairing;
qg_pairing qg_pairing_of(const qg_group *baselines, const qg_arm *arms, const qg_verdict *verdicts,
                         size_t arm_count);

/* ---- Power ---- */

#define QG_POWER 0.8 /* the probability with which an effect that is there is seen */

/* A comparison that is to be made; deviations are those of single runs. */
typedef struct qg_design {
    double deviation, baseline_deviation; /* 0 to 1e100 */
    size_t seeds, baseline_seeds;
    size_t arms, baselines; /* how many such groups the study has; at least one */
    qg_compare compare;     /* paired: runs with one seed are taken as uncorrelated */
} qg_design;

/* The smallest effect that is decided with QG_POWER when p is held against alpha, which is within 0
 * and 1; infinite for fewer than two seeds, 0 where runs do not scatter. */
double qg_visible_effect(const qg_design *design, double alpha);

/* The seeds of an arm that make an effect visible, the baseline having as many times the root of
 * the number of its arms (Dunnett 1955), paired as many; 10,000 where more are needed. */
size_t qg_seeds_for(qg_design design, double effect, double alpha);

#ifdef __cplusplus
}
#endif
#endif
