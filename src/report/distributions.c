#include "report/distributions.h"

#include <assert.h>
#include <math.h>

double qg_normal_below(double z)
{
    return erfc(-z * M_SQRT1_2) / 2;
}

/* ------------------------------------------------------------------------ Student's distribution
 */

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/* The continued fraction of the incomplete beta function (Abramowitz and Stegun, 26.5.8) by Lentz's
 * method; it converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    enum { MOST_TERMS = 10000 };
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double fraction = d;
    for (int m = 1; m < MOST_TERMS; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        fraction *= d * (fabs(c) < tiny ? tiny : c);
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        const double factor = d * (fabs(c) < tiny ? tiny : c);
        fraction *= factor;
        if (fabs(factor - 1) < 1e-16) break;
    }
    return fraction;
}

/* gamma(x + 1/2) / gamma(x); large ones by the asymptotic series (Abramowitz and Stegun, 6.1.47),
 * as their logarithms cancel. */
static double gamma_ratio(double x)
{
    if (x < 100) return exp(log_gamma(x + 0.5) - log_gamma(x));
    const double y = 1 / x;
    return sqrt(x) * (1 - y * (1. / 8 - y * (1. / 128 + y * (5. / 1024 - y * (21. / 32768)))));
}

/* P(|T| > t), the regularised incomplete beta function of degrees / (degrees + t^2) with a =
 * degrees / 2 and b = 1 / 2. */
static double student_beyond(double t, double degrees)
{
    const double a = degrees / 2, b = 0.5, sum = degrees + t * t;
    const double x = degrees / sum, y = t * t / sum; /* y = 1 - x, which x may be too near 1 for */
    if (y <= 0) return 1;
    const double front = gamma_ratio(a) / sqrt(M_PI) * exp(a * log1p(-y)) * sqrt(y);
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, y) / b;
}

double qg_student_above(double t, double degrees)
{
    assert(degrees > 0);
    if (isinf(t)) return t > 0 ? 0 : 1;
    if (isinf(degrees)) return qg_normal_below(-t);
    if (degrees > 1e6) /* Abramowitz and Stegun, 26.7.8 */
        return qg_normal_below(-t * (1 - 1 / (4 * degrees)) / sqrt(1 + t * t / (2 * degrees)));
    const double both = student_beyond(t, degrees);
    return t > 0 ? both / 2 : 1 - both / 2;
}

double qg_student_reach(double degrees, double alpha)
{
    assert(degrees > 0 && alpha > 0 && alpha < 1);
    const double scale = degrees > 1e6 ? 1 : sqrt(degrees);
    double low = 0, high = M_PI_2; /* of the angle whose tangent is t / scale */
    for (;;) {                     /* halves the interval until no double is left within */
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) return scale * tan(low);
        if (2 * qg_student_above(scale * tan(middle), degrees) > alpha)
            low = middle;
        else
            high = middle;
    }
}

double qg_student_degrees(double reach, double alpha)
{
    double low = 1e-3, high = 1e9;
    while (high - low > 1e-14 * high) { /* halves by ratio */
        const double middle = sqrt(low * high);
        if (2 * qg_student_above(reach, middle) > alpha)
            low = middle;
        else
            high = middle;
    }
    return sqrt(low * high);
}

/* ------------------------------------------------------------------------- Behrens and Fisher */

/* With a and b degrees it is sqrt((share a / B + (1 - share) b / (1 - B)) / (a + b)) T, T Student's
 * of a + b degrees, B of the beta distribution of a / 2 and b / 2: how the sum of both chi-squares
 * is divided (Ruben 1960). The integral is over x, B = 1 / (1 + exp -x). */
typedef struct division {
    const qg_behrens_fisher *d;
    double t, log_beta; /* of a / 2 and b / 2 */
} division;

static double log_density(const qg_behrens_fisher *d, double x)
{
    return -(d->degrees[0] * log1p(exp(-x)) + d->degrees[1] * log1p(exp(x))) / 2;
}

static double divided(const void *context, double x)
{
    const division *v = context;
    const qg_behrens_fisher *d = v->d;
    const double a = d->degrees[0], b = d->degrees[1];
    const double square = d->share * a * (1 + exp(-x)) + (1 - d->share) * b * (1 + exp(x));
    return exp(log_density(d, x) - v->log_beta) *
           qg_student_above(v->t / sqrt(square / (a + b)), a + b);
}

/* Where, from the peak on in the direction of the step, the density has fallen to exp -34 of it. */
static double end_of(const qg_behrens_fisher *d, double peak, double step)
{
    const double highest = log_density(d, peak);
    while (log_density(d, peak + step) - highest > -34)
        step *= 1.25;
    return peak + step;
}

