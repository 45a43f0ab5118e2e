/* Statistics on numbers whose answer is known by hand, and the honesty of the verdict's rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/statistics.h>

#include "base/random.h"

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
    assert_near(b[QG_BEGINNING], 4.5); /* 10 ... 80 */
    assert_near(b[QG_END], 9.5);
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
    assert_near(pair.baseline[QG_END], 3);
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

static void test_mean(void **state)
{
    (void)state;
    const double values[] = {1, 2, 6};
    const double reach = 4.302652729911275 * sqrt(7.0 / 3); /* t with 2 degrees, 0.975 */
    assert_estimate(qg_mean_of(values, 3), 3, 3 - reach, 3 + reach);
    /* Squares of squares have no double. */
    for (int exponent = -150; exponent <= 150; exponent += 10) {
        const double unit = pow(10, exponent);
        const double scaled[] = {values[0] * unit, values[1] * unit, values[2] * unit};
        const qg_estimate e = qg_mean_of(scaled, 3);
        assert_true(fabs((e.high - e.value) / unit - reach) < 1e-6 * reach);
    }
    const qg_estimate one = qg_mean_of(values, 1);
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

/* ---- Verdicts ---- */

static qg_verdict judge(const double *differences, size_t count)
{
    qg_verdict verdict;
    assert_int_equal(qg_verdict_of(differences, count, 1, &verdict, &error), 0);
    return verdict;
}

static void test_verdicts(void **state)
{
    (void)state;
    const double up[] = {0.5, 0.6, 0.7, 0.6}, down[] = {-0.5, -0.6, -0.7, -0.6};
    const double both[] = {0.5, -0.6, 0.1}, few[] = {0.1, 0.6, 0.5}, zero[] = {0, 0, 0};
    const double outlier[] = {0, 0, 0, 0, 0, 0, 0, 1, 1, 1};
    assert_int_equal(judge(up, 4).decision, QG_POSITIVE);
    assert_int_equal(judge(up, 4).reason, QG_BOTH_AGREE);
    assert_int_equal(judge(down, 4).decision, QG_NEGATIVE);
    assert_int_equal(judge(both, 3).reason, QG_ZERO_IN_BOTH);
    assert_int_equal(judge(zero, 3).reason, QG_ZERO_IN_BOTH);
    assert_int_equal(judge(few, 3).reason, QG_TOO_FEW_SEEDS);
    assert_int_equal(judge(few, 3).decision, QG_NOT_DECIDED);
    assert_int_equal(judge(outlier, 10).decision, QG_NOT_DECIDED);
    assert_int_equal(judge(up, 0).reason, QG_NO_PAIRS);
    const qg_verdict one = judge(up, 1);
    assert_int_equal(one.reason, QG_ONE_SEED);
    assert_string_equal(qg_reason_text(one.reason), "one seed decides nothing");
    assert_true(one.student.value == 0.5 && isnan(one.bootstrap.low));
    qg_verdict verdict;
    assert_int_equal(qg_verdict_of((double[]){1, (double)NAN}, 2, 1, &verdict, &error),
                     QG_ERROR_DATA);
}

static void test_verdict_over_tasks(void **state)
{
    (void)state;
    const double a[] = {0.5, 0.7, 0.6}, b[] = {-0.2, 0.2}, c[] = {0.9};
    const double *const rows[] = {a, b, c};
    const size_t counts[] = {3, 2, 1};
    qg_verdict verdict;
    assert_int_equal(qg_verdict_over_tasks(&(qg_tasks){2, counts, rows}, 1, &verdict, &error), 0);
    /* Errors 0.01 / 3 and 0.08 / 2 squared: 1.17 degrees of freedom, rounded down to 1. */
    const double reach = 12.706204736432095 * sqrt(0.01 / 3 + 0.08 / 2) / 2;
    assert_estimate(verdict.student, 0.3, 0.3 - reach, 0.3 + reach);
    assert_int_equal(verdict.pairs, 5);
    assert_int_equal(verdict.decision, QG_NOT_DECIDED);
    assert_int_equal(qg_verdict_over_tasks(&(qg_tasks){3, counts, rows}, 1, &verdict, &error), 0);
    assert_int_equal(verdict.reason, QG_ONE_SEED);
}

static void test_seed_means(void **state)
{
    (void)state;
    const uint64_t of[] = {1, 2, 3, 1, 3, 2, 4};
    const double values[] = {1, 2, 3, 5, 7, 8, 100};
    double means[7];
    assert_int_equal(qg_seed_means(of, values, 7, means), 3); /* 4 lacks an experiment */
    assert_near(means[0], 3);
    assert_near(means[1], 5);
    assert_near(means[2], 5);
    assert_int_equal(qg_seed_means(of, values, 0, means), 0);
}

/* Without any effect the rule decides in at most 5 % of the experiments, in 2,000 of them seldom
 * more than 6.5 %. Few are left to the bootstrap where Student's interval holds zero. */
static void test_honesty(void **state)
{
    (void)state;
    const size_t counts[] = {2, 3, 5};
    for (int c = 0; c < 3; c++) {
        qg_random random = qg_random_stream(1, "honesty");
        int decided = 0, student = 0;
        for (int experiment = 0; experiment < 2000; experiment++) {
            double differences[5];
            for (size_t s = 0; s < counts[c]; s++)
                differences[s] = sqrt(-2 * log(1 - qg_random_uniform(&random))) *
                                 cos(2 * M_PI * qg_random_uniform(&random));
            const qg_estimate mean = qg_mean_of(differences, counts[c]);
            if (mean.low <= 0 && mean.high >= 0) continue;
            student++;
            decided += judge(differences, counts[c]).decision != QG_NOT_DECIDED;
        }
        assert_in_range(student, 70, 130);
        assert_in_range(decided, 0, student);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measures),
        cmocka_unit_test(test_censored),
        cmocka_unit_test(test_two_points),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_aggregates),
        cmocka_unit_test(test_improvement_and_profile),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_verdict_over_tasks),
        cmocka_unit_test(test_seed_means),
        cmocka_unit_test(test_honesty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
