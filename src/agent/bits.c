#include "agent/bits.h"

#include <string.h>

void qg_bits_pack(const uint8_t *values, size_t count, uint8_t *bits)
{
    memset(bits, 0, (count + 7) / 8);
    for (size_t i = 0; i < count; i++)
        bits[i / 8] = (uint8_t)(bits[i / 8] | (values[i] != 0) << i % 8);
}

void qg_bits_unpack(const uint8_t *bits, size_t count, uint8_t *values)
{
    for (size_t i = 0; i < (count + 7) / 8; i++) {
        /* Bit i alone in byte i; then 1 for every byte that is not 0. */
        uint64_t word = bits[i] * 0x0101010101010101u & 0x8040201008040201u;
        word = (word + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
        memcpy(values + i * 8, &word, 8);
    }
}