double qg_behrens_fisher_above(const qg_behrens_fisher *given, double t)
{
    /* More degrees change nothing that can be seen, but would cancel. */
    const double most = 1e6, a = fmin(given->degrees[0], most), b = fmin(given->degrees[1], most);
    const qg_behrens_fisher d = {given->share, {a, b}};
    assert(d.share >= 0 && d.share <= 1 && a >= 1 && b >= 1);
    if (d.share <= 0 || d.share >= 1) return qg_student_above(t, d.share > 0 ? a : b);
    const double peak = log(a / b), step = sqrt(1 / a + 1 / b);
    const double low = end_of(&d, peak, -step), high = end_of(&d, peak, step);
    const division v = {&d, t, log_gamma(a / 2) + log_gamma(b / 2) - log_gamma((a + b) / 2)};
    return qg_integral(divided, &v, low, high, 12 + (int)((high - low) / 3));
}

/* False position (Illinois) on the logarithms, of which the tail is nearly a line, from about where
 * Cochran and Cox (1950) have it. */
double qg_behrens_fisher_reach(const qg_behrens_fisher *d, double alpha)
{
    const double goal = log(alpha / 2), step = 0.1;
    double high = log(d->share * qg_student_reach(d->degrees[0], alpha) +
                      (1 - d->share) * qg_student_reach(d->degrees[1], alpha));
    double low = high - step;
    double above_low, above_high;
    while ((above_low = log(qg_behrens_fisher_above(d, exp(low))) - goal) < 0)
        low -= step;
    while ((above_high = log(qg_behrens_fisher_above(d, exp(high))) - goal) >= 0)
        high += step;
    for (int i = 0, side = 0; i < 100; i++) {
        const double x = (low * above_high - high * above_low) / (above_high - above_low);
        const double y = log(qg_behrens_fisher_above(d, exp(x))) - goal;
        if (fabs(y) < 1e-11 || !(x > low && x < high)) return exp(x);
        if (y > 0) {
            low = x, above_low = y;
            if (side > 0) above_high /= 2;
            side = 1;
        } else {
            high = x, above_high = y;
            if (side < 0) above_low /= 2;
            side = -1;
        }
    }
    return exp(high);
}

double qg_chi_density(double s, double degrees)
{
    const double half = degrees / 2;
    return 2 * exp(half * log(half) - log_gamma(half) + (degrees - 1) * log(s) - half * s * s);
}

/* --------------------------------------------------------------------------- gamma's derivatives
 */

/* Both: the recurrence up to 10, then the asymptotic series (Abramowitz and Stegun, 6.3.18 and
 * 6.4.12). */
double qg_digamma(double x)
{
    double sum = 0;
    while (x < 10) {
        sum -= 1 / x;
        x += 1;
    }
    const double y = 1 / (x * x);
    return sum + log(x) - 0.5 / x -
           y * (1. / 12 - y * (1. / 120 - y * (1. / 252 - y * (1. / 240 - y * (1. / 132)))));
}

double qg_trigamma(double x)
{
    double sum = 0;
    while (x < 10) {
        sum += 1 / (x * x);
        x += 1;
    }
    const double y = 1 / (x * x);
    return sum + 1 / x + y / 2 +
           y / x * (1. / 6 - y * (1. / 30 - y * (1. / 42 - y * (1. / 30 - y * (5. / 66)))));
}

double qg_trigamma_inverse(double y)
{
    double low = 1e-8, high = 1e8;
    if (y >= 1e15) return 1 / sqrt(y);
    if (y <= 1e-8) return 1 / y;
    for (int i = 0; i < 200 && low < high; i++) { /* it falls; halves by ratio */
        const double middle = sqrt(low * high);
        if (qg_trigamma(middle) > y)
            low = middle;
        else
            high = middle;
    }
    return sqrt(low * high);
}

/* -------------------------------------------------------------------------------------- integrals
 */

double qg_integral(qg_integrand *function, const void *context, double low, double high, int panels)
{
    static const double places[] = {0.18343464249564980, 0.52553240991632899, 0.79666647741362674,
                                    0.96028985649753623};
    static const double weights[] = {0.36268378337836198, 0.31370664587788729, 0.22238103445337447,
                                     0.10122853629037626};
    const double half = (high - low) / panels / 2;
    double sum = 0;
    for (int p = 0; p < panels; p++) {
        const double middle = low + (2 * p + 1) * half;
        for (int i = 0; i < 4; i++)
            sum += weights[i] * (function(context, middle - half * places[i]) +
                                 function(context, middle + half * places[i]));
    }
    return sum * half;
}
