/* Sums of products of tiles: 2 left tiles by 2 right ones, chunk by chunk, while what the product
 * before left is finished between the instructions. */
#ifndef QG_TILE_PRODUCT_H
#define QG_TILE_PRODUCT_H

#include "network/tiles/tile_code.h"

/* The factors of one chunk of 32 k; the right ones' distance from where a product's begin. */
typedef struct tile_chunk {
    const char *left[2];
    ptrdiff_t right[2];
} tile_chunk;

enum { STEPS = 16 }; /* steps of finishing a product */

typedef struct tile_sums {
    float sums[1024] __attribute__((aligned(64))); /* [left][right][16][16] */
} tile_sums;

typedef void tile_finish(void *context, const float *sums, int step);

/* sums = the chunks' products, of two right factors. `finish` (or NULL) with `before` is called
 * STEPS times meanwhile. */
ALWAYS void tile_multiply(const tile_chunk *chunks, int count, const char *const right[2],
                          float *sums, tile_finish *finish, void *context, const float *before)
{
    int step = 0;
    const int each = count ? (STEPS + count - 1) / count : STEPS;
    ZERO_TILES();
    for (const tile_chunk *c = chunks; c < chunks + count; c++) {
        _tile_loadd(4, c->left[0], LINE);
        _tile_loadd(6, right[0] + c->right[0], LINE);
        _tile_loadd(7, right[1] + c->right[1], LINE);
        _tile_loadd(5, c->left[1], LINE);
        MULTIPLY_TILES();
        for (int i = 0; i < each && before && step < STEPS; i++)
            finish(context, before, step++);
    }
    for (; before && step < STEPS; step++)
        finish(context, before, step);
    STORE_TILES(sums);
}

#endif
