/* Settings: presets, text, ranges, YAML in both directions, and files written in bad faith. */
#include <qgraft/domain.h>
#include <qgraft/settings.h>

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static qg_settings preset(const char *name)
{
    qg_settings settings;
    qg_error error;
    assert_int_equal(qg_settings_preset(&settings, name, &error), QG_OK);
    return settings;
}

static void test_parse_count_names_the_range(void **state)
{
    (void)state;
    qg_error error;
    int64_t value = 7;
    assert_int_equal(qg_parse_count("steps", "25M", 0, 1000000000, &value, &error), QG_OK);
    assert_int_equal(value, 25000000);
    assert_int_equal(qg_parse_count("steps", "-1", 0, 10, &value, &error), QG_ERROR_USAGE);
    assert_string_equal(error.message, "steps: '-1' is not a whole number from 0 to 10");
    assert_int_equal(value, 25000000);
}

/* The paper's numbers, one by one: the preset is a claim of faithfulness. */
static void test_preset_dqn3(void **state)
{
    (void)state;
    const qg_settings s = preset("dqn3");
    assert_string_equal(s.network, "nature");
    assert_int_equal(s.history, 4);
    assert_true(s.discount == 0.99 && s.learning_rate == 0.00025 && s.rms_decay == 0.95);
    assert_true(s.rms_epsilon == 0.01 && s.clip_error == 1 && s.sticky == 0);
    assert_int_equal(s.minibatch, 32);
    assert_int_equal(s.replay, 1000000);
    assert_int_equal(s.learn_start, 50000);
    assert_int_equal(s.update_every, 4);
    assert_int_equal(s.target_every, 10000);
    assert_true(s.epsilon_start == 1 && s.epsilon_end == 0.1 && s.eval_epsilon == 0.05);
    assert_int_equal(s.epsilon_steps, 1000000);
    assert_int_equal(s.eval_every, 250000);
    assert_int_equal(s.eval_steps, 125000);
    assert_int_equal(s.validation_size, 500);
    assert_int_equal(s.noop_max, 30);
    assert_int_equal(s.frame_skip, 4);
    assert_true(s.clip_reward && s.life_loss_terminal);
}

/* Those of the libraries' sources: see settings.c for the versions. */
static void test_presets_of_libraries(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        const qg_settings s = preset(k ? "sb3" : "cleanrl");
        assert_string_equal(s.network, "nature-pad0");
        assert_string_equal(s.optimiser, "adam");
        assert_true(s.learning_rate == 1e-4 && s.adam_beta1 == 0.9 && s.adam_beta2 == 0.999);
        assert_true(s.adam_epsilon == 1e-8 && s.discount == 0.99 && s.minibatch == 32);
        assert_string_equal(s.reduction, "mean");
        assert_string_equal(s.loss, k ? "huber" : "mse");
        assert_true(s.clip_error == (k ? 1 : 0) && s.max_grad_norm == (k ? 10 : 0));
        assert_int_equal(s.replay, 1000000);
        assert_int_equal(s.learn_start, k ? 100 : 80000);
        assert_int_equal(s.update_every, 4);
        assert_int_equal(s.target_every, k ? 10000 : 1000);
        assert_string_equal(s.target_update, "copy");
        assert_true(s.epsilon_start == 1 && s.epsilon_end == (k ? 0.05 : 0.01));
        assert_true(s.epsilon_steps == 1000000 && !s.double_q && !s.prioritised && s.n_step == 1);
        assert_string_equal(s.epsilon_from, "start");
        assert_true(s.noop_max == 30 && s.frame_skip == 4 && s.sticky == 0 && s.clip_reward);
        assert_true(s.life_loss_terminal && strcmp(s.max_episode_frames, "108000") == 0);
    }
}

