/* Layer normalisation (Ba et al. 2016, equation 3; without parameters) in the float32 and bf16
 * engines: of all outputs of one image, in front of the ReLU, which is made here. Sums are eight
 * chains of doubles in one order. */
#ifndef QG_NORM_H
#define QG_NORM_H

#include "network/cpu/cpu.h"

/* Outputs of layer `l` for the images in slots [begin, end) of its activations, in place; nothing
 * where the layer has no norm. `keep`: what the backward pass needs is kept, where there is room.
 */
void qg_norm_forward(const qg_cpu *cpu, int l, int begin, int end, bool keep);

/* The gradient of what was normalised from that of the normalised outputs, in place. */
void qg_norm_backward(const qg_cpu *cpu, int l, int begin, int end);

/* Floats of one image that the backward pass needs. */
size_t qg_norm_image(const qg_plan *plan);

#endif
