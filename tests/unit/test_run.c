/* The core of runs, with a run whose steps are counts: what is called when, what is kept, and that
 * stopping, going on, damage and failures at any step change nothing of what it writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "script.h"

#include "agent/run.h"
#include "base/file.h"
#include "scratch.h"

#include <zlib.h>

static const char yaml[] = "# One run\ninstruction_set: none\nseed: 5\nsteps: 10\n";

/* ---- A run that counts ---- */

enum { STEPS = 10, EVERY = 4 };

typedef struct counter {
    qg_run run;
    qg_run_options options;
    qg_settings settings;
    uint64_t state;     /* follows from the one before at each step */
    qg_network network; /* its first parameter is made of the state */
    double scores[16];  /* of the evaluations, by step */
    int fail_at;        /* the step that fails; -1: none; 0: the beginning */
    bool cannot_save;
    volatile sig_atomic_t stop;
    int stop_at;           /* the step during which it is asked to stop; 0: none */
    bool stops_evaluation; /* ... in the evaluation behind it */
    bool stops_confirmation;
    int64_t parts; /* of a step, that were done */
    char log[512]; /* what was called */
} counter;

__attribute__((format(printf, 2, 3))) static void note(counter *c, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t used = strlen(c->log);
    vsnprintf(c->log + used, sizeof c->log - used, format, arguments);
    va_end(arguments);
}

static qg_status begin(void *self, qg_error *e)
{
    counter *c = self;
    note(c, "begin ");
    c->state = c->options.seed;
    return c->fail_at == 0 ? qg_fail(e, QG_ERROR_IO, "no room") : QG_OK;
}

static qg_status prepare(void *self, qg_error *e)
{
    (void)e;
    note(self, "prepare ");
    return QG_OK;
}

static qg_status step(void *self, qg_error *e)
{
    counter *c = self;
    if (c->fail_at == c->run.step + 1) return qg_fail(e, QG_ERROR_DATA, "a step failed");
    c->state = c->state * 6364136223846793005u + 1442695040888963407u;
    c->run.step++;
    note(c, "%lld ", (long long)c->run.step);
    if (c->run.step == c->stop_at) c->stop = 1;
    return QG_OK;
}

static qg_status evaluate(void *self, double *score, qg_error *e)
{
    counter *c = self;
    note(c, "evaluate ");
    if (c->stop && c->stops_evaluation) return qg_fail(e, QG_STOPPED, "stopped in between");
    *score = c->scores[c->run.step];
    return qg_csv_row(c->run.folder.tables[0].csv, e, "%lld,%llu", (long long)c->run.step,
                      (unsigned long long)c->state);
}

/* The parameters tell which network it is that plays: the confirmed score is made of them. */
static qg_status confirm(void *self, const qg_network *network, const char *purpose, double *score,
                         qg_error *e)
{
    counter *c = self;
    note(c, "confirm ");
    assert_string_equal(purpose, "confirmation");
    if (c->stops_confirmation) return qg_fail(e, QG_STOPPED, "stopped in between");
    *score = network->parameters[0] / 2;
    return QG_OK;
}

static qg_status finish(void *self, qg_error *e)
{
    (void)e;
    note(self, "finish");
    return QG_OK;
}

static qg_status read_network(void *self, qg_run_network *what, qg_error *e)
{
    (void)e;
    counter *c = self;
    c->network.parameters[0] = (float)(c->state >> 40);
    *what = (qg_run_network){&c->network, "script", action_names};
    return QG_OK;
}

static qg_status pass(void *self, qg_tape *tape, qg_error *e)
{
    counter *c = self;
    if (c->cannot_save) return qg_fail(e, QG_ERROR_USAGE, "counts cannot be saved");
    if (!tape->reading) note(c, "save ");
    QG_TAPE_PASS(tape, c->state);
    QG_TAPE_PASS(tape, c->parts);
    return QG_OK;
}