static void test_short_runs_evaluate_in_proportion(void **state)
{
    (void)state;
    static const struct {
        const char *preset, *set;
        int64_t steps, eval_steps;
    } cases[] = {
        {"dqn3", "eval_steps=125000", 1000, 125000}, /* set, though it is the preset's */
        {"dqn3", "eval_every=10", 1000, 1000},
        {"dqn3", "history=4", 250000, 125000},
        {"dqn3", "history=4", 249998, 124999},
        {"dqn3", "history=4", 0, 125000}, /* it evaluates nothing */
        {"grid", "history=1", 40000, 20000},
        {"grid", "history=1", 30000, 15000},
        {"grid", "eval_steps=30", 100, 30},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_error error;
        qg_settings s = preset(cases[i].preset);
        assert_int_equal(qg_settings_set(&s, cases[i].set, &error), QG_OK);
        qg_settings_shorten_evaluations(&s, cases[i].steps);
        assert_int_equal(s.eval_steps, cases[i].eval_steps);
    }
}

static void test_names_of_other_packages(void **state)
{
    (void)state;
    size_t rows;
    const qg_setting *const table = qg_settings_table(&rows);
    static const char *const names[] = {"gamma", "batch_size", "repeat_action_probability", "l2_"};
    for (size_t i = 0; i < 3; i++) {
        const char *const ours = qg_setting_called(names[i]);
        size_t row = 0;
        while (row < rows && strcmp(table[row].name, ours) != 0)
            row++;
        assert_true(row < rows);
    }
    assert_null(qg_setting_called(names[3]));
    qg_settings s = preset("grid");
    qg_error error;
    assert_int_equal(qg_settings_set(&s, "gamma=0.9", &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "'discount'"));
}

static void test_every_game_has_a_preset(void **state)
{
    (void)state;
    const qg_game *game;
    for (size_t i = 0; (game = qg_game_at(i)); i++)
        assert_string_equal(preset(game->defaults->preset).preset, game->defaults->preset);
}

static void test_presets_lie_within_the_table(void **state)
{
    (void)state;
    qg_error error;
    size_t rows;
    const qg_setting *table = qg_settings_table(&rows);
    for (size_t p = 0; qg_settings_presets()[p]; p++) {
        const qg_settings settings = preset(qg_settings_presets()[p]);
        assert_int_equal(qg_settings_check(&settings, &error), QG_OK);
        qg_settings again = settings;
        for (size_t i = 1; i < rows; i++) { /* 0 is the preset, which set_value refuses */
            char value[1024];
            qg_setting_format(&settings, &table[i], value, sizeof value);
            if (qg_settings_set_value(&again, table[i].name, value, &error) != QG_OK)
                fail_msg("%s", error.message);
        }
        assert_true(again.eval_steps_set && !settings.eval_steps_set);
        again.eval_steps_set = false;
        assert_memory_equal(&settings, &again, sizeof settings);
    }
}

static void expect_refusal(const char *assignment, const char *message)
{
    qg_error error;
    qg_settings settings = preset("dqn3");
    const qg_settings before = settings;
    if (qg_settings_set(&settings, assignment, &error) != QG_ERROR_USAGE)
        fail_msg("'%s' was taken", assignment);
    assert_string_equal(error.message, message);
    assert_memory_equal(&settings, &before, sizeof settings);
}

