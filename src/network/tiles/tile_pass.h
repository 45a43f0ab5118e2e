/* What the members of a team that goes through the network share, and where the forms of a layer's
 * inputs lie (tiles.h). */
#ifndef QG_TILE_PASS_H
#define QG_TILE_PASS_H

#include "network/cpu/dropout.h"
#include "network/tiles/tile_code.h"
#include "network/tiles/tiles.h"

typedef struct qg_tile_pass {
    qg_tiles *tiles;
    qg_parameter_set set;
    const qg_states *states;
    const qg_dropout *kept;
    int columns; /* tiles of 16 images that pass */
} qg_tile_pass;

/* Images of column tile `t` of all. */
static inline int qg_tile_images_of(const qg_tile_pass *job, int t)
{
    const int left = job->states->size - 16 * t;
    return left < 0 ? 0 : left < 16 ? left : 16;
}

static inline char *qg_tile_pairs_of(const qg_tiles *tiles, char *const form, int l, int t)
{
    return form + (size_t)t * tiles->layers[l].in_pairs * LINE;
}

static inline char *qg_tile_lines_of(const qg_tiles *tiles, int l, int block)
{
    return tiles->p[l] + (size_t)block * tiles->layers[l].in_k * LINE;
}

static inline char *qg_tile_rows_of(const qg_tiles *tiles, int l, int t)
{
    return tiles->n[l] + (size_t)t * (size_t)tiles->layers[l].chunks * TILE;
}

/* P of two lines of K: of both column tiles. */
ALWAYS void qg_tile_store_lines(char *p, __m512i pairs0, __m512i pairs1, bool both)
{
    __m512i even, odd;
    split_pairs(pairs0, pairs1, &even, &odd);
    line_store(p, even);
    if (both) line_store(p + LINE, odd);
}

#endif
