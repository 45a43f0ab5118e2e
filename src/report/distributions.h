/* Distributions that tests stand on, and the functions that they need. Each to about 1e-12, but
 * where it says otherwise. */
#ifndef QG_DISTRIBUTIONS_H
#define QG_DISTRIBUTIONS_H

/* P(Z <= z), Z standard normal. */
double qg_normal_below(double z);

/* P(T > t) for Student's T with `degrees` of freedom, more than 0, any real number; infinite ones
 * make it the normal distribution. Exact for small probabilities, too. */
double qg_student_above(double t, double degrees);

/* The t with P(|T| > t) = alpha, 0 < alpha < 1. */
double qg_student_reach(double degrees, double alpha);

/* The degrees with which the reach is the given one, more than 0: the inverse of the above. */
double qg_student_degrees(double reach, double alpha);

/* The distribution of Behrens and Fisher: of sqrt(share) A + sqrt(1 - share) B, A and B independent
 * Student's of finite `degrees` each, at least 1, 0 <= share <= 1. The t beyond which, on both
 * sides, lies alpha, and the probability of lying above t > 0. To 1e-9 of
 * it where it is more than 1e-12. */
typedef struct qg_behrens_fisher {
    double share, degrees[2];
} qg_behrens_fisher;
double qg_behrens_fisher_above(const qg_behrens_fisher *d, double t);
double qg_behrens_fisher_reach(const qg_behrens_fisher *d, double alpha);

/* The density at `s` > 0 of the root of chi-square / degrees. */
double qg_chi_density(double s, double degrees);

/* The first and second derivative of log gamma(x), and the x > 0 with trigamma(x) = y > 0. */
double qg_digamma(double x);
double qg_trigamma(double x);
double qg_trigamma_inverse(double y);

/* The integral of a function over [low, high], by Gauss's eight points on each of `panels`. */
typedef double qg_integrand(const void *context, double x);
double qg_integral(qg_integrand *function, const void *context, double low, double high,
                   int panels);

#endif
