/* The instructions that tiles are worked with: AMX, and AVX-512 around it. Only files that are
 * built for them include this. */
#ifndef QG_TILE_CODE_H
#define QG_TILE_CODE_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define ALWAYS static inline __attribute__((always_inline))

/* GCC's tile loads do not say that they read memory: stores before them must not be put off. */
#define TILE_FENCE() __asm__ volatile("" ::: "memory")

enum {
    LINE = 64,   /* bytes of a row of a tile, of a line of the cache */
    TILE = 1024, /* bytes of a tile: 16 lines */
};

/* Tiles 0 ... 3 are sums, 4 and 5 the left factors, 6 and 7 the right ones. */
#define MULTIPLY_TILES()                                                                           \
    _tile_dpbf16ps(0, 4, 6);                                                                       \
    _tile_dpbf16ps(1, 4, 7);                                                                       \
    _tile_dpbf16ps(2, 5, 6);                                                                       \
    _tile_dpbf16ps(3, 5, 7)

#define ZERO_TILES()                                                                               \
    do {                                                                                           \
        _tile_zero(0);                                                                             \
        _tile_zero(1);                                                                             \
        _tile_zero(2);                                                                             \
        _tile_zero(3);                                                                             \
    } while (0)

/* sums [left 2][right 2][16][16] */
#define STORE_TILES(sums)                                                                          \
    do {                                                                                           \
        _tile_stored(0, (sums), LINE);                                                             \
        _tile_stored(1, (sums) + 256, LINE);                                                       \
        _tile_stored(2, (sums) + 512, LINE);                                                       \
        _tile_stored(3, (sums) + 768, LINE);                                                       \
        TILE_FENCE();                                                                              \
    } while (0)

ALWAYS __m512i line_load(const void *line)
{
    return _mm512_load_si512(line);
}

ALWAYS void line_store(void *line, __m512i x)
{
    _mm512_store_si512(line, x);
}

/* Two vectors rounded to bf16, `low` first. Denormals become zeros, whatever MXCSR says. */
ALWAYS __m512i round_two(__m512 high, __m512 low)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* Words 0, 16, 1, 17, ... : two rows of 16 become 16 pairs. */
ALWAYS __m512i interleave(__m512i x)
{
    static const uint16_t order[32] __attribute__((aligned(64))) = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(line_load(order), x);
}

/* The even words of two lines, and the odd ones. */
ALWAYS void split_pairs(__m512i a, __m512i b, __m512i *even, __m512i *odd)
{
    static const uint16_t evens[32] __attribute__((aligned(64))) = {
        0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30,
        32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
    const __m512i first = line_load(evens);
    *even = _mm512_permutex2var_epi16(a, first, b);
    *odd = _mm512_permutex2var_epi16(a, _mm512_add_epi16(first, _mm512_set1_epi16(1)), b);
}

/* The other way: words 0, 0, 1, 1, ... of two lines of 32: 32 pairs in two lines. */
ALWAYS void join_pairs(__m512i a, __m512i b, __m512i *low, __m512i *high)
{
    static const uint64_t first[8] __attribute__((aligned(64))) = {0, 1, 8, 9, 2, 3, 10, 11};
    static const uint64_t second[8] __attribute__((aligned(64))) = {4, 5, 12, 13, 6, 7, 14, 15};
    const __m512i l = _mm512_unpacklo_epi16(a, b), h = _mm512_unpackhi_epi16(a, b);
    *low = _mm512_permutex2var_epi64(l, line_load(first), h);
    *high = _mm512_permutex2var_epi64(l, line_load(second), h);
}

/* 16 x 16 words of 32 bits */
ALWAYS void transpose16(__m512i r[16])
{
    __m512i a[16], b[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        a[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const __m512i p = _mm512_shuffle_i32x4(b[i], b[i + 4], 0x88);
        const __m512i q = _mm512_shuffle_i32x4(b[i], b[i + 4], 0xdd);
        const __m512i s = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0x88);
        const __m512i u = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0xdd);
        r[i] = _mm512_shuffle_i32x4(p, s, 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(p, s, 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(q, u, 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(q, u, 0xdd);
    }
}

/* The tile at `from` with its words turned, to `to`. */
ALWAYS void turn_tile(const char *from, char *to)
{
    __m512i r[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        r[i] = line_load(from + i * LINE);
    transpose16(r);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        line_store(to + i * LINE, r[i]);
}

#endif