static void test_set(void **state)
{
    (void)state;
    qg_error error;
    qg_settings s = preset("dqn3");
    assert_int_equal(qg_settings_set(&s, "replay=250k", &error), QG_OK);
    assert_int_equal(s.replay, 250000);
    assert_int_equal(qg_settings_set(&s, "clip_reward=no", &error), QG_OK);
    assert_false(s.clip_reward);
    assert_int_equal(qg_settings_set(&s, "learning_rate=1e-3", &error), QG_OK);
    assert_true(s.learning_rate == 1e-3);
    assert_int_equal(qg_settings_set(&s, "network=[{\"conv\":8,\"kernel\":3}]", &error), QG_OK);
    assert_string_equal(s.network, "[{\"conv\": 8, \"kernel\": 3}]");

    assert_int_equal(qg_settings_set(&s, "loss=mse", &error), QG_OK);
    assert_string_equal(s.loss, "mse");
    assert_int_equal(qg_settings_set(&s, "double=true", &error), QG_OK);
    assert_true(s.double_q);
    expect_refusal("loss=l1", "loss: there is no 'l1'; allowed: clipped, huber, mse");
    expect_refusal("optimiser=ada", "optimiser: there is no 'ada'; allowed: rmsprop, adam");
    expect_refusal("target_update=", "target_update: there is no ''; allowed: copy, soft");
    expect_refusal("reduction=sum, mean", "reduction: there is no 'sum, mean'; allowed: sum, mean");
    expect_refusal("n_step=0", "n_step: '0' is not a whole number from 1 to 1000");
    expect_refusal("tau=1.5", "tau: '1.5' is not a number from 0 to 1");
    expect_refusal("discout=0.9", "there is no setting 'discout'; did you mean 'discount'?");
    expect_refusal("qwertzuiop=0.9", "there is no setting 'qwertzuiop' (`settings` lists all)");
    expect_refusal("discount=1.5", "discount: '1.5' is not a number from 0 to 1");
    expect_refusal("discount=nan", "discount: 'nan' is not a number from 0 to 1");
    expect_refusal("discount=", "discount: '' is not a number from 0 to 1");
    expect_refusal("minibatch=0", "minibatch: '0' is not a whole number from 1 to 4096");
    expect_refusal("minibatch=2.5", "minibatch: '2.5' is not a whole number from 1 to 4096");
    expect_refusal("history=4294967297", "history: '4294967297' is not a whole number from 1 to 8");
    expect_refusal("clip_reward=2", "clip_reward: '2' is neither true nor false");
    expect_refusal("discount", "'discount' is not of the form KEY=VALUE");
    expect_refusal("=1", "'=1' is not of the form KEY=VALUE");
    expect_refusal("network=natur", "network: there is no 'natur'; allowed: nature, nature-pad0, "
                                    "grid, vector, each also as NAME-dueling, NAME-norm or "
                                    "NAME-split:WIDTH (1 to 8192), or a list of layers");
    assert_int_equal(qg_settings_set(&s, "network=grid-dueling", &error), QG_OK);
    expect_refusal("network=[]", "network: a list of layers is needed, each a mapping such as "
                                 "{\"conv\": 32, \"kernel\": 8}");
    expect_refusal("preset=grid", "preset: cannot be set to 'grid' here, since it fills all other "
                                  "settings; give it first (`preset`, or the first key of a file)");
    char deep[5000] = "network=";
    memset(deep + strlen(deep), '[', 4000);
    qg_error refused;
    assert_int_equal(qg_settings_set(&s, deep, &refused), QG_ERROR_USAGE);
}

/* What a setting was before there was one is what presets of that time have. */
static void test_old_values(void **state)
{
    (void)state;
    size_t rows, new = 0;
    const qg_setting *table = qg_settings_table(&rows);
    const qg_settings s = preset("grid");
    for (size_t i = 0; i < rows; i++) {
        char value[1024];
        qg_setting_format(&s, &table[i], value, sizeof value);
        assert_int_equal(qg_setting_is_old(&table[i], value), table[i].before != NULL);
        assert_false(qg_setting_is_old(&table[i], "other"));
        new += table[i].before != NULL;
    }
    assert_true(new > 3 && new < rows);
}

static void test_check(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"learn_start=100", "validation_size: 500 is more than learn_start (100)"},
        {"replay=400", "validation_size: 500 is more than replay (400)"},
        {"epsilon_start=0.05", "epsilon_end: 0.1 is more than epsilon_start (0.05)"},
        {"validation_size=1M", "validation_size: 1000000 is more than learn_start (50000)"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        qg_error error;
        qg_settings s = preset("dqn3");
        assert_int_equal(qg_settings_set(&s, wrong[i][0], &error), QG_OK);
        assert_int_equal(qg_settings_check(&s, &error), QG_ERROR_USAGE);
        assert_string_equal(error.message, wrong[i][1]);
    }
    qg_error error;
    qg_settings s = preset("dqn3");
    s.clip_error = 0;
    assert_int_equal(qg_settings_check(&s, &error), QG_OK);
    s.n_step = 997;
    s.replay = 1000;
    assert_int_equal(qg_settings_check(&s, &error), QG_ERROR_USAGE);
    assert_string_equal(error.message, "n_step: 997 is more than replay - history (996)");
    s.n_step = 996;
    assert_int_equal(qg_settings_check(&s, &error), QG_OK);
    s.learn_start = 1000;
    assert_int_equal(qg_settings_check(&s, &error), QG_ERROR_USAGE);
    assert_string_equal(error.message,
                        "n_step: 996 is more than learn_start - validation_size + 2 (502)");
    s.n_step = 502;
    assert_int_equal(qg_settings_check(&s, &error), QG_OK);
    strcpy(s.loss, "huber");
    assert_int_equal(qg_settings_check(&s, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "huber needs a clip_error above 0"));
    s = preset("dqn3");
    s.tau = 0; /* means nothing with copies */
    assert_int_equal(qg_settings_check(&s, &error), QG_OK);
    strcpy(s.target_update, "soft");
    assert_int_equal(qg_settings_check(&s, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "tau: with 0 a soft target_update"));
}

