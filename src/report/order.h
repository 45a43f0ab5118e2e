/* Numbers in ascending order and their quantiles. */
#ifndef QG_ORDER_H
#define QG_ORDER_H

#include <stddef.h>

void qg_sort(double *values, size_t count);

/* The quantile of `share` in [0, 1] of count >= 1 sorted values, linear between two of them
 * (numpy's default). */
double qg_quantile(const double *sorted, size_t count, double share);

#endif
