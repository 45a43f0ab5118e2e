/* Screens as the first layer's inputs on tiles. */
#ifndef QG_TILE_SCREENS_H
#define QG_TILE_SCREENS_H

#include "network/tiles/tile_pass.h"

/* Into the forms of the first layer; by every member. */
void qg_tile_convert_screens(const qg_tile_pass *job, int member, int members);

/* ... of a network of one layer, which is computed in float32: into tiles->hidden. */
void qg_tile_convert_floats(const qg_tile_pass *job, int member, int members);

/* ... of a single state (tile_act.h), which needs no columns. */
void qg_tile_act_screens(const qg_tile_pass *job);

#endif
