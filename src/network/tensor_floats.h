/* Tensors of floats of any usual size as float32: others save their networks as F16, BF16 and F64.
 */
#ifndef QG_TENSOR_FLOATS_H
#define QG_TENSOR_FLOATS_H

#include "network/safetensors.h"

/* F64 values that were read as float32. */
typedef struct qg_rounding {
    size_t values, changed; /* how many, and of how many float32 has only a neighbour */
} qg_rounding;

/* Reads tensor `name` of exactly this shape, no dimension of which is 0, into `values`: F32 as it
 * is, F16 and BF16 exactly, F64 rounded to the nearest (a tie to even), which is added to
 * `rounding`. QG_ERROR_DATA, as qg_tensors_require, when there is no such tensor of floats or one
 * of its values is not finite in float32. */
qg_status qg_tensors_read_floats(const qg_tensors *tensors, const char *path, const char *name,
                                 int rank, const size_t *shape, float *values,
                                 qg_rounding *rounding, qg_error *error);

#endif
