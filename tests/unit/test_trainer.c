/* The trainer on a scripted domain: it is compared, action for action and weight for weight, with a
 * second one written here in the order of DQN 3.0, which keeps every screen in plain arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "script.h"

#include "agent/policy.h"
#include "base/file.h"
#include "scratch.h"

/* ---- The trainer, a second time ---- */

enum { MOST = 4000 };

typedef struct second {
    const qg_settings *s;
    qg_td_learner learner;
    uint8_t screens[MOST][PIXELS];
    uint8_t ends[MOST]; /* 1: terminal; 2: truncated */
    int actions[MOST];
    float rewards[MOST];
    int count;
} second;

/* The screens of state `entry`: before the episode's first there are none. */
static void state_of(second *t, int entry, const uint8_t **screens)
{
    const int history = t->s->history;
    int first = entry;
    while (first > 0 && !t->ends[first - 1])
        first--;
    for (int h = 0; h < history; h++) {
        const int e = entry - history + 1 + h;
        screens[h] = e < first ? NULL : t->screens[e];
    }
}

static void second_update(second *t, qg_random *replay)
{
    const qg_settings *s = t->s;
    const uint8_t *states[64], *next_states[64];
    int32_t actions[16];
    float rewards[16], discounts[16];
    uint8_t terminals[16];
    const int first = t->count > s->replay ? t->count - (int)s->replay + s->history - 1 : 0;
    for (int i = 0; i < s->minibatch; i++) {
        int e;
        do
            e = first + (int)qg_random_below(replay, (uint64_t)(t->count - s->n_step - first));
        while (t->ends[e]);
        actions[i] = t->actions[e];
        state_of(t, e, states + i * s->history);
        double sum = 0, power = 1;
        for (int k = 0; k < s->n_step && !t->ends[e]; k++, e++) {
            sum += power * (double)t->rewards[e];
            power *= s->discount;
        }
        rewards[i] = (float)sum;
        discounts[i] = (float)power;
        terminals[i] = t->ends[e] == 1;
        state_of(t, e, next_states + i * s->history);
    }
    const qg_batch batch = {.states = {s->minibatch, s->history, 1, states},
                            .next_states = {s->minibatch, s->history, 1, next_states},
                            .actions = actions,
                            .rewards = rewards,
                            .terminals = terminals,
                            .discounts = discounts};
    must(qg_td_learner_update(&t->learner, &batch, 0, NULL, &error));
}

static int second_choose(second *t, qg_random *policy, int64_t step)
{
    int action;
    if (qg_explore(policy, qg_epsilon(t->s, step), ACTIONS, &action)) return action;
    const uint8_t *screens[QG_MAX_HISTORY];
    float q[ACTIONS];
    state_of(t, t->count - 1, screens);
    must(qg_engine_forward(t->learner.engine, QG_ONLINE, &(qg_states){1, t->s->history, 1, screens},
                           q, &error));
    return qg_greedy_action(q, ACTIONS, qg_random_uniform(policy));
}

static int random_noops(const second *t, qg_random *noops)
{
    const int most = t->s->noop_max;
    return most ? 1 + (int)qg_random_below(noops, (uint64_t)most) : 0;
}

/* facts: store the screen; choose the next action; update; count; target copy; play it. */
static void second_train(second *t, uint64_t seed, int64_t steps)
{
    const qg_settings *s = t->s;
    qg_random policy = qg_random_stream(seed, "policy"), replay = qg_random_stream(seed, "replay");
    qg_random noops = qg_random_stream(seed, "noops"),
              domain_seed = qg_random_stream(seed, "domain");
    qg_domain *domain = script_open(true, (uint32_t)qg_random_u64(&domain_seed), NAN);
    uint8_t screen[PIXELS];
    uint8_t end = 0;
    qg_domain_reset(domain, random_noops(t, &noops), screen, &error);
    for (int64_t step = 0; step < steps;) {
        memcpy(t->screens[t->count], screen, PIXELS);
        t->ends[t->count++] = end;
        int action = 0;
        if (!end) action = second_choose(t, &policy, step);
        if (step > s->learn_start && step % s->update_every == 0) second_update(t, &replay);
        step++;
        if (step % s->target_every == 0 && strcmp(s->target_update, "copy") == 0)
            must(qg_engine_copy_to_target(t->learner.engine, &error));
        else if (step % s->target_every == 0)
            must(qg_engine_mix_into_target(t->learner.engine, (float)s->tau, &error));
        if (end) {
            qg_domain_reset(domain, random_noops(t, &noops), screen, &error);
            end = 0;
            continue;
        }
        qg_step result;
        qg_domain_step(domain, action, &result, screen, &error);
        t->actions[t->count - 1] = action;
        t->rewards[t->count - 1] =
            s->clip_reward ? fmaxf(-1, fminf(1, result.reward)) : result.reward;
        const bool terminal = result.end || (s->life_loss_terminal && result.life_lost);
        end = terminal ? 1 : result.truncated ? 2 : 0;
    }
    qg_domain_close(domain);
}