static qg_status read_result(void *self, qg_error *e)
{
    (void)e;
    note(self, "read");
    return QG_OK;
}

static void evaluating(void *self, int64_t at)
{
    (void)self, (void)at;
}

static const qg_run_class counting = {.step_name = "count",
                                      .begin = begin,
                                      .prepare = prepare,
                                      .step = step,
                                      .evaluate = evaluate,
                                      .confirm = confirm,
                                      .finish = finish,
                                      .network = read_network,
                                      .pass = pass,
                                      .read_result = read_result,
                                      .evaluating = evaluating};

/* A run of `steps` counts in SCRATCH/run. Scores rise and fall: the best is that of step 8. */
static counter *counter_open(int64_t steps)
{
    static char folder[512];
    qg_architecture a;
    counter *c = calloc(1, sizeof *c);
    assert_non_null(c);
    snprintf(folder, sizeof folder, "%s", scratch_path("run"));
    c->options = (qg_run_options){.seed = 5, .folder = folder, .stop = &c->stop};
    must(qg_settings_preset(&c->settings, "grid", &error));
    c->settings.eval_every = EVERY;
    c->fail_at = -1;
    for (int i = 0; i < 16; i++)
        c->scores[i] = i == 8 ? 3 : i == 4 ? 2 : 1;
    must(qg_architecture_make("[{\"linear\": 2}]", 1, 2, 2, 255, ACTIONS, &a, &error));
    must(qg_network_create(&a, &c->network, &error));
    c->run = qg_run_of(&counting, c, &c->options, &c->settings, steps);
    assert_int_equal(qg_run_folder_add_table(&c->run.folder, "counts.csv", "step,state"), 0);
    return c;
}

static void counter_close(counter *c)
{
    qg_run_close(&c->run);
    qg_network_free(&c->network);
    free(c);
}

static qg_status counter_run(counter *c)
{
    return qg_run_execute(&c->run, yaml, &error);
}

/* The run that nothing happens to, in its own folder, which is overwritten. */
static qg_run_result run_whole(void)
{
    counter *c = counter_open(STEPS);
    c->options.overwrite = true;
    must(counter_run(c));
    const qg_run_result result = c->run.result;
    counter_close(c);
    return result;
}

/* ---- What is in the folder ---- */

static bool exists(const char *name)
{
    return access(scratch_path(name), F_OK) == 0;
}

static bool contains(const char *name, const char *text)
{
    uint8_t *data;
    size_t size;
    must(qg_file_read(scratch_path(name), 1 << 20, &data, &size, &error));
    const bool found = strstr((char *)data, text) != NULL;
    free(data);
    return found;
}

static qg_run_state look(void)
{
    qg_run_state state;
    must(qg_run_look(scratch_path("run"), &state, &error));
    return state;
}

static const char *const result_files[] = {"run/best.safetensors", "run/last.safetensors",
                                           "run/counts.csv", "run/run.yaml"};
enum { FILES = sizeof result_files / sizeof *result_files };

typedef struct results {
    uint8_t *data[FILES];
    size_t sizes[FILES];
} results;

static void results_read(results *r)
{
    for (int i = 0; i < FILES; i++)
        must(qg_file_read(scratch_path(result_files[i]), 1 << 20, &r->data[i], &r->sizes[i],
                          &error));
}

static void results_free(results *r)
{
    for (int i = 0; i < FILES; i++)
        free(r->data[i]);
}

static void assert_results(const results *expected)
{
    results r;
    results_read(&r);
    for (int i = 0; i < FILES; i++) {
        assert_int_equal(r.sizes[i], expected->sizes[i]);
        assert_memory_equal(r.data[i], expected->data[i], r.sizes[i]);
    }
    results_free(&r);
}

