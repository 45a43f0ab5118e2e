/* Chains of grafts by the measures of continual learning (Lopez-Paz and Ranzato 2017, eq. 2 to 4):
 * with R(i, j) the score on game j behind the training on game i,
 *
 *   backward transfer  R(T, j) - R(j, j)    of an earlier game j of the chain
 *   forgetting         max over l < T of R(l, j), less R(T, j)    (Chaudhry et al. 2018)
 *   forward transfer   R(i - 1, i) - b(i)   of the game i that the run trains on; b: fresh weights
 *
 * Scores on other games are those of other_evaluations.csv. What a link hands on is the network
 * that is taken of it, so that its scores are those at that step; the last link's are at its end.
 */
#ifndef QG_REPORT_CONTINUAL_H
#define QG_REPORT_CONTINUAL_H

#include <qgraft/study.h>

typedef struct qg_continual {
    int run;
    uint64_t seed;
    bool forward;
    const char *game;        /* that the scores are of */
    int other;               /* run: that learned the game; forward: whose network was handed on */
    double reference, value; /* R(j, j) and R(T, j); forward: b(i) and R(i - 1, i) */
    double forgetting;       /* NaN: forward */
} qg_continual;

#endif
