/* Run files: what is written is read back, what is odd is refused with file, line and key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "scratch.h"

#include <qgraft/run_file.h>

#include <stdlib.h>

#include <string.h>

#define SETTINGS "settings: {preset: grid, learn_start: 300, validation_size: 100}\n"
#define GRAFT                                                                                      \
    "kind: graft\ndomain: \"minatar/asterix\"\nseed: 3\nsteps: 2k\n"                               \
    "choice: first 2 frozen\nparent_file: \"runs/br/s3/best.safetensors\"\n"
#define DISTILL                                                                                    \
    "kind: distill\nseed: 1\n"                                                                     \
    "distillation: {temperatures: [0.1, 0.2], order: sample, samples: 10k, epsilon: 0.05}\n"       \
    "teachers:\n  - file: a.safetensors\n  - {file: b.safetensors}\n"
#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static qg_status parse(const char *text, qg_run_file *file, qg_error *error)
{
    return qg_run_file_parse("FILE", text, strlen(text), file, error);
}

/* Reads a file, and reads what is written of it; both writings are the same. */
static qg_run_file read_twice(const char *text)
{
    qg_run_file file, again;
    qg_error error = {0};
    char *first, *second;
    if (parse(text, &file, &error)) fail_msg("%s: %s", text, error.message);
    assert_int_equal(qg_run_file_format(&file, &first, &error), QG_OK);
    if (parse(first, &again, &error)) fail_msg("%s: %s", first, error.message);
    assert_int_equal(qg_run_file_format(&again, &second, &error), QG_OK);
    assert_string_equal(first, second);
    qg_run_file_free(&file);
    free(first);
    free(second);
    return again;
}

static void test_training(void **state)
{
    (void)state;
    qg_run_file file = read_twice("kind: train\ndomain: minatar/breakout\nseed: 9\nsteps: 1M\n"
                                  "snapshots: [0, 10k]\n" SETTINGS);
    qg_train_options options = {.run.machine.threads = 3};
    assert_int_equal(file.kind, QG_RUN_TRAIN);
    qg_run_file_train(&file, &options);
    assert_string_equal(options.domain, "minatar/breakout");
    assert_int_equal(options.run.seed, 9);
    assert_int_equal(options.steps, 1000000);
    assert_int_equal(options.snapshot_count, 2);
    assert_int_equal(options.snapshots[1], 10000);
    assert_string_equal(options.settings.preset, "grid");
    assert_int_equal(options.settings.learn_start, 300);
    assert_int_equal(options.run.machine.threads, 3);
    qg_run_file_free(&file);
}

static void test_graft(void **state)
{
    (void)state;
    qg_run_file file = read_twice(GRAFT "reinit_seed: \"7\"\n" SETTINGS);
    qg_graft_options options = {0};
    qg_run_file_graft(&file, &options);
    assert_string_equal(options.source, "runs/br/s3/best.safetensors");
    assert_int_equal(options.choice.way, QG_CHOOSE_FIRST);
    assert_int_equal(options.choice.count, 2);
    assert_true(options.choice.frozen);
    assert_true(options.reinit);
    assert_int_equal(options.reinit_seed, 7);
    assert_int_equal(options.train.steps, 2000);
    qg_run_file_free(&file);
    file = read_twice("kind: graft\ndomain: minatar/asterix\nseed: 1\nsteps: 1\n"
                      "choice: layers 1,3 frozen index\nparent_file: random\n" SETTINGS);
    qg_run_file_graft(&file, &options);
    assert_null(options.source);
    assert_false(options.reinit);
    qg_run_file_free(&file);
}

static void test_distillation(void **state)
{
    (void)state;
    qg_run_file file = read_twice(DISTILL SETTINGS);
    qg_distillation_options options = {0};
    qg_run_file_distill(&file, &options);
    assert_int_equal(options.teacher_count, 2);
    assert_string_equal(options.teachers[1], "b.safetensors");
    assert_int_equal(options.temperatures.count, 2);
    assert_true(options.temperatures.values[1] == 0.2);
    assert_int_equal(options.order, QG_ORDER_SAMPLE);
    assert_int_equal(options.loss, QG_LOSS_KL); /* which goes without saying */
    assert_int_equal(options.samples, 10000);
    assert_true(options.epsilon == 0.05);
    file.loss = QG_LOSS_MSE;
    char *text;
    qg_error error;
    assert_int_equal(qg_run_file_format(&file, &text, &error), QG_OK);
    assert_non_null(strstr(text, "\n  loss: mse\n"));
    qg_run_file_free(&file);
    assert_int_equal(parse(text, &file, &error), QG_OK);
    assert_int_equal(file.loss, QG_LOSS_MSE);
    qg_run_file_free(&file);
    free(text);
}

