/* For tests/python/test_statistics.py: the statistics of this library as JSON, and for
 * docs/statistics.md: how often the verdict's rule decides.
 *
 *   statistics < QUESTION.json       the answer on stdout
 *   statistics honesty N [TABLE]      simulates N studies of each kind; prints tables
 *
 * A question is an object with one key that names the function (see main). */
#include <qgraft/statistics.h>

#include "games.h"
#include "honesty.h"
#include "report/distributions.h"

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
    return json_pack("{s:s, s:s, s:[o, o, o], s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "decision",
                     qg_decision_name(v->decision), "reason", qg_reason_text(v->reason), "effect",
                     show_real(v->effect.value), show_real(v->effect.error),
                     show_real(qg_effect_degrees(&v->effect, QG_ALPHA)), "p", show_real(v->p),
                     "family_p", show_real(v->family_p), "q", show_real(v->q), "permutation_p",
                     show_real(v->permutation_p), "margin_p", show_real(v->margin_p), "raw",
                     show_estimate(&v->raw), "adjusted", show_estimate(&v->adjusted));
}

static json_t *show_reals(const double *values, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, show_real(values[i]));
    return list;
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

static json_t *answer_improvement_of_one(const json_t *json)
{
    size_t x_count, y_count;
    const double *x = read_row(json_object_get(json, "x"), &x_count);
    const double *y = read_row(json_object_get(json, "y"), &y_count);
    const qg_estimate estimate = qg_improvement_of(x, x_count, y, y_count);
    return show_estimate(&estimate);
}

static json_t *answer_iqm(const json_t *json)
{
    const qg_tasks tasks = read_tasks(json_object_get(json, "tasks")); /* [experiment][seed] */
    const size_t seeds = tasks.counts[0];
    double *values = allocate(tasks.task_count * seeds, sizeof *values);
    for (size_t e = 0; e < tasks.task_count; e++)
        memcpy(values + e * seeds, tasks.values[e], seeds * sizeof *values);
    qg_estimate estimate;
    check(qg_iqm_over_seeds(values, tasks.task_count, seeds, read_seed(json), &estimate, &error));
    return show_estimate(&estimate);
}

static qg_group read_group(const json_t *json, const char *stratum)
{
    qg_group group = {.stratum = strcmp(stratum, "frozen") == 0 ? QG_FROZEN
                                 : strcmp(stratum, "free") == 0 ? QG_FREE
                                                                : QG_BASELINES};
    group.values = read_row(json_object_get(json, "values"), &group.count);
    uint64_t *seeds = allocate(group.count, sizeof *seeds);
    const json_t *given = json_object_get(json, "seeds");
    for (size_t i = 0; i < group.count; i++)
        seeds[i] = given ? (uint64_t)json_integer_value(json_array_get(given, i)) : i;
    group.seeds = seeds;
    return group;
}

/* {baselines: [{values}], arms: [{values, stratum, baseline, control, unfinished}], compare,
 * adjust, margin} */
typedef struct arms_question {
    qg_group *baselines;
    qg_arm *arms;
    size_t baseline_count, arm_count;
    qg_rule rule;
} arms_question;

static arms_question read_arms(const json_t *json)
{
    const json_t *baselines = json_object_get(json, "baselines");
    const json_t *arms = json_object_get(json, "arms");
    arms_question q = {.baseline_count = json_array_size(baselines),
                       .arm_count = json_array_size(arms)};
    q.baselines = allocate(q.baseline_count, sizeof *q.baselines);
    q.arms = allocate(q.arm_count, sizeof *q.arms);
    for (size_t i = 0; i < q.baseline_count; i++)
        q.baselines[i] = read_group(json_array_get(baselines, i), "baseline");
    for (size_t i = 0; i < q.arm_count; i++) {
        const json_t *arm = json_array_get(arms, i);
        const char *stratum = json_string_value(json_object_get(arm, "stratum"));
        q.arms[i] =
            (qg_arm){.runs = read_group(arm, stratum ? stratum : "free"),
                     .baseline = (size_t)json_integer_value(json_object_get(arm, "baseline")),
                     .control = json_is_true(json_object_get(arm, "control")),
                     .unfinished = json_is_true(json_object_get(arm, "unfinished"))};
    }
    q.rule.compare = (qg_compare)json_integer_value(json_object_get(json, "compare"));
    q.rule.adjust = (qg_adjust)json_integer_value(json_object_get(json, "adjust"));
    const json_t *margin = json_object_get(json, "margin");
    q.rule.margin = margin ? json_number_value(margin) : QG_MARGIN;
    return q;
}

static qg_verdict *judge(const arms_question *q, const json_t *json)
{
    qg_verdict *verdicts = allocate(q->arm_count, sizeof *verdicts);
    check(qg_verdicts_of(q->baselines, q->baseline_count, q->arms, q->arm_count, &q->rule,
                         read_seed(json), verdicts, &error));
    return verdicts;
}

static json_t *answer_verdicts(const json_t *json)
{
    const arms_question q = read_arms(json);
    const qg_verdict *verdicts = judge(&q, json);
    json_t *list = json_array();
    for (size_t i = 0; i < q.arm_count; i++)
        json_array_append_new(list, show_verdict(&verdicts[i]));
    return list;
}

static json_t *answer_pairing(const json_t *json)
{
    const arms_question q = read_arms(json);
    const qg_pairing pairing = qg_pairing_of(q.baselines, q.arms, judge(&q, json), q.arm_count);
    return json_pack("{s:o, s:b, s:b}", "correlation", show_estimate(&pairing.correlation),
                     "warranted", pairing.warranted, "refuted", pairing.refuted);
}

