/* The optimisers by what they keep: where one is added, and what every engine asks to find out
 * which parameter sets it is to hold. */
#ifndef QG_OPTIMISER_H
#define QG_OPTIMISER_H

#include <qgraft/engine.h>

/* Whether an engine of these options holds the set. */
bool qg_engine_holds(const qg_engine_options *options, qg_parameter_set set);

/* Lists the state of such an engine, whose number of steps is *steps. */
size_t qg_list_slots(const qg_engine_options *options, uint64_t *steps,
                     qg_slot slots[QG_MAX_SLOTS]);

#endif
