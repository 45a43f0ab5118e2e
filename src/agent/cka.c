#include "agent/cka.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Eight sums that do not wait for each other. */
static double inner_product(const float *a, const float *b, size_t width)
{
    double sums[8] = {0};
    size_t k = 0;
    for (; k + 8 <= width; k += 8)
        for (size_t lane = 0; lane < 8; lane++)
            sums[lane] += (double)a[k + lane] * (double)b[k + lane];
    for (; k < width; k++)
        sums[0] += (double)a[k] * (double)b[k];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

void qg_gram(const float *features, size_t n, size_t width, double *gram)
{
    enum { BLOCK = 8 }; /* rows that stay in the cache while others pass */
    for (size_t first = 0; first < n; first += BLOCK)
        for (size_t j = first; j < n; j++)
            for (size_t i = first; i < first + BLOCK && i <= j; i++)
                gram[i * n + j] = gram[j * n + i] =
                    inner_product(features + i * width, features + j * width, width);
}

qg_status qg_layer_gram(qg_engine *engine, int layer, const qg_states *states, double *gram,
                        qg_error *error)
{
    const size_t n = (size_t)states->size;
    const size_t width = qg_layer_width(&engine->architecture.layers[layer]);
    float *features = malloc(n * width * sizeof *features);
    if (!features) return qg_fail_memory(error, "activations", n * width * sizeof *features);
    const qg_status status =
        qg_engine_activations(engine, QG_ONLINE, states, layer, features, error);
    if (!status) qg_gram(features, n, width, gram);
    free(features);
    return status;
}

/* H K H of a square part of K: rows and columns with mean 0. */
static void centre(const double *k, size_t n, size_t begin, size_t m, double *centred)
{
    double all = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++)
            all += k[(begin + i) * n + begin + j];
    all /= (double)(m * m);
    for (size_t i = 0; i < m; i++) {
        const double *row = k + (begin + i) * n + begin;
        double mean = 0; /* of row i, and of column i */
        for (size_t j = 0; j < m; j++)
            mean += row[j];
        mean /= (double)m;
        for (size_t j = 0; j < m; j++)
            centred[i * m + j] = row[j] - mean;
    }
    for (size_t j = 0; j < m; j++) {
        double mean = 0;
        for (size_t i = 0; i < m; i++)
            mean += k[(begin + i) * n + begin + j];
        mean = mean / (double)m - all;
        for (size_t i = 0; i < m; i++)
            centred[i * m + j] -= mean;
    }
}

static double product(const double *a, const double *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Whether what is left after centring is more than rounding. */
static bool varies(const double *k, size_t n, size_t begin, size_t m, double hsic)
{
    double largest = 0;
    for (size_t i = begin; i < begin + m; i++)
        largest = fmax(largest, k[i * n + i]);
    return sqrt(hsic) > 1e-12 * (double)m * largest;
}

double qg_linear_cka(const double *k, const double *l, size_t n, size_t begin, size_t end,
                     double *scratch)
{
    assert(begin < end && end <= n);
    const size_t m = end - begin, count = m * m;
    double *const a = scratch, *const b = scratch + count;
    centre(k, n, begin, m, a);
    centre(l, n, begin, m, b);
    const double own_a = product(a, a, count), own_b = product(b, b, count);
    if (!varies(k, n, begin, m, own_a) || !varies(l, n, begin, m, own_b)) return NAN;
    return fmin(fmax(product(a, b, count) / sqrt(own_a * own_b), 0), 1);
}
