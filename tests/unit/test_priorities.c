/* The sum tree against sums by hand, its powers against the C library's, its passage over a tape.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/priorities.h"
#include "base/exact_power.h"
#include "base/random.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static qg_error error;

static qg_priorities create(size_t places, double alpha)
{
    qg_priorities p;
    assert_int_equal(qg_priorities_create(places, alpha, 0.25, &p, &error), QG_OK);
    return p;
}

static void test_power(void **state)
{
    (void)state;
    static const double exponents[] = {0, 0.4, 0.5, 0.6, 1, 1.5, 2};
    qg_random random = qg_random_stream(1, "power");
    for (int k = 0; k < 20000; k++) {
        const double base = ldexp(1 + qg_random_uniform(&random), k % 120 - 80);
        const double exponent = exponents[k % 7], expected = pow(base, exponent);
        assert_true(fabs(qg_power(base, exponent) - expected) <= 1e-13 * expected);
    }
    assert_true(qg_power(1, 0.6) == 1 && qg_power(5, 0) == 1);
    assert_true(qg_power(DBL_MIN, 2) == 0 && isinf(qg_power(DBL_MAX, 2)));
}

/* Every place's share of the total finds it. */
static void check_find(const qg_priorities *p, const double *weights)
{
    double total = 0, before = 0;
    for (size_t i = 0; i < p->places; i++)
        total += weights[i];
    assert_true(fabs(qg_priorities_total(p) - total) < 1e-12 * total);
    for (size_t i = 0; i < p->places; i++) {
        assert_true(qg_priorities_weight(p, i) == weights[i]);
        if (weights[i] > 0) {
            assert_int_equal(qg_priorities_find(p, (before + 1e-6 * weights[i]) / total), i);
            assert_int_equal(qg_priorities_find(p, (before + 0.999999 * weights[i]) / total), i);
        }
        before += weights[i];
    }
}

static void test_tree(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 5, 64, 100};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        qg_priorities p = create(sizes[s], 0.5);
        double weights[100] = {0}, most = 1;
        qg_random random = qg_random_stream(s, "tree");
        assert_true(qg_priorities_total(&p) == 0);
        for (int k = 0; k < 300; k++) {
            const size_t place = qg_random_below(&random, sizes[s]);
            const double td_error = 8 * qg_random_uniform(&random) - 4;
            switch (k % 3) {
            case 0:
                qg_priorities_admit(&p, place);
                weights[place] = most;
                break;
            case 1:
                qg_priorities_learned(&p, place, td_error);
                weights[place] = qg_power(fabs(td_error) + 0.25, 0.5);
                most = fmax(most, weights[place]);
                break;
            default:
                if (k % 2) qg_priorities_remove(&p, place);
                if (k % 2) weights[place] = 0;
            }
            bool any = false;
            for (size_t i = 0; i < sizes[s]; i++)
                any |= weights[i] > 0;
            if (any) check_find(&p, weights);
        }
        assert_true(p.most == most);
        qg_priorities_free(&p);
    }
}

/* Rounding at the end of the last share finds the last place that has a weight. */
static void test_end(void **state)
{
    (void)state;
    qg_priorities p = create(9, 1);
    for (size_t i = 0; i < 5; i++)
        qg_priorities_learned(&p, i, 0.1);
    assert_int_equal(qg_priorities_find(&p, 1 - DBL_EPSILON / 2), 4);
    assert_int_equal(qg_priorities_find(&p, 1), 4);
    assert_int_equal(qg_priorities_find(&p, 0), 0);
    qg_priorities_learned(&p, 2, (double)NAN); /* it stays a sum */
    qg_priorities_learned(&p, 3, (double)INFINITY);
    assert_true(qg_priorities_weight(&p, 2) == p.most && isfinite(qg_priorities_total(&p)));
    qg_priorities_free(&p);
}

/* What comes back is the same to the last bit, sums too; what cannot be is refused. */
static void test_tape(void **state)
{
    (void)state;
    for (int wrong = 0; wrong < 4; wrong++) {
        qg_priorities from = create(77, 0.6), to = create(wrong == 1 ? 78 : 77, 0.6);
        qg_random random = qg_random_stream(5, "tape");
        for (int k = 0; k < 200; k++)
            qg_priorities_learned(&from, (size_t)k * 7 % 77, qg_random_uniform(&random));
        if (wrong == 2) qg_priorities_learned(&from, 3, 100), from.most = 1;
        if (wrong == 3) from.nodes[from.leaves + 9] = -1;
        qg_tape tape = qg_tape_to_write();
        qg_priorities_pass(&from, &tape);
        tape = qg_tape_to_read(tape.bytes, tape.size);
        qg_priorities_pass(&to, &tape);
        assert_int_equal(qg_tape_complete(&tape), wrong == 0);
        if (!wrong)
            assert_memory_equal(from.nodes + 1, to.nodes + 1,
                                (2 * from.leaves - 1) * sizeof(double));
        if (!wrong) assert_true(from.most == to.most);
        qg_tape_free(&tape);
        qg_priorities_free(&from);
        qg_priorities_free(&to);
    }
}

static void test_memory(void **state)
{
    (void)state;
    assert_int_equal(qg_priorities_bytes(100), 2 * 128 * sizeof(double));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power), cmocka_unit_test(test_tree),   cmocka_unit_test(test_end),
        cmocka_unit_test(test_tape),  cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
