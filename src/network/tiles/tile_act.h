/* One state through the network on tiles: acting. */
#ifndef QG_TILE_ACT_H
#define QG_TILE_ACT_H

#include "network/tiles/tiles.h"

/* What a state's screens become: row `y` of the bytes [x][channel], and what follows of the layers
 * of bf16, into tiles->hidden; the chains are those of a batch. */
void qg_tiles_act_row(const qg_tiles *tiles, int y, const uint8_t *bytes);
void qg_tiles_act(const qg_tiles *tiles, qg_parameter_set set);

#endif
