/* Single outputs of a layer, where the next one has them: dropping and reading them. */
#ifndef QG_TILE_OUTPUTS_H
#define QG_TILE_OUTPUTS_H

#include "network/tiles/tile_pass.h"

/* Drops outputs of layer l, and scales the others; by every member. */
void qg_tile_drop(const qg_tile_pass *job, int l, int member, int members);

/* [images][outputs][pixels] of the last way through the network, as qg_engine_activations. */
void qg_tile_copy_outputs(const qg_tiles *tiles, int layer, int images, float *out);

#endif
