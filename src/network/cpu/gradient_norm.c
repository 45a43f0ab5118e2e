#include "network/cpu/gradient_norm.h"

#include "network/cpu/kernels/kernels.h"

#include <float.h>
#include <math.h>

/* Of at most 2^28 parameters (architecture.c), each below 2^34. */
#define UNITS 0x1p34

/* The largest |gradient|; infinite where one is not finite. */
static float largest_of(const float *gradient, size_t count)
{
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        const float size = fabsf(gradient[i]);
        if (!(size <= FLT_MAX)) return INFINITY;
        largest = size > largest ? size : largest;
    }
    return largest;
}

/* The power of two above a finite `largest` that is not 0. */
static float scale_of(float largest)
{
    int exponent;
    frexpf(largest, &exponent);
    return ldexpf(1, exponent > 127 ? 127 : exponent);
}

/* Sum of (gradient / scale)^2 in units of 2^-34, each rounded down to a whole number of them: no
 * order changes it. `scale` is the power of two above the largest of all. */
static int64_t squares_of(const float *gradient, size_t count, float scale)
{
    const double inverse = 1 / (double)scale;
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const double part = (double)gradient[i] * inverse; /* exact, as its square */
        sum += (int64_t)(part * part * UNITS);
    }
    return sum;
}

static float factor_of(int64_t squares, float scale, float max_norm)
{
    const double norm = sqrt((double)squares / UNITS) * (double)scale;
    const double factor = (double)max_norm / (norm + 1e-6);
    return factor < 1 ? (float)factor : 1;
}

void qg_gradient_share(size_t count, int member, int members, size_t *begin, size_t *end)
{
    int first, last;
    qg_team_share((int)(count / QG_PANEL), member, members, &first, &last);
    *begin = (size_t)first * QG_PANEL;
    *end = (size_t)last * QG_PANEL;
}

float qg_gradient_factor(qg_team *team, int member, const float *gradient, size_t count,
                         float max_norm, qg_gradient_part *parts)
{
    const int members = qg_team_size(team);
    size_t begin, end;
    float largest = 0;
    int64_t squares = 0;
    qg_gradient_share(count, member, members, &begin, &end);
    parts[member].largest = largest_of(gradient + begin, end - begin);
    qg_team_barrier(team);
    for (int m = 0; m < members; m++)
        largest = fmaxf(largest, parts[m].largest);
    if (largest == 0 || isinf(largest)) return 1; /* of no size, or past help */
    const float scale = scale_of(largest);
    parts[member].squares = squares_of(gradient + begin, end - begin, scale);
    qg_team_barrier(team);
    for (int m = 0; m < members; m++)
        squares += parts[m].squares;
    return factor_of(squares, scale, max_norm);
}