static void test_measurements(void **state)
{
    (void)state;
    qg_run_file file = read_twice("kind: similarity\ndomain: minatar/breakout\nseed: 4294967295\n"
                                  "steps: 2k\nother_domain: minatar/freeway\n");
    assert_int_equal(file.kind, QG_RUN_SIMILARITY);
    assert_string_equal(file.domain, "minatar/breakout");
    assert_string_equal(file.other_domain, "minatar/freeway");
    assert_true(file.seed == UINT32_MAX && file.steps == 2000);
    qg_run_file_free(&file);
    file = read_twice("kind: random-score\ndomain: breakout\nseed: 1\nsteps: 20k\n" SETTINGS);
    assert_int_equal(file.kind, QG_RUN_RANDOM_SCORE);
    assert_true(file.steps == 20000);
    qg_run_file_free(&file);
}

/* Every setting, and names with all that YAML has a meaning for. */
static void test_round_trip(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a: b, 'c' \"d\" \\e #f", "tab\tline\nfeed\rbell\a\x7f",
        "\xc3\xa9\xe2\x82\xac",   "\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf\xef\xbf\xbe",
        "\xf0\x9f\x8e\xae",       " blank "};
    qg_error error;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        qg_run_file file = {.kind = QG_RUN_GRAFT, .seed = INT64_MAX, .steps = 5, .reinit_seed = -1};
        qg_run_file read;
        char *text;
        assert_int_equal(qg_settings_preset(&file.settings, "dqn3", &error), QG_OK);
        file.settings.learning_rate = 0.1 + 0.2;
        file.settings.sticky = 1.0 / 3;
        assert_int_equal(qg_graft_choice_parse("last 1 index", &file.choice, &error), QG_OK);
        strcpy(file.domain, "breakout:level=2");
        strcpy(file.parent_sha256[0], SUM);
        file.parents[file.parent_count++] = strdup(names[i]);
        assert_int_equal(qg_run_file_format(&file, &text, &error), QG_OK);
        if (parse(text, &read, &error)) fail_msg("%s: %s", text, error.message);
        assert_string_equal(read.parents[0], names[i]);
        assert_string_equal(read.parent_sha256[0], SUM);
        assert_string_equal(read.domain, file.domain);
        assert_true(read.seed == file.seed && read.reinit_seed == -1);
        assert_true(qg_settings_equal(&read.settings, &file.settings));
        assert_true(qg_graft_choice_equal(&read.choice, &file.choice));
        qg_run_file_free(&file);
        qg_run_file_free(&read);
        free(text);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"- a\n", "FILE:1: kind: 'train', 'graft', 'distill', 'random-score' or 'similarity'"},
        {"domain: minatar/breakout\n", "FILE:1: kind: 'train'"},
        {"kind: play\n", "FILE:1: kind: 'train'"},
        {"kind: train\ndomain: x\nseed: 1\nsteps: 1\n", "FILE:1: settings: is missing"},
        {"kind: train\nseed: 1\nsteps: 1\n" SETTINGS, "FILE:1: domain: is missing"},
        {"kind: train\ndomain: x\nseed: -1\n", "FILE:3: seed: '-1' is not a whole number"},
        {"kind: train\ndomain: [x]\n", "FILE:2: domain: a value is needed"},
        {"kind: train\nsnapshot: [1]\n", "FILE:2: snapshot: there is no key 'snapshot'; did you "
                                         "mean 'snapshots'?"},
        {"kind: train\nsnapshots: 1\n", "FILE:2: snapshots: a list of steps is needed"},
        {"kind: train\nchoice: first 1\n",
         "FILE:2: choice: means nothing in a run of the kind 'train'"},
        {"kind: train\nsettings: {}\n", "FILE:2: settings: begin with 'preset'"},
        {"kind: train\nsettings: {minibatch: 3}\n", "FILE:2: settings: begin with 'preset'"},
        {"kind: train\nsettings: {preset: grid, minibach: 3}\n", "FILE:2: there is no setting"},
        {"kind: train\ndomain: x\nseed: 1\nsteps: 1\nsettings: {preset: grid, minibatch: 900, "
         "learn_start: 800}\n",
         "FILE:5: "},
        {"kind: graft\nchoice: first\n", "FILE:2: 'first' is no choice of layers"},
        {GRAFT "parent_sha256: 12\n", "FILE:7: parent_sha256: 64 hexadecimal digits"},
        {"kind: graft\nparent_sha256: " SUM "\n", "FILE:1: domain: is missing"},
        {"kind: graft\ndomain: x\nseed: 1\nsteps: 1\nchoice: first 1\nparent_file: random\n"
         "parent_sha256: " SUM "\n" SETTINGS,
         "FILE:7: parent_sha256: random layers have none"},
        {"kind: similarity\ndomain: x\nseed: 1\nsteps: 9\n", "FILE:1: other_domain: is missing"},
        {"kind: similarity\nsteps: 1\n", "FILE:2: steps: '1'"},
        {"kind: similarity\nsteps: 10001\n", "FILE:2: steps: '10001'"},
        {"kind: random-score\nseed: 4294967296\n", "FILE:2: seed: '4294967296'"},
        {"kind: random-score\nother_domain: x\n",
         "FILE:2: other_domain: means nothing in a run of the kind 'random-score'"},
        {"kind: random-score\ndomain: x\nseed: 1\nsteps: 9\n", "FILE:1: settings: is missing"},
        {"kind: distill\nseed: 1\nteachers: []\n", "FILE:3: teachers: a list of teachers"},
        {"kind: distill\nteachers:\n  - x\n", "FILE:3: a teacher is of the form {file: PATH}"},
        {"kind: distill\ndistillation:\n  order: pass\n", "FILE:3: temperatures: is missing"},
        {"kind: distill\ndistillation:\n  temperatures: [0.2, 0.1]\n",
         "FILE:3: temperatures: are single numbers that rise"},
        {"kind: distill\ndistillation:\n  temperatures: [0]\n", "FILE:3: temperature: '0'"},
        {"kind: distill\ndistillation:\n  order: both\n", "FILE:3: order: is 'pass' or 'sample'"},
        {"kind: distill\ndistillation:\n  loss: l2\n", "FILE:3: loss: 'kl', 'kl-both', 'mse' or"},
        {"kind: distill\ndistillation:\n  epsilon: 2\n", "FILE:3: epsilon: is from 0 to 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_run_file file;
        qg_error error = {0};
        if (!parse(cases[i][0], &file, &error)) fail_msg("taken: %s", cases[i][0]);
        if (strncmp(error.message, cases[i][1], strlen(cases[i][1])) != 0)
            fail_msg("%s: '%s' does not begin with '%s'", cases[i][0], error.message, cases[i][1]);
        assert_int_equal(file.parent_count, 0); /* nothing is left to be freed */
        assert_null(file.parents[0]);
    }
}

