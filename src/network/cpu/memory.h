/* The memory of the CPU's engine: how it is divided, made and released. */
#ifndef QG_MEMORY_H
#define QG_MEMORY_H

#include "network/cpu/cpu.h"

/* `bf16`: of the mixed precision that docs/precision.md describes; else float32. */
qg_status qg_cpu_create(const qg_engine_options *options, bool bf16, qg_cpu **cpu, qg_error *error);
void qg_cpu_destroy(qg_cpu *cpu);

/* Bytes of one with these options. */
qg_status qg_cpu_bytes(const qg_engine_options *options, bool bf16, size_t *bytes, qg_error *error);

#endif
