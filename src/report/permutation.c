/* How extreme the runs' difference is among all ways in which the same values could have fallen to
 * the two groups. Studentised, so that groups with unequal variances are no difference of means:
 * Janssen 1997, "Studentized permutation tests for non-i.i.d. hypotheses and the generalized
 * Behrens-Fisher problem". */
#include <qgraft/statistics.h>

#include "base/random.h"

#include <math.h>
#include <stdlib.h>

/* Differences of rounding are none. */
static const double tolerance = 1e-9;

static double t_of(double difference, double square)
{
    if (fabs(difference) <= 1e-300) return 0;
    return square > 0 ? fabs(difference) / sqrt(square) : INFINITY;
}

/* How many of the arrangements seen were at least as extreme as the observed one. */
typedef struct tally {
    double observed;
    size_t extreme, all;
} tally;

static void count_one(tally *t, double value)
{
    t->extreme += value >= t->observed * (1 - tolerance);
    t->all++;
}

/* The number of ways to choose k of n; anything above `most` is most + 1. */
static size_t ways(size_t n, size_t k, size_t most)
{
    double result = 1;
    for (size_t i = 1; i <= k; i++) {
        result = result * (double)(n - k + i) / (double)i;
        if (result > (double)most) return most + 1;
    }
    return (size_t)(result + 0.5);
}

/* -------------------------------------------------------------------------------- two groups */

/* Values of both groups about their common mean, the first `first` of which are x. */
typedef struct pool {
    double *values;
    size_t *picks; /* [count] a permutation; the first `first` are x */
    size_t first, count;
    double sum, squares; /* of all values */
} pool;

/* Welch's t of the arrangement. */
static double pool_t(const pool *p)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < p->first; i++) {
        const double value = p->values[p->picks[i]];
        sum += value;
        squares += value * value;
    }
    const double n = (double)p->first, m = (double)(p->count - p->first);
    const double other = p->sum - sum, other_squares = p->squares - squares;
    double x = (squares - sum * sum / n) / (n - 1) / n;
    double y = (other_squares - other * other / m) / (m - 1) / m;
    if (x < p->squares * 1e-14) x = 0;
    if (y < p->squares * 1e-14) y = 0;
    return t_of(sum / n - other / m, x + y);
}

/* The next choice of `first` of `count`, rising, in lexicographic order; false: that was the last.
 */
static bool next_choice(pool *p)
{
    size_t i = p->first;
    while (i > 0 && p->picks[i - 1] == p->count - p->first + i - 1)
        i--;
    if (i == 0) return false;
    p->picks[i - 1]++;
    for (; i < p->first; i++)
        p->picks[i] = p->picks[i - 1] + 1;
    return true;
}

static void shuffle(pool *p, qg_random *random)
{
    for (size_t i = 0; i < p->first; i++) {
        const size_t other = i + qg_random_below(random, p->count - i), pick = p->picks[i];
        p->picks[i] = p->picks[other];
        p->picks[other] = pick;
    }
}

static double permute(pool *p, uint64_t seed)
{
    tally t = {.observed = pool_t(p)};
    if (ways(p->count, p->first, QG_ARRANGEMENTS) <= QG_ARRANGEMENTS) {
        do
            count_one(&t, pool_t(p));
        while (next_choice(p));
    } else {
        qg_random random = qg_random_stream(seed, "permutation");
        count_one(&t, t.observed);
        while (t.all < QG_ARRANGEMENTS) {
            shuffle(p, &random);
            count_one(&t, pool_t(p));
        }
    }
    return (double)t.extreme / (double)t.all;
}

qg_status qg_permutation_p(const double *x, size_t x_count, const double *y, size_t y_count,
                           uint64_t seed, double *p, qg_error *error)
{
    const size_t count = x_count + y_count;
    *p = (double)NAN;
    if (x_count < 2 || y_count < 2) return QG_OK;
    pool all = {
        calloc(count, sizeof *all.values), calloc(count, sizeof *all.picks), x_count, count, 0, 0};
    const bool made = all.values && all.picks;
    for (size_t i = 0; i < count && made; i++) {
        all.picks[i] = i;
        all.values[i] = i < x_count ? x[i] : y[i - x_count];
        all.sum += all.values[i];
    }
    const double centre = all.sum / (double)count;
    all.sum = 0;
    for (size_t i = 0; i < count && made; i++) {
        all.values[i] -= centre;
        all.sum += all.values[i];
        all.squares += all.values[i] * all.values[i];
    }
    if (made) *p = permute(&all, seed);
    free(all.values);
    free(all.picks);
    return made ? QG_OK : qg_fail_memory(error, "a permutation test", count * sizeof(double));
}

/* -------------------------------------------------------------------------------------- signs */

static double signed_t(const double *values, size_t count, const bool *flipped)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += flipped[i] ? -values[i] : values[i];
        squares += values[i] * values[i];
    }
    const double n = (double)count, rest = squares - sum * sum / n;
    return t_of(sum / n, rest < squares * 1e-14 ? 0 : rest / (n - 1) / n);
}

/* Counts in binary; false: all bits are 0 again. */
static bool next_flips(bool *flipped, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        flipped[i] = !flipped[i];
        if (flipped[i]) return true;
    }
    return false;
}

qg_status qg_sign_flip_p(const double *differences, size_t count, uint64_t seed, double *p,
                         qg_error *error)
{
    *p = (double)NAN;
    if (count < 2) return QG_OK;
    bool *flipped = calloc(count, sizeof *flipped);
    if (!flipped) return qg_fail_memory(error, "a permutation test", count);
    tally t = {.observed = signed_t(differences, count, flipped)};
    if (count < 15) { /* 2^14 < QG_ARRANGEMENTS */
        do
            count_one(&t, signed_t(differences, count, flipped));
        while (next_flips(flipped, count));
    } else {
        qg_random random = qg_random_stream(seed, "permutation");
        count_one(&t, t.observed);
        while (t.all < QG_ARRANGEMENTS) {
            for (size_t i = 0; i < count; i++)
                flipped[i] = qg_random_u64(&random) >> 63;
            count_one(&t, signed_t(differences, count, flipped));
        }
    }
    free(flipped);
    *p = (double)t.extreme / (double)t.all;
    return QG_OK;
}
