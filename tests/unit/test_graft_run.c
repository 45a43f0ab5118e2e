/* A whole graft as a library call: the plan, what the run begins and ends with, the pedigree in its
 * files, and every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/graft.h>

#include "base/file.h"
#include "network/safetensors.h"
#include "scratch.h"

#include <math.h>

static qg_error error;

/* A training of a few hundred steps with updates. */
static qg_train_options small(const char *domain, int64_t steps, const char *folder)
{
    qg_train_options o = {.run = {.seed = 3, .folder = scratch_path(folder), .overwrite = true},
                          .domain = domain,
                          .steps = steps};
    if (qg_settings_preset(&o.settings, "grid", &error)) fail_msg("%s", error.message);
    o.settings.learn_start = 100;
    o.settings.minibatch = 8;
    o.settings.validation_size = 20;
    o.settings.eval_every = 1000;
    o.settings.eval_steps = 100;
    return o;
}

static void load(const char *folder, qg_network *network, qg_network_info *info)
{
    char path[600];
    snprintf(path, sizeof path, "%s/last.safetensors", scratch_path(folder));
    if (qg_network_load(path, network, info, &error)) fail_msg("%s", error.message);
}

static const char *source_path(void)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/last.safetensors", scratch_path("source"));
    return path;
}

static int setup(void **state)
{
    if (scratch_setup(state)) return -1;
    const qg_train_options o = small("minatar/breakout", 400, "source");
    qg_run_result result;
    return qg_train(&o, &result, &error) ? -1 : 0;
}

static qg_graft_options options(const char *choice, int64_t steps, const char *folder)
{
    qg_graft_options o = {.source = source_path(),
                          .train = small("minatar/space_invaders", steps, folder)};
    if (qg_graft_choice_parse(choice, &o.choice, &error)) fail_msg("%s", error.message);
    return o;
}

static void run(const qg_graft_options *o)
{
    qg_run_result result;
    if (qg_graft_run(o, &result, &error)) fail_msg("%s", error.message);
    assert_int_equal(result.step, o->train.steps);
}

static bool same_layer(const qg_network *a, const qg_network *b, int l)
{
    const size_t count = qg_layer_weights(&a->architecture.layers[l]);
    return memcmp(a->weights[l], b->weights[l], count * sizeof(float)) == 0;
}

/* ------------------------------------------------------------------------------------- runs */

static void test_copied_frozen_and_fresh(void **state)
{
    (void)state;
    const qg_train_options baseline = small("minatar/space_invaders", 0, "baseline");
    const qg_graft_options graft = options("first 2 frozen", 300, "graft");
    qg_run_result result;
    qg_network source, fresh, grafted;
    qg_network_info info;
    assert_int_equal(qg_train(&baseline, &result, &error), QG_OK);
    run(&graft);
    load("source", &source, &info);
    load("baseline", &fresh, &info);
    load("graft", &grafted, &info);
    for (int l = 0; l < grafted.architecture.layer_count; l++) {
        if (l < 4) assert_int_equal(same_layer(&source, &grafted, l), l < 2);
        assert_false(same_layer(&fresh, &grafted, l));
    }
    qg_network_free(&grafted);
    run(&(qg_graft_options){graft.source, graft.choice,
                            .train = small("minatar/space_invaders", 0, "begin")});
    load("begin", &grafted, &info);
    for (int l = 2; l < grafted.architecture.layer_count; l++)
        assert_true(same_layer(&fresh, &grafted, l));
    qg_network_free(&source);
    qg_network_free(&fresh);
    qg_network_free(&grafted);
}

static void test_control(void **state)
{
    (void)state;
    qg_graft_options o = options("first 3 frozen", 300, "control");
    qg_network fresh, control;
    qg_network_info info;
    qg_graft_plan plan;
    qg_run_result result;
    const qg_train_options baseline = small("minatar/space_invaders", 0, "baseline");
    o.source = NULL;
    assert_int_equal(qg_graft_look(&o, &plan, &error), QG_OK);
    assert_int_equal(plan.source.layer_count, 0);
    assert_int_equal(qg_train(&baseline, &result, &error), QG_OK);
    run(&o);
    load("baseline", &fresh, &info);
    load("control", &control, &info);
    for (int l = 0; l < control.architecture.layer_count; l++)
        assert_int_equal(same_layer(&fresh, &control, l), l < 3);
    qg_network_free(&fresh);
    qg_network_free(&control);
}

/* -------------------------------------------------------------------------------- pedigrees */

static void check_note(const qg_tensors *file, const char *key, const char *value)
{
    const char *found = qg_tensors_metadata(file, key);
    if (!value) assert_null(found);
    if (value && !found) fail_msg("there is no '%s'", key);
    if (value) assert_string_equal(found, value);
}

static void check_pedigree(const char *folder, const char *const notes[][2], size_t count)
{
    char path[600];
    qg_tensors *file;
    snprintf(path, sizeof path, "%s/last.safetensors", scratch_path(folder));
    if (qg_tensors_load(path, &file, &error)) fail_msg("%s", error.message);
    for (size_t i = 0; i < count; i++)
        check_note(file, notes[i][0], notes[i][1]);
    qg_tensors_free(file);
}

