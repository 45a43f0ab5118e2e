#include "domain/minatar/numpy_random.h"

#include <assert.h>

enum { SHIFT = 397 }; /* the recurrence's middle word */

/* numpy seeds with one integer by Knuth's recurrence, not by MT19937's init_by_array. */
void qg_numpy_seed(qg_numpy_random *random, uint32_t seed)
{
    random->key[0] = seed;
    for (uint32_t i = 1; i < QG_NUMPY_WORDS; i++) {
        const uint32_t previous = random->key[i - 1];
        random->key[i] = 1812433253u * (previous ^ (previous >> 30)) + i;
    }
    random->position = QG_NUMPY_WORDS;
}

static uint32_t twist(uint32_t high, uint32_t low)
{
    const uint32_t word = (high & 0x80000000u) | (low & 0x7fffffffu);
    return (word >> 1) ^ (-(low & 1u) & 0x9908b0dfu);
}

static void next_block(qg_numpy_random *random)
{
    uint32_t *key = random->key;
    int i = 0;
    for (; i < QG_NUMPY_WORDS - SHIFT; i++)
        key[i] = key[i + SHIFT] ^ twist(key[i], key[i + 1]);
    for (; i < QG_NUMPY_WORDS - 1; i++)
        key[i] = key[i + SHIFT - QG_NUMPY_WORDS] ^ twist(key[i], key[i + 1]);
    key[i] = key[SHIFT - 1] ^ twist(key[i], key[0]);
    random->position = 0;
}

static uint32_t next_word(qg_numpy_random *random)
{
    if (random->position == QG_NUMPY_WORDS) next_block(random);
    uint32_t word = random->key[random->position++];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
}

double qg_numpy_rand(qg_numpy_random *random)
{
    const uint32_t high = next_word(random) >> 5, low = next_word(random) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

/* Masked rejection: the low bits of one whole output per try. */
int qg_numpy_randint(qg_numpy_random *random, int low, int high)
{
    assert(low < high);
    const uint32_t range = (uint32_t)(high - low) - 1;
    if (range == 0) return low;
    const uint32_t mask = UINT32_MAX >> __builtin_clz(range);
    uint32_t value;
    do
        value = next_word(random) & mask;
    while (value > range);
    return low + (int)value;
}
