#include "simulated_study.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *const adjust_names[] = {
    [QG_ADJUST_BH] = "bh", [QG_ADJUST_DUNNETT] = "dunnett", [QG_ADJUST_NONE] = "none"};

void check(qg_status status, const qg_error *error)
{
    if (status == QG_OK) return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

double draw_normal(qg_random *random) /* Box and Muller */
{
    const double radius = sqrt(-2 * log(1 - qg_random_uniform(random)));
    return radius * cos(2 * M_PI * qg_random_uniform(random));
}

double draw_failing(qg_random *random)
{
    const double outcome = qg_random_uniform(random) < 0.2 ? -2 : 0.5;
    return (outcome + 0.2 * draw_normal(random)) / sqrt(1.04);
}

double draw_steady(qg_random *random)
{
    return 0.2 * draw_normal(random) / sqrt(1.04);
}

const study usual = {.arms = 12,
                     .baselines = 1,
                     .arm_noise = draw_normal,
                     .baseline_noise = draw_normal,
                     .frozen_deviation = 0.5};

study with_seeds(study s, size_t seeds, size_t baseline_seeds)
{
    s.seeds = seeds;
    s.baseline_seeds = baseline_seeds;
    return s;
}

const uint64_t seed_names[MOST_SEEDS] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                                         11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                                         21, 22, 23, 24, 25, 26, 27, 28, 29, 30};

void draw_study(const study *s, qg_random *random, draw *d)
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
        const qg_group group = {d->values[g], seed_names, seeds,
                                !arm     ? QG_BASELINES
                                : frozen ? QG_FROZEN
                                         : QG_FREE,
                                NULL};
        if (arm)
            d->arms[index] = (qg_arm){.runs = group, .baseline = index % s->baselines};
        else
            d->baselines[g] = group;
    }
}
