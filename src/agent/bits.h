/* Screens of a grid as bits: what the replay memory and sample sets store. */
#ifndef QG_BITS_H
#define QG_BITS_H

#include <stddef.h>
#include <stdint.h>

/* Values of 0 or not 0 to (count + 7) / 8 bytes, the first value in the lowest bit. */
void qg_bits_pack(const uint8_t *values, size_t count, uint8_t *bits);

/* Back to bytes of 0 or 1. Whole groups of 8 are written: `values` has room for count + 7. */
void qg_bits_unpack(const uint8_t *bits, size_t count, uint8_t *values);

#endif
