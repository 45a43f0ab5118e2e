/* Eigenvalues by Householder's tridiagonal form and the implicit QL steps (Golub & Van Loan 2013,
 * sections 8.3.1 and 8.3.3), in doubles and in one order. Not LAPACK's: what its libraries return
 * differs in the last bits with the machine and with the number of threads, and results are to
 * be the same everywhere; without eigenvectors it is short. */
#include "agent/spectrum.h"

#include "base/exact_power.h"

#include <math.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------- tridiagonal form */

/* Reflects the last of the first `m` + 1 rows (and columns) of the matrix onto one number beside
 * the diagonal, which is returned; `p` is room for m numbers. The reflection is
 * 1 - v v' / h with v in that row. */
static double reflect(double *matrix, size_t n, size_t m, double *p)
{
    double *v = matrix + m * n, scale = 0, h = 0, beside;
    for (size_t k = 0; k < m; k++)
        scale = fmax(scale, fabs(v[k]));
    if (m < 2 || scale == 0) return m > 0 ? v[m - 1] : 0;
    for (size_t k = 0; k < m; k++) {
        v[k] /= scale;
        h += v[k] * v[k];
    }
    beside = v[m - 1] >= 0 ? -sqrt(h) : sqrt(h);
    h -= v[m - 1] * beside;
    v[m - 1] -= beside;
    /* p = A v / h, of the lower triangle; then A -= v q' + q v' with q = p - (v' p / 2 h) v. */
    for (size_t j = 0; j < m; j++)
        p[j] = 0;
    for (size_t j = 0; j < m; j++) {
        const double *row = matrix + j * n;
        double sum = row[j] * v[j];
        for (size_t k = 0; k < j; k++) {
            sum += row[k] * v[k];
            p[k] += row[k] * v[j];
        }
        p[j] += sum;
    }
    double along = 0;
    for (size_t j = 0; j < m; j++) {
        p[j] /= h;
        along += p[j] * v[j];
    }
    for (size_t j = 0; j < m; j++)
        p[j] -= along / (2 * h) * v[j];
    for (size_t j = 0; j < m; j++)
        for (size_t k = 0; k <= j; k++)
            matrix[j * n + k] -= v[j] * p[k] + p[j] * v[k];
    return scale * beside;
}

/* ------------------------------------------------------------------------------ QL steps */

/* The first number beside the diagonal from `begin` on that is nothing next to its neighbours. */
static size_t end_of_block(const double *diagonal, const double *beside, size_t n, size_t begin)
{
    size_t m = begin;
    for (; m + 1 < n; m++) {
        const double size = fabs(diagonal[m]) + fabs(diagonal[m + 1]);
        if (fabs(beside[m]) <= 0x1p-52 * size) break;
    }
    return m;
}

/* One implicit QL step with Wilkinson's shift on the block `begin` ... `end`. */
static void step(double *diagonal, double *beside, size_t begin, size_t end)
{
    double g = (diagonal[begin + 1] - diagonal[begin]) / (2 * beside[begin]);
    g = diagonal[end] - diagonal[begin] + beside[begin] / (g + copysign(sqrt(g * g + 1), g));
    double sine = 1, cosine = 1, p = 0;
    for (size_t i = end; i-- > begin;) {
        const double f = sine * beside[i], b = cosine * beside[i];
        double r = sqrt(f * f + g * g);
        beside[i + 1] = r;
        if (r == 0) { /* the block falls apart here */
            diagonal[i + 1] -= p;
            beside[end] = 0;
            return;
        }
        sine = f / r;
        cosine = g / r;
        g = diagonal[i + 1] - p;
        r = (diagonal[i] - g) * sine + 2 * cosine * b;
        p = sine * r;
        diagonal[i + 1] = g + p;
        g = cosine * r - b;
    }
    diagonal[begin] -= p;
    beside[begin] = g;
    beside[end] = 0;
}

static int descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

void qg_eigenvalues(double *matrix, size_t n, double *values, double *room)
{
    enum { MOST_STEPS = 60 }; /* of a value; two or three are usual, and NaN never ends */
    double *beside = room;
    for (size_t m = n; m-- > 0;)
        beside[m] = reflect(matrix, n, m, values);
    for (size_t m = 0; m < n; m++) {
        values[m] = matrix[m * n + m];
        if (m > 0) beside[m - 1] = beside[m];
    }
    if (n > 0) beside[n - 1] = 0;
    for (size_t begin = 0; begin < n; begin++)
        for (int steps = 0; steps < MOST_STEPS; steps++) {
            const size_t end = end_of_block(values, beside, n, begin);
            if (end == begin) break;
            step(values, beside, begin, end);
        }
    qsort(values, n, sizeof *values, descending);
}

/* ---------------------------------------------------------------------------------- ranks */

void qg_singular_values(double *values, size_t n)
{
    const double rounding = n > 0 ? (double)n * 0x1p-52 * fabs(values[0]) : 0;
    for (size_t i = 0; i < n; i++)
        values[i] = values[i] > rounding ? sqrt(values[i]) : 0;
}

static double sum_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum;
}

double qg_effective_rank(const double *singular_values, size_t n)
{
    const double sum = sum_of(singular_values, n);
    double rank = 1; /* exp of a sum of -p log p */
    if (!(sum > 0) || isinf(sum)) return NAN;
    for (size_t i = 0; i < n; i++) {
        const double share = singular_values[i] / sum;
        if (share > 0) rank *= qg_power(share, -share);
    }
    return rank;
}

double qg_srank(const double *singular_values, size_t n, double delta)
{
    const double sum = sum_of(singular_values, n);
    double first = 0;
    if (!(sum > 0) || isinf(sum)) return NAN;
    for (size_t i = 0; i < n; i++) {
        first += singular_values[i];
        if (first >= (1 - delta) * sum) return (double)(i + 1);
    }
    return (double)n;
}
