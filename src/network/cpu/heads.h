/* The heads of a dueling network (Wang et al. 2016, equation 9) in the float32 and bf16 engines.
 *
 * Their layer is a dense one whose weights from the other stream are zeros: those have no gradient,
 * so they stay zeros. */
#ifndef QG_HEADS_H
#define QG_HEADS_H

#include <stddef.h>

/* q_values [actions] = value + advantage - mean advantage, of heads [1 + actions]. */
void qg_heads_join(const float *heads, int actions, float *q_values);

/* The gradient at the heads [1 + actions] from that at the q-values [actions]. */
void qg_heads_split(const float *gradient, int actions, float *heads);

/* Weight gradients [panel][k][16] of panels panel0 ..., `count` inputs from k0 on: what goes from
 * the value stream (inputs below `units`) to advantages, or from theirs to the value, becomes 0. */
void qg_heads_mask(float *gradient, int panel0, int panel1, int k0, int count, int units);

#endif