static qg_train_options train_options(int64_t steps)
{
    static char folder[512]; /* a path of the scratch folder does not live long enough */
    snprintf(folder, sizeof folder, "%s", scratch_path("run"));
    return (qg_train_options){.run = {.seed = 11, .folder = folder, .stop = &play.stop},
                              .domain = "script",
                              .settings = small_settings(),
                              .steps = steps};
}

static void load(const char *name, qg_network *network, qg_network_info *info)
{
    if (qg_network_load(scratch_path(name), network, info, &error)) fail_msg("%s", error.message);
}

static void check_order(const qg_settings *settings, int64_t steps, bool truncates)
{
    static second t;
    static int log[LOG];
    qg_train_options options = train_options(steps);
    options.settings = *settings;
    options.run.overwrite = true;
    qg_run_result result;
    script_begin();
    play.truncates = truncates;
    if (qg_train(&options, &result, &error)) fail_msg("%s", error.message);
    assert_int_equal(result.step, steps);
    const int count = play.count;
    memcpy(log, play.log, sizeof log);

    script_begin();
    play.truncates = truncates;
    memset(&t, 0, sizeof t);
    t.s = settings;
    t.learner = learner_of(settings, options.run.seed);
    second_train(&t, options.run.seed, steps);
    assert_int_equal(play.count, count);
    assert_memory_equal(log, play.log, sizeof *log * (size_t)count);

    qg_network ours, last;
    qg_network_info info;
    load("run/last.safetensors", &last, &info);
    assert_int_equal(info.step, steps);
    assert_int_equal(qg_network_create(&last.architecture, &ours, &error), QG_OK);
    must(qg_engine_read(t.learner.engine, QG_ONLINE, &ours, &error));
    assert_memory_equal(ours.parameters, last.parameters,
                        qg_architecture_parameters(&last.architecture) * sizeof(float));
    qg_network_free(&ours);
    qg_network_free(&last);
    qg_td_learner_free(&t.learner);
}

static void test_order(void **state)
{
    (void)state;
    qg_settings s = small_settings();
    check_order(&s, 700, false);
    check_order(&s, 700, true); /* the ring of 100 is filled seven times */
    s.replay = 1000;
    s.update_every = 1;
    s.target_every = 7;
    s.noop_max = 0;
    check_order(&s, 300, true);
    s.clip_reward = s.life_loss_terminal = false;
    s.epsilon_start = s.epsilon_end = 0;
    s.history = 1;
    check_order(&s, 300, true);
    strcpy(s.optimiser, "adam");
    strcpy(s.loss, "mse");
    strcpy(s.target_update, "soft");
    s.target_every = 1;
    s.tau = 0.125;
    s.double_q = true;
    check_order(&s, 300, true);
    s.n_step = 3;
    s.history = 3;
    s.replay = 100;
    check_order(&s, 500, true);
}

/* A training or an evaluation in which no episode ends says so. */
static void test_no_ends(void **state)
{
    (void)state;
    qg_train_options options = train_options(120);
    qg_run_result result;
    options.run.overwrite = true;
    for (int longer = 0; longer < 2; longer++) {
        script_begin();
        play.fixed_length = longer ? 49 : 500; /* evaluations have 50 steps */
        options.settings.noop_max = 0;
        must(qg_train(&options, &result, &error));
        if (longer)
            assert_string_equal(result.warning, "");
        else
            assert_non_null(strstr(result.warning, "no episode ended in the 50 steps of an eval"));
    }
    options.settings.eval_steps = 500;
    script_begin();
    play.fixed_length = 499;
    must(qg_train(&options, &result, &error));
    assert_non_null(strstr(result.warning, "no episode ended in the 120 steps of the training"));
}

