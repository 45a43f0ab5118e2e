#include "base/exact_power.h"

#include <assert.h>
#include <math.h>

/* log(x) = e log 2 + 2 atanh((m - 1) / (m + 1)) where x = m 2^e, m from 1/sqrt 2 to sqrt 2. */
static double logarithm(double x)
{
    enum { TERMS = 11 };
    int exponent;
    double m = frexp(x, &exponent);
    if (m < 0.70710678118654752440) {
        m *= 2;
        exponent--;
    }
    const double s = (m - 1) / (m + 1), square = s * s;
    double sum = 0;
    for (int k = TERMS - 1; k >= 0; k--)
        sum = sum * square + 1.0 / (2 * k + 1);
    return exponent * 0.69314718055994530942 + 2 * s * sum;
}

double qg_power(double base, double exponent)
{
    enum { TERMS = 15 };
    assert(base > 0 && isfinite(base));
    const double log = exponent * logarithm(base);
    const double twos = floor(log / 0.69314718055994530942 + 0.5);
    const double rest = log - twos * 0.69314718055994530942;
    double sum = 1;
    for (int k = TERMS; k > 0; k--) /* the exponential series */
        sum = 1 + sum * rest / k;
    return ldexp(sum, twos > 2000 ? 2000 : twos < -2000 ? -2000 : (int)twos);
}
