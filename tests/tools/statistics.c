/* For tests/python/test_statistics.py: the statistics of this library as JSON, and for
 * docs/statistics.md: how often the verdict's rule decides.
 *
 *   statistics < QUESTION.json       the answer on stdout
 *   statistics honesty EXPERIMENTS   simulates experiments; prints a table
 *
 * A question is an object with one key that names the function (see main). */
#include <qgraft/statistics.h>

#include "base/random.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qg_error error;

static void check(qg_status status)
{
    if (status == QG_OK) return;
    fprintf(stderr, "%s\n", error.message);
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (!memory) abort();
    return memory;
}

/* ---- JSON in: memory lives until the process ends ---- */

static double *read_row(const json_t *json, size_t *count)
{
    *count = json_array_size(json);
    double *row = allocate(*count, sizeof *row);
    for (size_t i = 0; i < *count; i++)
        row[i] = json_is_null(json_array_get(json, i)) ? (double)NAN
                                                       : json_number_value(json_array_get(json, i));
    return row;
}

static int64_t *read_integers(const json_t *json, size_t *count)
{
    *count = json_array_size(json);
    int64_t *row = allocate(*count, sizeof *row);
    for (size_t i = 0; i < *count; i++)
        row[i] = json_integer_value(json_array_get(json, i));
    return row;
}

static qg_tasks read_tasks(const json_t *json)
{
    const size_t task_count = json_array_size(json);
    size_t *counts = allocate(task_count, sizeof *counts);
    const double **values = allocate(task_count, sizeof *values);
    for (size_t t = 0; t < task_count; t++)
        values[t] = read_row(json_array_get(json, t), &counts[t]);
    return (qg_tasks){task_count, counts, values};
}

static qg_curves read_curves(const json_t *json)
{
    qg_curves curves;
    const json_t *scores = json_object_get(json, "scores");
    curves.steps = read_integers(json_object_get(json, "steps"), &curves.point_count);
    curves.seeds =
        (const uint64_t *)read_integers(json_object_get(json, "seeds"), &curves.seed_count);
    curves.scores = read_tasks(scores).values;
    return curves;
}

static uint64_t read_seed(const json_t *json)
{
    return (uint64_t)json_integer_value(json_object_get(json, "seed"));
}

/* ---- JSON out ---- */

static json_t *show_real(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static json_t *show_estimate(const qg_estimate *e)
{
    return json_pack("[o, o, o]", show_real(e->value), show_real(e->low), show_real(e->high));
}

static json_t *show_estimates(const qg_estimate *estimates, size_t count)
{
    json_t *json = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(json, show_estimate(&estimates[i]));
    return json;
}

static json_t *show_measures(const double values[QG_MEASURES])
{
    json_t *json = json_object();
    for (int m = 0; m < QG_MEASURES; m++)
        json_object_set_new(json, qg_measure_name((qg_measure)m), show_real(values[m]));
    return json;
}

static json_t *show_verdict(const qg_verdict *v)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:o, s:o}", "decision", qg_decision_name(v->decision),
                     "reason", qg_reason_text(v->reason), "tasks", (json_int_t)v->tasks, "pairs",
                     (json_int_t)v->pairs, "bootstrap", show_estimate(&v->bootstrap), "student",
                     show_estimate(&v->student));
}

static json_t *show_pair(const qg_pair *pair)
{
    return json_pack(
        "{s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "seed", (json_int_t)pair->seed, "baseline",
        show_measures(pair->baseline), "transfer", show_measures(pair->transfer), "difference",
        show_measures(pair->difference), "area_ratio", show_real(pair->area_ratio),
        "baseline_threshold", (json_int_t)pair->baseline_threshold, "transfer_threshold",
        (json_int_t)pair->transfer_threshold, "crossover", (json_int_t)pair->crossover);
}

static json_t *show_times(const qg_threshold_times *t)
{
    return json_pack("{s:[I, I, I], s:o, s:o, s:o}", "reached", (json_int_t)t->baseline_reached,
                     (json_int_t)t->transfer_reached, (json_int_t)t->both_reached, "baseline",
                     show_real(t->baseline_median), "transfer", show_real(t->transfer_median),
                     "difference", show_real(t->difference));
}

/* ---- Questions ---- */