static qg_status parse(qg_settings *settings, const char *yaml, qg_error *error)
{
    return qg_settings_parse_yaml(settings, "f.yaml", yaml, strlen(yaml), error);
}

static void test_yaml(void **state)
{
    (void)state;
    qg_error error;
    qg_settings s = preset("dqn3");
    const char *yaml = "# a comment\npreset: grid\ndiscount: 0.95\nreplay: 250k\nsticky: '0.25'\n"
                       "network:\n  - {conv: 16, kernel: 3, stride: 1}\n  - linear: 128\n";
    if (parse(&s, yaml, &error) != QG_OK) fail_msg("%s", error.message);
    assert_string_equal(s.preset, "grid");
    assert_string_equal(s.network,
                        "[{\"conv\": 16, \"kernel\": 3, \"stride\": 1}, {\"linear\": 128}]");
    assert_true(s.discount == 0.95 && s.sticky == 0.25 && s.replay == 250000);
}

static void test_yaml_round_trip(void **state)
{
    (void)state;
    qg_error error;
    qg_settings s = preset("dqn3"), back = preset("grid");
    assert_int_equal(qg_settings_set(&s, "learning_rate=0.00033333333333333335", &error), QG_OK);
    assert_int_equal(qg_settings_set(&s, "eval_every=123456789012345", &error), QG_OK);
    assert_int_equal(qg_settings_set(&s,
                                     "network=[{\"conv\": 1, \"x\": [0.1, -2, true, null, "
                                     "\"a\\\"\\u0001\\u00e9b: #\", {}]}]",
                                     &error),
                     QG_OK);
    char *text;
    assert_int_equal(qg_settings_format_yaml(&s, &text, &error), QG_OK);
    if (parse(&back, text, &error) != QG_OK) fail_msg("%s\n%s", error.message, text);
    s.eval_steps_set = true; /* by a text that holds all */
    assert_memory_equal(&s, &back, sizeof s);
    free(text);
}

