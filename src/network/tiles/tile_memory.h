/* The memory of the tiles' engine, and parameters between PyTorch's order and its own. */
#ifndef QG_TILE_MEMORY_H
#define QG_TILE_MEMORY_H

#include "network/tiles/tiles.h"

qg_status qg_tiles_create(const qg_engine_options *options, qg_tiles **tiles, qg_error *error);
void qg_tiles_destroy(qg_tiles *tiles);
qg_status qg_tiles_bytes(const qg_engine_options *options, size_t *bytes, qg_error *error);

void qg_tiles_write(qg_tiles *tiles, qg_parameter_set set, const qg_network *network);
void qg_tiles_read(const qg_tiles *tiles, qg_parameter_set set, qg_network *network);
void qg_tiles_copy_to_target(qg_tiles *tiles);
void qg_tiles_mix_into_target(qg_tiles *tiles, float tau);

#endif
