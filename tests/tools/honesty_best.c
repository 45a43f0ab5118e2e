/* The best of many networks by noisy evaluations: what is recorded of it, and what it plays. */
#include "honesty.h"
#include "simulated_study.h"

#include <math.h>
#include <stdio.h>

enum { MOST_EVALUATIONS = 100 };

/* In deviations of an evaluation: a choice's true level, and its score above that. */
typedef struct choice {
    double level, excess;
} choice;

typedef struct run {
    int count;
    double levels[MOST_EVALUATIONS]; /* what the networks play in the mean */
    double first[MOST_EVALUATIONS], second[MOST_EVALUATIONS]; /* two evaluations of each */
} run;

static run draw_run(int count, double spread, qg_random *random)
{
    run r = {.count = count};
    for (int i = 0; i < count; i++) {
        r.levels[i] = spread * draw_normal(random);
        r.first[i] = r.levels[i] + draw_normal(random);
        r.second[i] = r.levels[i] + draw_normal(random);
    }
    return r;
}

static int highest(const run *r)
{
    int best = 0;
    for (int i = 1; i < r->count; i++)
        if (r->first[i] > r->first[best]) best = i;
    return best;
}

/* What beats the second score of today's best is played again, and is the best if its own is
 * higher: the score that is kept has chosen. *played counts the second evaluations. */
static int challenged(const run *r, double *played)
{
    int best = 0;
    *played += 1;
    for (int i = 1; i < r->count; i++) {
        if (!(r->first[i] > r->second[best])) continue;
        *played += 1;
        if (r->second[i] > r->second[best]) best = i;
    }
    return best;
}

static void add(choice *sum, double level, double score, int studies)
{
    sum->level += level / studies;
    sum->excess += (score - level) / studies;
}

void honesty_best(int studies)
{
    const int runs = 25 * studies; /* they are quick */
    printf("8. The best of N networks, whose levels have a spread in deviations of an evaluation:\n"
           "its level and the score above it, of the highest score, its second score, and where\n"
           "the second scores of challengers choose, and how many of these are played\n");
    for (int count = 20; count <= MOST_EVALUATIONS; count *= 5)
        for (int spread = 0; spread <= 2; spread++) {
            qg_random random = qg_random_stream((uint64_t)count, "best");
            choice first = {0}, second = {0}, challenge = {0};
            double played = 0;
            for (int i = 0; i < runs; i++) {
                const run r = draw_run(count, spread, &random);
                const int best = highest(&r), other = challenged(&r, &played);
                add(&first, r.levels[best], r.first[best], runs);
                add(&second, r.levels[best], r.second[best], runs);
                add(&challenge, r.levels[other], r.second[other], runs);
            }
            printf("%3d networks, spread %d: %5.2f %5.2f | %5.2f %5.2f | %5.2f %5.2f %5.1f\n",
                   count, spread, first.level, first.excess, second.level, second.excess,
                   challenge.level, challenge.excess, played / runs);
        }
}
