/* Looking several times at what grows: the levels that keep the error rate. Lan and DeMets 1983,
 * "Discrete sequential boundaries for clinical trials"; the recursion over looks is that of
 * Armitage, McPherson and Rowe 1969. */
#include <qgraft/statistics.h>

#include "report/distributions.h"

#include <math.h>
#include <stdlib.h>

enum { POINTS = 801 }; /* of Simpson's rule, on each side's continuation region together */

#define LARGEST_Z 8.0 /* beyond, a level is nothing */

static double normal_above(double z)
{
    return qg_normal_below(-z);
}

/* What one side, of `alpha` in all, has spent when this share of the information is there. */
static double spent(qg_spending spending, double alpha, double fraction)
{
    if (spending == QG_SPEND_POCOCK) return alpha * log(1 + (exp(1) - 1) * fraction);
    return 2 * normal_above(qg_student_reach(INFINITY, alpha) / sqrt(fraction));
}

/* The density of a Brownian motion that has crossed no boundary yet, on [-reach, reach]. */
typedef struct density {
    double reach, time;
    double values[POINTS]; /* unused before the first look, where all is at 0 */
} density;

static double point(const density *d, int i)
{
    return d->reach * (2.0 * i / (POINTS - 1) - 1);
}

static double weight(const density *d, int i)
{
    const double step = 2 * d->reach / (POINTS - 1);
    return step / 3 * (i == 0 || i == POINTS - 1 ? 1 : i % 2 ? 4 : 2);
}

/* The probability that the motion is above `boundary` at `time`, not having crossed before. */
static double above(const density *d, double boundary, double time)
{
    const double deviation = sqrt(time - d->time);
    if (!(d->time > 0)) return normal_above(boundary / deviation);
    double sum = 0;
    for (int i = 0; i < POINTS; i++)
        sum += weight(d, i) * d->values[i] * normal_above((boundary - point(d, i)) / deviation);
    return sum;
}

/* The z at which this much is spent at the look. */
static double find_boundary(const density *d, double time, double spend)
{
    double low = 0, high = LARGEST_Z;
    if (!(above(d, high * sqrt(time), time) < spend)) return LARGEST_Z;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (above(d, middle * sqrt(time), time) > spend)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

static void go_on(const density *before, density *d, double time, double reach)
{
    const double deviation = sqrt(time - before->time);
    const double scale = 1 / (deviation * sqrt(2 * M_PI));
    d->reach = reach;
    d->time = time;
    for (int i = 0; i < POINTS; i++) {
        const double x = point(d, i);
        d->values[i] = before->time > 0 ? 0 : scale * exp(-x * x / (2 * time));
        for (int k = 0; k < POINTS && before->time > 0; k++) {
            const double z = (x - point(before, k)) / deviation;
            d->values[i] += weight(before, k) * before->values[k] * scale * exp(-z * z / 2);
        }
    }
}

qg_status qg_spending_levels(qg_spending spending, const double *fractions, size_t count,
                             double alpha, double *levels, qg_error *error)
{
    density *const both = calloc(2, sizeof *both);
    if (!both) return qg_fail_memory(error, "levels", 2 * sizeof *both);
    density *now = both, *next = both + 1;
    double before = 0;
    qg_status status = QG_OK;
    for (size_t i = 0; i < count && !status; i++) {
        const double time = fractions[i];
        if (!(time > now->time && time <= 1)) {
            status = qg_fail(error, QG_ERROR_USAGE,
                             "look %zu: the shares of the information rise and are at most 1, not "
                             "%g",
                             i + 1, time);
            break;
        }
        const double all = spent(spending, alpha / 2, time);
        const double z = find_boundary(now, time, all - before);
        levels[i] = 2 * normal_above(z);
        go_on(now, next, time, z * sqrt(time));
        density *const other = now;
        now = next;
        next = other;
        before = all;
    }
    free(both);
    return status;
}
