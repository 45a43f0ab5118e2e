/* The gradients at the inputs of layers, on tiles. */
#ifndef QG_TILE_INPUT_GRADIENT_H
#define QG_TILE_INPUT_GRADIENT_H

#include "network/tiles/tile_job.h"

/* The gradient at the outputs of layer l - 1, in the forms that it is read in, from that of layer
 * l; by every member of the team, which waits for all. */
void qg_tiles_propagate(const qg_tile_job *job, int l, int member, int members);

#endif
