#include "honesty.h"

#include <qgraft/statistics.h>

#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEED_COUNTS = 4,
    FEW = 3 /* of them, where each takes long */,
    MOST_SEEDS = 30,
    MOST_ARMS = 24,
    MOST_BASELINES = 3
};
static const size_t seed_counts[SEED_COUNTS] = {3, 4, 6, 10};

static void check(qg_status status, const qg_error *error)
{
    if (status == QG_OK) return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

static const char *const adjust_names[] = {
    [QG_ADJUST_BH] = "bh", [QG_ADJUST_DUNNETT] = "dunnett", [QG_ADJUST_NONE] = "none"};

/* ------------------------------------------------------------------------------------- noise */

static double draw_normal(qg_random *random) /* Box and Muller */
{
    const double radius = sqrt(-2 * log(1 - qg_random_uniform(random)));
    return radius * cos(2 * M_PI * qg_random_uniform(random));
}

/* A run of which one in five fails; mean 0, deviation 1, the others are about alike. */
static double draw_failing(qg_random *random)
{
    const double outcome = qg_random_uniform(random) < 0.2 ? -2 : 0.5;
    return (outcome + 0.2 * draw_normal(random)) / sqrt(1.04);
}

static double draw_steady(qg_random *random) /* those that do not fail */
{
    return 0.2 * draw_normal(random) / sqrt(1.04);
}

typedef double noise(qg_random *random);

/* ----------------------------------------------------------------------------------- studies */

typedef struct study {
    size_t arms, baselines; /* as many arms each; every second one frozen */
    size_t seeds, baseline_seeds;
    noise *arm_noise, *baseline_noise;
    double frozen_deviation; /* of frozen arms; others' is 1 */
    double unequal;          /* deviation of the log of each group's deviation */
    double effect;           /* in deviations of a free arm, of the first `changed` arms */
    size_t changed;
    double correlation; /* of runs with the same seed */
} study;

typedef struct draw {
    double values[MOST_BASELINES + MOST_ARMS][MOST_SEEDS];
    qg_group baselines[MOST_BASELINES];
    qg_arm arms[MOST_ARMS];
} draw;

static const uint64_t names[MOST_SEEDS] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                           11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                                           21, 22, 23, 24, 25, 26, 27, 28, 29, 30};

static void draw_study(const study *s, qg_random *random, draw *d)
{
    double common[MOST_SEEDS];
    for (size_t i = 0; i < MOST_SEEDS; i++)
        common[i] = draw_normal(random);
    for (size_t g = 0; g < s->baselines + s->arms; g++) {
        const bool arm = g >= s->baselines;
        const size_t index = g - s->baselines, seeds = arm ? s->seeds : s->baseline_seeds;
        const bool frozen = arm && index % 2;
        const double deviation =
            (frozen ? s->frozen_deviation : 1) * exp(s->unequal * draw_normal(random));
        const double effect = arm && index < s->changed ? s->effect : 0;
        for (size_t i = 0; i < seeds; i++) {
            const double own = (arm ? s->arm_noise : s->baseline_noise)(random);
            d->values[g][i] = effect + deviation * (sqrt(1 - s->correlation) * own +
                                                    sqrt(s->correlation) * common[i]);
        }
        const qg_group group = {d->values[g], names, seeds,
                                !arm     ? QG_BASELINES
                                : frozen ? QG_FROZEN
                                         : QG_FREE};
        if (arm)
            d->arms[index] = (qg_arm){.runs = group, .baseline = index % s->baselines};
        else
            d->baselines[g] = group;
    }
}

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

static const study usual = {.arms = 12,
                            .baselines = 1,
                            .arm_noise = draw_normal,
                            .baseline_noise = draw_normal,
                            .frozen_deviation = 0.5};

