/* Studies that look at 4, 8 and 12 seeds, and give more to what is open. */
#include "honesty.h"
#include "simulated_study.h"

#include <stdbool.h>
#include <stdio.h>

enum { LOOKS = 3, LOOK_SEEDS = 4 };
static const char *const ways[] = {"O'Brien-Fleming", "Pocock", "as if each were the only one"};
enum { WAYS = 3 };

/* What came out over all studies, in %, but for the seeds. */
typedef struct looking {
    double any;         /* studies that find an effect in at least one arm */
    double found;       /* changed arms of which an effect is found */
    double wrong;       /* arms without effect of which one is found */
    double false_share; /* of the arms of which an effect is found, those that have none */
    double within;      /* arms found to have no effect larger than the margin */
    double seeds;       /* of an arm, in the mean */
} looking;

/* One study: what each arm was decided to be, and with how many seeds. */
static void look(const study *s, draw *d, qg_rule rule, const double levels[LOOKS],
                 qg_decision decisions[MOST_ARMS], size_t seeds[MOST_ARMS], uint64_t seed)
{
    for (int k = 0; k < LOOKS; k++) {
        qg_verdict verdicts[MOST_ARMS];
        qg_error error;
        bool open = false;
        for (size_t a = 0; a < s->arms; a++) {
            if (decisions[a] != QG_NOT_DECIDED) continue;
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
            if (decisions[a] == QG_NOT_DECIDED) decisions[a] = verdicts[a].decision;
    }
}

static looking simulate_looks(const study *s, qg_adjust adjust, double margin,
                              const double levels[LOOKS], int studies)
{
    const qg_rule rule = {QG_COMPARE_MODERATED, adjust, margin, false, 0};
    qg_random random = qg_random_stream(adjust, "looks");
    looking sum = {0};
    for (int i = 0; i < studies; i++) {
        draw d;
        qg_decision decisions[MOST_ARMS];
        size_t seeds[MOST_ARMS] = {0}, all = 0, right = 0;
        for (size_t a = 0; a < s->arms; a++)
            decisions[a] = QG_NOT_DECIDED;
        draw_study(s, &random, &d);
        look(s, &d, rule, levels, decisions, seeds, (uint64_t)i);
        for (size_t a = 0; a < s->arms; a++) {
            const bool effect = decisions[a] == QG_POSITIVE || decisions[a] == QG_NEGATIVE;
            all += effect;
            right += effect && a < s->changed;
            sum.within += decisions[a] == QG_WITHIN_MARGIN;
            sum.seeds += (double)seeds[a];
        }
        sum.any += all > 0;
        sum.found += (double)right;
        sum.wrong += (double)(all - right);
        if (all > 0) sum.false_share += (double)(all - right) / (double)all;
    }
    const double each = 100.0 / studies, arms = (double)s->arms, changed = (double)s->changed;
    return (looking){.any = sum.any * each,
                     .found = changed > 0 ? sum.found * each / changed : 0,
                     .wrong = changed < arms ? sum.wrong * each / (arms - changed) : 0,
                     .false_share = sum.false_share * each,
                     .within = sum.within * each / arms,
                     .seeds = sum.seeds / studies / arms};
}

static void find_levels(int way, double levels[LOOKS])
{
    static const double fractions[LOOKS] = {1.0 / LOOKS, 2.0 / LOOKS, 1};
    qg_error error;
    for (int k = 0; k < LOOKS; k++)
        levels[k] = QG_ALPHA;
    if (way < WAYS - 1)
        check(qg_spending_levels((qg_spending)way, fractions, LOOKS, QG_ALPHA, levels, &error),
              &error);
}

static study many_arms(void)
{
    study s = with_seeds(usual, LOOKS * LOOK_SEEDS, LOOKS * LOOK_SEEDS);
    s.arms = 24;
    s.baselines = 3;
    return s;
}

static void print_effects(int studies)
{
    printf(
        "7. Looks at 4, 8 and 12 seeds: arms without effect of which one is found in %%, studies\n"
        "without any effect that find one; with an effect of 2 in six of 24 arms those found,\n"
        "the share of the found that has none, and the mean seeds of an arm\n");
    for (int adjust = QG_ADJUST_NONE; adjust >= QG_ADJUST_BH; adjust--)
        for (int way = 0; way < WAYS; way++) {
            double levels[LOOKS];
            find_levels(way, levels);
            study s = many_arms();
            const looking none = simulate_looks(&s, (qg_adjust)adjust, 1e-9, levels, studies);
            s.effect = 2;
            s.changed = 6;
            const looking six = simulate_looks(&s, (qg_adjust)adjust, 1e-9, levels, studies);
            printf("%-8s %-28s %5.1f %5.1f %6.1f %5.1f %5.1f\n", adjust_names[adjust], ways[way],
                   none.wrong, none.any, six.found, six.false_share, six.seeds);
        }
}

/* The margin is two deviations: arms that are just there must not be said to be within it. */
static void print_equivalence(int studies)
{
    printf(
        "The same looks: arms found to have no effect larger than a margin of 2 in %%, and mean\n"
        "seeds; the true effect of all arms is the margin, and 0\n");
    for (int adjust = QG_ADJUST_NONE; adjust >= QG_ADJUST_BH; adjust--)
        for (int way = 0; way < WAYS; way++) {
            double levels[LOOKS];
            find_levels(way, levels);
            study s = many_arms();
            s.frozen_deviation = 1;
            s.changed = s.arms;
            s.effect = 2;
            const looking at = simulate_looks(&s, (qg_adjust)adjust, 2, levels, studies);
            s.effect = 0;
            const looking none = simulate_looks(&s, (qg_adjust)adjust, 2, levels, studies);
            printf("%-8s %-28s %5.1f %5.1f | %5.1f %5.1f\n", adjust_names[adjust], ways[way],
                   at.within, at.seeds, none.within, none.seeds);
        }
}

void honesty_looks(int studies)
{
    print_effects(studies);
    print_equivalence(studies);
}