/* Evaluations are played on domains of their own, without the rules of training, and do not touch
 * what is learned. */
static void test_evaluations_apart(void **state)
{
    (void)state;
    qg_train_options options = train_options(400);
    options.settings.sticky = 0.25;
    options.settings.frame_skip = 3;
    qg_run_result result;
    script_begin();
    assert_int_equal(qg_train(&options, &result, &error), QG_OK);
    assert_int_equal(play.opened, 1 + 5 + 1); /* at 0, 100, ... 400; the best network again */
    assert_true(play.training_options.break_on_life && !play.evaluation_options.break_on_life);
    assert_true(play.training_options.sticky == 0.25 && play.evaluation_options.sticky == 0.25);
    assert_int_equal(play.evaluation_options.frame_skip, 3);
    assert_int_not_equal(play.training_options.seed, play.evaluation_options.seed);
    qg_network often, once;
    qg_network_info info;
    load("run/last.safetensors", &often, &info);
    options.run.folder = scratch_path("once");
    options.settings.eval_every = 1000000;
    script_begin();
    assert_int_equal(qg_train(&options, &result, &error), QG_OK);
    assert_int_equal(play.opened, 1 + 2 + 1); /* at 0 and at the end */
    load("once/last.safetensors", &once, &info);
    assert_memory_equal(often.parameters, once.parameters,
                        qg_architecture_parameters(&once.architecture) * sizeof(float));
    qg_network_free(&often);
    qg_network_free(&once);
}

/* ---- Files ---- */

/* Column `column` of row `row` (0: the header) in `cell`; false: there is no such row. */
static bool csv_cell(const char *name, int row, int column, char cell[64])
{
    FILE *file = fopen(scratch_path(name), "r");
    assert_non_null(file);
    char line[512];
    bool found = false;
    for (int r = 0; r <= row; r++)
        found = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!found) return false;
    char *text = line;
    for (int c = 0; c < column; c++) {
        text = strchr(text, ',');
        assert_non_null(text);
        text++;
    }
    const size_t length = strcspn(text, ",\n");
    assert_in_range(length, 0, 63);
    memcpy(cell, text, length);
    cell[length] = 0;
    return true;
}

static void assert_cell(const char *name, int row, int column, const char *expected)
{
    char cell[64];
    if (!csv_cell(name, row, column, cell)) fail_msg("%s has no row %d", name, row);
    assert_string_equal(cell, expected);
}

static void test_rows(void **state)
{
    (void)state;
    qg_train_options options = train_options(250);
    options.settings.noop_max = 0;
    qg_run_result result;
    script_begin();
    play.fixed_length = 10;
    const double rewards[] = {0.5, 1, 2, 3};
    memcpy(play.evaluation_rewards, rewards, sizeof rewards);
    assert_int_equal(qg_train(&options, &result, &error), QG_OK);
    static const char *const steps[] = {"0", "100", "200", "250"};
    char cell[64];
    for (int r = 0; r < 4; r++) {
        assert_cell("run/evaluations.csv", r + 1, 0, steps[r]);
        assert_true(csv_cell("run/evaluations.csv", r + 1, 1, cell));
        assert_true(strtod(cell, NULL) == 10 * rewards[r]);
        assert_cell("run/evaluations.csv", r + 1, 2, "5"); /* episodes */
        for (int c = 6; c < 8; c++) {                      /* validation: from learning on */
            assert_true(csv_cell("run/evaluations.csv", r + 1, c, cell));
            assert_int_equal(*cell == 0, r == 0);
        }
    }
    assert_false(csv_cell("run/evaluations.csv", 5, 0, cell));
    static const char *const rows[] = {"70", "140", "210"};
    static const char *const updates[] = {"5", "22", "40"}; /* at 52, 56, ... below the step */
    for (int r = 0; r < 3; r++) {
        assert_cell("run/training.csv", r + 1, 0, rows[r]);
        assert_cell("run/training.csv", r + 1, 4, updates[r]);
        assert_true(csv_cell("run/training.csv", r + 1, 1, cell));
        assert_true(strtod(cell, NULL) == qg_epsilon(&options.settings, 70 * (r + 1)));
    }
    assert_false(csv_cell("run/training.csv", 4, 0, cell));
    assert_int_equal(access(scratch_path("run/replay.bin"), F_OK), -1);
}

