/* Debiased CKA against its definition, and on features of which it is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/cka.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance)) fail_msg("%.12g, expected %.12g", value, expected);
}

enum { MOST = 64 }; /* states */

static double cka(const float *x, size_t p, const float *y, size_t q, size_t n)
{
    static double k[MOST * MOST], l[MOST * MOST], scratch[2 * MOST];
    qg_gram(x, n, p, k);
    qg_gram(y, n, q, l);
    return qg_debiased_cka(k, l, n, 0, n, scratch);
}

/* Features with a mean of 3 in each column. */
static void draw(float *features, size_t count, const char *purpose)
{
    qg_random random = qg_random_stream(1, purpose);
    for (size_t i = 0; i < count; i++)
        features[i] = (float)(qg_random_uniform(&random) + 2.5);
}

enum { N = 9, P = 7, Q = 5 };

static double gram(const float *x, size_t width, size_t i, size_t j)
{
    double sum = 0;
    for (size_t k = 0; k < width; k++)
        sum += (double)x[i * width + k] * (double)x[j * width + k];
    return sum;
}

/* The unbiased HSIC by what it estimates, E[K_ij L_ij] + E[K_ij L_qr] - 2 E[K_ij L_iq]: the mean
 * over all four different states i, j, q, r. */
static double hsic(const float *x, size_t p, const float *y, size_t q, size_t n)
{
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t k = 0; k < n; k++)
                for (size_t l = 0; l < n; l++) {
                    if (i == j || i == k || i == l || j == k || j == l || k == l) continue;
                    sum += gram(x, p, i, j) *
                           (gram(y, q, i, j) + gram(y, q, k, l) - 2 * gram(y, q, i, k));
                    count++;
                }
    return sum / (double)count;
}

static void test_definition(void **state)
{
    (void)state;
    float x[N * P], y[N * Q];
    draw(x, N * P, "x");
    draw(y, N * Q, "y");
    for (size_t i = 0; i < N * Q; i++)
        y[i] += 0.5f * x[i / Q * P + i % Q];
    for (size_t n = 4; n <= N; n++) {
        const double expected =
            hsic(x, P, y, Q, n) / sqrt(hsic(x, P, x, P, n) * hsic(y, Q, y, Q, n));
        assert_near(cka(x, P, y, Q, n), expected, 1e-9);
        assert_near(cka(y, Q, x, P, n), expected, 1e-9);
    }
    double k[N * N], l[N * N], scratch[2 * N];
    qg_gram(x, N, P, k);
    qg_gram(y, N, Q, l);
    assert_near(k[1 * N + 8], gram(x, P, 8, 1), 1e-12);
    const double part = qg_debiased_cka(k, l, N, 2, 8, scratch);
    assert_near(part, cka(x + 2 * P, P, y + 2 * Q, Q, 6), 1e-12);
    for (size_t i = 0; i < N; i++)
        k[i * N + i] = 1e6 * (double)i;
    assert_true(qg_debiased_cka(k, l, N, 2, 8, scratch) == part);
}

/* The same features turned by 90 degrees, scaled and shifted, far from 0 too. */
static void test_what_does_not_matter(void **state)
{
    (void)state;
    float x[N * P], turned[N * P], far[N * P];
    draw(x, N * P, "x");
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < P; k++) {
            const float turn = k == 0 ? -x[i * P + 1] : k == 1 ? x[i * P] : x[i * P + k];
            turned[i * P + k] = 4 * turn - 9;
            far[i * P + k] = x[i * P + k] + 1000;
        }
    assert_near(cka(x, P, x, P, N), 1, 1e-12);
    assert_near(cka(x, P, turned, P, N), 1, 1e-5); /* floats */
    assert_near(cka(far, P, turned, P, N), 1, 1e-3);
}

/* 64 states, 1000 features: Gretton's estimator would say 0.94. */
static void test_independent(void **state)
{
    (void)state;
    enum { STATES = MOST, WIDTH = 1000 };
    static float x[STATES * WIDTH], y[STATES * WIDTH];
    draw(x, STATES * WIDTH, "x");
    draw(y, STATES * WIDTH, "y");
    const double independent = cka(x, WIDTH, y, WIDTH, STATES);
    assert_true(fabs(independent) < 0.1); /* its deviation: sqrt(2) / 64 */
    for (size_t i = 0; i < STATES; i++)   /* half of the features in common */
        for (size_t k = 0; k < WIDTH / 2; k++)
            y[i * WIDTH + k] = x[i * WIDTH + k];
    assert_near(cka(x, WIDTH, y, WIDTH, STATES), 0.5, 0.1);
}

static void test_none(void **state)
{
    (void)state;
    float x[N * P], constant[N * Q], once[N * Q] = {0};
    draw(x, N * P, "x");
    for (size_t i = 0; i < N * Q; i++)
        constant[i] = 0.1f * (float)(1 + i % Q);
    once[3 * Q + 1] = 5;
    assert_true(isnan(cka(x, P, constant, Q, N)));
    assert_true(isnan(cka(constant, Q, x, P, N)));
    assert_true(isnan(cka(x, P, once, Q, N)));
    for (size_t i = 0; i < N * Q; i++)
        once[i] += constant[i];
    assert_true(isnan(cka(x, P, once, Q, N)));
    once[5 * Q + 1] = 7; /* twice is enough */
    assert_true(fabs(cka(x, P, once, Q, N)) <= 1);
    assert_true(isnan(cka(x, P, x, P, 3)));
    assert_true(isnan(cka(x, P, x, P, 0)));
    x[4] = INFINITY;
    assert_true(isnan(cka(x, P, x, P, N)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_what_does_not_matter),
        cmocka_unit_test(test_independent),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
