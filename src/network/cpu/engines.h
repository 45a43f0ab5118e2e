/* The engines of the processor: the same bits on all of them.
 *
 * float32  single precision.
 * bf16     products of all weighted layers but the last take weights, activations and gradients of
 *          outputs rounded to bf16 and sum them in single precision, as AMX's tiles do
 *          (kernels/kernels.h); parameters, moments, loss and optimiser stay in single precision.
 */
#ifndef QG_ENGINES_H
#define QG_ENGINES_H

#include <qgraft/engine.h>

extern const qg_engine_class qg_float32, qg_bf16;

#endif