static void assert_network(const char *name, int64_t at, double score)
{
    qg_network network;
    qg_network_info info;
    must(qg_network_load(scratch_path(name), &network, &info, &error));
    qg_network_free(&network);
    assert_int_equal(info.step, at);
    assert_true(isnan(score) ? isnan(info.score) : info.score == score);
    assert_string_equal(info.actions, "noop,left,fire");
    assert_string_equal(info.domain, "script");
    assert_int_equal(info.seed, 5);
}

/* The best network was played again, and its file says so; no other file does. */
static void assert_confirmed(const qg_run_result *result)
{
    qg_network network;
    qg_network_info info;
    must(qg_network_load(scratch_path("run/best.safetensors"), &network, &info, &error));
    assert_true(result->confirmed_score == network.parameters[0] / 2);
    assert_true(info.confirmed_score == result->confirmed_score);
    qg_network_free(&network);
    must(qg_network_load(scratch_path("run/last.safetensors"), &network, &info, &error));
    assert_true(isnan(info.confirmed_score));
    qg_network_free(&network);
}

/* ---- Whole runs ---- */

static void test_the_way(void **state)
{
    (void)state;
    counter *c = counter_open(STEPS);
    assert_false(look().exists);
    must(counter_run(c));
    assert_string_equal(c->log, "begin prepare evaluate save 1 2 3 4 evaluate save 5 6 7 8 "
                                "evaluate save 9 10 evaluate confirm finish");
    const qg_run_result *r = &c->run.result;
    assert_true(r->step == STEPS && r->best_score == 3 && r->best_step == 8 && r->last_score == 1);
    assert_true(r->begun_at == 0 && !r->was_complete && !*r->warning);
    assert_network("run/best.safetensors", 8, 3);
    assert_network("run/last.safetensors", 10, 1);
    assert_confirmed(r);
    assert_true(look().complete && look().checkpoint_step == -1);
    assert_true(contains("run/process.yaml", "threads: 1\n"));
    counter_close(c);
}

/* Step 0 is no candidate; a tie keeps the earlier. */
static void test_best(void **state)
{
    (void)state;
    static const struct {
        double scores[4];
        int best; /* step */
    } cases[] = {
        {{9, 1, 3, 3}, 8}, {{0, 1, 2, 4}, 10}, {{0, -1, -2, -3}, 4}, {{0, -1, -0.5, 0}, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        counter *c = counter_open(STEPS);
        c->options.overwrite = true;
        for (int k = 0; k < 4; k++)
            c->scores[k < 3 ? EVERY * k : STEPS] = cases[i].scores[k];
        const double best = c->scores[cases[i].best];
        must(counter_run(c));
        assert_int_equal(c->run.result.best_step, cases[i].best);
        assert_true(c->run.result.best_score == best);
        assert_network("run/best.safetensors", cases[i].best, best);
        counter_close(c);
    }
}

/* Steps may come in leaps, as minibatches do: evaluations are due behind each `eval_every`. */
static qg_status leap(void *self, qg_error *e)
{
    qg_status status = QG_OK;
    for (int i = 0; i < 3 && !status && ((counter *)self)->run.step < STEPS; i++)
        status = step(self, e);
    return status;
}

static void test_leaps(void **state)
{
    (void)state;
    qg_run_class leaping = counting;
    leaping.step = leap;
    counter *c = counter_open(STEPS);
    c->run.methods = &leaping;
    must(counter_run(c));
    assert_string_equal(c->log, "begin prepare evaluate save 1 2 3 4 5 6 evaluate save 7 8 9 "
                                "evaluate save 10 evaluate confirm finish");
    counter_close(c);
}

static void test_no_steps(void **state)
{
    (void)state;
    counter *c = counter_open(0);
    must(counter_run(c));
    assert_string_equal(c->log, "begin ");
    assert_true(isnan(c->run.result.best_score) && isnan(c->run.result.last_score));
    assert_network("run/best.safetensors", 0, NAN);
    assert_network("run/last.safetensors", 0, NAN);
    assert_true(look().complete);
    counter_close(c);
}

static void test_snapshots(void **state)
{
    (void)state;
    const int64_t snapshots[] = {0, 5, 8};
    counter *c = counter_open(STEPS);
    c->run.snapshots = snapshots;
    c->run.snapshot_count = 3;
    must(counter_run(c));
    counter_close(c);
    assert_network("run/step-0.safetensors", 0, 1);
    assert_network("run/step-5.safetensors", 5, NAN); /* no evaluation there */
    assert_network("run/step-8.safetensors", 8, 3);

    unlink(scratch_path("run/step-5.safetensors"));
    c = counter_open(STEPS); /* complete, but it lacks what it is asked for */
    c->run.snapshots = snapshots;
    c->run.snapshot_count = 3;
    c->options.resume = true;
    assert_int_equal(counter_run(c), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "past step 5"));
    counter_close(c);
}

