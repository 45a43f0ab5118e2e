#include "agent/cka.h"

#include <assert.h>
#include <math.h>
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

qg_status qg_layer_features(qg_engine *engine, const qg_states *states, float *of[QG_MAX_LAYERS],
                            qg_error *error)
{
    const qg_architecture *a = &engine->architecture;
    const size_t n = (size_t)states->size;
    size_t width = qg_layer_width(&a->layers[0]);
    for (int l = 1; l < a->layer_count; l++)
        width += qg_layer_width(&a->layers[l]);
    float *next = of[0] = malloc(n * width * sizeof *next);
    if (!next) return qg_fail_memory(error, "activations", n * width * sizeof *next);
    for (int l = 0; l < a->layer_count; l++) {
        of[l] = next;
        next += n * qg_layer_width(&a->layers[l]);
    }
    const qg_status status = qg_engine_layers(engine, QG_ONLINE, states, of, error);
    if (status) free(of[0]);
    return status;
}

/* What is taken off row i and column i, m_i - half, so that the rest of every row, without the
 * diagonal, sums to 0 (U-centring: Szekely and Rizzo 2014): m_i = sum of row i / (m - 2), half of
 * the sum of all / ((m - 1) (m - 2)). The unbiased HSIC is the mean product of two matrices centred
 * so, by m (m - 3), and no difference of large sums. Returns the largest entry. */
static double centring(const double *k, size_t stride, size_t m, double *means)
{
    double total = 0, largest = 0;
    for (size_t i = 0; i < m; i++) {
        means[i] = 0;
        for (size_t j = 0; j < m; j++) {
            if (i == j) continue;
            means[i] += k[i * stride + j];
            largest = fmax(largest, fabs(k[i * stride + j]));
        }
        total += means[i];
        means[i] /= (double)(m - 2);
    }
    const double half = total / (double)(m - 1) / (double)(m - 2) / 2;
    for (size_t i = 0; i < m; i++)
        means[i] -= half;
    return largest;
}

double qg_debiased_cka(const double *k, const double *l, size_t n, size_t begin, size_t end,
                       double *scratch)
{
    assert(begin <= end && end <= n);
    const size_t m = end - begin;
    if (m < 4) return NAN;
    k += begin * n + begin;
    l += begin * n + begin;
    double *const a = scratch, *const b = scratch + m;
    const double largest_k = centring(k, n, m, a), largest_l = centring(l, n, m, b);
    double kl = 0, kk = 0, ll = 0;
    for (size_t i = 1; i < m; i++)
        for (size_t j = 0; j < i; j++) {
            const double u = k[i * n + j] - a[i] - a[j], v = l[i * n + j] - b[i] - b[j];
            kl += u * v;
            kk += u * u;
            ll += v * v;
        }
    const double rounding = 1e-12 * (double)m; /* of the largest entry: what centring leaves of 0 */
    if (!(sqrt(kk) > rounding * largest_k) || !(sqrt(ll) > rounding * largest_l)) return NAN;
    return fmin(fmax(kl / sqrt(kk) / sqrt(ll), -1), 1);
}