/* A network with the sum is needed, where one is said. */
static void test_check(void **state)
{
    (void)state;
    qg_error error;
    char text[2048];
    scratch_write(scratch_path("source"), "abc", 3);
    const char *const sums[] = {SUM,
                                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"};
    for (int right = 0; right < 2; right++) {
        qg_run_file file;
        snprintf(text, sizeof text,
                 "kind: graft\ndomain: x\nseed: 1\nsteps: 1\nchoice: first 1\nparent_file: %s\n"
                 "parent_sha256: %s\n" SETTINGS,
                 scratch_path("source"), sums[right]);
        assert_int_equal(parse(text, &file, &error), QG_OK);
        assert_int_equal(qg_run_file_check(&file, &error), right ? QG_OK : QG_ERROR_USAGE);
        qg_run_file_free(&file);
    }
    assert_non_null(strstr(error.message, "is not the network that the run began from"));
}

/* Two teachers of a study's run, named from the study's folder: found from here; one that is lost
 * keeps its name, and the other is found all the same. */
static void test_find(void **state)
{
    (void)state;
    qg_run_file file;
    qg_error error = {0};
    char folder[512], beside[640];
    snprintf(folder, sizeof folder, "%s", scratch_path("runs/student/s1"));
    assert_int_equal(qg_folder_create(folder, &error), QG_OK);
    snprintf(beside, sizeof beside, "%s/../../../b.safetensors", folder);
    scratch_write(scratch_path("b.safetensors"), "abc", 3);
    assert_int_equal(parse(DISTILL SETTINGS, &file, &error), QG_OK);
    assert_int_equal(qg_run_file_find(&file, folder, &error), QG_OK);
    assert_string_equal(file.parents[0], "a.safetensors");
    assert_string_equal(file.parents[1], beside);
    memcpy(file.parent_sha256[0], SUM, sizeof SUM);
    assert_int_equal(qg_run_file_find(&file, folder, &error), QG_ERROR_IO);
    assert_non_null(strstr(error.message, "a.safetensors"));
    qg_run_file_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training),     cmocka_unit_test(test_graft),
        cmocka_unit_test(test_distillation), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_measurements),
        cmocka_unit_test(test_check),        cmocka_unit_test(test_find)};
    return cmocka_run_group_tests_name("run_file", tests, scratch_setup, scratch_teardown);
}
