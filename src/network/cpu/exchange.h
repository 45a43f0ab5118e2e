/* Parameters between PyTorch's order, which files and grafts have, and the kernels'. */
#ifndef QG_EXCHANGE_H
#define QG_EXCHANGE_H

#include "network/cpu/cpu.h"

void qg_cpu_write(qg_cpu *cpu, qg_parameter_set set, const qg_network *network);
void qg_cpu_copy_to_target(qg_cpu *cpu);
void qg_cpu_mix_into_target(qg_cpu *cpu, float tau);
void qg_cpu_read(const qg_cpu *cpu, qg_parameter_set set, qg_network *network);

#endif