static json_t *answer_pairs(const json_t *json)
{
    const qg_curves baseline = read_curves(json_object_get(json, "baseline"));
    const qg_curves transfer = read_curves(json_object_get(json, "transfer"));
    size_t count;
    const double *numbers = read_row(json_object_get(json, "scale"), &count);
    const qg_scale scale = {numbers[0], numbers[1], numbers[2]};
    qg_pair *pairs = allocate(transfer.seed_count, sizeof *pairs);
    check(qg_pairs_measure(&baseline, &transfer, &scale, pairs, &count, &error));
    qg_threshold_times times;
    check(qg_threshold_times_of(pairs, count, &times, &error));
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, show_pair(&pairs[i]));
    return json_pack("{s:o, s:o}", "pairs", list, "times", show_times(&times));
}

static json_t *answer_aggregates(const json_t *json)
{
    const qg_tasks tasks = read_tasks(json_object_get(json, "tasks"));
    qg_estimate estimates[3];
    for (int a = 0; a < 3; a++)
        check(qg_aggregate_of(&tasks, (qg_aggregate)a, read_seed(json), &estimates[a], &error));
    return show_estimates(estimates, 3);
}

static json_t *answer_improvement(const json_t *json)
{
    const qg_tasks x = read_tasks(json_object_get(json, "x"));
    const qg_tasks y = read_tasks(json_object_get(json, "y"));
    qg_estimate estimate;
    check(qg_probability_of_improvement(&x, &y, read_seed(json), &estimate, &error));
    return show_estimate(&estimate);
}

static json_t *answer_profile(const json_t *json)
{
    const qg_tasks tasks = read_tasks(json_object_get(json, "tasks"));
    size_t count;
    const double *taus = read_row(json_object_get(json, "taus"), &count);
    qg_estimate *profile = allocate(count, sizeof *profile);
    check(qg_performance_profile(&tasks, taus, count, read_seed(json), profile, &error));
    return show_estimates(profile, count);
}

static json_t *answer_verdict(const json_t *json)
{
    const qg_tasks tasks = read_tasks(json_object_get(json, "tasks"));
    qg_verdict verdict;
    check(qg_verdict_over_tasks(&tasks, read_seed(json), &verdict, &error));
    return show_verdict(&verdict);
}

static json_t *answer_curve(const json_t *json)
{
    const qg_curves curves = read_curves(json);
    qg_estimate *curve = allocate(curves.point_count, sizeof *curve);
    check(qg_curve_of(&curves, curve, &error));
    return show_estimates(curve, curves.point_count);
}

static json_t *answer_quantiles(const json_t *json)
{
    size_t count;
    const int64_t *degrees = read_integers(json_object_get(json, "degrees"), &count);
    const double confidence = json_real_value(json_object_get(json, "confidence"));
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_real(qg_student_quantile((size_t)degrees[i], confidence)));
    return list;
}

static void answer(const json_t *question)
{
    static const struct {
        const char *name;
        json_t *(*function)(const json_t *);
    } questions[] = {
        {"pairs", answer_pairs},         {"aggregates", answer_aggregates},
        {"profile", answer_profile},     {"improvement", answer_improvement},
        {"verdict", answer_verdict},     {"curve", answer_curve},
        {"quantiles", answer_quantiles},
    };
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        const json_t *arguments = json_object_get(question, questions[i].name);
        if (!arguments) continue;
        json_t *result = questions[i].function(arguments);
        json_dumpf(result, stdout, JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
        json_decref(result);
    }
}

/* ---- How often the rule decides ---- */

enum { SEED_COUNTS = 4, MOST_SEEDS = 10 };
static const size_t seed_counts[SEED_COUNTS] = {2, 3, 5, MOST_SEEDS};

static double draw_normal(qg_random *random) /* Box and Muller */
{
    const double radius = sqrt(-2 * log(1 - qg_random_uniform(random)));
    return radius * cos(2 * M_PI * qg_random_uniform(random));
}

/* A run of which one in five fails; mean 0, the others are about alike. */
static double draw_run(qg_random *random)
{
    const double outcome = qg_random_uniform(random) < 0.2 ? -2 : 0.5;
    return outcome + 0.2 * draw_normal(random);
}

static double draw_failing(qg_random *random) /* runs of both sides may fail */
{
    return draw_run(random) - draw_run(random);
}

