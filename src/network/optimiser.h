/* The optimisers by what they keep: where one is added, and what every engine asks to find out
 * which parameter sets it is to hold. */
#ifndef QG_OPTIMISER_H
#define QG_OPTIMISER_H

#include <qgraft/engine.h>

#include "network/cpu/kernels/kernels.h"

/* Whether an engine of these options holds the set. */
bool qg_engine_holds(const qg_engine_options *options, qg_parameter_set set);

/* The optimiser as it steps a layer. */
qg_optimiser qg_optimiser_of_layer(const qg_learning *learning, int layer);

/* gradient - pull * (weights - anchor), of `count` parameters. */
void qg_pull_back(const float *weights, const float *anchor, const float *pull, float *gradient,
                  size_t count);

/* Lists the state of such an engine, whose number of steps is *steps. */
size_t qg_list_slots(const qg_engine_options *options, uint64_t *steps,
                     qg_slot slots[QG_MAX_SLOTS]);

/* A step of Adam of every layer, steps [layers] numbered from 1, as the kernels take it. */
void qg_list_adam(const qg_learning *learning, int layers, const uint64_t *steps,
                  qg_adam adam[QG_MAX_LAYERS]);

/* target += tau * (online - target) */
void qg_mix(float *target, const float *online, float tau, size_t count);

#endif