static void test_no_steps(void **state)
{
    (void)state;
    qg_train_options options = train_options(0);
    qg_run_result result;
    script_begin();
    assert_int_equal(qg_train(&options, &result, &error), QG_OK);
    assert_int_equal(play.steps, 0);
    assert_true(result.step == 0 && isnan(result.best_score) && isnan(result.last_score));
    for (int i = 0; i < 2; i++) {
        qg_network network, fresh;
        qg_network_info info;
        load(i ? "run/best.safetensors" : "run/last.safetensors", &network, &info);
        assert_true(info.step == 0 && isnan(info.score));
        assert_int_equal(qg_network_create(&network.architecture, &fresh, &error), QG_OK);
        qg_network_initialise(&fresh, 11);
        assert_memory_equal(network.parameters, fresh.parameters,
                            qg_architecture_parameters(&fresh.architecture) * sizeof(float));
        qg_network_free(&network);
        qg_network_free(&fresh);
    }
    char cell[64];
    assert_false(csv_cell("run/evaluations.csv", 1, 0, cell));
}

static bool contains(const char *name, const char *text)
{
    uint8_t *data;
    size_t size;
    assert_int_equal(qg_file_read(scratch_path(name), 1 << 20, &data, &size, &error), QG_OK);
    const bool found = strstr((char *)data, text) != NULL;
    free(data);
    return found;
}

/* What cannot be is found before there is a folder. */
static void test_refusals(void **state)
{
    (void)state;
    qg_run_result result;
    qg_train_options options = train_options(120);
    const qg_train_options good = options;
    options.domain = "nothing";
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_USAGE);
    options = good;
    options.settings.minibatch = 1000; /* more than the memory holds */
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_USAGE);
    options = good;
    options.snapshots = (const int64_t[]){121};
    options.snapshot_count = 1;
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_USAGE);
    options = good;
    qg_td_learner learner;
    qg_network other;
    options.settings.history = 1;
    learner = learner_of(&options.settings, 1);
    must(qg_network_create(&learner.engine->architecture, &other, &error));
    qg_td_learner_free(&learner);
    options = good;
    options.initial = &other;
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "another architecture"));
    assert_int_equal(access(options.run.folder, F_OK), -1);
    qg_network_free(&other);
}

/* Stopped, or failed in the middle: the files are whole, the lock and the replay are gone. */
static void test_ends(void **state)
{
    (void)state;
    qg_train_options options = train_options(1000);
    qg_run_result result;
    qg_network network;
    qg_network_info info;
    script_begin();
    play.stop_at = 50 + 100 + 50 + 30; /* two evaluations, 130 steps of training or fewer */
    assert_int_equal(qg_train(&options, &result, &error), QG_STOPPED);
    assert_in_range(result.step, 101, 199);
    load("run/last.safetensors", &network, &info);
    qg_network_free(&network);
    assert_int_equal(info.step, result.step); /* what was learned is kept */
    assert_true(isnan(info.score));
    assert_true(contains("run/process.yaml", "state: stopped"));
    assert_int_equal(access(scratch_path("run/replay.bin"), F_OK), 0); /* to go on with */
    assert_cell("run/evaluations.csv", 2, 0, "100");

    script_begin(); /* no checkpoint: the memory is of no use */
    play.fail_at = 50 + 100 + 50 + 30;
    play.cannot_save = true;
    options.run.overwrite = true;
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_IO);
    assert_string_equal(error.message, "the script ends here");
    assert_true(contains("run/process.yaml", "state: failed"));
    assert_int_equal(access(scratch_path("run/replay.bin"), F_OK), -1);
    qg_lock lock;
    assert_int_equal(qg_lock_folder(scratch_path("run"), &lock, &error), QG_OK);
    qg_unlock_folder(&lock);
}

/* ---- Going on ---- */

static qg_run_state look(void)
{
    qg_run_state state;
    assert_int_equal(qg_run_look(scratch_path("run"), &state, &error), QG_OK);
    return state;
}

