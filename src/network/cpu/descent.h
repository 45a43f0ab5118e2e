/* One step of the online network: forward, the caller's loss, backward, and the optimiser, which
 * takes every piece of the gradient while it is in the cache. */
#ifndef QG_DESCENT_H
#define QG_DESCENT_H

#include "network/cpu/cpu.h"

/* steps [layers]: number of the optimiser's step of each, from 1. */
void qg_cpu_descend(qg_cpu *cpu, const qg_descent *descent, const bool *frozen,
                    const uint64_t *steps);

#endif
