#include "honesty.h"

#include "simulated_study.h"

#include <math.h>
#include <stdio.h>

enum { SEED_COUNTS = 4, FEW = 3 /* of them, where each takes long */ };
static const size_t seed_counts[SEED_COUNTS] = {3, 4, 6, 10};

/* What came out, over all studies. */
typedef struct tally {
    double positive_or_negative; /* share of the arms */
    double any;                  /* share of the studies with at least one such arm */
    double within;               /* share of the arms without an effect larger than the margin */
    double found, false_share;   /* of the changed arms; of those decided, those not changed */
    double raw;                  /* share of the arms whose raw p is below QG_ALPHA */
} tally;

static tally simulate(const study *s, const qg_rule *rule, int studies)
{
    qg_random random = qg_random_stream(s->seeds, "honesty");
    tally t = {0};
    for (int i = 0; i < studies; i++) {
        draw d;
        qg_verdict verdicts[MOST_ARMS];
        qg_error error;
        draw_study(s, &random, &d);
        check(qg_verdicts_of(d.baselines, s->baselines, d.arms, s->arms, rule, (uint64_t)i,
                             verdicts, &error),
              &error);
        size_t decided = 0, right = 0;
        for (size_t a = 0; a < s->arms; a++) {
            const bool one =
                verdicts[a].decision == QG_POSITIVE || verdicts[a].decision == QG_NEGATIVE;
            decided += one;
            right += one && a < s->changed;
            t.within += verdicts[a].decision == QG_WITHIN_MARGIN;
            t.raw += verdicts[a].p <= QG_ALPHA;
        }
        t.positive_or_negative += (double)decided;
        t.any += decided > 0;
        t.found += (double)right;
        if (decided > 0) t.false_share += (double)(decided - right) / (double)decided;
    }
    const double all = 100.0 / studies, arms = all / (double)s->arms;
    return (tally){t.positive_or_negative * arms,
                   t.any * all,
                   t.within * arms,
                   s->changed ? t.found * all / (double)s->changed : 0,
                   t.false_share * all,
                   t.raw * arms};
}

/* ------------------------------------------------------------------------------------ tables */

/* The share of the arms, in %, whose p alone is below QG_ALPHA. */
static double simulate_alone(const study *s, qg_compare compare, int studies)
{
    qg_random random = qg_random_stream(s->seeds, "honesty");
    size_t decided = 0;
    for (int i = 0; i < studies; i++) {
        draw d;
        qg_group groups[1 + MOST_ARMS];
        qg_variance variances[1 + MOST_ARMS];
        qg_error error;
        draw_study(s, &random, &d);
        groups[0] = d.baselines[0];
        for (size_t a = 0; a < s->arms; a++)
            groups[1 + a] = d.arms[a].runs;
        check(qg_variances_of(groups, 1 + s->arms, compare == QG_COMPARE_MODERATED, variances,
                              &error),
              &error);
        for (size_t a = 1; a <= s->arms; a++) {
            double differences[MOST_SEEDS];
            for (size_t k = 0; k < s->seeds; k++)
                differences[k] = d.values[a][k] - d.values[0][k];
            const qg_effect e =
                compare == QG_COMPARE_PAIRED
                    ? qg_effect_of_pairs(differences, s->seeds)
                    : qg_effect_of_groups(&groups[0], &variances[0], &groups[a], &variances[a]);
            decided += qg_effect_p(&e) <= QG_ALPHA;
        }
    }
    return 100 * (double)decided / studies / (double)s->arms;
}

static void print_row(const char *name, study s, int studies)
{
    printf("%-34s", name);
    for (size_t i = 0; i < SEED_COUNTS; i++) {
        const size_t n = seed_counts[i];
        const study now = with_seeds(s, n, n), more = with_seeds(s, n, 3 * n);
        printf(" %5.1f %5.1f %5.1f %5.1f |", simulate_alone(&now, QG_COMPARE_PAIRED, studies),
               simulate_alone(&now, QG_COMPARE_WELCH, studies),
               simulate_alone(&now, QG_COMPARE_MODERATED, studies),
               simulate_alone(&more, QG_COMPARE_MODERATED, studies));
    }
    printf("\n");
}