/* ---- Evaluations ---- */

/* Every step's is played on a domain of its own, with streams of its own. */
static void test_play(void **state)
{
    (void)state;
    counter *c = counter_open(STEPS);
    qg_td_learner learner;
    c->settings = small_settings();
    learner = learner_of(&c->settings, 1);
    c->settings.sticky = 0.25;
    c->settings.frame_skip = 3;
    static const char *const purposes[] = {NULL, NULL, NULL, "evaluation/teacher", "evaluation/8"};
    static const int64_t steps[] = {4, 8, 4, 4, 0};
    qg_evaluation e[5];
    uint32_t seeds[5];
    for (int i = 0; i < 5; i++) {
        script_begin();
        play.opened = 1;
        c->run.step = steps[i];
        must(qg_run_play(&c->run, learner.engine, "script", QG_ACTIONS_MINIMAL, NULL, 3,
                         purposes[i], &e[i], &error));
        assert_int_equal(play.opened, 2);
        assert_int_equal(e[i].steps, c->settings.eval_steps);
        assert_true(play.evaluation_options.sticky == 0.25);
        assert_int_equal(play.evaluation_options.frame_skip, 3);
        assert_false(play.evaluation_options.break_on_life);
        seeds[i] = play.evaluation_options.seed;
    }
    assert_true(seeds[0] == seeds[2] && seeds[1] == seeds[4]);
    assert_true(seeds[0] != seeds[1] && seeds[0] != seeds[3] && seeds[1] != seeds[3]);
    assert_memory_equal(&e[0], &e[2], sizeof e[0]);
    assert_memory_equal(&e[1], &e[4], sizeof e[0]);
    assert_int_equal(qg_run_play(&c->run, learner.engine, "another", QG_ACTIONS_MINIMAL, NULL, 3,
                                 NULL, &e[0], &error),
                     QG_ERROR_USAGE);
    qg_td_learner_free(&learner);
    counter_close(c);
}

/* ---- Stopping and going on ---- */

/* Stopped during step `at`, or in the evaluation behind it; the step at which it was left. */
static int64_t stop_at(int at, bool in_evaluation)
{
    counter *c = counter_open(STEPS);
    c->options.overwrite = true;
    c->stop_at = at;
    c->stop = at == 0;
    c->stops_evaluation = in_evaluation;
    assert_int_equal(counter_run(c), QG_STOPPED);
    char message[64];
    snprintf(message, sizeof message, "stopped at count %d", at);
    assert_string_equal(error.message, in_evaluation ? "stopped in between" : message);
    const int64_t left = c->run.result.step;
    counter_close(c);
    return left;
}

