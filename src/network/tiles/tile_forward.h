/* The way through the network on tiles. */
#ifndef QG_TILE_FORWARD_H
#define QG_TILE_FORWARD_H

#include "network/cpu/dropout.h"
#include "network/tiles/tiles.h"

/* Q-values of the states into tiles->q_values; by every member. What the way back needs is kept,
 * and outputs are dropped. */
void qg_tiles_forward_team(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                           const qg_dropout *kept, int member);

/* The calls of an engine (engine.h). */
void qg_tiles_forward(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                      float *q_values);
void qg_tiles_activations(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                          float *const out[QG_MAX_LAYERS]);

/* [size][actions] of the last way through the network. */
void qg_tiles_q_values(const qg_tiles *tiles, int size, float *q_values);

#endif