static void print_comparisons(int studies)
{
    printf(
        "1. Arms decided, in %%, nothing adjusted: paired, Welch, moderated, moderated with three\n"
        "times the baseline's seeds; 12 arms, half of them frozen with half the deviation\n");
    printf("%-34s %-26s %-26s %-26s %s\n", "", "3 seeds", "4 seeds", "6 seeds", "10 seeds");
    study s = usual;
    print_row("no effect", s, studies);
    s.arms = 3;
    print_row("... three arms", s, 4 * studies);
    s.arms = 6;
    print_row("... three of each kind", s, 2 * studies);
    s = usual;
    s.frozen_deviation = 1;
    s.unequal = 0.5;
    print_row("... deviations unequal (e^0.5)", s, studies);
    s.arms = 6;
    print_row("... ... three of each kind", s, 2 * studies);
    s = usual;
    s.correlation = 0.5;
    print_row("... correlation 0.5", s, studies);
    s = usual;
    s.frozen_deviation = 1;
    s.changed = s.arms;
    for (s.effect = 1; s.effect < 4; s.effect++) {
        char name[48];
        snprintf(name, sizeof name, "effect of %g, equal deviations", s.effect);
        print_row(name, s, studies);
    }
    s.effect = 2;
    s.correlation = 0.7;
    print_row("effect of 2, correlation 0.7", s, studies);
    s = usual;
    s.frozen_deviation = 1;
    s.arm_noise = s.baseline_noise = draw_failing;
    print_row("no effect, one run in five fails", s, studies);
    s.baseline_noise = draw_steady;
    print_row("... of the arms only (lopsided)", s, studies);
}

/* What the permutation test takes away. */
static void print_permutation(int studies)
{
    printf("2. Arms whose raw p is below 0.05, and those decided with the permutation test, in "
           "%%\n");
    static const char *const titles[] = {"normal", "one run in five fails", "arms only fail"};
    for (int kind = 0; kind < 3; kind++) {
        study s = usual;
        s.frozen_deviation = 1;
        if (kind > 0) s.arm_noise = draw_failing;
        if (kind > 0) s.baseline_noise = kind == 1 ? draw_failing : draw_steady;
        printf("%-24s", titles[kind]);
        for (size_t n = 6; n <= 10; n += 2) {
            const qg_rule rule = {QG_COMPARE_MODERATED, QG_ADJUST_NONE, 1e-9, false, 0};
            const study now = with_seeds(s, n, n);
            const tally t = simulate(&now, &rule, studies);
            printf(" %zu seeds: %5.1f %5.1f |", n, t.raw, t.positive_or_negative);
        }
        printf("\n");
    }
}

/* Without any effect and with one of 3 in a quarter of the arms. */
static void print_families(study s, const qg_rule *rule, int studies)
{
    const tally none = simulate(&s, rule, studies);
    s.effect = 3;
    s.changed = s.arms / 4;
    const tally some = simulate(&s, rule, studies);
    printf("       %6.1f %6.1f %5.1f |", none.any, some.found, some.false_share);
}

static void print_multiplicity(int studies)
{
    static const struct {
        qg_compare compare;
        qg_adjust adjust;
        double unequal;
        size_t times;
    } rows[] = {
        {QG_COMPARE_MODERATED, QG_ADJUST_NONE, 0, 1},
        {QG_COMPARE_MODERATED, QG_ADJUST_DUNNETT, 0, 1},
        {QG_COMPARE_MODERATED, QG_ADJUST_BH, 0, 1},
        {QG_COMPARE_MODERATED, QG_ADJUST_BH, 0, 3},
        {QG_COMPARE_MODERATED, QG_ADJUST_BH, 0.5, 1},
        {QG_COMPARE_MODERATED, QG_ADJUST_BH, 0.5, 3},
        {QG_COMPARE_WELCH, QG_ADJUST_BH, 0, 1},
        {QG_COMPARE_WELCH, QG_ADJUST_BH, 0, 3},
        {QG_COMPARE_WELCH, QG_ADJUST_BH, 0.5, 1},
        {QG_COMPARE_WELCH, QG_ADJUST_BH, 0.5, 3},
    };
    printf("3. 24 arms on three baselines: studies without any effect that decide something; with\n"
           "an effect of 3 in a quarter of the arms: those found, and the share of the decided "
           "that has none;\n"
           "the last column has 148 arms on five baselines, 3 seeds beside 10\n");
    printf("%-43s", "deviations, the baseline's seeds");
    for (size_t i = 0; i < FEW; i++)
        printf(" %2zu seeds: any found false |", seed_counts[i]);
    printf("\n");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const qg_rule rule = {rows[r].compare, rows[r].adjust, 1e-9, false, 0};
        const size_t times = rows[r].times;
        printf("%-10s %-8s %-16s %zu fold ",
               rule.compare == QG_COMPARE_WELCH ? "welch" : "moderated", adjust_names[rule.adjust],
               rows[r].unequal > 0 ? "unequal (e^0.5)" : "equal", times);
        study s = usual;
        s.unequal = rows[r].unequal;
        s.arms = 24;
        s.baselines = 3;
        for (size_t i = 0; i < FEW; i++)
            print_families(with_seeds(s, seed_counts[i], times * seed_counts[i]), &rule, studies);
        s.arms = 148;
        s.baselines = 5;
        if (times > 1) print_families(with_seeds(s, 3, 10), &rule, studies);
        printf("\n");
    }
}

