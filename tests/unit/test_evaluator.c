/* Evaluation on a scripted domain, whose numbers follow from the script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "script.h"

static void test_evaluation(void **state)
{
    (void)state;
    const qg_settings s = small_settings();
    qg_td_learner learner = learner_of(&s, 1);
    qg_engine *const engine = learner.engine;
    const qg_evaluation_options options = {
        .steps = 200, .epsilon = 0.05, .noop_max = 0, .history = 3, .seed = 5};
    qg_evaluation e, again;

    script_begin(); /* games of 30 steps with a life lost every 7: lives do not count */
    play.fixed_length = 30;
    qg_domain *domain = script_open(false, 3, 2);
    assert_int_equal(qg_evaluate(engine, domain, &options, &e, &error), QG_OK);
    qg_domain_close(domain);
    assert_int_equal(e.episodes, 6);
    assert_int_equal(e.steps, 200);
    assert_int_equal(play.steps, 200);
    assert_true(e.score == 60 && e.minimum == 60 && e.maximum == 60 && e.deviation == 0);

    script_begin(); /* one that is cut off counts as the others do */
    play.fixed_length = 30;
    play.truncates = true;
    domain = script_open(false, 3, 2);
    assert_int_equal(qg_evaluate(engine, domain, &options, &e, &error), QG_OK);
    qg_domain_close(domain);
    assert_int_equal(e.episodes, 6);
    assert_true(e.score == 60 && e.minimum == 60);

    script_begin(); /* no complete episode: what came so far */
    play.fixed_length = 500;
    domain = script_open(false, 3, 0.5);
    assert_int_equal(qg_evaluate(engine, domain, &options, &e, &error), QG_OK);
    qg_domain_close(domain);
    assert_int_equal(e.episodes, 0);
    assert_true(e.score == 100 && e.minimum == 100 && e.maximum == 100 && e.deviation == 0);

    for (int k = 0; k < 2; k++) { /* rewards are not clipped; the same seed plays the same */
        script_begin();
        domain = script_open(true, 3, NAN);
        assert_int_equal(qg_evaluate(engine, domain, &options, k ? &again : &e, &error), QG_OK);
        qg_domain_close(domain);
    }
    assert_memory_equal(&e, &again, sizeof e);
    assert_true(e.episodes > 5 && e.deviation > 0 && e.minimum < e.score && e.score < e.maximum);

    script_begin(); /* its numbers, from a replay of the actions that were played */
    domain = script_open(true, 3, NAN);
    assert_int_equal(qg_evaluate(engine, domain, &options, &e, &error), QG_OK);
    qg_domain_close(domain);
    static int log[LOG];
    const int count = play.count;
    memcpy(log, play.log, sizeof log);
    domain = script_open(false, 3, NAN);
    uint8_t screen[PIXELS];
    double sum = 0, squares = 0, episode = 0, episodes = 0;
    for (int k = 0; k < count; k++) {
        qg_step step;
        if (log[k] < 0) {
            qg_domain_reset(domain, -1 - log[k], screen, &error);
            continue;
        }
        qg_domain_step(domain, log[k], &step, screen, &error);
        episode += (double)step.reward;
        if (!step.end) continue;
        sum += episode;
        squares += episode * episode;
        episodes++;
        episode = 0;
    }
    qg_domain_close(domain);
    assert_true((double)e.episodes == episodes);
    assert_true(fabs(e.score - sum / episodes) < 1e-9);
    assert_true(
        fabs(e.deviation * e.deviation * (episodes - 1) - (squares - sum * sum / episodes)) < 1e-6);

    script_begin();
    play.fail_at = 77;
    domain = script_open(false, 3, NAN);
    assert_int_equal(qg_evaluate(engine, domain, &options, &e, &error), QG_ERROR_IO);
    qg_domain_close(domain);
    qg_td_learner_free(&learner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
