/* The random numbers of numpy's legacy RandomState: MT19937 (Matsumoto and Nishimura 1998) with
 * numpy's own way from 32-bit outputs to doubles and to integers below a bound.
 *
 * MinAtar draws from such a generator, so a port that wants the package's games to the bit needs
 * these draws to the bit. The state is plain data: copying it saves the generator. */
#ifndef QG_NUMPY_RANDOM_H
#define QG_NUMPY_RANDOM_H

#include <stdint.h>

enum { QG_NUMPY_WORDS = 624 };

typedef struct qg_numpy_random {
    uint32_t key[QG_NUMPY_WORDS];
    uint32_t position; /* the next word of the block; QG_NUMPY_WORDS: make a new block first */
} qg_numpy_random;

/* RandomState(seed) */
void qg_numpy_seed(qg_numpy_random *random, uint32_t seed);

/* rand(): uniform in [0, 1), 53 bits. */
double qg_numpy_rand(qg_numpy_random *random);

/* randint(low, high): uniform in low ... high - 1. Draws nothing when there is only one value. */
int qg_numpy_randint(qg_numpy_random *random, int low, int high);

#endif