static void print_equivalence(int studies)
{
    printf("4. Arms found to have no effect larger than a margin of 2 deviations, in %%\n");
    printf("%-10s %-24s", "", "true effect");
    for (size_t i = 0; i < FEW; i++)
        printf(" %2zu seeds", seed_counts[i]);
    printf("\n");
    for (int adjust = QG_ADJUST_NONE; adjust >= QG_ADJUST_BH; adjust -= QG_ADJUST_NONE)
        for (int effect = 0; effect <= 2; effect += 2) {
            printf("%-10s %-24d", adjust_names[adjust], effect);
            for (size_t i = 0; i < FEW; i++) {
                const qg_rule rule = {QG_COMPARE_MODERATED, (qg_adjust)adjust, 2, false, 0};
                study s = with_seeds(usual, seed_counts[i], seed_counts[i]);
                s.frozen_deviation = 1;
                s.effect = effect;
                s.changed = s.arms;
                printf(" %8.1f", simulate(&s, &rule, studies).within);
            }
            printf("\n");
        }
}

/* ------------------------------------------------------------------ probability of improvement */

static void print_improvement(int studies)
{
    printf("5. Intervals of the probability of improvement that hold it, in %%: bootstrap, "
           "Newcombe\n");
    for (int effect = 0; effect <= 3; effect++) {
        const double truth = 0.5 * erfc(-effect / 2.0);
        printf("truth %.3f", truth);
        for (size_t i = 0; i < SEED_COUNTS; i++) {
            const size_t n = seed_counts[i];
            qg_random random = qg_random_stream(n, "honesty");
            int bootstrap = 0, newcombe = 0, repeats = studies / 4;
            for (int k = 0; k < repeats; k++) {
                double x[MOST_SEEDS], y[MOST_SEEDS];
                for (size_t j = 0; j < n; j++) {
                    x[j] = effect + draw_normal(&random);
                    y[j] = draw_normal(&random);
                }
                const double *const rows[] = {x, y};
                const qg_tasks a = {1, &n, &rows[0]}, b = {1, &n, &rows[1]};
                qg_estimate e;
                qg_error error;
                check(qg_probability_of_improvement(&a, &b, (uint64_t)k, &e, &error), &error);
                bootstrap += e.low <= truth && truth <= e.high;
                e = qg_improvement_of(x, n, y, n);
                newcombe += e.low <= truth && truth <= e.high;
            }
            printf("  %2zu seeds: %5.1f %5.1f", n, 100.0 * bootstrap / repeats,
                   100.0 * newcombe / repeats);
        }
        printf("\n");
    }
}

/* ------------------------------------------------------------------------- pooled over a study */

/* Six arms of one baseline, all without effect: as if each run were its own, and seed by seed. */
static void print_pooled(int studies)
{
    enum { ARMS = 6 };
    printf("6. Mean of six arms that share a baseline, no effect, decided in %%: pairs as if each\n"
           "were independent; means of each seed, Welch; the same with arms that share sources\n");
    for (size_t i = 0; i < SEED_COUNTS; i++) {
        const size_t n = seed_counts[i];
        qg_random random = qg_random_stream(n, "honesty");
        int wrong[3] = {0};
        for (int k = 0; k < studies; k++) {
            double base[MOST_SEEDS], pairs[ARMS * MOST_SEEDS], means[2][MOST_SEEDS] = {{0}};
            for (size_t s = 0; s < n; s++) {
                const double source = draw_normal(&random);
                base[s] = draw_normal(&random);
                for (size_t a = 0; a < ARMS; a++) {
                    const double value = draw_normal(&random);
                    pairs[a * n + s] = value - base[s];
                    means[0][s] += value / ARMS;
                    means[1][s] += (value + source) * M_SQRT1_2 / ARMS;
                }
            }
            qg_effect e = qg_effect_of_pairs(pairs, ARMS * n);
            wrong[0] += qg_effect_p(&e) <= QG_ALPHA;
            for (int shared = 0; shared < 2; shared++) {
                const qg_group groups[] = {{base, seed_names, n, QG_BASELINES, NULL},
                                           {means[shared], seed_names, n, QG_FREE, NULL}};
                qg_variance variances[2];
                qg_error error;
                check(qg_variances_of(groups, 2, false, variances, &error), &error);
                e = qg_effect_of_groups(&groups[0], &variances[0], &groups[1], &variances[1]);
                wrong[1 + shared] += qg_effect_p(&e) <= QG_ALPHA;
            }
        }
        printf("%2zu seeds: %5.1f %5.1f %5.1f\n", n, 100.0 * wrong[0] / studies,
               100.0 * wrong[1] / studies, 100.0 * wrong[2] / studies);
    }
}

int honesty(int studies, int table)
{
    static const struct {
        void (*print)(int studies);
        int share; /* of the studies: some take long */
    } tables[HONESTY_TABLES] = {
        {print_comparisons, 1}, {print_permutation, 4}, {print_multiplicity, 2},
        {print_equivalence, 2}, {print_improvement, 1}, {print_pooled, 1},
        {honesty_looks, 1},     {honesty_best, 1},
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < HONESTY_TABLES; i++) {
        if (table > 0 && table != i + 1) continue;
        tables[i].print(studies / tables[i].share);
        printf("\n");
    }
    return 0;
}