static void test_stop_and_resume(void **state)
{
    (void)state;
    results expected;
    const qg_run_result whole = run_whole();
    results_read(&expected);
    for (int at = 0; at < STEPS; at++)
        for (int in_evaluation = 0; in_evaluation < 2; in_evaluation++) {
            if (in_evaluation && at % EVERY) continue;
            assert_int_equal(stop_at(at, in_evaluation), at);
            assert_true(look().exists && !look().complete && look().checkpoint_step == at);
            assert_true(contains("run/process.yaml", "state: stopped"));
            const bool evaluated = !in_evaluation && at % EVERY == 0;
            if (at > 0) /* what was learned is kept */
                assert_network("run/last.safetensors", at, evaluated ? at == 8 ? 3 : 2 : NAN);
            else
                assert_true(!in_evaluation == exists("run/last.safetensors"));

            counter *c = counter_open(STEPS);
            assert_int_equal(counter_run(c), QG_ERROR_USAGE);
            assert_non_null(strstr(error.message, "`resume`"));
            counter_close(c);

            c = counter_open(STEPS);
            c->options.resume = true;
            must(counter_run(c));
            assert_null(strstr(c->log, "begin"));
            assert_int_equal(c->run.result.begun_at, at);
            assert_true(c->run.result.best_score == whole.best_score &&
                        c->run.result.best_step == whole.best_step &&
                        c->run.result.last_score == whole.last_score && !*c->run.result.warning);
            counter_close(c);
            assert_results(&expected);
            assert_true(look().complete && look().checkpoint_step == -1);
        }
    results_free(&expected);
}

/* Stopped in each part of step 6. */
static qg_status step_in_parts(void *self, qg_error *e)
{
    counter *c = self;
    if (c->run.step == 5 && c->parts < 5) {
        c->parts++;
        return qg_fail(e, QG_STOPPED, "stopped after a part");
    }
    return step(self, e);
}

/* Several checkpoints of one step, as those of updates between two: the last of them is gone on
 * from. */
static void test_stop_within_a_step(void **state)
{
    (void)state;
    results expected;
    run_whole();
    results_read(&expected);
    qg_run_class in_parts = counting;
    in_parts.step = step_in_parts;
    for (int stops = 1; stops <= 6; stops++) {
        counter *c = counter_open(STEPS);
        c->run.methods = &in_parts;
        c->options.overwrite = stops == 1;
        c->options.resume = stops > 1;
        assert_int_equal(counter_run(c), stops <= 5 ? QG_STOPPED : QG_OK);
        assert_int_equal(c->parts, stops <= 5 ? stops : 5);
        counter_close(c);
    }
    assert_results(&expected);
    results_free(&expected);
}

static void test_stop_in_the_confirmation(void **state)
{
    (void)state;
    results expected;
    const qg_run_result whole = run_whole();
    results_read(&expected);
    counter *c = counter_open(STEPS);
    c->options.overwrite = c->stops_confirmation = true;
    assert_int_equal(counter_run(c), QG_STOPPED);
    assert_true(isnan(c->run.result.confirmed_score) && look().checkpoint_step == STEPS);
    counter_close(c);
    c = counter_open(STEPS);
    c->options.resume = true;
    must(counter_run(c));
    assert_string_equal(c->log, "prepare confirm finish");
    assert_true(c->run.result.confirmed_score == whole.confirmed_score);
    counter_close(c);
    assert_results(&expected);
    results_free(&expected);
}

static void test_complete(void **state)
{
    (void)state;
    const qg_run_result whole = run_whole();
    counter *c = counter_open(STEPS);
    c->options.resume = true;
    must(counter_run(c));
    const qg_run_result *r = &c->run.result;
    assert_string_equal(c->log, "read");
    assert_true(r->was_complete && r->step == STEPS && r->best_score == whole.best_score &&
                r->best_step == whole.best_step && r->last_score == whole.last_score &&
                r->confirmed_score == whole.confirmed_score);
    counter_close(c);
}

/* A checkpoint every three steps at most, beside those behind evaluations; and by the clock. */
static void test_checkpoints_that_are_due(void **state)
{
    (void)state;
    counter *c = counter_open(STEPS);
    c->run.checkpoint_span = 3;
    must(counter_run(c));
    assert_string_equal(c->log, "begin prepare evaluate save 1 2 3 save 4 evaluate save 5 6 7 save "
                                "8 evaluate save 9 10 evaluate confirm finish");
    counter_close(c);
    c = counter_open(3);
    c->options.overwrite = true;
    c->options.checkpoint_minutes = 1e-9;
    must(counter_run(c));
    assert_string_equal(c->log,
                        "begin prepare evaluate save 1 save 2 save 3 evaluate confirm finish");
    counter_close(c);
}

