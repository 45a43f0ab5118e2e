#include "report/scaling.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Rotates rows and columns p and q of a symmetric matrix, and the columns of the vectors, so that
 * [p][q] becomes 0 (Jacobi; Golub and Van Loan 2013, 8.5). */
static void rotate(double *a, double *vectors, int n, int p, int q)
{
    const double off = a[p * n + q];
    if (off == 0) return;
    const double tau = (a[q * n + q] - a[p * n + p]) / (2 * off);
    const double t = (tau >= 0 ? 1 : -1) / (fabs(tau) + sqrt(1 + tau * tau));
    const double c = 1 / sqrt(1 + t * t), s = t * c;
    for (int k = 0; k < n; k++) {
        const double x = a[k * n + p], y = a[k * n + q];
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for (int k = 0; k < n; k++) {
        const double x = a[p * n + k], y = a[q * n + k];
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
    }
    for (int k = 0; k < n; k++) {
        const double x = vectors[k * n + p], y = vectors[k * n + q];
        vectors[k * n + p] = c * x - s * y;
        vectors[k * n + q] = s * x + c * y;
    }
}

/* Leaves the eigenvalues on the diagonal of `a`, their vectors in the columns of `vectors`. */
static void diagonalise(double *a, double *vectors, int n)
{
    for (int i = 0; i < n * n; i++)
        vectors[i] = i % (n + 1) == 0;
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0, all = 0;
        for (int i = 0; i < n * n; i++) {
            all += a[i] * a[i];
            if (i % (n + 1)) off += a[i] * a[i];
        }
        if (off <= 1e-30 * all) return;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++)
                rotate(a, vectors, n, p, q);
    }
}

static void centre(const double *affinities, int n, double *a)
{
    double means[QG_MOST_POINTS] = {0}, mean = 0;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            means[i] += i == j ? 0 : affinities[i * n + j] / n;
        mean += means[i] / n;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            a[i * n + j] = (i == j ? 0 : affinities[i * n + j]) - means[i] - means[j] + mean;
}

/* The eigenvector of the centring, all ones, has the eigenvalue 0 and belongs to no axis. */
static int find_constant(const double *vectors, int n)
{
    int constant = 0;
    double largest = -1;
    for (int k = 0; k < n; k++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += vectors[i * n + k];
        if (fabs(sum) > largest) {
            largest = fabs(sum);
            constant = k;
        }
    }
    return constant;
}

/* The k with the largest value but `a` and `b`. */
static int find_largest(const double *a, int n, int without, int and_without)
{
    int best = -1;
    for (int k = 0; k < n; k++)
        if (k != without && k != and_without && (best < 0 || a[k * (n + 1)] > a[best * (n + 1)]))
            best = k;
    return best;
}

/* So that the same affinities give the same picture: the largest coordinate is positive. */
static void lay(const double *vectors, int n, int axis, int column, double length,
                double (*points)[2])
{
    int largest = 0;
    for (int i = 0; i < n; i++)
        if (fabs(vectors[i * n + axis]) > fabs(vectors[largest * n + axis]) + 1e-9) largest = i;
    const double sign = vectors[largest * n + axis] < 0 ? -1 : 1;
    for (int i = 0; i < n; i++)
        points[i][column] = sign * length * vectors[i * n + axis];
}

void qg_classical_scaling(const double *affinities, int n, double (*points)[2], double *share)
{
    double a[QG_MOST_POINTS * QG_MOST_POINTS], vectors[QG_MOST_POINTS * QG_MOST_POINTS];
    assert(n >= 3 && n <= QG_MOST_POINTS);
    centre(affinities, n, a);
    diagonalise(a, vectors, n);
    const int constant = find_constant(vectors, n);
    double smallest = INFINITY, all = 0;
    for (int k = 0; k < n; k++)
        if (k != constant) smallest = fmin(smallest, a[k * (n + 1)]);
    const double c = -smallest;
    for (int k = 0; k < n; k++)
        if (k != constant) all += a[k * (n + 1)] + c;
    const int first = find_largest(a, n, constant, -1),
              second = find_largest(a, n, constant, first);
    const double x = a[first * (n + 1)] + c, y = a[second * (n + 1)] + c;
    lay(vectors, n, first, 0, sqrt(fmax(0, x) / 2), points);
    lay(vectors, n, second, 1, sqrt(fmax(0, y) / 2), points);
    *share = all > 0 ? (x + y) / all : 0;
}

void qg_turn_to(const double (*to)[2], int count, double (*points)[2])
{
    double turned[2][2] = {{0}}; /* sums of products, with the second axis as it is and mirrored */
    for (int i = 0; i < count; i++)
        for (int mirror = 0; mirror < 2; mirror++) {
            const double x = points[i][0], y = mirror ? -points[i][1] : points[i][1];
            turned[mirror][0] += x * to[i][0] + y * to[i][1];
            turned[mirror][1] += x * to[i][1] - y * to[i][0];
        }
    const int mirror = hypot(turned[1][0], turned[1][1]) > hypot(turned[0][0], turned[0][1]);
    const double angle = atan2(turned[mirror][1], turned[mirror][0]);
    for (int i = 0; i < count; i++) {
        const double x = points[i][0], y = mirror ? -points[i][1] : points[i][1];
        points[i][0] = cos(angle) * x - sin(angle) * y;
        points[i][1] = sin(angle) * x + cos(angle) * y;
    }
}
