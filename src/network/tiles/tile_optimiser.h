/* The optimiser's step of parameters that lie together, to the bit that of
 * cpu/kernels/elementwise_kernels.c.
 */
#ifndef QG_TILE_OPTIMISER_H
#define QG_TILE_OPTIMISER_H

#include "network/tiles/tile_job.h"

/* Where `count` parameters and what belongs to them lie. */
typedef struct qg_tile_piece {
    float *w, *m1, *m2;
    float *gradient;            /* where it is kept or gathered; NULL: it is neither */
    bool gathers;               /* until all are there: see qg_gradient_gathers */
    const float *anchor, *pull; /* NULL: none */
    qg_optimiser optimiser;
    const qg_adam *adam; /* NULL: it is another */
    float l2;
} qg_tile_piece;

/* Parameters of layer `l`. */
qg_tile_piece qg_tile_piece_at(const qg_tile_job *job, int l, size_t at, float l2);

/* Steps of a piece, or its gradient gathered: `gradient` [count], whose parts are changed; `count`
 * a multiple of 16. */
void qg_tile_step(const qg_tile_piece *piece, float *gradient, size_t count);

/* ... of the last layer, whose zeros keep their sign. */
void qg_tile_step_plain(const qg_tile_piece *piece, float *gradient, size_t count);

/* ... of what was gathered, `factor` times it. */
void qg_tile_step_gathered(const qg_tile_piece *piece, float factor, size_t count);

/* ... of a linear layer, whose weights are rounded into `forward` while they are in registers;
 * `count` a multiple of 32; `next`: how far the piece after this one begins behind it. */
void qg_tile_step_linear(const qg_tile_piece *piece, float *gradient, size_t count, char *forward,
                         ptrdiff_t next);

#endif