/* ---- Damage ---- */

/* Changes a byte of checkpoint A or B. */
static void damage(char which, long at)
{
    char name[32];
    uint8_t *data;
    size_t size;
    snprintf(name, sizeof name, "run/checkpoint-%c", which);
    must(qg_file_read(scratch_path(name), 1 << 20, &data, &size, &error));
    data[at < 0 ? (long)size + at : at] ^= 1;
    scratch_write(scratch_path(name), data, size);
    free(data);
}

/* The older one is gone on from, with a warning, and the results are the same. */
static void test_a_damaged_checkpoint(void **state)
{
    (void)state;
    results expected;
    run_whole();
    results_read(&expected);
    static const long places[] = {0, 20, 41, 50, -1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        assert_int_equal(stop_at(6, false), 6); /* A: 0, B: 4, A: 6 */
        damage('A', places[i]);
        counter *c = counter_open(STEPS);
        c->options.resume = true;
        must(counter_run(c));
        assert_int_equal(c->run.result.begun_at, 4);
        assert_non_null(strstr(c->run.result.warning, "went on from the one before, step 4"));
        counter_close(c);
        assert_results(&expected);
    }
    results_free(&expected);
}

static void test_no_checkpoint_that_can_be_used(void **state)
{
    (void)state;
    stop_at(6, false);
    damage('A', 60);
    damage('B', 60);
    counter *c = counter_open(STEPS);
    c->options.resume = true;
    assert_int_equal(counter_run(c), QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "begin anew with `overwrite`"));
    counter_close(c);
    assert_true(contains("run/process.yaml", "state: stopped")); /* as it was */
    assert_true(exists("run/checkpoint-A") && exists("run/checkpoint-B"));
}

/* Those of an older version are refused in as many words. */
static void test_another_format(void **state)
{
    (void)state;
    enum { HEADER = 48, VERSION = 16, CRC = 44 };
    stop_at(6, false);
    for (char which = 'A'; which <= 'B'; which++) {
        char name[32];
        uint8_t *data;
        size_t size;
        snprintf(name, sizeof name, "run/checkpoint-%c", which);
        must(qg_file_read(scratch_path(name), 1 << 20, &data, &size, &error));
        assert_true(size > HEADER);
        data[VERSION]--;
        const uint32_t crc = (uint32_t)crc32_z(0, data, CRC);
        memcpy(data + CRC, &crc, sizeof crc);
        scratch_write(scratch_path(name), data, size);
        free(data);
    }
    counter *c = counter_open(STEPS);
    c->options.resume = true;
    assert_int_equal(counter_run(c), QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "another version"));
    counter_close(c);
}

/* A tape that says what cannot be: more steps than the run has. */
static void test_a_tape_of_another_length(void **state)
{
    (void)state;
    stop_at(6, false);
    counter *c = counter_open(3);
    c->options.resume = true;
    assert_int_equal(counter_run(c), QG_ERROR_DATA);
    assert_non_null(strstr(error.message, "does not hold what it should"));
    counter_close(c);
}

/* ---- What cannot be ---- */

static void test_without_checkpoints(void **state)
{
    (void)state;
    counter *c = counter_open(STEPS);
    c->cannot_save = true;
    c->stop_at = 6;
    assert_int_equal(counter_run(c), QG_STOPPED);
    assert_non_null(strstr(c->run.result.warning, "cannot be resumed: counts cannot be saved"));
    assert_false(qg_run_can_go_on(&c->run));
    counter_close(c);
    assert_network("run/last.safetensors", 6, NAN);
    assert_int_equal(look().checkpoint_step, -1);
    c = counter_open(STEPS);
    c->options.resume = true;
    c->cannot_save = true;
    must(counter_run(c));
    assert_int_equal(c->run.result.begun_at, 0);
    assert_int_equal(strncmp(c->log, "begin ", 6), 0);
    assert_true(look().complete);
    counter_close(c);
}

