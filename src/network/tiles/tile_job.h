/* What the members of a team that goes back through the network share. */
#ifndef QG_TILE_JOB_H
#define QG_TILE_JOB_H

#include "network/cpu/dropout.h"
#include "network/cpu/gradient_norm.h"
#include "network/optimiser.h"
#include "network/tiles/tile_code.h"
#include "network/tiles/tiles.h"

typedef struct qg_tile_job {
    qg_tiles *tiles;
    const qg_descent *descent;
    qg_dropout dropout;
    qg_adam adam[QG_MAX_LAYERS]; /* the step, of that optimiser */
    const bool *frozen;          /* [layers] */
    int lowest;                  /* the lowest layer that learns; layer_count: none does */
    int blocks;                  /* of the minibatch */
    qg_gradient_part *parts;     /* [threads] */
} qg_tile_job;

static inline bool qg_tile_gathers(const qg_tile_job *job)
{
    return qg_gradient_gathers(job->descent->learning);
}

/* Where the gradient of an image tile's outputs begins: bytes of a block's forms. */
static inline size_t qg_tile_gradient_block(const qg_tiles *tiles, int l)
{
    return (size_t)(tiles->plans[l].pixels * tiles->layers[l].groups) * 32 * LINE;
}

#endif
