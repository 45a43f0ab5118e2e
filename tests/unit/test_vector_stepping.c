/* Many games in one call against the same games one by one. */
#include <qgraft/domain.h>

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { GAMES = 5, STEPS = 3000, BYTES = 10 * 10 * 4 };

static void open_games(qg_domain *domains[GAMES], int64_t limit)
{
    for (uint32_t i = 0; i < GAMES; i++) {
        const qg_domain_options options = {
            .seed = i, .sticky = -1, .max_episode_frames = i == 0 ? limit : 0};
        qg_error error;
        assert_int_equal(qg_domain_open("minatar/breakout", &options, &domains[i], &error), QG_OK);
        assert_int_equal(qg_observation_size(&domains[i]->shape), BYTES);
    }
}

static void close_games(qg_domain *domains[GAMES])
{
    for (size_t i = 0; i < GAMES; i++)
        qg_domain_close(domains[i]);
}

static void assert_same_step(const qg_step *a, const qg_step *b)
{
    assert_true(a->reward == b->reward && a->end == b->end && a->life_lost == b->life_lost &&
                a->truncated == b->truncated);
}

/* A game that ended, or was truncated (the first one is after 7 frames), begins anew with its
 * no-ops at the next step and takes no action. */
static void test_as_one_by_one(void **state)
{
    (void)state;
    qg_domain *together[GAMES], *alone[GAMES];
    open_games(together, 7);
    open_games(alone, 7);
    static uint8_t seen[GAMES][BYTES], expected[GAMES][BYTES];
    qg_step steps[GAMES] = {0}, single[GAMES] = {0};
    qg_error error;
    for (size_t i = 0; i < GAMES; i++) {
        assert_int_equal(qg_domain_reset(together[i], 0, seen[i], &error), QG_OK);
        assert_int_equal(qg_domain_reset(alone[i], 0, expected[i], &error), QG_OK);
    }
    qg_random random = qg_random_stream(1, "test");
    int ends = 0, truncations = 0;
    for (int t = 0; t < STEPS; t++) {
        int actions[GAMES], noops[GAMES];
        for (size_t i = 0; i < GAMES; i++) {
            const bool last = qg_step_is_last(&single[i]);
            ends += single[i].end;
            truncations += single[i].truncated;
            actions[i] = last ? -7 : (int)qg_random_below(&random, 3);
            noops[i] = (int)qg_random_below(&random, 4);
            const qg_status status =
                last ? qg_domain_reset(alone[i], noops[i], expected[i], &error)
                     : qg_domain_step(alone[i], actions[i], &single[i], expected[i], &error);
            assert_int_equal(status, QG_OK);
            if (last) single[i] = (qg_step){0};
        }
        assert_int_equal(qg_domains_step(together, GAMES, actions, noops, steps, seen[0], &error),
                         QG_OK);
        for (size_t i = 0; i < GAMES; i++)
            assert_same_step(&steps[i], &single[i]);
        assert_memory_equal(seen, expected, sizeof seen);
    }
    assert_true(ends > 100 && truncations > 100);
    close_games(together);
    close_games(alone);
}

static void test_abandon(void **state)
{
    (void)state;
    qg_domain *domains[GAMES];
    open_games(domains, 0);
    uint8_t first[BYTES], later[BYTES];
    qg_error error;
    qg_step step;
    qg_domain *const d = domains[0];
    assert_int_equal(qg_domain_reset(d, 0, first, &error), QG_OK);
    assert_int_equal(qg_domain_step(d, 0, &step, first, &error), QG_OK);
    assert_int_equal(qg_domain_step(d, 0, &step, first, &error), QG_OK);
    assert_int_equal(qg_domain_reset(d, 0, later, &error), QG_OK);
    assert_memory_equal(first, later, BYTES); /* it goes on */
    qg_domain_abandon(d);
    assert_int_equal(qg_domain_reset(d, 0, later, &error), QG_OK);
    assert_memory_not_equal(first, later, BYTES); /* the ball is at the top again */
    close_games(domains);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_one_by_one),
        cmocka_unit_test(test_abandon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
