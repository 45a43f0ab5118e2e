/* Pearson's correlation of the ranks. Counting gives a rank without sorting; there are as many
 * values as experiments in a study. */
#include "report/spearman.h"

#include <math.h>

/* Mean rank of values[i], from the middle rank on, so that the ranks' mean is 0. */
static double centred_rank(const double *values, size_t count, size_t i)
{
    double below = 0, equal = 0;
    for (size_t j = 0; j < count; j++) {
        below += values[j] < values[i];
        equal += values[j] == values[i];
    }
    return below + equal / 2 - (double)count / 2;
}

double qg_spearman(const double *x, const double *y, size_t count)
{
    double xy = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < count; i++) {
        const double a = centred_rank(x, count, i), b = centred_rank(y, count, i);
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    return count >= 3 && xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : (double)NAN;
}