/* The variance and its degrees of freedom of each group of one stratum. */
static json_t *answer_variances(const json_t *json)
{
    const qg_tasks tasks = read_tasks(json);
    qg_group *groups = allocate(tasks.task_count, sizeof *groups);
    qg_variance *variances = allocate(tasks.task_count, sizeof *variances);
    for (size_t i = 0; i < tasks.task_count; i++)
        groups[i] = (qg_group){tasks.values[i], NULL, tasks.counts[i], QG_FREE, NULL};
    check(qg_variances_of(groups, tasks.task_count, true, variances, &error));
    json_t *list = json_array();
    for (size_t i = 0; i < tasks.task_count; i++)
        json_array_append_new(list, json_pack("[o, o]", show_real(variances[i].value),
                                              show_real(variances[i].degrees)));
    return list;
}

static json_t *answer_adjusted(const json_t *json)
{
    size_t count;
    const double *p = read_row(json_object_get(json, "p"), &count);
    double *rate = allocate(count, sizeof *rate), *any = allocate(count, sizeof *any);
    check(qg_adjust_rate(p, count, rate, &error));
    check(qg_adjust_any(p, count, any, &error));
    return json_pack("{s:o, s:o}", "rate", show_reals(rate, count), "any", show_reals(any, count));
}

static json_t *answer_largest_t(const json_t *json)
{
    size_t count, t_count;
    const double *shares = read_row(json_object_get(json, "shares"), &count);
    const double *t = read_row(json_object_get(json, "t"), &t_count);
    const json_t *given = json_object_get(json, "degrees");
    const double degrees = given ? json_number_value(given) : INFINITY;
    qg_largest_t *largest;
    check(qg_largest_t_create(shares, count, &largest, &error));
    double *both = allocate(t_count, sizeof *both);
    for (size_t i = 0; i < t_count; i++)
        both[i] = qg_largest_t_p(largest, t[i], degrees);
    const double reach = qg_largest_t_reach(largest, QG_ALPHA, degrees);
    qg_largest_t_free(largest);
    return json_pack("{s:o, s:f}", "two_sided", show_reals(both, t_count), "reach", reach);
}

static json_t *answer_permutation(const json_t *json)
{
    size_t x_count, y_count = 0;
    const double *x = read_row(json_object_get(json, "x"), &x_count);
    const json_t *other = json_object_get(json, "y");
    double p;
    if (other) {
        const double *y = read_row(other, &y_count);
        check(qg_permutation_p(x, x_count, y, y_count, read_seed(json), &p, &error));
    } else {
        check(qg_sign_flip_p(x, x_count, read_seed(json), &p, &error));
    }
    return show_real(p);
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
    const double *degrees = read_row(json_object_get(json, "degrees"), &count);
    const double confidence = json_real_value(json_object_get(json, "confidence"));
    double *quantiles = allocate(count, sizeof *quantiles);
    for (size_t i = 0; i < count; i++)
        quantiles[i] = qg_student_reach(degrees[i], 1 - confidence);
    return show_reals(quantiles, count);
}

static json_t *answer_behrens_fisher(const json_t *json)
{
    size_t count;
    const double *degrees = read_row(json_object_get(json, "degrees"), &count);
    const double *t = read_row(json_object_get(json, "t"), &count);
    const qg_behrens_fisher d = {json_number_value(json_object_get(json, "share")),
                                 {degrees[0], degrees[1]}};
    double *above = allocate(count, sizeof *above);
    for (size_t i = 0; i < count; i++)
        above[i] = qg_behrens_fisher_above(&d, t[i]);
    const double reach =
        qg_behrens_fisher_reach(&d, json_number_value(json_object_get(json, "alpha")));
    return json_pack("{s:o, s:f}", "above", show_reals(above, count), "reach", reach);
}

static void answer(const json_t *question)
{
    static const struct {
        const char *name;
        json_t *(*function)(const json_t *);
    } questions[] = {
        {"pairs", answer_pairs},
        {"aggregates", answer_aggregates},
        {"profile", answer_profile},
        {"improvement", answer_improvement},
        {"verdicts", answer_verdicts},
        {"curve", answer_curve},
        {"quantiles", answer_quantiles},
        {"behrens_fisher", answer_behrens_fisher},
        {"improvement_of_one", answer_improvement_of_one},
        {"iqm", answer_iqm},
        {"pairing", answer_pairing},
        {"variances", answer_variances},
        {"adjusted", answer_adjusted},
        {"largest_t", answer_largest_t},
        {"permutation", answer_permutation},
        {"games", answer_games},
        {"turn", answer_turn},
    };
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        const json_t *arguments = json_object_get(question, questions[i].name);
        if (!arguments) continue;
        json_t *result = questions[i].function(arguments);
        json_dumpf(result, stdout, JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY);
        json_decref(result);
    }
}

int main(int count, char **arguments)
{
    if ((count == 3 || count == 4) && strcmp(arguments[1], "honesty") == 0) {
        const int studies = atoi(arguments[2]), table = count == 4 ? atoi(arguments[3]) : 0;
        if (studies >= 4 && table >= 0 && table <= HONESTY_TABLES) return honesty(studies, table);
        return fprintf(stderr, "honesty N [TABLE]: 4 studies or more, tables 1 to %d\n",
                       HONESTY_TABLES),
               2;
    }
    json_error_t wrong;
    json_t *question = json_loadf(stdin, 0, &wrong);
    if (count != 1 || !question)
        return fprintf(stderr, "usage: statistics < QUESTION.json | honesty N [TABLE]\n"), 2;
    answer(question);
    json_decref(question);
    return 0;
}
