/* The behaviour policy: how often it explores, and what it does when it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/agent.h>

#include "agent/policy.h"

#include <math.h>
#include <string.h>

static qg_error error;

static void test_epsilon(void **state)
{
    (void)state;
    qg_settings s;
    assert_int_equal(qg_settings_preset(&s, "dqn3", &error), QG_OK);
    assert_true(qg_epsilon(&s, 0) == 1);
    assert_true(qg_epsilon(&s, 50000) == 1);
    assert_true(fabs(qg_epsilon(&s, 50001) - (1 - 0.9e-6)) < 1e-12);
    assert_true(fabs(qg_epsilon(&s, 550000) - 0.55) < 1e-12);
    assert_true(qg_epsilon(&s, 1049999) > 0.1);
    assert_true(qg_epsilon(&s, 1050000) == 0.1);
    assert_true(qg_epsilon(&s, INT64_C(1000000000000)) == 0.1);
    strcpy(s.epsilon_from, "start");
    assert_true(qg_epsilon(&s, 0) == 1);
    assert_true(fabs(qg_epsilon(&s, 500000) - 0.55) < 1e-12);
    assert_true(qg_epsilon(&s, 1000000) == 0.1);
    strcpy(s.epsilon_from, "learn_start");
    s.epsilon_steps = 0;
    assert_true(qg_epsilon(&s, 50000) == 1);
    assert_true(qg_epsilon(&s, 50001) == 0.1);
}

static void test_exploring(void **state)
{
    (void)state;
    qg_random random = qg_random_stream(1, "policy");
    int explored = 0, counts[6] = {0}, action = -1;
    for (int k = 0; k < 20000; k++)
        if (qg_explore(&random, 0.3, 6, &action)) {
            explored++;
            assert_in_range(action, 0, 5);
            counts[action]++;
        }
    assert_true(fabs(explored - 6000.0) < 4 * sqrt(20000 * 0.3 * 0.7));
    double chi_square = 0;
    for (int a = 0; a < 6; a++)
        chi_square += pow(counts[a] - explored / 6.0, 2) / (explored / 6.0);
    assert_true(chi_square < 25); /* 5 degrees of freedom: 1 in 10^4 */
    for (int k = 0; k < 1000; k++) {
        assert_false(qg_explore(&random, 0, 6, &action));
        assert_true(qg_explore(&random, 1, 6, &action));
    }
}

static void test_greedy(void **state)
{
    (void)state;
    const float q[] = {-1, 3, 2, 3, 3, -5};
    assert_int_equal(qg_greedy_action(q, 6, 0), 1);
    assert_int_equal(qg_greedy_action(q, 6, 0.33), 1);
    assert_int_equal(qg_greedy_action(q, 6, 0.34), 3);
    assert_int_equal(qg_greedy_action(q, 6, 0.67), 4);
    assert_int_equal(qg_greedy_action(q, 6, 1 - 0x1p-53), 4);
    assert_int_equal(qg_greedy_action(q, 1, 0.99), 0);
    assert_int_equal(qg_greedy_action(q + 4, 2, 0.99), 0);
    const float negative[] = {-2, -1, -1};
    assert_int_equal(qg_greedy_action(negative, 3, 0.99), 2);
}

/* A network of zeros finds all actions equal: chance alone decides. */
static void test_exploiting(void **state)
{
    (void)state;
    qg_architecture a;
    qg_engine *engine;
    assert_int_equal(qg_architecture_make("[{\"linear\": 2}]", 1, 2, 2, 255, 3, &a, &error), QG_OK);
    assert_int_equal(
        qg_engine_create(&(qg_engine_options){.architecture = &a, .max_batch = 1}, &engine, &error),
        QG_OK);
    const uint8_t screen[4] = {0}, *const screens[] = {screen};
    qg_random random = qg_random_stream(1, "policy"), same = random;
    for (int k = 0; k < 100; k++) {
        int action = -1;
        assert_int_equal(
            qg_exploit(&random, engine, &(qg_states){1, 1, 1, screens}, &action, &error), QG_OK);
        assert_int_equal(action, (int)(3 * qg_random_uniform(&same)));
    }
    qg_engine_destroy(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epsilon),
        cmocka_unit_test(test_exploring),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_exploiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