static void test_yaml_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {"", "f.yaml:1: nothing in it"},
        {"# nothing\n", "f.yaml:2: nothing in it"},
        {"- a\n", "f.yaml:1: a list of `setting: value` lines is needed"},
        {"discount: 0.9\ndiscont: 1\n",
         "f.yaml:2: there is no setting 'discont'; did you mean 'discount'?"},
        {"\n\ndiscount: 2\n", "f.yaml:3: discount: '2' is not a number from 0 to 1"},
        {"discount:\n", "f.yaml:1: discount: '' is not a number from 0 to 1"},
        {"discount: .inf\n", "f.yaml:1: discount: '.inf' is not a number from 0 to 1"},
        {"discount: 0.9\ndiscount: 0.9\n", "f.yaml:2: discount: stands twice, on line 1 first"},
        {"discount: [1]\n", "f.yaml:1: discount: a single value is needed, not a list or mapping"},
        {"discount: *a\n", "f.yaml:1: *a: there is no anchor &a before"},
        {"discount: &a 0.9\nsticky: *a\nclip_error: *A\n",
         "f.yaml:3: *A: there is no anchor &A before"},
        {"replay: 010\n", "f.yaml:1: a number begins with 0: leave it out, or write the text in "
                          "quotes"},
        {"discount: !!float 0.9\n", "f.yaml:1: tags (!name) are not allowed"},
        {"discount: \"0.9\\0\"\n", "f.yaml:1: a NUL character is not allowed"},
        {"discount: 0.9\n---\nreplay: 1\n", "f.yaml:2: a second document is not allowed"},
        {"? [a]\n: 1\n", "f.yaml:1: a key must be a plain word"},
        {"replay: 1M\npreset: grid\n",
         "f.yaml:2: preset: cannot be set to 'grid' here, since it fills all other settings; give "
         "it first (`preset`, or the first key of a file)"},
        {"actions: all\n", "f.yaml:1: actions: there is no 'all'; allowed: minimal, full, xitari"},
        {"max_episode_frames: -1\n", "f.yaml:1: max_episode_frames: '-1' is neither a whole "
                                     "number from 0 to 1e15 nor xitari"},
        {"preset: x\n",
         "f.yaml:1: preset: there is no 'x'; allowed: dqn3, machado, grid, cleanrl, sb3, vector"},
        {"network: [1]\n", "f.yaml:1: network: a list of layers is needed, each a mapping such as "
                           "{\"conv\": 32, \"kernel\": 8}"},
        {"network:\n  - {conv: 1,\n     conv: 2}\n",
         "f.yaml:3: conv: stands twice, on line 2 first"},
        {"network: [[[[[[[[[[[[1]]]]]]]]]]]]\n", "f.yaml:1: nested too deeply"},
        {"network: &a [*a]\n", "f.yaml:1: *a stands in what it names"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_error error = {.code = QG_OK};
        qg_settings s = preset("dqn3");
        const qg_settings before = s;
        if (parse(&s, cases[i].yaml, &error) != QG_ERROR_USAGE)
            fail_msg("taken: %s", cases[i].yaml);
        assert_string_equal(error.message, cases[i].message);
        assert_memory_equal(&s, &before, sizeof s);
    }
}

/* Every prefix and every single-byte change of a good file: refused or taken, never a crash (this
 * test also runs under the sanitizers). */
static void test_yaml_mutations(void **state)
{
    (void)state;
    const char *good = "preset: grid\nnetwork:\n- {conv: 3, k: [1, \"a\"]}\nsticky: 0.1\n";
    const size_t size = strlen(good);
    char text[128];
    qg_error error;
    for (size_t i = 0; i <= size; i++) {
        qg_settings s = preset("dqn3");
        qg_settings_parse_yaml(&s, "f", good, i, &error);
        for (int byte = 0; i < size && byte < 256; byte++) {
            memcpy(text, good, size);
            text[i] = (char)byte;
            qg_settings_parse_yaml(&s, "f", text, size, &error);
        }
    }
}

static void test_yaml_floods(void **state)
{
    (void)state;
    static const char *const units[] = {
        "[", "{", "network: [", "- ", "? ", "a: {b: ", "\"", "&a ", "%", "- &a\n", "- *a\n"};
    const size_t size = 200000;
    char *text = malloc(size + 16);
    assert_non_null(text);
    qg_error error;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        for (size_t at = 0; at < size; at += strlen(units[i]))
            strcpy(text + at, units[i]);
        qg_settings s = preset("dqn3");
        assert_int_equal(qg_settings_parse_yaml(&s, "f", text, size, &error), QG_ERROR_USAGE);
    }
    free(text);
    char *large = calloc(1, (1 << 20) + 1);
    assert_non_null(large);
    qg_settings s = preset("dqn3");
    assert_int_equal(qg_settings_parse_yaml(&s, "f", large, (1 << 20) + 1, &error), QG_ERROR_USAGE);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_count_names_the_range),
        cmocka_unit_test(test_preset_dqn3),
        cmocka_unit_test(test_presets_of_libraries),
        cmocka_unit_test(test_short_runs_evaluate_in_proportion),
        cmocka_unit_test(test_names_of_other_packages),
        cmocka_unit_test(test_every_game_has_a_preset),
        cmocka_unit_test(test_presets_lie_within_the_table),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_old_values),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_yaml_round_trip),
        cmocka_unit_test(test_yaml_refusals),
        cmocka_unit_test(test_yaml_mutations),
        cmocka_unit_test(test_yaml_floods),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
