/* Dropout of hidden outputs while the online network learns (inverted). */
#ifndef QG_DROPOUT_H
#define QG_DROPOUT_H

#include "base/random.h"
#include "network/cpu/cpu.h"

typedef struct qg_dropout {
    float conv, linear; /* probabilities */
    uint64_t draw;
} qg_dropout;

/* Probability that an output of layer `l` is dropped: hidden layers only. */
float qg_dropout_of(const qg_architecture *architecture, const qg_dropout *dropout, int l);

/* The draws for the outputs of one image and layer, pixel by pixel, the channels (a multiple of 2)
 * within: each is what an output is multiplied with, 0 where it is dropped. */
typedef struct qg_drops {
    qg_random random;
    uint64_t threshold, bits;
    float scale;
    bool second; /* of the two outputs that one draw serves */
} qg_drops;

qg_drops qg_drops_of(const qg_dropout *dropout, int l, int image, float probability);
float qg_drops_next(qg_drops *drops);

/* Drops outputs of layer `l` for images [begin, end): a stream of its own for every image and
 * layer, so that the division among threads does not matter. */
void qg_dropout_apply(const qg_cpu *cpu, const qg_dropout *dropout, int l, int begin, int end);

#endif
