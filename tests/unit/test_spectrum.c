/* Eigenvalues and ranks of matrices whose are known by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/spectrum.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

static void assert_near(double value, double expected, double error)
{
    if (!(fabs(value - expected) <= error)) fail_msg("%.17g, expected %.17g", value, expected);
}

/* The matrix with these eigenvalues whose eigenvectors are random: (1 - 2 v v') D (1 - 2 v v') with
 * two random unit vectors v, one after the other. */
static void make(const double *eigenvalues, size_t n, double *matrix)
{
    qg_random random = qg_random_stream(7, "matrix");
    double *v = malloc(n * sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < n * n; i++)
        matrix[i] = i % (n + 1) == 0 ? eigenvalues[i / (n + 1)] : 0;
    for (int round = 0; round < 4; round++) { /* rows, columns, rows, columns */
        double norm = 0;
        for (size_t i = 0; i < n && round % 2 == 0; i++)
            v[i] = 2 * qg_random_uniform(&random) - 1;
        for (size_t i = 0; i < n; i++)
            norm += v[i] * v[i];
        for (size_t j = 0; j < n; j++) {
            double along = 0;
            const size_t step = round % 2 ? 1 : n, from = round % 2 ? j * n : j;
            for (size_t i = 0; i < n; i++)
                along += v[i] * matrix[from + i * step];
            for (size_t i = 0; i < n; i++)
                matrix[from + i * step] -= 2 * along / norm * v[i];
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            matrix[j * n + i] = matrix[i * n + j];
    free(v);
}

static void test_known_eigenvalues(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 17, 128};
    static double expected[128], matrix[128 * 128], values[128], room[128];
    for (size_t s = 0; s < 5; s++) {
        const size_t n = sizes[s];
        for (size_t i = 0; i < n; i++) /* distinct, equal, negative and small ones */
            expected[i] = i < n / 3 ? (double)(n - i) : i < n / 2 ? 1 : i + 1 < n ? 1e-9 : -2;
        make(expected, n, matrix);
        qg_eigenvalues(matrix, n, values, room);
        for (size_t i = 0; i < n; i++)
            assert_near(values[i], expected[i], 1e-13 * (double)n);
    }
}

/* 2 on the diagonal, -1 beside it: 2 - 2 cos(pi k / (n + 1)). */
static void test_tridiagonal(void **state)
{
    (void)state;
    enum { N = 40 };
    double matrix[N * N] = {0}, values[N], room[N];
    for (size_t i = 0; i < N; i++) {
        matrix[i * N + i] = 2;
        if (i > 0) matrix[i * N + i - 1] = matrix[(i - 1) * N + i] = -1;
    }
    qg_eigenvalues(matrix, N, values, room);
    for (size_t i = 0; i < N; i++)
        assert_near(values[i], 2 - 2 * cos(acos(-1) * (double)(N - i) / (N + 1)), 1e-13);
}

static void test_zero_and_not_a_number(void **state)
{
    (void)state;
    double zeros[9] = {0}, values[3] = {1, 1, 1}, room[3];
    qg_eigenvalues(zeros, 3, values, room);
    for (int i = 0; i < 3; i++)
        assert_true(values[i] == 0);
    double bad[9] = {NAN, 1, 2, 1, INFINITY, 3, 2, 3, 4};
    qg_eigenvalues(bad, 3, values, room); /* it ends */
    qg_singular_values(values, 3);
    assert_true(isnan(qg_effective_rank(zeros, 3)) && isnan(qg_srank(zeros, 3, 0.01)));
}

static void test_ranks(void **state)
{
    (void)state;
    double equal[] = {3, 3, 3, 3}, one[] = {5, 0, 0, 0}, two[] = {3, 1, 0, 0};
    assert_near(qg_effective_rank(equal, 4), 4, 1e-12);
    assert_near(qg_effective_rank(one, 4), 1, 1e-12);
    /* exp of -(3/4 ln 3/4 + 1/4 ln 1/4) = 4 / 3^(3/4) */
    assert_near(qg_effective_rank(two, 4), 4 / pow(3, 0.75), 1e-12);
    assert_true(qg_srank(equal, 4, 0.01) == 4 && qg_srank(equal, 4, 0.25) == 3);
    assert_true(qg_srank(one, 4, 0.01) == 1 && qg_srank(two, 4, 0.25) == 1);
    double squares[] = {16, 9, 1e-17, -1e-18}; /* rounding's rests are no directions */
    qg_singular_values(squares, 4);
    assert_true(squares[0] == 4 && squares[1] == 3 && squares[2] == 0 && squares[3] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_eigenvalues), cmocka_unit_test(test_tridiagonal),
        cmocka_unit_test(test_zero_and_not_a_number), cmocka_unit_test(test_ranks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
