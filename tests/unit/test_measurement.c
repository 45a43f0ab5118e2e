/* Measurements: the same numbers as the calls that they stand for, complete or not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/agent.h>
#include <qgraft/measurement.h>

#include "scratch.h"

static qg_error error;
static qg_settings settings;
static qg_run_result result;
static const char *const games[] = {"minatar/breakout", "minatar/freeway"};

static int setup(void **state)
{
    if (qg_settings_preset(&settings, "grid", &error)) return -1;
    return scratch_setup(state);
}

static qg_status score(const qg_measurement_options *options, int64_t steps)
{
    return qg_random_score_measure(games[0], &settings, steps, options, &result, &error);
}

static qg_status compare(const qg_measurement_options *options)
{
    return qg_similarity_measure(games, 300, options, &result, &error);
}

static void count(void *context, int64_t step, int64_t steps)
{
    int64_t *seen = context;
    assert_true(step >= seen[0] && step < steps);
    seen[0] = step;
    seen[1] = steps;
}

static void test_random_score(void **state)
{
    (void)state;
    int64_t seen[2] = {0};
    const qg_measurement_options options = {
        .run = {.seed = 7, .folder = scratch, .resume = true}, .progress = count, .context = seen};
    assert_int_equal(score(&options, 3000), QG_OK);
    assert_false(result.was_complete);
    assert_true(seen[0] > 2700 && seen[1] == 3000);

    const qg_domain_options domain_options = {
        .seed = 7, .frame_skip = settings.frame_skip, .sticky = settings.sticky};
    const qg_evaluation_options play = {
        .steps = 3000, .epsilon = 1, .noop_max = settings.noop_max, .history = 1, .seed = 7};
    qg_domain *domain;
    qg_evaluation expected;
    double value;
    assert_int_equal(qg_domain_open(games[0], &domain_options, &domain, &error), QG_OK);
    assert_int_equal(qg_evaluate(NULL, domain, &play, &expected, &error), QG_OK);
    qg_domain_close(domain);
    assert_int_equal(qg_random_score_read(scratch, &value, &error), QG_OK);
    assert_true(value == expected.score && value > 0);
}

static void test_similarity(void **state)
{
    (void)state;
    int64_t seen[2] = {0};
    const qg_measurement_options options = {
        .run = {.seed = 7, .folder = scratch, .resume = true}, .progress = count, .context = seen};
    qg_profile profiles[2];
    qg_similarity expected, read;
    assert_int_equal(compare(&options), QG_OK);
    assert_true(seen[0] > 300 && seen[1] == 600);
    for (int i = 0; i < 2; i++)
        assert_int_equal(qg_profile_create(games[i], 300, 7, &profiles[i], &error), QG_OK);
    qg_similarity_compare(&profiles[1], &profiles[0], &expected); /* to the bit, from either side */
    assert_int_equal(qg_similarity_read(scratch, &read, &error), QG_OK);
    assert_true(read.actions == expected.actions && read.visual == expected.visual &&
                read.grade == expected.grade);
    assert_true(read.colour_distance == expected.colour_distance &&
                read.size_distance == expected.size_distance &&
                read.aspect_distance == expected.aspect_distance &&
                read.motion_distance == expected.motion_distance);
    assert_true(read.same_actions == expected.same_actions &&
                read.same_family == expected.same_family && read.closeness == expected.closeness);
    qg_profile_free(&profiles[0]);
    qg_profile_free(&profiles[1]);
}

/* Once, and no other measurement in the same folder. */
static void test_folder(void **state)
{
    (void)state;
    const qg_measurement_options resume = {.run = {.seed = 7, .folder = scratch, .resume = true}};
    const qg_measurement_options fresh = {.run = {.seed = 7, .folder = scratch}};
    const qg_measurement_options over = {.run = {.seed = 7, .folder = scratch, .overwrite = true}};
    assert_int_equal(score(&resume, 300), QG_OK);
    assert_int_equal(score(&resume, 300), QG_OK);
    assert_true(result.was_complete);
    assert_int_equal(score(&fresh, 300), QG_ERROR_USAGE);
    assert_int_equal(score(&resume, 301), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "steps is 300 there, 301 here"));
    assert_int_equal(compare(&resume), QG_ERROR_USAGE);
    assert_int_equal(score(&over, 301), QG_OK);
    assert_false(result.was_complete);
    assert_int_equal(qg_random_score_measure("minatar/pong", &settings, 9, &over, &result, &error),
                     QG_ERROR_USAGE);
}

static void test_stop(void **state)
{
    (void)state;
    volatile sig_atomic_t stop = 1;
    const qg_measurement_options options = {
        .run = {.seed = 7, .folder = scratch, .resume = true, .stop = &stop}};
    qg_similarity similarity;
    double value;
    assert_int_equal(compare(&options), QG_STOPPED);
    assert_int_equal(qg_similarity_read(scratch, &similarity, &error), QG_ERROR_IO);
    stop = 0;
    assert_int_equal(compare(&options), QG_OK);
    assert_false(result.was_complete);
    assert_int_equal(qg_similarity_read(scratch, &similarity, &error), QG_OK);
    stop = 1;
    const qg_measurement_options other = {
        .run = {.seed = 7, .folder = scratch_path("score"), .resume = true, .stop = &stop}};
    assert_int_equal(score(&other, 300), QG_STOPPED);
    assert_int_equal(qg_random_score_read(scratch_path("score"), &value, &error), QG_ERROR_IO);
    stop = 0;
    assert_int_equal(score(&other, 300), QG_OK);
}

static void assert_bad(const char *name, const char *text, const char *message)
{
    qg_similarity similarity;
    double value;
    scratch_write(scratch_path(name), text, strlen(text));
    const qg_status status = name[0] == 'r' ? qg_random_score_read(scratch, &value, &error)
                                            : qg_similarity_read(scratch, &similarity, &error);
    assert_int_equal(status, QG_ERROR_DATA);
    if (!strstr(error.message, message)) fail_msg("'%s' lacks '%s'", error.message, message);
}

static void test_damage(void **state)
{
    (void)state;
    assert_bad("random-score.json", "{\"score\": 1", "random-score.json");
    assert_bad("random-score.json", "[1]", "random-score.json");
    assert_bad("random-score.json", "{\"score\": null}", "no score");
    assert_bad("random-score.json", "{\"score\": \"1\"}", "no score");
    const char *good = "\"visual\": 0.5, \"colour_distance\": 0, \"size_distance\": 1, "
                       "\"aspect_distance\": 0.5, \"motion_distance\": 0.5, \"actions\": 1, "
                       "\"same_actions\": true, \"class\": \"far\"";
    char text[512];
    static const char *const more[][2] = {{"\"same_family\": true", "grade"},
                                          {"\"grade\": 1.5, \"same_family\": true", "grade"},
                                          {"\"grade\": -0.5, \"same_family\": true", "grade"},
                                          {"\"grade\": 1", "same_family"},
                                          {"\"grade\": 1, \"same_family\": 1", "same_family"}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        snprintf(text, sizeof text, "{%s, %s}", good, more[i][0]);
        assert_bad("similarity.json", text, more[i][1]);
    }
    snprintf(text, sizeof text, "{%s, \"grade\": 1, \"same_family\": false}", good);
    *strstr(text, "far") = 'F';
    assert_bad("similarity.json", text, "class");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_score, setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_similarity, setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_folder, setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_stop, setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
