/* A mean about its first value: that of equal values is this value, and their variance 0, not what
 * rounding makes of it. */
#ifndef QG_MEAN_H
#define QG_MEAN_H

#include <stddef.h>

/* Begins as zeros. */
typedef struct qg_mean {
    double first, rest; /* rest: the sum of the values' differences from the first */
    size_t count;
} qg_mean;

static inline void qg_mean_add(qg_mean *mean, double value)
{
    if (mean->count++ == 0) mean->first = value;
    mean->rest += value - mean->first;
}

/* NaN: there is no value. */
static inline double qg_mean_of(const qg_mean *mean)
{
    return mean->first + mean->rest / (double)mean->count;
}

#endif
