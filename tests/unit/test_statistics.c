/* Statistics on numbers whose answer is known by hand, and the honesty of the verdict's rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/statistics.h>

#include "base/random.h"

#include "report/distributions.h"

#include <math.h>
#include <string.h>

static qg_error error;

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9)) fail_msg("%.12g, expected %.12g", value, expected);
}

static void assert_estimate(qg_estimate estimate, double value, double low, double high)
{
    assert_near(estimate.value, value);
    assert_near(estimate.low, low);
    assert_near(estimate.high, high);
}

/* ---- Measures ---- */

enum { POINTS = 11 };
static const int64_t steps[POINTS] = {0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
static const uint64_t seeds[] = {7, 8};
static const qg_scale scale = {.random = 1, .reference = 5, .threshold = 6};

static qg_curves curves_of(size_t count, const double *const *scores)
{
    return (qg_curves){count, POINTS, seeds, steps, scores};
}

static void test_measures(void **state)
{
    (void)state;
    const double rising[POINTS] = {20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}; /* best before training */
    const double early[POINTS] = {0, 6, 6, 6, 6, 5, 5, 5, 4, 4, 4};
    const qg_curves baseline = curves_of(1, (const double *[]){rising});
    const qg_curves transfer = curves_of(1, (const double *[]){early});
    qg_pair pair;
    size_t count;
    assert_int_equal(qg_pairs_measure(&baseline, &transfer, &scale, &pair, &count, &error), 0);
    assert_int_equal(count, 1);
    assert_int_equal(pair.seed, 7);
    const double *b = pair.baseline, *d = pair.difference;
    assert_near(b[QG_ZERO_SHOT], 20);
    assert_near(b[QG_JUMPSTART], 1);
    assert_near(b[QG_EARLY], 4.5); /* 10 ... 80 */
    assert_near(b[QG_LATE], 9.5);
    assert_near(b[QG_ASYMPTOTE], 10);
    assert_near(b[QG_MAXIMUM], 10);
    assert_near(b[QG_AREA], 6); /* (20 + 1) / 2, (1 + 10) / 2 nine times */
    double alone[1][QG_MEASURES];
    assert_int_equal(qg_levels_measure(&baseline, alone, &error), 0);
    assert_memory_equal(alone[0], b, sizeof alone[0]);
    assert_near(d[QG_ZERO_SHOT], -20 / 4.0);
    assert_near(d[QG_JUMPSTART], 5 / 4.0);
    assert_near(d[QG_MAXIMUM], -4 / 4.0);
    assert_near(pair.transfer[QG_AREA], 4.9);
    assert_near(pair.area_ratio, (4.9 - 6) / (6 - 1));
    assert_int_equal(pair.baseline_threshold, 20); /* (20 + 1 + 2) / 3 */
    assert_int_equal(pair.transfer_threshold, 30); /* 6, 6, 6 */
    assert_int_equal(pair.crossover, 60);          /* 16 / 3 > 5, then 5 < 6 */
}

static void test_censored(void **state)
{
    (void)state;
    const double low[POINTS] = {0}, lower[POINTS] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    const double high[POINTS] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
    const qg_curves baseline = curves_of(2, (const double *[]){low, high});
    const qg_curves transfer = curves_of(2, (const double *[]){lower, high});
    qg_pair pairs[3];
    size_t count;
    assert_int_equal(qg_pairs_measure(&baseline, &transfer, &scale, pairs, &count, &error), 0);
    assert_int_equal(count, 2);
    assert_int_equal(pairs[0].crossover, -1);
    assert_int_equal(pairs[0].baseline_threshold, -1);
    assert_true(isnan(pairs[0].area_ratio));  /* below random play */
    assert_int_equal(pairs[1].crossover, -1); /* never ahead of itself */
    assert_int_equal(pairs[1].transfer_threshold, 20);
    assert_near(pairs[1].area_ratio, 0);

    qg_threshold_times times;
    assert_int_equal(qg_threshold_times_of(pairs, 2, &times, &error), 0);
    assert_int_equal(times.baseline_reached, 1);
    assert_true(isnan(times.baseline_median)); /* half never did */
    assert_near(times.difference, 0);
    pairs[2] = pairs[1];
    pairs[2].transfer_threshold = 50;
    assert_int_equal(qg_threshold_times_of(pairs, 3, &times, &error), 0);
    assert_near(times.baseline_median, 20); /* 20, 20, never */
    assert_near(times.transfer_median, 50); /* 20, 50, never */
    assert_near(times.difference, 15);      /* 0, 30 */
    assert_int_equal(times.both_reached, 2);
    assert_int_equal(qg_threshold_times_of(pairs, 0, &times, &error), 0);
    assert_true(isnan(times.baseline_median) && isnan(times.difference));
}

static void test_two_points(void **state)
{
    (void)state;
    const int64_t far_apart[] = {500, 1000};
    const double a[] = {1, 3}, b[] = {2, 5};
    const qg_curves baseline = {1, 2, seeds, far_apart, (const double *[]){a}};
    const qg_curves transfer = {1, 2, seeds, far_apart, (const double *[]){b}};
    qg_pair pair;
    size_t count;
    assert_int_equal(qg_pairs_measure(&baseline, &transfer, &scale, &pair, &count, &error), 0);
    assert_true(isnan(pair.baseline[QG_ZERO_SHOT]));
    assert_near(pair.baseline[QG_JUMPSTART], 1); /* at least the first */
    assert_near(pair.baseline[QG_AREA], 2);
    assert_near(pair.baseline[QG_LATE], 3);
    assert_near(pair.baseline[QG_MAXIMUM], 3);
    assert_int_equal(pair.crossover, 1000); /* smoothed over the two */
    assert_int_equal(pair.baseline_threshold, -1);
}

static void assert_refused(const qg_curves *baseline, const qg_curves *transfer,
                           const qg_scale *with, const char *text)
{
    qg_pair pairs[2];
    size_t count;
    assert_int_not_equal(qg_pairs_measure(baseline, transfer, with, pairs, &count, &error), 0);
    if (!strstr(error.message, text)) fail_msg("'%s' lacks '%s'", error.message, text);
}

static void test_refusals(void **state)
{
    (void)state;
    const double fine[POINTS] = {0}, broken[POINTS] = {0, 0, (double)NAN};
    const uint64_t twice[] = {7, 7};
    const int64_t falling[POINTS] = {0, 10, 5},
                  later[POINTS] = {1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
    const double *const rows[] = {fine, fine}, *const broken_rows[] = {fine, broken};
    const qg_curves good = curves_of(2, rows);
    qg_curves bad = curves_of(2, broken_rows);
    assert_refused(&good, &bad, &scale, "transfer: seed 8: the score at step 20");
    bad = (qg_curves){2, POINTS, twice, steps, rows};
    assert_refused(&bad, &good, &scale, "baseline: seed 7 is there twice");
    bad = (qg_curves){2, POINTS, seeds, falling, rows};
    assert_refused(&bad, &good, &scale, "evaluation 3 at step 5");
    bad = (qg_curves){2, POINTS, seeds, later, rows};
    assert_refused(&bad, &good, &scale, "same steps");
    bad = (qg_curves){2, 1, seeds, steps, rows};
    assert_refused(&bad, &good, &scale, "at least two");
    assert_refused(&good, &good, &(qg_scale){5, 5, 0}, "above the random one");
}

/* ---- Intervals ---- */

static qg_estimate mean_of(const double *values, size_t count)
{
    const qg_effect effect = qg_effect_of_pairs(values, count);
    return qg_effect_interval(&effect, QG_ALPHA);
}

static void test_mean(void **state)
{
    (void)state;
    const double values[] = {1, 2, 6};
    const double reach = 4.302652729911275 * sqrt(7.0 / 3); /* t with 2 degrees, 0.975 */
    assert_estimate(mean_of(values, 3), 3, 3 - reach, 3 + reach);
    /* Squares of squares have no double. */
    for (int exponent = -150; exponent <= 150; exponent += 10) {
        const double unit = pow(10, exponent);
        const double scaled[] = {values[0] * unit, values[1] * unit, values[2] * unit};
        const qg_estimate e = mean_of(scaled, 3);
        assert_true(fabs((e.high - e.value) / unit - reach) < 1e-6 * reach);
    }
    const qg_estimate one = mean_of(values, 1);
    assert_true(one.value == 1 && isnan(one.low) && isnan(one.high));
}

static void test_aggregates(void **state)
{
    (void)state;
    const double a[] = {0, 1, 2, 100, -50}, b[] = {4, 4};
    const double *const rows[] = {a, b};
    const size_t counts[] = {5, 2};
    const qg_tasks tasks = {2, counts, rows};
    qg_estimate estimate, again;
    assert_int_equal(qg_aggregate_of(&tasks, QG_IQM, 1, &estimate, &error), 0);
    assert_near(estimate.value, 11 / 5.0); /* without -50 and 100 */
    assert_true(estimate.low < estimate.value && estimate.value < estimate.high);
    assert_int_equal(qg_aggregate_of(&tasks, QG_IQM, 1, &again, &error), 0);
    assert_memory_equal(&estimate, &again, sizeof again);
    assert_int_equal(qg_aggregate_of(&tasks, QG_MEAN, 1, &estimate, &error), 0);
    assert_near(estimate.value, (53 / 5.0 + 4) / 2);
    const qg_tasks constant = {1, &counts[1], &rows[1]};
    for (int aggregate = QG_IQM; aggregate <= QG_MEDIAN; aggregate++) {
        const qg_aggregate which = (qg_aggregate)aggregate;
        assert_int_equal(qg_aggregate_of(&constant, which, 1, &estimate, &error), 0);
        assert_estimate(estimate, 4, 4, 4);
    }
    const qg_tasks none = {0}, empty = {1, (size_t[]){0}, rows};
    assert_int_equal(qg_aggregate_of(&none, QG_IQM, 1, &estimate, &error), QG_ERROR_DATA);
    assert_int_equal(qg_aggregate_of(&empty, QG_IQM, 1, &estimate, &error), QG_ERROR_DATA);
}

static void test_improvement_and_profile(void **state)
{
    (void)state;
    const double ahead[] = {2, 3, 4}, behind[] = {1, 1}, tied[] = {2, 2};
    const size_t three = 3, two = 2;
    const qg_tasks x = {1, &three, (const double *[]){ahead}};
    const qg_tasks y = {1, &two, (const double *[]){behind}};
    const qg_tasks z = {1, &two, (const double *[]){tied}};
    qg_estimate estimate, profile[3];
    assert_int_equal(qg_probability_of_improvement(&x, &y, 1, &estimate, &error), 0);
    assert_estimate(estimate, 1, 1, 1);
    assert_int_equal(qg_probability_of_improvement(&z, &z, 1, &estimate, &error), 0);
    assert_estimate(estimate, 0.5, 0.5, 0.5);
    assert_int_equal(qg_probability_of_improvement(&z, &x, 1, &estimate, &error), 0);
    assert_near(estimate.value, 1 / 6.0);
    const qg_estimate sure = qg_improvement_of(ahead, 3, behind, 2);
    assert_true(sure.value >= 1 && sure.high >= 1 && sure.low > 0.3 && sure.low < 0.6);
    assert_true(isnan(qg_improvement_of(ahead, 1, behind, 2).low));
    const qg_tasks none = {0};
    assert_int_equal(qg_probability_of_improvement(&x, &none, 1, &estimate, &error), QG_ERROR_DATA);

    const double taus[] = {0, 3, 4};
    assert_int_equal(qg_performance_profile(&x, taus, 3, 1, profile, &error), 0);
    assert_estimate(profile[0], 1, 1, 1);
    assert_estimate(profile[1], 1 / 3.0, 0, 1);
    assert_estimate(profile[2], 0, 0, 0); /* above, not at */
    assert_int_equal(qg_performance_profile(&x, (double[]){1, 1}, 2, 1, profile, &error),
                     QG_ERROR_DATA);
}

/* ---- Effects ---- */

static const uint64_t names[] = {1, 2, 3, 4, 5, 6, 7, 8};

static qg_group group_of(const double *values, size_t count, qg_stratum stratum)
{
    return (qg_group){values, names, count, stratum, NULL};
}

static void test_effects(void **state)
{
    (void)state;
    const double b[] = {1, 3}, t[] = {5, 6, 7};
    const qg_group groups[] = {group_of(b, 2, QG_BASELINES), group_of(t, 3, QG_FREE)};
    qg_variance variances[2];
    assert_int_equal(qg_variances_of(groups, 2, true, variances, &error), 0); /* one of each */
    assert_near(variances[0].value, 2);
    assert_near(variances[1].value, 1);
    const qg_effect e = qg_effect_of_groups(&groups[0], &variances[0], &groups[1], &variances[1]);
    assert_near(e.value, 4);
    assert_near(e.error, sqrt(2.0 / 2 + 1.0 / 3));
    assert_near(e.degrees, (16.0 / 9) / (1 + 1.0 / 9 / 2)); /* Satterthwaite */
    const qg_effect pairs = qg_effect_of_pairs((double[]){1, 2, 6}, 3);
    const double reach = 4.302652729911275 * sqrt(7.0 / 3);
    assert_estimate(qg_effect_interval(&pairs, 0.05), 3, 3 - reach, 3 + reach);
    /* P(|T| > t) with two degrees is 1 - t / sqrt(2 + t^2). */
    const double t_value = 3 / sqrt(7.0 / 3), beyond = 1 - t_value / sqrt(2 + t_value * t_value);
    assert_near(qg_effect_p(&pairs), beyond);
    assert_near(qg_effect_margin_p(&pairs, 6), beyond / 2); /* 3 on the other side */
    const qg_effect one = qg_effect_of_pairs((double[]){1}, 1), none = qg_effect_of_pairs(NULL, 0);
    assert_true(isnan(qg_effect_p(&one)) && isnan(qg_effect_p(&none)));
    const qg_effect same = qg_effect_of_pairs((double[]){1, 1}, 2); /* would others? */
    assert_true(same.value == 1 && isnan(qg_effect_p(&same)) &&
                isnan(qg_effect_margin_p(&same, 2)) && isnan(qg_effect_interval(&same, 0.05).low));
}

/* Runs that score the same do, whatever their number: rounding makes no effect of it, nor a spread.
 */
static void test_equal_scores(void **state)
{
    (void)state;
    static const struct {
        double value;
        size_t arm, baseline;
    } cases[] = {{(-21 + 20.7) / 30, 5, 15}, {(-21 + 20.6) / 35.2, 5, 10}, {0.1, 3, 9}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double values[15];
        uint64_t all[15];
        for (size_t i = 0; i < 15; i++) {
            values[i] = cases[c].value;
            all[i] = i + 1;
        }
        const qg_group groups[] = {{values, all, cases[c].baseline, QG_BASELINES, NULL},
                                   {values, all, cases[c].arm, QG_FREE, NULL}};
        qg_variance variances[2];
        assert_int_equal(qg_variances_of(groups, 2, false, variances, &error), 0);
        const qg_effect e =
            qg_effect_of_groups(&groups[0], &variances[0], &groups[1], &variances[1]);
        assert_true(e.value == 0 && isnan(e.error) && isnan(qg_effect_p(&e)));
    }
}

static void test_moderation(void **state)
{
    (void)state;
    const double rows[][3] = {{0, 1, 2}, {0, 2, 4}, {0, 3, 6}, {0, 1, 2}};
    qg_group groups[4];
    qg_variance variances[4];
    for (int i = 0; i < 4; i++)
        groups[i] = group_of(rows[i], 3, i < 3 ? QG_FREE : QG_FROZEN);
    assert_int_equal(qg_variances_of(groups, 4, true, variances, &error), 0);
    /* As alike as chance would have them: all together. */
    for (int i = 0; i < 3; i++) {
        assert_near(variances[i].value, (1 + 4 + 9) / 3.0);
        assert_near(variances[i].degrees, 6);
    }
    assert_near(variances[3].value, 1); /* alone in its stratum */
    assert_near(variances[3].degrees, 2);
    groups[3].stratum = QG_FREE;
    groups[3].same_runs =
        &groups[0]; /* it is moderated, and says nothing that is not said already */
    assert_int_equal(qg_variances_of(groups, 4, true, variances, &error), 0);
    for (int i = 0; i < 4; i++) {
        assert_near(variances[i].value, (1 + 4 + 9) / 3.0);
        assert_near(variances[i].degrees, 6);
    }
    groups[1].same_runs = groups[2].same_runs = &groups[0]; /* one group, four times */
    assert_int_equal(qg_variances_of(groups, 4, true, variances, &error), 0);
    for (int i = 0; i < 3; i++) {
        assert_near(variances[i].value, (double)((i + 1) * (i + 1)));
        assert_near(variances[i].degrees, 2);
    }
}

static void test_permutations(void **state)
{
    (void)state;
    double p;
    /* Of 20 ways to choose three of six the observed one and its mirror are the most extreme. */
    assert_int_equal(
        qg_permutation_p((double[]){7, 8, 9}, 3, (double[]){1, 2, 3}, 3, 1, &p, &error), 0);
    assert_near(p, 2 / 20.0);
    assert_int_equal(qg_sign_flip_p((double[]){1, 2, 3, 4}, 4, 1, &p, &error), 0);
    assert_near(p, 2 / 16.0);
    assert_int_equal(qg_sign_flip_p((double[]){0, 0, 0}, 3, 1, &p, &error), 0);
    assert_near(p, 1);
    assert_int_equal(qg_permutation_p((double[]){1}, 1, (double[]){1, 2}, 2, 1, &p, &error), 0);
    assert_true(isnan(p));
    double many[20], again;
    for (int i = 0; i < 20; i++)
        many[i] = i % 7;
    assert_int_equal(qg_permutation_p(many, 10, many + 10, 10, 1, &p, &error), 0);
    assert_int_equal(qg_permutation_p(many, 10, many + 10, 10, 1, &again, &error), 0);
    assert_true(p == again && p > 0.1);
    assert_int_equal(qg_sign_flip_p(many, 20, 1, &p, &error), 0);
    assert_near(p, 1.0 / QG_ARRANGEMENTS); /* none of the others that were drawn */
}

/* ---- Many comparisons ---- */

static void test_many(void **state)
{
    (void)state;
    const double p[] = {0.04, 0.01, (double)NAN, 0.02};
    double rate[4], any[4];
    assert_int_equal(qg_adjust_rate(p, 4, rate, &error), 0);
    assert_int_equal(qg_adjust_any(p, 4, any, &error), 0);
    assert_near(rate[1], 0.04);
    assert_near(rate[3], 0.04);
    assert_near(rate[0], 0.16 / 3);
    assert_near(any[1], 0.04);
    assert_near(any[3], 0.06);
    assert_near(any[0], 0.08);
    assert_true(isnan(rate[2]) && isnan(any[2]));
    assert_int_equal(qg_adjust_rate(p, 0, rate, &error), 0);

    /* Dunnett's table: four arms as large as the baseline, 20 degrees: 2.651. */
    const double share = sqrt(0.5), shares[] = {share, share, share, share};
    qg_largest_t *largest;
    assert_int_equal(qg_largest_t_create(shares, 4, &largest, &error), 0);
    assert_true(fabs(qg_largest_t_reach(largest, 0.05, 20) - 2.651) < 6e-4);
    assert_true(fabs(qg_largest_t_p(largest, 2.6511, 20) - 0.05) < 5e-5);
    assert_true(qg_largest_t_p(largest, 0, 20) >= 1);
    assert_true(qg_largest_t_p(largest, 1e9, 20) < 1e-9);
    qg_largest_t_free(largest);
}

/* ---- Verdicts ---- */

static qg_verdict judge(const double *baseline, size_t baseline_count, const double *arm,
                        size_t count, qg_compare compare)
{
    const qg_group b = group_of(baseline, baseline_count, QG_BASELINES);
    const qg_arm a = {.runs = group_of(arm, count, QG_FREE)};
    const qg_rule rule = {compare, QG_ADJUST_BH, QG_MARGIN, false, 0};
    qg_verdict verdict;
    assert_int_equal(qg_verdicts_of(&b, 1, &a, 1, &rule, 1, &verdict, &error), 0);
    return verdict;
}

static void test_verdicts(void **state)
{
    (void)state;
    const double low[] = {0, 0.1, 0.05, 0.02}, high[] = {0.5, 0.6, 0.7, 0.6};
    const double wide[] = {-3, 3, 0.5}, near[] = {0.03, 0.06, 0.05, 0.01};
    for (int compare = 0; compare <= QG_COMPARE_PAIRED; compare++) {
        const qg_compare c = (qg_compare)compare;
        assert_int_equal(judge(low, 4, high, 4, c).decision, QG_POSITIVE);
        assert_int_equal(judge(low, 4, high, 4, c).reason, QG_ZERO_OUTSIDE);
        assert_int_equal(judge(high, 4, low, 4, c).decision, QG_NEGATIVE);
        assert_int_equal(judge(low, 4, wide, 3, c).reason, QG_ZERO_INSIDE);
        assert_int_equal(judge(low, 4, near, 4, c).decision, QG_WITHIN_MARGIN);
        assert_int_equal(judge(low, 4, near, 4, c).reason, QG_IN_MARGIN);
        assert_int_equal(judge(low, 4, high, 0, c).reason, QG_NO_RUNS);
        const qg_verdict one = judge(low, 4, high, 1, c);
        assert_int_equal(one.reason, QG_ONE_SEED);
        assert_true(one.effect.value > 0 && isnan(one.raw.low) && isnan(one.q));
    }
    assert_string_equal(qg_reason_text(QG_ONE_SEED), "one seed decides nothing");
    const qg_group b = group_of((double[]){1, (double)NAN}, 2, QG_BASELINES);
    const qg_arm a = {.runs = group_of(high, 4, QG_FREE)};
    qg_verdict verdict;
    assert_int_equal(qg_verdicts_of(&b, 1, &a, 1, &(qg_rule){0}, 1, &verdict, &error),
                     QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "baseline 1: the value of run 2"));
    assert_int_equal(qg_verdicts_of(NULL, 0, NULL, 0, &(qg_rule){0}, 1, NULL, &error), 0);
}

/* One of many: decided alone, not among twenty. */
static void test_verdicts_together(void **state)
{
    (void)state;
    const double b[] = {0, 1, 2, 0.5}, same[] = {0, 1, 2, 0.6}, up[] = {2, 3, 4, 2.5};
    const qg_group baseline = group_of(b, 4, QG_BASELINES);
    qg_arm arms[20];
    qg_verdict verdicts[20];
    for (int i = 0; i < 20; i++)
        arms[i] = (qg_arm){.runs = group_of(i ? same : up, 4, QG_FREE)};
    qg_rule rule = {QG_COMPARE_WELCH, QG_ADJUST_NONE, QG_MARGIN, false, 0};
    assert_int_equal(qg_verdicts_of(&baseline, 1, arms, 20, &rule, 1, verdicts, &error), 0);
    assert_int_equal(verdicts[0].decision, QG_POSITIVE);
    for (int adjust = QG_ADJUST_BH; adjust <= QG_ADJUST_DUNNETT; adjust++) {
        rule.adjust = (qg_adjust)adjust;
        assert_int_equal(qg_verdicts_of(&baseline, 1, arms, 20, &rule, 1, verdicts, &error), 0);
        assert_int_equal(verdicts[0].reason, QG_ONE_OF_MANY);
        assert_true(verdicts[0].raw.low > 0 && verdicts[0].adjusted.low < 0);
    }
    for (int i = 1; i < 20; i++)
        arms[i].control = true;
    rule.adjust = QG_ADJUST_BH;
    assert_int_equal(qg_verdicts_of(&baseline, 1, arms, 20, &rule, 1, verdicts, &error), 0);
    assert_int_equal(verdicts[0].decision, QG_POSITIVE); /* controls count apart */
}

/* Without any effect an arm's p is below 0.05 in one of twenty; of 2,000 studies of four arms
 * seldom more than 6.5 %. Adjusted, few studies decide anything at all. */
static void test_honesty(void **state)
{
    (void)state;
    const size_t counts[] = {2, 3, 5};
    for (int c = 0; c < 3; c++)
        for (int compare = 0; compare <= QG_COMPARE_PAIRED; compare++) {
            qg_random random = qg_random_stream(1, "honesty");
            const qg_rule rule = {(qg_compare)compare, QG_ADJUST_BH, QG_MARGIN, false, 0};
            int raw = 0, studies = 0;
            for (int study = 0; study < 500; study++) {
                double values[5][5];
                qg_arm arms[4];
                qg_verdict verdicts[4];
                for (int g = 0; g < 5; g++)
                    for (size_t s = 0; s < counts[c]; s++)
                        values[g][s] = sqrt(-2 * log(1 - qg_random_uniform(&random))) *
                                       cos(2 * M_PI * qg_random_uniform(&random));
                for (int a = 0; a < 4; a++)
                    arms[a] = (qg_arm){.runs = group_of(values[1 + a], counts[c], QG_FREE)};
                const qg_group baseline = group_of(values[0], counts[c], QG_BASELINES);
                assert_int_equal(qg_verdicts_of(&baseline, 1, arms, 4, &rule, 1, verdicts, &error),
                                 0);
                bool any = false;
                for (int a = 0; a < 4; a++) {
                    raw += verdicts[a].p <= QG_ALPHA;
                    any = any || verdicts[a].decision == QG_POSITIVE ||
                          verdicts[a].decision == QG_NEGATIVE;
                }
                studies += any;
            }
            assert_in_range(raw, 10, 140); /* Welch's of two seeds is careful */
            assert_in_range(studies, 0, 35);
        }
}

/* How often an effect is found in 500 studies of four arms. */
static int count_seen(qg_compare compare, double effect)
{
    const qg_rule rule = {compare, QG_ADJUST_NONE, QG_MARGIN, false, 0};
    qg_random random = qg_random_stream(1, "power");
    int seen = 0;
    for (int study = 0; study < 500; study++) {
        double values[5][5];
        qg_arm arms[4];
        qg_verdict verdicts[4];
        for (int g = 0; g < 5; g++)
            for (int s = 0; s < 5; s++)
                values[g][s] =
                    (g > 0 ? effect : 0) + sqrt(-2 * log(1 - qg_random_uniform(&random))) *
                                               cos(2 * M_PI * qg_random_uniform(&random));
        for (int a = 0; a < 4; a++)
            arms[a] = (qg_arm){.runs = group_of(values[1 + a], 5, QG_FREE)};
        const qg_group baseline = group_of(values[0], 5, QG_BASELINES);
        assert_int_equal(qg_verdicts_of(&baseline, 1, arms, 4, &rule, 1, verdicts, &error), 0);
        for (int a = 0; a < 4; a++)
            seen += verdicts[a].decision == QG_POSITIVE;
    }
    return seen;
}

/* An effect that the design can see is seen in four of five studies. */
static void test_power(void **state)
{
    (void)state;
    qg_design design = {1, 1, 5, 5, 4, 1, QG_COMPARE_PAIRED};
    double effect = qg_visible_effect(&design, QG_ALPHA);
    assert_in_range(count_seen(QG_COMPARE_PAIRED, effect), 1500, 1740); /* of 2,000 */
    design.baseline_seeds = 50;                                         /* without partners */
    assert_true(qg_visible_effect(&design, QG_ALPHA) == effect);
    design = (qg_design){1, 1, 5, 5, 4, 1, QG_COMPARE_MODERATED};
    effect = qg_visible_effect(&design, QG_ALPHA);
    assert_in_range(count_seen(QG_COMPARE_MODERATED, effect), 1500, 1740);
    const size_t fewer = qg_seeds_for(design, effect, QG_ALPHA);
    assert_true(fewer <= 5 && fewer >= 3); /* the baseline has twice as many */
    assert_int_equal(qg_seeds_for(design, 1e-9, QG_ALPHA), 10000);
    assert_true(
        isinf(qg_visible_effect(&(qg_design){1, 1, 1, 5, 4, 1, QG_COMPARE_MODERATED}, QG_ALPHA)));
    assert_true(qg_visible_effect(&(qg_design){0, 0, 5, 5, 4, 1, QG_COMPARE_MODERATED}, QG_ALPHA) ==
                0);
}

/* An arm that is to come counts in Dunnett's family, so that it cannot turn the verdict of another
 * when it is there. */
static void test_arms_to_come(void **state)
{
    (void)state;
    const double base[] = {0, 1, 2, 3}, up[] = {3, 4, 5, 7}, other[] = {1, 2, 2, 3};
    const qg_group baseline = group_of(base, 4, QG_BASELINES);
    qg_rule rule = {.compare = QG_COMPARE_WELCH, .adjust = QG_ADJUST_DUNNETT, .margin = 0.1};
    qg_verdict alone[1], waiting[2], both[2];
    qg_arm arms[2] = {{.runs = group_of(up, 4, QG_FREE)}, {.unfinished = true}};
    assert_int_equal(qg_verdicts_of(&baseline, 1, arms, 1, &rule, 1, alone, &error), 0);
    assert_int_equal(qg_verdicts_of(&baseline, 1, arms, 2, &rule, 1, waiting, &error), 0);
    arms[1] = (qg_arm){.runs = group_of(other, 4, QG_FREE)};
    assert_int_equal(qg_verdicts_of(&baseline, 1, arms, 2, &rule, 1, both, &error), 0);
    assert_true(alone[0].family_p < both[0].family_p && both[0].family_p <= waiting[0].family_p);
    assert_true(waiting[0].adjusted.low <= both[0].adjusted.low);
    assert_true(isnan(waiting[1].family_p) && waiting[1].reason == QG_NO_RUNS);
}

/* Arms that have come to different steps have one baseline, up to these, and are one family. */
static void test_baseline_of_several_ends(void **state)
{
    (void)state;
    const double base[] = {0, 1, 2, 3}, up[] = {3, 4, 5, 7}, other[] = {1, 2, 2, 3};
    qg_group baselines[2] = {group_of(base, 4, QG_BASELINES), group_of(base, 4, QG_BASELINES)};
    const qg_rule rule = {.compare = QG_COMPARE_WELCH, .adjust = QG_ADJUST_DUNNETT, .margin = 0.1};
    qg_verdict one[2], two[2];
    qg_arm arms[2] = {{.runs = group_of(up, 4, QG_FREE)}, {.runs = group_of(other, 4, QG_FREE)}};
    assert_int_equal(qg_verdicts_of(baselines, 1, arms, 2, &rule, 1, one, &error), 0);
    baselines[1].same_runs = &baselines[0];
    arms[1].baseline = 1;
    assert_int_equal(qg_verdicts_of(baselines, 2, arms, 2, &rule, 1, two, &error), 0);
    for (int i = 0; i < 2; i++)
        assert_true(two[i].family_p == one[i].family_p && one[i].family_p > one[i].p);
}

/* The boundaries that ldbounds prints for five looks, two-sided, alpha 0.05 (Reboussin et al. 2000,
 * "Computations for group sequential boundaries using the Lan-DeMets spending function method"). */
static void test_spending(void **state)
{
    (void)state;
    static const double fractions[] = {0.2, 0.4, 0.6, 0.8, 1};
    static const double published[2][5] = {{4.8769, 3.3569, 2.6803, 2.2898, 2.0310},
                                           {2.4380, 2.4268, 2.4101, 2.3966, 2.3859}};
    double levels[2][5];
    for (int s = 0; s < 2; s++) {
        assert_int_equal(qg_spending_levels((qg_spending)s, fractions, 5, 0.05, levels[s], &error),
                         0);
        for (int i = 0; i < 5; i++)
            assert_float_equal(qg_student_reach(INFINITY, levels[s][i]), published[s][i], 1.5e-4);
    }
    /* One look is a test; a level depends on no later look. */
    double one, two[2];
    assert_int_equal(qg_spending_levels(QG_SPEND_POCOCK, fractions + 4, 1, 0.05, &one, &error), 0);
    assert_float_equal(one, 0.05, 1e-9);
    assert_int_equal(qg_spending_levels(QG_SPEND_OBRIEN_FLEMING, fractions, 2, 0.05, two, &error),
                     0);
    assert_memory_equal(two, levels[QG_SPEND_OBRIEN_FLEMING], sizeof two);
    static const double wrong[][2] = {{0.5, 0.5}, {0.6, 0.4}, {0.5, 1.1}, {0, 1}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(qg_spending_levels(QG_SPEND_POCOCK, wrong[i], 2, 0.05, two, &error),
                         QG_ERROR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spending),
        cmocka_unit_test(test_arms_to_come),
        cmocka_unit_test(test_baseline_of_several_ends),
        cmocka_unit_test(test_measures),
        cmocka_unit_test(test_censored),
        cmocka_unit_test(test_two_points),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_aggregates),
        cmocka_unit_test(test_improvement_and_profile),
        cmocka_unit_test(test_effects),
        cmocka_unit_test(test_equal_scores),
        cmocka_unit_test(test_moderation),
        cmocka_unit_test(test_permutations),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_verdicts_together),
        cmocka_unit_test(test_honesty),
        cmocka_unit_test(test_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
