/* What the products of a weighted layer are made of; see kernels.h for the layouts.
 *
 * The core is a tile of rows x 16 sums that stay in registers (6 x 2 vectors of AVX2 leave four of
 * the sixteen registers for two weights and a broadcast; AVX-512 has 12 x 1 of its thirty-two, or
 * 12 x 2 where two panels stand side by side, which share the broadcasts; in bf16, where each sum
 * is two chains, half as many rows):
 *
 *            k ->                 panel: 16 outputs
 *   row 0   a a a a ...      k    b b b b b b b b b b b b b b b b
 *   row 1   a a a a ...      |    b b ...
 *    ...                     v
 *   row 5   a a a a ...           sums[row][16] += a[row][k] * b[k][16]
 *
 *   forward          rows: pixels             k: inputs         panel: 16 outputs
 *   input gradient   rows: a pixel in images  k: (tap, output)  panel: 16 input channels
 *   weight gradient  rows: k                  k: pixels         panel: 16 outputs
 */
#ifndef QG_TILE_H
#define QG_TILE_H

#include "network/cpu/kernels/kernels.h"
#include "network/cpu/kernels/simd.h"

#define INLINE static inline __attribute__((always_inline))

/* Calls function(rows, ...) with `rows` a constant, so that the sums of a tile are registers. */
#define ROWS_CASE(n, function, ...)                                                                \
    case n:                                                                                        \
        function(n, __VA_ARGS__);                                                                  \
        break;
#if ROWS == 12
#define TWELVE_ROWS(function, ...)                                                                 \
    ROWS_CASE(12, function, __VA_ARGS__)                                                           \
    ROWS_CASE(11, function, __VA_ARGS__)                                                           \
    ROWS_CASE(10, function, __VA_ARGS__)                                                           \
    ROWS_CASE(9, function, __VA_ARGS__)                                                            \
    ROWS_CASE(8, function, __VA_ARGS__)                                                            \
    ROWS_CASE(7, function, __VA_ARGS__)
#else
#define TWELVE_ROWS(function, ...)
#endif
#if ROWS >= 6
#define SIX_ROWS(function, ...)                                                                    \
    ROWS_CASE(6, function, __VA_ARGS__)                                                            \
    ROWS_CASE(5, function, __VA_ARGS__)                                                            \
    ROWS_CASE(4, function, __VA_ARGS__)
#else
#define SIX_ROWS(function, ...)
#endif
#define WITH_ROWS(rows, function, ...)                                                             \
    switch (rows) {                                                                                \
        TWELVE_ROWS(function, __VA_ARGS__)                                                         \
        SIX_ROWS(function, __VA_ARGS__)                                                            \
        ROWS_CASE(3, function, __VA_ARGS__)                                                        \
        ROWS_CASE(2, function, __VA_ARGS__)                                                        \
        ROWS_CASE(1, function, __VA_ARGS__)                                                        \
    }
/* ... and function(rows, panels, ...) with `panels`, 1 or WIDE, a constant too. */
#define WITH_TILE(rows, panels, function, ...)                                                     \
    if (WIDE > 1 && (panels) > 1)                                                                  \
        WITH_ROWS(rows, function, WIDE, __VA_ARGS__)                                               \
    else                                                                                           \
        WITH_ROWS(rows, function, 1, __VA_ARGS__)

typedef panel tile_row[WIDE]; /* the sums of a row: all of them, or the first panel's */

/* A run of k: `size` values from a[row] + offset against b[0 ... size-1][16], and as much for each
 * further panel, b_stride floats on. */
typedef struct run {
    int offset, size;
    const float *b;
    int at; /* of its first k in a chunk; even */
} run;

INLINE void load_panels(const int panels, const float *from, size_t stride, tile_row row)
{
#pragma GCC unroll 2
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            row[p][v] = vec_load(from + (size_t)p * stride + v * LANES);
}

INLINE void store_panels(const int panels, float *to, size_t stride, const tile_row row)
{
#pragma GCC unroll 2
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            vec_store(to + (size_t)p * stride + v * LANES, row[p][v]);
}

INLINE void zero_panels(const int panels, tile_row row)
{
#pragma GCC unroll 2
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            row[p][v] = vec_set(0);
}

/* c += x * w */
INLINE void add_product(const int panels, float x, const tile_row w, tile_row c)
{
    const vec all = vec_set(x);
#pragma GCC unroll 2
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            c[p][v] = vec_chain(all, w[p][v], c[p][v]);
}

/* A linear layer's weights come from beyond the second cache: they are fetched some k ahead. A tile
 * that is narrower than it could be has no time for more loads. */
enum { AHEAD = 64 * QG_PANEL };

/* c += a[row][k] * b */
INLINE void add_products(const int rows, const int panels, const float *const *a, long k,
                         const float *b, size_t b_stride, tile_row *c)
{
    tile_row w;
#pragma GCC unroll 2
    for (int p = 0; p < panels && panels == WIDE; p++)
        __builtin_prefetch(b + (size_t)p * b_stride + AHEAD, 0, 2);
    load_panels(panels, b, b_stride, w);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        add_product(panels, a[i][k], w, c[i]);
}

#ifdef QG_BF16
INLINE void zero_chains(const int rows, const int panels, tile_row *even, tile_row *odd)
{
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        zero_panels(panels, even[i]);
        zero_panels(panels, odd[i]);
    }
}

/* c += even + odd */
INLINE void add_chains(const int rows, const int panels, const tile_row *even, const tile_row *odd,
                       tile_row *c)
{
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int p = 0; p < panels; p++)
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                c[i][p][v] = vec_flush(c[i][p][v] + vec_flush(even[i][p][v] + odd[i][p][v]));
}

INLINE void multiply(const int rows, const int panels, const float *const *a, const run *runs,
                     int run_count, size_t b_stride, tile_row *c)
{
    for (const run *r = runs; r < runs + run_count; r++) {
        const float *b = r->b;
        int size = QG_CHUNK - r->at;
        for (int k = 0; k < r->size; k += size, b += (size_t)size * QG_PANEL) {
            if (k) size = QG_CHUNK;
            const int count = r->size - k < size ? r->size - k : size;
            const long first = r->offset + k;
            tile_row even[ROWS], odd[ROWS];
            zero_chains(rows, panels, even, odd);
            int j = 0;
#pragma GCC unroll 2
            for (; j + 1 < count; j += 2) {
                const float *pair = b + j * QG_PANEL;
                add_products(rows, panels, a, first + j, pair, b_stride, even);
                add_products(rows, panels, a, first + j + 1, pair + QG_PANEL, b_stride, odd);
            }
            if (j < count)
                add_products(rows, panels, a, first + j, b + j * QG_PANEL, b_stride, even);
            add_chains(rows, panels, even, odd, c);
        }
    }
}
#else
INLINE void multiply(const int rows, const int panels, const float *const *a, const run *runs,
                     int run_count, size_t b_stride, tile_row *c)
{
    for (const run *r = runs; r < runs + run_count; r++) {
        const float *b = r->b;
        const long end = r->offset + r->size;
#pragma GCC unroll 4
        for (long k = r->offset; k < end; k++, b += QG_PANEL)
            add_products(rows, panels, a, k, b, b_stride, c);
    }
}
#endif

#endif
