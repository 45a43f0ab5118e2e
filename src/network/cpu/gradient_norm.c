#include "network/cpu/gradient_norm.h"

#include <float.h>
#include <math.h>

/* Of at most 2^28 parameters (architecture.c), each below 2^34. */
#define UNITS 0x1p34

float qg_gradient_largest(const float *gradient, size_t count)
{
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        const float size = fabsf(gradient[i]);
        if (!(size <= FLT_MAX)) return INFINITY;
        largest = size > largest ? size : largest;
    }
    return largest;
}

float qg_gradient_scale(float largest)
{
    int exponent;
    frexpf(largest, &exponent);
    return ldexpf(1, exponent > 127 ? 127 : exponent);
}

int64_t qg_gradient_squares(const float *gradient, size_t count, float scale)
{
    const double inverse = 1 / (double)scale;
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const double part = (double)gradient[i] * inverse; /* exact, as its square */
        sum += (int64_t)(part * part * UNITS);
    }
    return sum;
}

float qg_gradient_factor(int64_t squares, float scale, float max_norm)
{
    const double norm = sqrt((double)squares / UNITS) * (double)scale;
    const double factor = (double)max_norm / (norm + 1e-6);
    return factor < 1 ? (float)factor : 1;
}
