/* The memory of the CPU's engine: how it is divided, made and released. */
#ifndef QG_MEMORY_H
#define QG_MEMORY_H

#include "network/cpu/cpu.h"

qg_status qg_cpu_create(const qg_engine_options *options, qg_cpu **cpu, qg_error *error);
void qg_cpu_destroy(qg_cpu *cpu);

/* Bytes of one with these options. */
qg_status qg_cpu_bytes(const qg_engine_options *options, size_t *bytes, qg_error *error);

#endif