static double draw_lopsided(qg_random *random) /* only transfers fail, for better runs otherwise */
{
    return draw_run(random);
}

typedef double noise(qg_random *random);

typedef struct rates {
    double bootstrap, student, rule; /* shares of the experiments whose interval excludes zero */
} rates;

static bool excludes_zero(const qg_estimate *e)
{
    return e->low > 0 || e->high < 0;
}

static rates simulate(int experiments, size_t seeds, double effect, noise *draw)
{
    qg_random random = qg_random_stream(seeds, "experiments");
    int bootstrap = 0, student = 0, rule = 0;
    double differences[MOST_SEEDS];
    for (int e = 0; e < experiments; e++) {
        for (size_t s = 0; s < seeds; s++)
            differences[s] = effect + draw(&random);
        qg_verdict verdict;
        check(qg_verdict_of(differences, seeds, (uint64_t)e, &verdict, &error));
        bootstrap += excludes_zero(&verdict.bootstrap);
        student += excludes_zero(&verdict.student);
        rule += verdict.decision != QG_NOT_DECIDED;
    }
    return (rates){(double)bootstrap / experiments, (double)student / experiments,
                   (double)rule / experiments};
}

/* Six experiments with one baseline, all without effect: as tasks, and as means of each seed. */
static void simulate_shared(int experiments, size_t seeds, double *as_tasks, double *as_means)
{
    enum { SHARING = 6 };
    qg_random random = qg_random_stream(seeds, "experiments");
    double values[SHARING][MOST_SEEDS], means[MOST_SEEDS];
    const double *rows[SHARING];
    size_t counts[SHARING];
    int tasks = 0, seed_means = 0;
    for (int e = 0; e < experiments; e++) {
        for (size_t s = 0; s < seeds; s++) {
            const double baseline = draw_normal(&random);
            means[s] = 0;
            for (int i = 0; i < SHARING; i++) {
                values[i][s] = draw_normal(&random) - baseline;
                means[s] += values[i][s] / SHARING;
            }
        }
        for (int i = 0; i < SHARING; i++) {
            rows[i] = values[i];
            counts[i] = seeds;
        }
        const qg_tasks all = {SHARING, counts, rows};
        qg_verdict verdict;
        check(qg_verdict_over_tasks(&all, (uint64_t)e, &verdict, &error));
        tasks += verdict.decision != QG_NOT_DECIDED;
        check(qg_verdict_of(means, seeds, (uint64_t)e, &verdict, &error));
        seed_means += verdict.decision != QG_NOT_DECIDED;
    }
    *as_tasks = (double)tasks / experiments;
    *as_means = (double)seed_means / experiments;
}

static void print_rates(int experiments, const char *name, double effect, noise *draw)
{
    for (size_t i = 0; i < SEED_COUNTS; i++) {
        const rates r = simulate(experiments, seed_counts[i], effect, draw);
        printf("%-9s %6.0f %6zu %10.1f %8.1f %6.1f\n", name, effect, seed_counts[i],
               100 * r.bootstrap, 100 * r.student, 100 * r.rule);
    }
}

static void print_honesty(int experiments)
{
    printf("share of %d experiments, in %%, that excludes zero\n", experiments);
    printf("noise     effect  seeds  bootstrap  student   rule\n");
    for (int effect = 0; effect <= 3; effect++)
        print_rates(experiments, "normal", effect, draw_normal);
    print_rates(experiments, "failing", 0, draw_failing);
    print_rates(experiments, "lopsided", 0, draw_lopsided);
    printf("six experiments that share a baseline, no effect\n");
    printf("seeds  rule on tasks  rule on seed means\n");
    for (size_t i = 0; i < SEED_COUNTS; i++) {
        const size_t seeds = seed_counts[i];
        double tasks, means;
        simulate_shared(experiments, seeds, &tasks, &means);
        printf("%5zu %14.1f %19.1f\n", seeds, 100 * tasks, 100 * means);
    }
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "honesty") == 0) {
        print_honesty(atoi(arguments[2]));
        return 0;
    }
    json_error_t wrong;
    json_t *question = json_loadf(stdin, 0, &wrong);
    if (count != 1 || !question)
        return fprintf(stderr, "usage: statistics < QUESTION.json | honesty EXPERIMENTS\n"), 2;
    answer(question);
    json_decref(question);
    return 0;
}
