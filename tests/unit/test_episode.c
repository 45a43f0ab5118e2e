/* Episodes: no-ops at the beginning, where one ends, and what is counted over a game. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "script.h"

#include "agent/episode.h"

static uint8_t screen[PIXELS];

static void test_no_ops(void **state)
{
    (void)state;
    script_begin();
    qg_domain *domain = script_open(true, 1, NAN);
    qg_random expected = qg_random_stream(7, "noops");
    qg_episode e = qg_episode_of(domain, 5, expected);
    assert_true(e.over);
    for (int i = 0; i < 200; i++) {
        must(qg_episode_begin(&e, screen, &error));
        assert_false(e.over);
        assert_int_equal(play.log[i], -1 - (1 + (int)qg_random_below(&expected, 5)));
    }
    e = qg_episode_of(domain, 0, expected);
    must(qg_episode_begin(&e, screen, &error));
    assert_int_equal(play.log[200], -1); /* none, and none is drawn */
    assert_memory_equal(&e.noops, &expected, sizeof expected);
    qg_domain_close(domain);
}

/* Games of ten steps, a life lost at the seventh; `ends` is where episodes end. */
static void check_ends(bool life_loss_ends, const int *ends)
{
    script_begin();
    play.fixed_length = 10;
    qg_domain *domain = script_open(true, 1, 2);
    qg_episode e = qg_episode_of(domain, 0, qg_random_stream(1, "noops"));
    e.life_loss_ends = life_loss_ends;
    for (int step = 1; step <= 30; step++) {
        qg_step result;
        if (e.over) must(qg_episode_begin(&e, screen, &error));
        must(qg_episode_step(&e, 1, &result, screen, &error));
        const int of_game = (step - 1) % 10 + 1; /* lives do not matter to what is counted */
        assert_int_equal(e.steps, of_game);
        assert_true(e.game_return == 2 * of_game);
        assert_int_equal(e.game_over, of_game == 10);
        assert_int_equal(e.over, step == *ends);
        ends += step == *ends;
    }
    qg_domain_close(domain);
}

static void test_ends(void **state)
{
    (void)state;
    check_ends(false, (int[]){10, 20, 30, 0});
    check_ends(true, (int[]){7, 10, 17, 20, 27, 30, 0});
}

/* Behind a lost life the game goes on, and may be over before the next action: it is one that
 * counts. */
static void test_a_game_that_ends_under_no_ops(void **state)
{
    (void)state;
    script_begin();
    play.fixed_length = 9; /* a life is lost at the seventh step */
    qg_domain *domain = script_open(true, 1, 2);
    qg_episode e = qg_episode_of(domain, 5, qg_random_stream(1, "noops"));
    e.life_loss_ends = true;
    int ended = 0, went_on = 0;
    for (int i = 0; i < 200; i++) {
        const int64_t games = domain->games, steps = e.steps;
        const bool goes_on = !e.game_over;
        const double so_far = e.game_return;
        must(qg_episode_begin(&e, screen, &error));
        assert_int_equal(e.ended_between, goes_on && domain->games > games);
        assert_true(!e.ended_between || e.last_return == so_far);
        assert_int_equal(e.steps, domain->games > games ? 0 : steps);
        assert_true(e.game_return == (domain->games > games ? 0 : so_far));
        ended += e.ended_between;
        went_on += goes_on && !e.ended_between;
        for (qg_step step; !e.over;)
            must(qg_episode_step(&e, 1, &step, screen, &error));
    }
    assert_true(ended > 10 && went_on > 10);
    qg_domain_close(domain);
}

/* A game that is cut off is over; its end counts as one only where a life was lost. */
static void test_truncation(void **state)
{
    (void)state;
    for (int length = 6; length <= 7; length++) {
        script_begin();
        play.fixed_length = length;
        play.truncates = true;
        qg_domain *domain = script_open(true, 1, 2);
        qg_episode e = qg_episode_of(domain, 0, qg_random_stream(1, "noops"));
        e.life_loss_ends = true;
        for (int game = 1; game <= 6; game++)
            for (int step = 1; step <= length; step++) {
                qg_step result;
                if (e.over) must(qg_episode_begin(&e, screen, &error));
                must(qg_episode_step(&e, 1, &result, screen, &error));
                assert_int_equal(e.over, step == length);
                assert_int_equal(e.game_over, step == length);
                assert_int_equal(e.truncated, step == length && game % 2 == 0 && length < 7);
                assert_int_equal(e.steps, step); /* of this game: a new one began */
            }
        qg_domain_close(domain);
    }
}

static void test_failures(void **state)
{
    (void)state;
    script_begin();
    play.fail_at = 3;
    qg_domain *domain = script_open(false, 1, 2);
    qg_episode e = qg_episode_of(domain, 0, qg_random_stream(1, "noops"));
    qg_step result;
    must(qg_episode_begin(&e, screen, &error));
    must(qg_episode_step(&e, 1, &result, screen, &error));
    must(qg_episode_step(&e, 1, &result, screen, &error));
    assert_int_equal(qg_episode_step(&e, 1, &result, screen, &error), QG_ERROR_IO);
    assert_int_equal(e.steps, 2); /* what did not happen does not count */
    assert_true(e.game_return == 4);
    qg_domain_close(domain);
}

/* Plays `count` steps, from wherever it is. */
static void go_on(qg_episode *e, int count)
{
    for (int i = 0; i < count; i++) {
        qg_step result;
        if (e->over) must(qg_episode_begin(e, screen, &error));
        must(qg_episode_step(e, i % ACTIONS, &result, screen, &error));
    }
}

/* One that went over a tape plays on as the one that did not. */
static void test_tape(void **state)
{
    (void)state;
    for (int at = 0; at < 40; at++) {
        script_begin();
        play.truncates = at % 2;
        qg_domain *domain = script_open(false, 3, NAN), *other = script_open(false, 4, NAN);
        qg_episode e = qg_episode_of(domain, 5, qg_random_stream(1, "noops"));
        qg_episode copy = qg_episode_of(other, 5, qg_random_stream(2, "noops"));
        e.life_loss_ends = copy.life_loss_ends = true;
        go_on(&e, at);
        qg_tape tape = qg_tape_to_write();
        must(qg_episode_pass(&e, &tape, &error));
        tape.reading = true;
        must(qg_episode_pass(&copy, &tape, &error));
        assert_true(qg_tape_complete(&tape));
        qg_tape_free(&tape);
        assert_int_equal(e.truncated, copy.truncated);
        go_on(&e, 50);
        go_on(&copy, 50);
        assert_int_equal(e.steps, copy.steps);
        assert_true(e.game_return == copy.game_return);
        assert_memory_equal(&e.noops, &copy.noops, sizeof e.noops);
        assert_memory_equal(domain->self, other->self, sizeof(script));
        qg_domain_close(domain);
        qg_domain_close(other);
    }
    script_begin();
    play.cannot_save = true;
    qg_domain *domain = script_open(false, 3, NAN);
    qg_episode e = qg_episode_of(domain, 0, qg_random_stream(1, "noops"));
    qg_tape tape = qg_tape_to_write();
    assert_int_equal(qg_episode_pass(&e, &tape, &error), QG_ERROR_USAGE);
    qg_tape_free(&tape);
    qg_domain_close(domain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_ops),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_a_game_that_ends_under_no_ops),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_tape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