/* Stopped at every stage and resumed: the same network, actions and rows. */
static void test_resume(void **state)
{
    (void)state;
    static int log[LOG];
    const int64_t stops[] = {3, 50 + 20, 50 + 100 + 10, 50 + 100 + 50 + 30, 50 + 100 + 50 + 95};
    qg_train_options options = train_options(400);
    qg_run_result result, whole;
    script_begin();
    assert_false(look().exists);
    assert_int_equal(qg_train(&options, &whole, &error), QG_OK);
    assert_true(look().exists && look().complete && look().checkpoint_step == -1);
    const int count = play.count;
    memcpy(log, play.log, sizeof log);
    uint8_t *expected, *last;
    size_t size, last_size;
    assert_int_equal(
        qg_file_read(scratch_path("run/last.safetensors"), 1 << 20, &expected, &size, &error),
        QG_OK);

    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        options.run.overwrite = true;
        options.run.resume = false;
        script_begin();
        play.stop_at = stops[i];
        assert_int_equal(qg_train(&options, &result, &error), QG_STOPPED);
        const int64_t step = result.step;
        assert_true(look().exists && !look().complete && look().checkpoint_step == step);
        play.stop = 0;
        options.run.overwrite = false;
        assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_USAGE);
        assert_non_null(strstr(error.message, "`resume`"));
        options.run.resume = true;
        play.opened = 0; /* the training's domain is the first */
        assert_int_equal(qg_train(&options, &result, &error), QG_OK);
        assert_int_equal(result.begun_at, step);
        assert_string_equal(result.warning, "");
        assert_true(result.best_score == whole.best_score && result.step == whole.step);
        assert_int_equal(play.count, count);
        assert_memory_equal(log, play.log, sizeof *log * (size_t)count);
        assert_int_equal(
            qg_file_read(scratch_path("run/last.safetensors"), 1 << 20, &last, &last_size, &error),
            QG_OK);
        assert_int_equal(size, last_size);
        assert_memory_equal(expected, last, size);
        free(last);
        assert_int_equal(access(scratch_path("run/replay.bin"), F_OK), -1);
        assert_int_equal(access(scratch_path("run/checkpoint-A"), F_OK), -1);
        assert_int_equal(qg_train(&options, &result, &error), QG_OK); /* again */
        assert_true(result.was_complete && result.best_score == whole.best_score &&
                    result.best_step == whole.best_step && result.last_score == whole.last_score);
    }
    free(expected);
}

/* Another network to begin with is another run. */
static void test_resume_refusals(void **state)
{
    (void)state;
    qg_train_options options = train_options(400);
    qg_run_result result;
    qg_network initial;
    qg_network_info info;
    script_begin();
    play.stop_at = 230;
    assert_int_equal(qg_train(&options, &result, &error), QG_STOPPED);
    load("run/last.safetensors", &initial, &info);
    options.run.resume = true;
    options.initial = &initial;
    script_begin();
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "initial_network_sha256"));
    assert_true(contains("run/process.yaml", "state: stopped"));
    qg_network_free(&initial);
}

/* How its layers learn says no `choice`. */
static void test_resume_with_another_thaw(void **state)
{
    (void)state;
    qg_train_options options = train_options(400);
    qg_run_result result;
    qg_network initial;
    qg_network_info info;
    const float rates[QG_MAX_LAYERS] = {0.5f, 1, 1, 1, 1, 1, 1, 1};
    script_begin();
    assert_int_equal(qg_train(&options, &result, &error), QG_OK);
    load("run/last.safetensors", &initial, &info);
    options.run.folder = scratch_path("thawed");
    options.initial = &initial;
    options.frozen[0] = true;
    options.thaw[0] = 300;
    script_begin();
    assert_int_equal(qg_train(&options, &result, &error), QG_OK);
    assert_true(contains("thawed/run.yaml", "initial_thaw: [300, 0"));
    options.run.resume = true;
    assert_int_equal(qg_train(&options, &result, &error), QG_OK);
    assert_true(result.was_complete);
    options.thaw[0] = 200;
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "initial_thaw"));
    options.thaw[0] = 300;
    options.layer_rates = rates;
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "initial_layer_rates"));
    qg_network_free(&initial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_no_ends, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_evaluations_apart, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_rows, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_no_steps, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_refusals, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_ends, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_resume, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_resume_refusals, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_resume_with_another_thaw, scratch_setup,
                                        scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