static void test_failures(void **state)
{
    (void)state;
    counter *c = counter_open(STEPS); /* before the folder says that there is a run */
    c->fail_at = 0;
    assert_int_equal(counter_run(c), QG_ERROR_IO);
    counter_close(c);
    assert_false(look().exists);

    results expected;
    run_whole();
    results_read(&expected);
    for (int at = 1; at <= STEPS; at++) {
        c = counter_open(STEPS);
        c->options.overwrite = true;
        c->fail_at = at;
        assert_int_equal(counter_run(c), QG_ERROR_DATA);
        assert_string_equal(error.message, "a step failed");
        assert_int_equal(c->run.result.step, at - 1);
        assert_true(qg_run_can_go_on(&c->run));
        counter_close(c);
        assert_true(contains("run/process.yaml", "state: failed"));
        c = counter_open(STEPS);
        c->options.resume = true;
        must(counter_run(c));
        assert_int_equal(c->run.result.begun_at, (at - 1) / EVERY * EVERY);
        counter_close(c);
        assert_results(&expected);
    }
    results_free(&expected);
}

static void test_refusals(void **state)
{
    (void)state;
    results expected;
    run_whole();
    results_read(&expected);
    counter *c = counter_open(STEPS);
    assert_int_equal(counter_run(c), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "`overwrite`"));
    counter_close(c);

    c = counter_open(STEPS);
    c->options.resume = true;
    assert_int_equal(qg_run_execute(&c->run, "seed: 6\nsteps: 10\n", &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "seed is 5 there, 6 here"));
    counter_close(c);

    c = counter_open(STEPS);
    c->options.resume = c->options.overwrite = true;
    assert_int_equal(counter_run(c), QG_ERROR_USAGE);
    counter_close(c);

    qg_lock lock; /* another process is at it: not even with `overwrite` */
    must(qg_lock_folder(scratch_path("run"), &lock, &error));
    c = counter_open(STEPS);
    c->options.overwrite = true;
    assert_int_equal(counter_run(c), QG_ERROR_BUSY);
    assert_string_equal(c->log, "");
    counter_close(c);
    qg_unlock_folder(&lock);
    assert_results(&expected);
    assert_true(look().complete);
    results_free(&expected);

    c = counter_open(
        STEPS); /* overwritten: nothing of the old run is left when the new one stops */
    c->options.overwrite = true;
    c->stop = 1;
    c->stops_evaluation = true;
    assert_int_equal(counter_run(c), QG_STOPPED);
    counter_close(c);
    assert_false(exists("run/best.safetensors"));
    assert_true(contains("run/counts.csv", "step,state\n") && !contains("run/counts.csv", "\n0,"));
    must(qg_lock_folder(scratch_path("run"), &lock, &error)); /* nobody holds it */
    qg_unlock_folder(&lock);
}

#define RUN_TEST(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN_TEST(test_the_way),
        RUN_TEST(test_best),
        RUN_TEST(test_leaps),
        RUN_TEST(test_no_steps),
        RUN_TEST(test_snapshots),
        RUN_TEST(test_play),
        RUN_TEST(test_stop_and_resume),
        RUN_TEST(test_stop_in_the_confirmation),
        RUN_TEST(test_complete),
        RUN_TEST(test_stop_within_a_step),
        RUN_TEST(test_checkpoints_that_are_due),
        RUN_TEST(test_a_damaged_checkpoint),
        RUN_TEST(test_no_checkpoint_that_can_be_used),
        RUN_TEST(test_another_format),
        RUN_TEST(test_a_tape_of_another_length),
        RUN_TEST(test_without_checkpoints),
        RUN_TEST(test_failures),
        RUN_TEST(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
