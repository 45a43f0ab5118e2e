#include "network/tensor_floats.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* 1 bit of sign, 5 of exponent (bias 15), 10 of fraction. */
static double from_f16(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double size = exponent == 31  ? (fraction ? NAN : INFINITY)
                        : exponent == 0 ? ldexp(fraction, -24)
                                        : ldexp(fraction + 1024, exponent - 25);
    return bits >> 15 ? -size : size;
}

/* The upper half of a float32. */
static double from_bf16(uint16_t bits)
{
    const uint32_t whole = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &whole, sizeof value);
    return (double)value;
}

static bool is_float(qg_dtype dtype)
{
    return dtype == QG_F32 || dtype == QG_F16 || dtype == QG_BF16 || dtype == QG_F64;
}

/* Value i of a tensor of floats. */
static double value_at(const qg_tensor *tensor, size_t i)
{
    switch (tensor->dtype) {
    case QG_F16:
        return from_f16(((const uint16_t *)tensor->data)[i]);
    case QG_BF16:
        return from_bf16(((const uint16_t *)tensor->data)[i]);
    case QG_F64:
        return ((const double *)tensor->data)[i];
    default:
        return (double)((const float *)tensor->data)[i];
    }
}

qg_status qg_tensors_read_floats(const qg_tensors *tensors, const char *path, const char *name,
                                 int rank, const size_t *shape, float *values,
                                 qg_rounding *rounding, qg_error *error)
{
    const qg_tensor *found = qg_tensors_find(tensors, name);
    const qg_dtype dtype = found && is_float(found->dtype) ? found->dtype : QG_F32;
    const qg_status status =
        qg_tensors_require(tensors, path, name, dtype, rank, shape, &found, error);
    if (status) return status;
    for (size_t i = 0; i < found->elements; i++) {
        const double value = value_at(found, i);
        values[i] = (float)value;
        if (!isfinite(values[i]))
            return qg_fail(error, QG_ERROR_DATA, "%s: value %zu of tensor '%.80s' is %g, %s", path,
                           i, name, value,
                           isfinite(value) ? "too large for float32" : "not a finite number");
        if (dtype == QG_F64) rounding->changed += (double)values[i] != value;
    }
    if (dtype == QG_F64) rounding->values += found->elements;
    return QG_OK;
}
