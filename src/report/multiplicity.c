/* What many comparisons do to p: Benjamini and Hochberg, Holm, and Dunnett's largest t. */
#include <qgraft/statistics.h>

#include "report/distributions.h"

#include <math.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------ in their order */

typedef struct place {
    double p;
    size_t index;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *x = a, *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

/* The p in rising order; what is not known comes last, as 1. */
static place *put_in_order(const double *p, size_t count, qg_error *error)
{
    place *places = calloc(count + 1, sizeof *places);
    if (!places) {
        qg_fail_memory(error, "adjusted p", count * sizeof *places);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        places[i] = (place){isnan(p[i]) ? 1 : p[i], i};
    qsort(places, count, sizeof *places, compare_places);
    return places;
}

qg_status qg_adjust_rate(const double *p, size_t count, double *adjusted, qg_error *error)
{
    place *places = put_in_order(p, count, error);
    if (!places) return error->code;
    double least = 1;
    for (size_t i = count; i-- > 0;) {
        least = fmin(least, places[i].p * (double)count / (double)(i + 1));
        adjusted[places[i].index] = isnan(p[places[i].index]) ? (double)NAN : least;
    }
    free(places);
    return QG_OK;
}

qg_status qg_adjust_any(const double *p, size_t count, double *adjusted, qg_error *error)
{
    place *places = put_in_order(p, count, error);
    if (!places) return error->code;
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fmin(1, places[i].p * (double)(count - i)));
        adjusted[places[i].index] = isnan(p[places[i].index]) ? (double)NAN : largest;
    }
    free(places);
    return QG_OK;
}

/* ------------------------------------------------------------------------------- the largest t */

/* With known variances the baseline's error z and the arms' own are independent, so that the
 * probability is an integral over z of a product; it is tabulated. What the variances' errors add
 * is an integral over the table. */
enum { TABLE = 140 };
static const double table_end = 8.4, normal_end = 7; /* what lies beyond is below 1e-11 */

struct qg_largest_t {
    size_t count;
    double *shares;
    double above[TABLE + 2]; /* [x] P(the largest > x TABLE / table_end) */
};

static double below(double z)
{
    return fabs(z) > 9 ? z > 0 : qg_normal_below(z);
}

/* P(the largest is at most x | z) times the density of z. */
typedef struct given_x {
    const qg_largest_t *largest;
    double x;
} given_x;

static double below_given_z(const void *context, double z)
{
    const given_x *g = context;
    double product = exp(-z * z / 2) * M_2_SQRTPI * M_SQRT1_2 / 2;
    for (size_t i = 0; i < g->largest->count && product > 0; i++) {
        const double share = g->largest->shares[i], own = sqrt(1 - share * share);
        product *= below((g->x - share * z) / own) - below((-g->x - share * z) / own);
    }
    return product;
}

static void fill_table(qg_largest_t *largest)
{
    for (int i = 0; i < TABLE + 2; i++) {
        const given_x g = {largest, i * table_end / TABLE};
        /* It is the same for z and -z. */
        const double share = 2 * qg_integral(below_given_z, &g, 0, normal_end, 7);
        largest->above[i] = fmin(1, fmax(0, 1 - share));
    }
}

qg_status qg_largest_t_create(const double *shares, size_t count, qg_largest_t **largest,
                              qg_error *error)
{
    static const double most = 0.9999; /* two that nothing tells apart need no more */
    qg_largest_t *l = calloc(1, sizeof *l);
    *largest = l;
    if (l) l->shares = calloc(count + 1, sizeof *l->shares);
    if (!l || !l->shares) {
        qg_largest_t_free(l);
        *largest = NULL;
        return qg_fail_memory(error, "Dunnett's distribution", sizeof *l);
    }
    l->count = count;
    for (size_t i = 0; i < count; i++)
        l->shares[i] = fmin(shares[i], most);
    fill_table(l);
    return QG_OK;
}

void qg_largest_t_free(qg_largest_t *largest)
{
    if (largest) free(largest->shares);
    free(largest);
}

/* Between the points of the table: the cubic through the four around x. */
static double look_up(const double *table, double x)
{
    const double at = x * TABLE / table_end;
    if (at >= TABLE - 1) return 0;
    const int i = at < 1 ? 1 : (int)at;
    const double u = at - i, a = table[i - 1], b = table[i], c = table[i + 1], d = table[i + 2];
    return (u * (u - 1) * ((u + 1) * d - (u - 2) * a) / 6) +
           ((u + 1) * (u - 2) * ((u - 1) * b - u * c) / 2);
}

typedef struct given_t {
    const double *table;
    double t, degrees;
} given_t;

/* Over the root of x, so that the density of less than two degrees is smooth at 0. */
static double above_given_root(const void *context, double root)
{
    const given_t *g = context;
    const double x = root * root;
    return look_up(g->table, x) * qg_chi_density(x / g->t, g->degrees) / g->t * 2 * root;
}

double qg_largest_t_p(const qg_largest_t *largest, double t, double degrees)
{
    const double *table = largest->above;
    if (!(t > 0)) return 1;
    if (degrees > 1e6) return look_up(table, t);
    const double spread = 9 / sqrt(2 * degrees);
    const double low = t * fmax(0, 1 - spread), high = fmin(table_end, t * (1 + spread));
    if (high <= low) return 0;
    const given_t g = {table, t, degrees};
    return fmin(1, qg_integral(above_given_root, &g, sqrt(low), sqrt(high), 24));
}

double qg_largest_t_reach(const qg_largest_t *largest, double alpha, double degrees)
{
    double low = 0, high = qg_student_reach(degrees, alpha / (double)(largest->count + 1));
    for (int i = 0; i < 50 && high - low > 1e-9 * high; i++) {
        const double middle = (low + high) / 2;
        if (qg_largest_t_p(largest, middle, degrees) > alpha)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}
