/* One step of the online network on tiles: see network/cpu/descent.h, which it is like. */
#ifndef QG_TILE_DESCENT_H
#define QG_TILE_DESCENT_H

#include "network/tiles/tiles.h"

void qg_tiles_descend(qg_tiles *tiles, const qg_descent *descent, const bool *frozen,
                      const uint64_t *steps);

#endif