static void test_pedigree(void **state)
{
    (void)state;
    char sha256[65], network[65], score[32];
    qg_network source;
    qg_network_info info;
    load("source", &source, &info);
    qg_network_sha256(&source, network);
    qg_network_free(&source);
    assert_true(info.score >= 0);
    snprintf(score, sizeof score, "%.17g", info.score);
    assert_int_equal(qg_sha256_file(source_path(), sha256, &error), QG_OK);
    qg_graft_options o = options("last 2", 0, "pedigree");
    run(&o);
    const char *const notes[][2] = {{"parent_file", source_path()},
                                    {"parent_sha256", sha256},
                                    {"parent_network_sha256", network},
                                    {"parent_domain", "minatar/breakout"},
                                    {"parent_step", "400"},
                                    {"parent_score", score},
                                    {"copied", "fc1,fc2(3 of 4 rows)"},
                                    {"copied_layers_are", "free"},
                                    {"reinit_seed", NULL}};
    check_pedigree("pedigree", notes, sizeof notes / sizeof *notes);
    o = options("layers 1,3 frozen", 0, "control");
    o.source = NULL;
    o.reinit = true;
    o.reinit_seed = 18446744073709551615u;
    run(&o);
    const char *const control[][2] = {
        {"parent_file", "random"},       {"parent_sha256", NULL},
        {"parent_score", NULL},          {"copied", "conv1,conv3"},
        {"copied_layers_are", "frozen"}, {"reinit_seed", "18446744073709551615"}};
    check_pedigree("control", control, sizeof control / sizeof *control);
}

/* ------------------------------------------------------------------------- plans and refusals */

static void test_plan(void **state)
{
    (void)state;
    const qg_graft_options o = options("last 2 frozen", 100, "nothing");
    qg_graft_plan plan;
    if (qg_graft_look(&o, &plan, &error)) fail_msg("%s", error.message);
    assert_int_equal(plan.target.layer_count, 5);
    assert_int_equal(plan.source.actions, 3);
    assert_int_equal(plan.target.actions, 4);
    for (int l = 0; l < 5; l++) {
        assert_int_equal(plan.layers[l].source, l < 3 ? -1 : l);
        assert_int_equal(plan.layers[l].rows, l < 3 ? 0 : l == 3 ? 128 : 3);
        assert_int_equal(plan.layers[l].frozen, l >= 3);
    }
    struct stat status;
    assert_int_not_equal(stat(o.train.run.folder, &status), 0);
}

static void refused(const qg_graft_options *o, qg_status status, const char *message)
{
    qg_graft_plan plan;
    qg_run_result result = {.step = 7};
    error = (qg_error){0};
    assert_int_equal(qg_graft_look(o, &plan, &error), status);
    if (!strstr(error.message, message)) fail_msg("'%s' lacks '%s'", error.message, message);
    assert_int_equal(qg_graft_run(o, &result, &error), status);
    if (!strstr(error.message, message)) fail_msg("'%s' lacks '%s'", error.message, message);
    assert_int_equal(result.step, 0);
    assert_false(result.best_score >= 0);
}

static void test_refusals(void **state)
{
    (void)state;
    qg_graft_options o = options("first 6", 0, "refused");
    refused(&o, QG_ERROR_USAGE, "`first` 6: the networks have 5 and 5 weighted layers");
    o = options("first 1", 0, "refused");
    o.source = NULL;
    refused(&o, QG_ERROR_USAGE, "random layers that are not frozen");
    o = options("first 1", 0, "refused");
    o.source = scratch_path("absent");
    refused(&o, QG_ERROR_IO, "absent");
    o = options("first 1", 0, "refused");
    o.train.domain = "minatar/pong";
    refused(&o, QG_ERROR_USAGE, "pong");
    o = options("first 2", 0, "refused");
    if (qg_settings_set(&o.train.settings, "network=[{\"linear\": 8}]", &error)) fail();
    refused(&o, QG_ERROR_USAGE, "conv1 of the source (conv 16x10x3x3) does not fit fc1 of the");
    o = options("first 1", 0, "refused");
    o.train.settings.minibatch = 101; /* more than learn_start: qg_train's to refuse */
    qg_run_result result;
    assert_int_equal(qg_graft_run(&o, &result, &error), QG_ERROR_USAGE);
    struct stat status;
    assert_int_not_equal(stat(scratch_path("refused"), &status), 0);
}

static void test_a_source_that_does_not_fit(void **state)
{
    (void)state;
    static const char wide[] = "network=[{\"conv\": 4, \"kernel\": 9, \"stride\": 3}, "
                               "{\"conv\": 4, \"kernel\": 3}]";
    qg_architecture a;
    qg_network network;
    qg_graft_options o = options("first 1", 0, "refused");
    assert_int_equal(qg_settings_set(&o.train.settings, wide, &error), QG_OK);
    assert_int_equal(qg_architecture_make(o.train.settings.network, 1, 30, 30, 1, 3, &a, &error),
                     QG_OK);
    assert_int_equal(qg_network_create(&a, &network, &error), QG_OK);
    qg_network_initialise(&network, 1);
    const qg_network_info info = {.score = NAN, .confirmed_score = NAN};
    o.source = scratch_path("wide");
    assert_int_equal(qg_network_save(o.source, &network, &info, &error), QG_OK);
    qg_network_free(&network);
    refused(&o, QG_ERROR_USAGE, "the source's architecture '[");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copied_frozen_and_fresh),
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_pedigree),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_source_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
