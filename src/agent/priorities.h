/* Priorities of the transitions in a replay memory: proportional prioritisation (Schaul et al.
 * 2016, section 3.3) in a sum tree.
 *
 * A transition whose TD error was `error` is drawn with a probability in proportion to
 * (|error| + epsilon)^alpha, its weight; one that has not been learned from yet with the largest
 * weight that there has been. A node of the tree is always the sum of its two children, so that it
 * depends on the leaves alone and not on what they were before. Powers are computed here, by exact
 * operations: the C library's last bit is another one on another processor. */
#ifndef QG_PRIORITIES_H
#define QG_PRIORITIES_H

#include <qgraft/error.h>

#include "agent/tape.h"

#include <stddef.h>

typedef struct qg_priorities {
    double alpha, epsilon;
    double most;   /* the largest weight so far, at first 1 */
    size_t places; /* that have one */
    size_t leaves; /* the power of two from `places` on */
    double *nodes; /* [2 * leaves]: the root is 1, the children of i are 2 i and 2 i + 1 */
} qg_priorities;

/* All weights are zero. The caller frees it with qg_priorities_free. QG_ERROR_MEMORY. */
qg_status qg_priorities_create(size_t places, double alpha, double epsilon,
                               qg_priorities *priorities, qg_error *error);
void qg_priorities_free(qg_priorities *priorities); /* one of zero bytes is allowed */

size_t qg_priorities_bytes(size_t places); /* of memory */

void qg_priorities_admit(qg_priorities *priorities, size_t place); /* with the largest weight */
void qg_priorities_remove(qg_priorities *priorities, size_t place);
void qg_priorities_learned(qg_priorities *priorities, size_t place, double td_error);

double qg_priorities_total(const qg_priorities *priorities);
double qg_priorities_weight(const qg_priorities *priorities, size_t place);

/* The place at `share` (0 <= share < 1) of the total, which is above 0. Its weight is above 0. */
size_t qg_priorities_find(const qg_priorities *priorities, double share);

/* Passes the weights; what was read is checked with the tape. */
void qg_priorities_pass(qg_priorities *priorities, qg_tape *tape);

#endif
