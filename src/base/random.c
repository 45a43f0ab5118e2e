#include "base/random.h"

#include <assert.h>

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* splitmix64, the generator that xoshiro's authors recommend for seeding. */
static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = *x += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

qg_random qg_random_stream(uint64_t seed, const char *purpose)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (const char *c = purpose; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    /* Seed and purpose are mixed one after the other, so that (seed + 1, purpose) and (seed,
     * another purpose) cannot meet by adding up to the same number. */
    uint64_t x = seed;
    x = splitmix(&x) ^ hash;
    qg_random random;
    for (int i = 0; i < 4; i++)
        random.state[i] = splitmix(&x);
    return random;
}

uint64_t qg_random_u64(qg_random *random)
{
    uint64_t *s = random->state;
    const uint64_t result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t qg_random_below(qg_random *random, uint64_t bound)
{
    assert(bound > 0);
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound; /* a multiple of bound */
    uint64_t x;
    do
        x = qg_random_u64(random);
    while (x >= limit);
    return x % bound;
}

double qg_random_uniform(qg_random *random)
{
    return (double)(qg_random_u64(random) >> 11) * 0x1p-53;
}
