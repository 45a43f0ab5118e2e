/* The way forward through the layers: for acting, for a loss, and for those who look inside. */
#ifndef QG_FORWARD_H
#define QG_FORWARD_H

#include "network/cpu/dropout.h"

/* Ends with the q-values complete in the last activations. With `kept` every layer's outputs stay
 * where the way back finds them, dropped out; NULL: they need not. */
void qg_cpu_forward_team(qg_cpu *cpu, const float *parameters, const qg_states *states,
                         const qg_dropout *kept, int member);

/* The windows of images [begin, end) for a kernel of layer `l`: NULL unless it is the first layer
 * and one of them has empty cells. */
const uint64_t *qg_cpu_windows(const qg_cpu *cpu, int l, int begin, int end);

/* q_values [size][actions], from the last activations. */
void qg_cpu_q_values(const qg_cpu *cpu, int size, float *q_values);

/* As the engine's. */
void qg_cpu_forward(qg_cpu *cpu, qg_parameter_set set, const qg_states *states, float *q_values);
void qg_cpu_activations(qg_cpu *cpu, qg_parameter_set set, const qg_states *states,
                        float *const out[QG_MAX_LAYERS]);

#endif
