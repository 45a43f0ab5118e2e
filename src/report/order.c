#include "report/order.h"

#include <assert.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void qg_sort(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
}

double qg_quantile(const double *sorted, size_t count, double share)
{
    assert(count > 0 && share >= 0 && share <= 1);
    const double position = share * (double)(count - 1);
    const size_t below = (size_t)position;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (position - (double)below) * (sorted[below + 1] - sorted[below]);
}
