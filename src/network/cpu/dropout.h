/* Dropout of hidden outputs while the online network learns (inverted). */
#ifndef QG_DROPOUT_H
#define QG_DROPOUT_H

#include "network/cpu/cpu.h"

typedef struct qg_dropout {
    float conv, linear; /* probabilities */
    uint64_t draw;
} qg_dropout;

/* Probability that an output of layer `l` is dropped: hidden layers only. */
float qg_dropout_of(const qg_cpu *cpu, const qg_dropout *dropout, int l);

/* Drops outputs of layer `l` for images [begin, end): a stream of its own for every image and
 * layer, so that the division among threads does not matter. */
void qg_dropout_apply(const qg_cpu *cpu, const qg_dropout *dropout, int l, int begin, int end);

#endif