static study with_seeds(study s, size_t seeds, size_t baseline_seeds)
{
    s.seeds = seeds;
    s.baseline_seeds = baseline_seeds;
    return s;
}

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
    printf("\n2. Arms whose raw p is below 0.05, and those decided with the permutation test, in "
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

static void print_multiplicity(int studies)
{
    printf(
        "\n3. 24 arms on three baselines: studies without any effect that decide something; with\n"
        "an effect of 3 in six arms: those found, and the share of the decided that has none\n");
    printf("%-10s", "");
    for (size_t i = 0; i < FEW; i++)
        printf(" %2zu seeds: any found false |", seed_counts[i]);
    printf("\n");
    for (int adjust = QG_ADJUST_NONE; adjust >= QG_ADJUST_BH; adjust--) {
        printf("%-10s", adjust_names[adjust]);
        for (size_t i = 0; i < FEW; i++) {
            const qg_rule rule = {QG_COMPARE_MODERATED, (qg_adjust)adjust, 1e-9, false, 0};
            study s = with_seeds(usual, seed_counts[i], seed_counts[i]);
            s.arms = 24;
            s.baselines = 3;
            const tally none = simulate(&s, &rule, studies);
            s.effect = 3;
            s.changed = 6;
            const tally six = simulate(&s, &rule, studies);
            printf("       %6.1f %6.1f %5.1f |", none.any, six.found, six.false_share);
        }
        printf("\n");
    }
}

static void print_equivalence(int studies)
{
    printf("\n4. Arms found to have no effect larger than a margin of 2 deviations, in %%\n");
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
    printf("\n5. Intervals of the probability of improvement that hold it, in %%: bootstrap, "
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
    printf(
        "\n6. Mean of six arms that share a baseline, no effect, decided in %%: pairs as if each\n"
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
                const qg_group groups[] = {{base, names, n, QG_BASELINES},
                                           {means[shared], names, n, QG_FREE}};
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

/* ------------------------------------------------------------------------------ until decided */

/* Studies that look at 4, 8 and 12 seeds, and give more to what is open. */
typedef struct looking {
    double any, found, false_share, wrong; /* as in `tally`; arms without effect that are decided */
    double seeds;                          /* of an arm, in the mean */
} looking;

enum { LOOKS = 3, LOOK_SEEDS = 4 };

/* One study: which arms were decided, and with how many seeds each. */
static void look(const study *s, draw *d, qg_rule rule, const double levels[LOOKS],
                 bool decided[MOST_ARMS], size_t seeds[MOST_ARMS], uint64_t seed)
{
    for (int k = 0; k < LOOKS; k++) {
        qg_verdict verdicts[MOST_ARMS];
        qg_error error;
        bool open = false;
        for (size_t a = 0; a < s->arms; a++) {
            if (decided[a]) continue;
            open = true;
            d->arms[a].runs.count = seeds[a] = (size_t)(k + 1) * LOOK_SEEDS;
            d->baselines[d->arms[a].baseline].count = seeds[a];
        }
        if (!open) return;
        rule.level = levels[k];
        check(qg_verdicts_of(d->baselines, s->baselines, d->arms, s->arms, &rule, seed, verdicts,
                             &error),
              &error);
        for (size_t a = 0; a < s->arms; a++)
            decided[a] = decided[a] || verdicts[a].decision == QG_POSITIVE ||
                         verdicts[a].decision == QG_NEGATIVE;
    }
}

static looking simulate_looks(const study *s, qg_adjust adjust, const double levels[LOOKS],
                              int studies)
{
    const qg_rule rule = {QG_COMPARE_MODERATED, adjust, 1e-9, false, 0};
    qg_random random = qg_random_stream(adjust, "looks");
    looking sum = {0};
    for (int i = 0; i < studies; i++) {
        draw d;
        bool decided[MOST_ARMS] = {false};
        size_t seeds[MOST_ARMS] = {0}, all = 0, right = 0;
        draw_study(s, &random, &d);
        look(s, &d, rule, levels, decided, seeds, (uint64_t)i);
        for (size_t a = 0; a < s->arms; a++) {
            all += decided[a];
            right += decided[a] && a < s->changed;
            sum.seeds += (double)seeds[a];
        }
        sum.any += all > 0;
        sum.found += (double)right;
        sum.wrong += (double)(all - right);
        if (all > 0) sum.false_share += (double)(all - right) / (double)all;
    }
    const double each = 100.0 / studies;
    return (looking){sum.any * each, s->changed ? sum.found * each / (double)s->changed : 0,
                     sum.false_share * each, sum.wrong * each / (double)(s->arms - s->changed),
                     sum.seeds / studies / (double)s->arms};
}

static void print_looks(int studies)
{
    static const double fractions[LOOKS] = {1.0 / LOOKS, 2.0 / LOOKS, 1};
    static const char *const ways[] = {"O'Brien-Fleming", "Pocock", "as if each were the only one"};
    printf("\n7. Looks at 4, 8 and 12 seeds: arms without effect that are decided in %%, studies\n"
           "without any effect that decide something; with an effect of 2 in six of 24 arms those\n"
           "found, the share of the decided that has none, and the mean seeds of an arm\n");
    for (int adjust = QG_ADJUST_NONE; adjust >= QG_ADJUST_BH; adjust--)
        for (int way = 0; way < 3; way++) {
            double levels[LOOKS] = {QG_ALPHA, QG_ALPHA, QG_ALPHA};
            qg_error error;
            if (way < 2)
                check(qg_spending_levels((qg_spending)way, fractions, LOOKS, QG_ALPHA, levels,
                                         &error),
                      &error);
            study s = with_seeds(usual, LOOKS * LOOK_SEEDS, LOOKS * LOOK_SEEDS);
            s.arms = 24;
            s.baselines = 3;
            const looking none = simulate_looks(&s, (qg_adjust)adjust, levels, studies);
            s.effect = 2;
            s.changed = 6;
            const looking six = simulate_looks(&s, (qg_adjust)adjust, levels, studies);
            printf("%-8s %-28s %5.1f %5.1f %6.1f %5.1f %5.1f\n", adjust_names[adjust], ways[way],
                   none.wrong, none.any, six.found, six.false_share, six.seeds);
        }
}

int honesty(int studies)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    print_comparisons(studies);
    print_permutation(studies / 4);
    print_multiplicity(studies / 2);
    print_equivalence(studies / 2);
    print_improvement(studies);
    print_pooled(studies);
    print_looks(studies / 2);
    return 0;
}
