/* The last layer and the q-values, in every engine of the CPU: most networks' outputs are them, a
 * dueling one (Wang et al. 2016, equation 9) has heads.
 *
 * The heads' layer is a dense one whose weights from the other stream are zeros: those have no
 * gradient, so they stay zeros. */
#ifndef QG_HEADS_H
#define QG_HEADS_H

#include <qgraft/engine.h>

/* q_values [size][actions] of a network from its last layer's outputs, `row` floats each:
 * themselves, or value + advantage - mean advantage. */
void qg_heads_join(const qg_architecture *architecture, const float *outputs, size_t row, int size,
                   float *q_values);

/* The gradient [size][grad_row] at the last layer's outputs [size][row], by the caller's loss,
 * which sees q-values and writes their gradient: room [2][size][actions]. Zeros behind it. */
void qg_heads_loss(const qg_descent *descent, const qg_architecture *architecture,
                   const float *outputs, size_t row, float *room, float *gradient, size_t grad_row);

/* The first of the inputs that output `n` of a layer sees: the other stream's come before. */
int qg_heads_inputs(const qg_layer *layer, int n);

/* Weight gradients [panel][k][16] of panels panel0 ..., `count` inputs from k0 on: what goes from
 * the value stream (inputs below `units`) to advantages, or from theirs to the value, becomes 0. */
void qg_heads_mask(float *gradient, int panel0, int panel1, int k0, int count, int units);

#endif
