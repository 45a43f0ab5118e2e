/* The numbers of a layer of bf16: the upper half of a float, held as a float. */
#ifndef QG_BF16_H
#define QG_BF16_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* x, or 0 where it is denormal */
static inline float qg_bf16_flush(float x)
{
    return fabsf(x) < FLT_MIN ? 0 : x;
}

/* x rounded to nearest even; denormals become 0, NaN stays one. */
static inline float qg_bf16_round(float x)
{
    uint32_t bits;
    x = qg_bf16_flush(x);
    memcpy(&bits, &x, sizeof bits);
    bits = isnan(x) ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1);
    bits &= 0xffff0000;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

/* The 16 bits of a bf16, and back. */
static inline uint16_t qg_bf16_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static inline float qg_bf16_float(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* a * b + c, rounded once; denormal results become 0. Processors that flush look at the result as
 * it would be if exponents had no end: what fmaf rounds up to FLT_MIN may be less than that, and 0
 * for them. `a` and `b` are bf16, none is denormal. */
static inline float qg_bf16_fma(float a, float b, float c)
{
    const float x = fmaf(a, b, c);
    if (fabsf(x) != FLT_MIN) return qg_bf16_flush(x);
    const float larger = fmaf(a * 0x1p40f, b, c * 0x1p40f); /* such a and c are small */
    return fabsf(larger) < FLT_MIN * 0x1p40f ? 0 : x;
}

#endif
