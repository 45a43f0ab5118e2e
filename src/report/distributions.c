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
