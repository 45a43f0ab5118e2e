/* From an architecture to the geometry that the kernels see. */
#ifndef QG_GEOMETRY_H
#define QG_GEOMETRY_H

#include <qgraft/network.h>

#include "network/cpu/kernels/kernels.h"

/* Plans of all layers, plans[0 ... layer_count - 1], for kernels whose tiles have `tile_rows` rows;
 * free each with qg_plan_free, also after a failure. */
qg_status qg_plan_make(const qg_architecture *architecture, int tile_rows,
                       qg_plan plans[QG_MAX_LAYERS], qg_error *error);
void qg_plan_free(qg_plan *plan);

/* Place of weight (output, input channel c, ky, kx) in the layout of the kernels. For a linear
 * layer (c, ky, kx) is the (channel, y, x) of the outputs below. */
size_t qg_plan_weight(const qg_plan *plan, const qg_layer *layer, int output, int c, int ky,
                      int kx);

#endif
