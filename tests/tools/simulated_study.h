/* Studies that never were: what the tables of honesty*.c are simulated with. */
#ifndef SIMULATED_STUDY_H
#define SIMULATED_STUDY_H

#include <qgraft/statistics.h>

#include "base/random.h"

enum { MOST_SEEDS = 30, MOST_ARMS = 150, MOST_BASELINES = 5 };

extern const char *const adjust_names[]; /* [qg_adjust] */

void check(qg_status status, const qg_error *error); /* ends the program */

typedef double noise(qg_random *random); /* mean 0; deviation 1, but for draw_steady */
double draw_normal(qg_random *random);
double draw_failing(qg_random *random); /* one run in five fails, the others are about alike */
double draw_steady(qg_random *random);  /* those that do not fail */

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

extern const study usual; /* 12 normal arms of one baseline, frozen ones of half the deviation */
study with_seeds(study s, size_t seeds, size_t baseline_seeds);

typedef struct draw {
    double values[MOST_BASELINES + MOST_ARMS][MOST_SEEDS];
    qg_group baselines[MOST_BASELINES];
    qg_arm arms[MOST_ARMS];
} draw;

extern const uint64_t seed_names[MOST_SEEDS];

void draw_study(const study *s, qg_random *random, draw *d);

#endif
