/* Random streams: xoshiro256** (Blackman and Vigna 2018), one stream per purpose.
 *
 * A stream is derived from (seed, purpose), so that two runs with the same seed see the same draws
 * for every purpose they share, whatever else they draw. The state is plain data: copying it saves
 * the stream. */
#ifndef QG_RANDOM_H
#define QG_RANDOM_H

#include <stdint.h>

typedef struct qg_random {
    uint64_t state[4];
} qg_random;

/* The stream of `purpose` ("weights", "policy", "replay", ...) under `seed`. */
qg_random qg_random_stream(uint64_t seed, const char *purpose);

uint64_t qg_random_u64(qg_random *random);

/* Uniform in [0, bound), without bias (rejection); bound > 0. */
uint64_t qg_random_below(qg_random *random, uint64_t bound);

/* Uniform in [0, 1), 53 bits. */
double qg_random_uniform(qg_random *random);

#endif
