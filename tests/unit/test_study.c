/* Study files: what they become, what is refused and how, the plan's hashes, the study's folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scratch.h"

#include "study/estimate.h"
#include "study/task_folder.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *write_study(const char *text)
{
    const char *const path = scratch_path("s.yaml");
    scratch_write(path, text, strlen(text));
    return path;
}

static qg_study *load_scaled(const char *text, double scale)
{
    qg_study *study;
    qg_error error;
    if (qg_study_load(write_study(text), scale, &study, &error)) fail_msg("%s", error.message);
    return study;
}

static qg_study *load(const char *text)
{
    return load_scaled(text, 1);
}

static int find_run(const qg_study *study, const char *id)
{
    for (int i = 0; i < study->run_count; i++)
        if (strcmp(study->runs[i].id, id) == 0) return i;
    fail_msg("no run %s", id);
    return -1;
}

static int find_task(const qg_study *study, const char *folder)
{
    for (int i = 0; i < study->task_count; i++)
        if (strcmp(study->tasks[i].folder, folder) == 0) return i;
    fail_msg("no task %s", folder);
    return -1;
}

static qg_run_file file_of(const qg_study *study, const char *folder)
{
    qg_run_file file;
    qg_error error;
    assert_int_equal(qg_task_run_file(study, find_task(study, folder), &file, &error), QG_OK);
    assert_int_equal(file.settings.eval_every, 5000);
    return file;
}

#define BASE                                                                                       \
    "steps: 20k\nseeds: 2\nsettings: {eval_every: 5k, eval_steps: 1k}\n"                           \
    "sources:\n"                                                                                   \
    "  early: {from: b, at: 10k}\n"                                                                \
    "  b: {game: minatar/breakout}\n"                                                              \
    "  soft: {distill: b, temperature: 0.1:0.5:0.1, samples: 10k}\n"

static void test_plan(void **state)
{
    (void)state;
    enum { MEASUREMENTS = 3 }; /* two random scores, one similarity */
    qg_study *const s =
        load(BASE "runs:\n"
                  "  - {game: minatar/asterix}\n"
                  "  - {game: minatar/asterix, from: [b, soft], first: [1, 2], freeze: [no, yes]}\n"
                  "  - {game: minatar/breakout, from: early, last: 1, group: '{from} on {game}'}\n"
                  "  - {game: minatar/asterix, from: random, first: 3, freeze: true}\n");
    assert_string_equal(s->name, "s");
    assert_int_equal(s->run_count, 2 + 1 + 8 + 1 + 1 + MEASUREMENTS);
    assert_int_equal(s->task_count, 2 * (s->run_count - MEASUREMENTS) + MEASUREMENTS);
    assert_int_equal(s->game_count, 2);
    /* The source is its own game's baseline too. */
    const qg_study_run *const early = &s->runs[find_run(s, "minatar-breakout-from-early-last1")];
    assert_string_equal(s->runs[early->baseline].id, "b");
    assert_true(s->runs[early->baseline].listed);
    assert_string_equal(early->group, "early on minatar/breakout");
    assert_string_equal(s->runs[find_run(s, "minatar-asterix-from-soft-first2")].group,
                        "minatar/breakout to minatar/asterix");
    for (int i = 0; i < s->task_count; i++)
        for (int p = 0; p < s->tasks[i].parent_count; p++)
            assert_true(s->tasks[i].parents[p] < i);
    const qg_study_task *const task =
        &s->tasks[find_task(s, "runs/minatar-asterix-from-soft-first1/s2")];
    assert_int_equal(task->parent_count, 1);
    assert_string_equal(s->tasks[task->parents[0]].folder, "runs/soft/s2");
    qg_study_free(s);
}

/* What the plan hands to the run of each kind. */
static void test_run_files(void **state)
{
    (void)state;
    qg_study *const s = load(
        BASE "runs:\n"
             "  - {game: minatar/breakout, from: early, last: 1}\n"
             "  - {name: control, game: minatar/breakout, from: random, first: 3, freeze: yes}\n");
    qg_run_file file = file_of(s, "runs/b/s2");
    assert_int_equal(file.kind, QG_RUN_TRAIN);
    assert_string_equal(file.domain, "minatar/breakout");
    assert_true(file.seed == 2 && file.steps == 20000);
    assert_true(file.snapshot_count == 1 && file.snapshots[0] == 10000);
    qg_run_file_free(&file);
    file = file_of(s, "runs/minatar-breakout-from-early-last1/s1");
    assert_int_equal(file.kind, QG_RUN_GRAFT);
    assert_string_equal(file.parents[0], "runs/b/s1/step-10000.safetensors");
    assert_true(file.choice.way == QG_CHOOSE_LAST && file.choice.count == 1);
    assert_true(file.seed == 1 && file.reinit_seed == -1);
    qg_run_file_free(&file);
    file = file_of(s, "runs/control/s1");
    assert_string_equal(file.parents[0], "random");
    assert_true(file.choice.frozen);
    qg_run_file_free(&file);
    file = file_of(s, "runs/soft/s1");
    assert_int_equal(file.kind, QG_RUN_DISTILL);
    assert_string_equal(file.parents[0], "runs/b/s1/best.safetensors");
    assert_true(file.temperatures.count == 5 && file.temperatures.values[4] == 0.5);
    assert_true(file.samples == 10000 && file.epsilon == 0.05);
    qg_run_file_free(&file);
    qg_study_free(s);
}

/* What the report needs to know of games, once each and behind all runs. */
static void test_measurements(void **state)
{
    (void)state;
    qg_study *const s =
        load(BASE "  a: {game: minatar/asterix, take: last}\n"
                  "runs:\n"
                  "  - {game: [minatar/asterix, minatar/breakout], from: [b, a, soft], first: 1}\n"
                  "  - {game: minatar/asterix, settings: {sticky: 0.25, learning_rate: 0.5}}\n"
                  "games: {minatar/breakout: {random: 0}}\n");
    const int score = find_run(s, "random-score-minatar-asterix");
    const int pair = find_run(s, "similarity-minatar-asterix-minatar-breakout");
    assert_int_equal(s->run_count, 3 + 6 + 1 + 2);
    assert_true(score == s->run_count - 2 && pair == s->run_count - 1);
    assert_int_equal(qg_study_measurement(s, QG_RUN_RANDOM_SCORE, "minatar/asterix", ""), score);
    assert_int_equal(qg_study_measurement(s, QG_RUN_RANDOM_SCORE, "minatar/breakout", ""), -1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(qg_study_measurement(s, QG_RUN_SIMILARITY,
                                              i ? "minatar/asterix" : "minatar/breakout",
                                              i ? "minatar/breakout" : "minatar/asterix"),
                         pair);
    for (int i = 0; i < s->run_count; i++) {
        assert_int_equal(qg_study_is_measurement(&s->runs[i]), i >= score);
        if (i < score) continue;
        assert_true(s->runs[i].seed_count == 1 && s->runs[i].seeds[0] == 1 && !s->runs[i].listed);
    }
    /* As the first listed run plays, but with nothing of how it learns. */
    assert_true(s->runs[score].settings.sticky == s->runs[find_run(s, "a")].settings.sticky);
    assert_true(s->runs[score].settings.learning_rate < 0.5);
    qg_run_file file;
    qg_error error;
    const int task = find_task(s, "runs/similarity-minatar-asterix-minatar-breakout/s1");
    assert_int_equal(s->tasks[task].parent_count, 0);
    assert_int_equal(qg_task_run_file(s, task, &file, &error), QG_OK);
    assert_int_equal(file.kind, QG_RUN_SIMILARITY);
    assert_string_equal(file.domain, "minatar/asterix");
    assert_string_equal(file.other_domain, "minatar/breakout");
    assert_true(file.steps == 2000 && file.seed == 1);
    qg_run_file_free(&file);
    qg_study_free(s);
}

/* Seconds where a step takes one and all else nothing: what is played, evaluations included. */
static void test_forecast(void **state)
{
    (void)state;
    qg_task_load loads[32];
    qg_error error;
    qg_study *const s =
        load(BASE "runs:\n"
                  "  - {name: base, game: minatar/asterix, also_evaluate: minatar/breakout}\n"
                  "  - {game: minatar/asterix, from: soft, first: 1}\n");
    assert_in_range(s->task_count, 1, 32);
    assert_int_equal(qg_study_estimate(s, NULL, loads, &error), QG_OK);
    /* At 0, 5k, ..., 20k, and once more to confirm the best. */
    const double source = loads[find_task(s, "runs/b/s1")].seconds;
    assert_true(source == 20e3 + (5 + 1) * 1e3);
    /* Those of the other game on top, which has no best. */
    const int baseline = find_task(s, "runs/base/s1");
    assert_true(loads[baseline].seconds == source + 5 * 1e3);
    /* 50k lessons; the teacher is evaluated once, too. */
    const double student = loads[find_task(s, "runs/soft/s2")].seconds;
    assert_true(student == 10e3 + (double)qg_held_out(10000) + (1 + 11 + 1) * 1e3);
    qg_study_free(s);
}

/* A list multiplies in settings, too, and its value is in the run's name. */
static void test_multiplied_settings(void **state)
{
    (void)state;
    qg_study *const s = load("seeds: [7]\nruns:\n"
                             "  - game: minatar/breakout\n"
                             "    steps: [1k, 2k]\n"
                             "    settings: {learning_rate: [0.001, 0.002], history: 1}\n");
    assert_int_equal(s->run_count, 4 + 1);
    const int run = find_run(s, "minatar-breakout-learning_rate0.002-steps1k");
    assert_true(s->runs[run].settings.learning_rate == 0.002);
    assert_int_equal(s->runs[run].steps, 1000);
    assert_int_equal(s->runs[run].seeds[0], 7);
    qg_study_free(s);
}

static void test_scale(void **state)
{
    (void)state;
    const char *const text = BASE "runs:\n  - {game: minatar/breakout, from: early, first: 1}\n";
    qg_study *const s = load_scaled(text, 0.1);
    const qg_study_run *const b = &s->runs[find_run(s, "b")];
    assert_int_equal(b->steps, 2000);
    assert_int_equal(b->settings.eval_every, 500);
    assert_int_equal(b->settings.eval_steps, 100);
    assert_int_equal(b->snapshots[0], 1000);
    assert_true(b->settings.learn_start >= b->settings.minibatch);
    assert_int_equal(s->runs[find_run(s, "soft")].steps, 1000);
    qg_study *const whole = load(text);
    assert_int_equal(b->settings.replay, whole->runs[0].settings.replay);
    assert_int_equal(b->settings.target_every, whole->runs[0].settings.target_every);
    qg_study_free(whole);
    qg_study_free(s);
}

static void test_short_runs_evaluate_in_proportion(void **state)
{
    (void)state;
    qg_study *const s = load("steps: 30k\nseeds: 1\nsources:\n"
                             "  set: {game: minatar/freeway, settings: {eval_steps: 20k}}\n"
                             "  long: {game: minatar/breakout, steps: 40k}\n"
                             "  short: {distill: long, samples: 3k, temperature: 0.1:0.2:0.1}\n"
                             "runs:\n  - {game: minatar/asterix}\n");
    static const struct {
        const char *name;
        int64_t eval_steps;
    } cases[] = {{"set", 20000}, {"long", 20000}, {"short", 3000}, {"minatar-asterix", 15000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(s->runs[find_run(s, cases[i].name)].settings.eval_steps,
                         cases[i].eval_steps);
    qg_study_free(s);
}

static const char *hash_of(const qg_study *study, const char *folder)
{
    return study->tasks[find_task(study, folder)].hash;
}

/* A changed setting changes the hash of its own runs and of what is made of them, no other's. */
static void test_hashes(void **state)
{
    (void)state;
    const char *const runs = "runs:\n  - {game: minatar/asterix}\n"
                             "  - {game: minatar/asterix, from: [b, soft], first: 1}\n";
    char text[2048];
    snprintf(text, sizeof text, BASE "%s", runs);
    qg_study *const a = load(text);
    snprintf(text, sizeof text,
             "preset: grid\n" BASE "# other words\n%s  - {game: minatar/freeway}\n", runs);
    qg_study *const same = load(text);
    snprintf(text, sizeof text,
             "steps: 20k\nseeds: 2\nsettings: {eval_every: 5k, eval_steps: 1k}\nsources:\n"
             "  b: {game: minatar/breakout}\n"
             "  soft: {distill: b, temperature: 0.1:0.5:0.1, samples: 10k, epsilon: 0.1}\n%s",
             runs);
    qg_study *const other = load(text);
    const char *const kept[] = {"runs/b/s1", "runs/minatar-asterix/s2",
                                "runs/minatar-asterix-from-b-first1/s2"};
    const char *const changed[] = {"runs/soft/s1", "runs/minatar-asterix-from-soft-first1/s1"};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(hash_of(a, kept[i]), hash_of(same, kept[i]));
        assert_string_equal(hash_of(a, kept[i]), hash_of(other, kept[i]));
    }
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(hash_of(a, changed[i]), hash_of(same, changed[i]));
        assert_string_not_equal(hash_of(a, changed[i]), hash_of(other, changed[i]));
    }
    for (int i = 0; i < a->task_count; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(a->tasks[i].hash, a->tasks[j].hash);
    qg_study_free(a);
    qg_study_free(same);
    qg_study_free(other);
}

/* Of a student, too; what all of them learned by while there was nothing else goes without saying.
 */
static void test_losses_of_students(void **state)
{
    (void)state;
    static const char *const losses[] = {"", ", loss: kl", ", loss: mse"};
    qg_study *studies[3];
    for (int i = 0; i < 3; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "steps: 20k\nseeds: 1\nsources:\n  b: {game: minatar/breakout}\n"
                 "  s: {distill: b, samples: 10k%s}\nruns:\n  - {game: minatar/asterix}\n"
                 "  - {game: minatar/asterix, from: s, last: 1}\n",
                 losses[i]);
        studies[i] = load(text);
    }
    char title[QG_STUDY_NAME];
    qg_run_file file;
    qg_error error;
    for (int i = 0; i < 3; i++) {
        const int task = find_task(studies[i], "runs/s/s1");
        assert_int_equal(qg_task_run_file(studies[i], task, &file, &error), QG_OK);
        assert_int_equal(file.loss, i == 2 ? QG_LOSS_MSE : QG_LOSS_KL);
        qg_run_file_free(&file);
        qg_study_run_title(studies[i], &studies[i]->runs[find_run(studies[i], "s")], title,
                           sizeof title);
        assert_string_equal(title, i == 2 ? "distill b at 0.1 by mse" : "distill b at 0.1");
    }
    assert_string_equal(hash_of(studies[0], "runs/s/s1"), hash_of(studies[1], "runs/s/s1"));
    assert_string_not_equal(hash_of(studies[0], "runs/s/s1"), hash_of(studies[2], "runs/s/s1"));
    for (int i = 0; i < 3; i++)
        qg_study_free(studies[i]);
}

/* Lists of a student make one of each. */
static void test_lists_of_students(void **state)
{
    (void)state;
    qg_study *const s = load(
        "steps: 20k\nseeds: 2\nsources:\n  b: {game: minatar/breakout}\n"
        "  s: {distill: b, samples: 10k, loss: [kl, mse], temperature: [0.1, '0.1:0.5:0.1']}\n"
        "  t: {distill: [b, s-mse-0.1], samples: [5k], settings: {l2: [0, 0.1]}, seeds: [1, 2]}\n"
        "runs:\n  - {game: minatar/asterix}\n"
        "  - {game: minatar/asterix, from: [s-kl-0.1, s-mse-0.1-0.5-0.1], last: 1}\n");
    qg_study *const alone =
        load("steps: 20k\nseeds: 2\nsources:\n  b: {game: minatar/breakout}\n"
             "  x: {distill: b, samples: 10k, loss: mse, temperature: '0.1:0.5:0.1'}\n"
             "runs:\n  - {game: minatar/asterix}\n"
             "  - {game: minatar/asterix, from: x, last: 1}\n");
    static const char *const names[] = {
        "b", "s-kl-0.1", "s-kl-0.1-0.5-0.1", "s-mse-0.1", "s-mse-0.1-0.5-0.1", "t-0", "t-0.1"};
    assert_int_equal(s->source_count, 7);
    for (int i = 0; i < 7; i++)
        assert_string_equal(s->sources[i].name, names[i]);
    assert_string_equal(hash_of(s, "runs/s-mse-0.1-0.5-0.1/s1"), hash_of(alone, "runs/x/s1"));
    const qg_study_run *const t = &s->runs[find_run(s, "t-0.1")];
    assert_true(t->teacher_count == 2 && t->settings.l2 == 0.1 && t->seed_count == 2);
    assert_int_equal(t->steps, 5000);
    qg_study_free(s);
    qg_study_free(alone);
}

static void test_claims(void **state)
{
    (void)state;
    qg_study *const s = load(
        BASE
        "runs:\n  - {game: minatar/asterix}\n"
        "  - {game: [minatar/asterix, minatar/breakout], from: b, first: [1, 2], freeze: [no, "
        "yes]}\n"
        "claims:\n"
        "  - {says: 'all hurt', expect: negative}\n"
        "  - {says: 'freezing hurts', source: paper, expect: worse, metric: late, of: {freeze: "
        "yes}, than: {freeze: false}}\n"
        "  - {says: 'little', expect: little, margin: 0.2, of: {first: [1], self: true}}\n");
    assert_int_equal(s->claim_count, 3);
    assert_int_equal(s->claims[0].of_count, 8);
    assert_int_equal(s->claims[1].of_count, 4);
    assert_int_equal(s->claims[1].than_count, 4);
    assert_int_equal(s->claims[1].metric, QG_LATE);
    assert_string_equal(s->claims[1].source, "paper");
    assert_int_equal(s->claims[2].of_count, 2);
    assert_true(s->claims[2].margin == 0.2);
    qg_study_free(s);
}

static const qg_study_run *run_named(const qg_study *study, const char *id)
{
    for (int i = 0; i < study->run_count; i++)
        if (strcmp(study->runs[i].id, id) == 0) return &study->runs[i];
    fail_msg("there is no run %s", id);
    return NULL;
}

static void test_rule_and_baseline_seeds(void **state)
{
    (void)state;
    const char *const runs =
        BASE "runs:\n  - {game: minatar/asterix}\n  - {game: minatar/breakout, seeds: 3, steps: "
             "5k}\n  - {game: minatar/asterix, from: b, first: [1, 2]}\n";
    qg_study *const usual = load(runs);
    assert_int_equal(usual->rule.compare, QG_COMPARE_MODERATED);
    assert_int_equal(usual->rule.adjust, QG_ADJUST_BH);
    assert_true(usual->rule.margin == QG_MARGIN);
    char text[2000];
    snprintf(text, sizeof text,
             "%sbaseline_seeds: 7\nverdicts: {compare: welch, adjust: dunnett, margin: 0.2}\n",
             runs);
    qg_study *const s = load(text);
    assert_int_equal(s->rule.compare, QG_COMPARE_WELCH);
    assert_int_equal(s->rule.adjust, QG_ADJUST_DUNNETT);
    assert_true(s->rule.margin == 0.2);
    assert_int_equal(run_named(s, "minatar-asterix")->seed_count, 7);
    assert_int_equal(run_named(s, "minatar-breakout")->seed_count, 3); /* its own */
    const int seeds = usual->seed_count;
    assert_int_equal(run_named(s, "b")->seed_count, seeds);
    assert_int_equal(run_named(s, "minatar-asterix-from-b-first1")->seed_count, seeds);
    assert_string_equal(hash_of(s, "runs/minatar-asterix/s1"),
                        hash_of(usual, "runs/minatar-asterix/s1"));
    qg_study_free(usual);
    qg_study_free(s);
}

static void collect_line(void *context, const char *line)
{
    char *text = context;
    snprintf(text + strlen(text), 4000 - strlen(text), "%s\n", line);
}

static void test_adequacy(void **state)
{
    (void)state;
    char text[4000] = "";
    qg_study *s = load(
        "steps: 10k\nseeds: 5\nsettings: {learn_start: 1k, epsilon_steps: 10k, eval_every: "
        "2k}\nruns:\n  - {game: minatar/breakout}\n  - {game: minatar/asterix, seeds: 6, "
        "settings: {learn_start: 10k, eval_every: 600}}\n  - {game: minatar/freeway, seeds: 6, "
        "settings: {epsilon_steps: 9k, eval_every: 500}}\n");
    qg_study_adequacy(s, collect_line, text);
    assert_string_equal(
        text, "1 of 3 runs (minatar-asterix) end before they learn: `steps` is not above "
              "learn_start\n"
              "1 of 3 runs (minatar-breakout) end before epsilon has fallen: learn_start + "
              "epsilon_steps is more than `steps`\n"
              "1 of 3 runs (minatar-breakout) are evaluated fewer than 10 times: set a smaller "
              "eval_every\n"
              "1 of 3 runs (minatar-asterix) have a jumpstart of a single evaluation: "
              "set a smaller eval_every\n"
              "1 of 3 runs (minatar-breakout) have fewer than six seeds: only large effects can be "
              "seen, and nothing tells lopsided noise from an effect\n");
    qg_study_free(s);
}

static void test_lists_of_layers(void **state)
{
    (void)state;
    char text[4000] = "";
    qg_study *s =
        load("steps: 10k\nsources: {b: {game: minatar/breakout}}\nruns:\n"
             "  - {game: minatar/breakout}\n"
             "  - {game: minatar/breakout, from: b, layers: [1, 3], freeze: [false, true]}\n"
             "  - {game: minatar/breakout, from: b, layers: \"1,2\"}\n"
             "  - {game: minatar/breakout, from: b, layers: 2}\n");
    qg_study_explain_lists(s, collect_line, text);
    assert_string_equal(text, "`layers: [1,3]` of line 5 are 2 experiments of one layer each; one "
                              "that copies them together is `layers: \"1,3\"`\n");
    qg_study_free(s);
}

static void test_refusals(void **state)
{
    (void)state;
    const struct {
        const char *text, *message; /* the message behind the file's name */
    } cases[] = {
        {"", ":1: nothing in it"},
        {"- a\n", ":1: a study is a list of `key: value` lines"},
        {"step: 1k\n", ":1: study: there is no key 'step'; did you mean 'steps'?"},
        {"seeds: 2\n", ":1: runs: is missing"},
        {"runs: []\n", ":1: runs: a list of"},
        {"study: ../x\nruns: [{game: minatar/breakout}]\n", ":1: study: '../x' cannot be its name"},
        {"runs:\n  - {game: minatar/brakeout}\n", ":2: unknown game 'minatar/brakeout'"},
        {"runs:\n  - {game: minatar/breakout, stepps: 3}\n", ":2: runs: there is no key 'stepps'"},
        {"runs:\n  - {game: minatar/breakout, steps: -3}\n", ":2: steps: '-3' is not a whole"},
        {"runs:\n  - {game: minatar/breakout, steps: []}\n", ":2: steps: the list is empty"},
        {"runs:\n  - {game: minatar/breakout,\n     settings: {discont: 1}}\n",
         ":3: there is no setting 'discont'; did you mean 'discount'?"},
        {"runs:\n  - {game: minatar/breakout, preset: dqn4}\n", ":2: preset: there is no 'dqn4'"},
        {"seeds: [1, 2, 1]\nruns: [{game: minatar/breakout}]\n", ":1: seeds: 1 stands twice"},
        {"seeds: 0\nruns: [{game: minatar/breakout}]\n", ":1: seeds: '0' is not a whole number"},
        {"threads: 1000\nruns: [{game: minatar/breakout}]\n", ":1: threads: '1000'"},
        {"sources:\n  a: {from: b}\n  b: {distill: a}\nruns: [{game: minatar/breakout}]\n",
         ":3: sources: 'a' is made of itself"},
        {"sources:\n  a: {from: a}\nruns: [{game: minatar/breakout}]\n",
         ":2: sources: 'a' is made of itself"},
        {"sources:\n  a: {from: c}\nruns: [{game: minatar/breakout}]\n",
         ":2: sources: there is no 'c'"},
        {"sources:\n  a: {}\nruns: [{game: minatar/breakout}]\n", ":2: a: 'game', 'distill'"},
        {"sources:\n  a: {game: minatar/breakout}\n  b: {distill: a, loss: huber}\n"
         "runs: [{game: minatar/breakout}]\n",
         ":3: loss: 'kl', 'kl-both', 'mse' or 'nll', not 'huber'"},
        {"sources:\n  a: {game: minatar/breakout}\n  b: {distill: a, loss: [mse, mse]}\n"
         "runs: [{game: minatar/breakout}]\n",
         ":3: sources: 'b-mse' stands twice"},
        {"sources:\n  a: {game: minatar/breakout}\n  b: {distill: a, loss: [kl, mse]}\n"
         "  b-kl: {game: minatar/freeway}\nruns: [{game: minatar/breakout}]\n",
         ":4: sources: 'b-kl' stands twice, here and in line 3"},
        {"sources:\n  a: {game: minatar/breakout}\n  b: {distill: a, loss: []}\n"
         "runs: [{game: minatar/breakout}]\n",
         ":3: loss: the list is empty"},
        {"sources:\n  a: {game: minatar/breakout}\n  b: {distill: a, loss: [mse, [kl]]}\n"
         "runs: [{game: minatar/breakout}]\n",
         ":3: b: its lists make no names"},
        {"sources:\n  a: {game: minatar/breakout}\n  b: {distill: a, samples: [1, 2]}\n"
         "runs: [{game: minatar/breakout, from: b, last: 1}]\n",
         ":4: "},
        {"sources:\n  random: {game: minatar/breakout}\nruns: [{game: minatar/breakout}]\n",
         ":2: sources: 'random' cannot be a name"},
        {"sources:\n  a/b: {game: minatar/breakout}\nruns: [{game: minatar/breakout}]\n",
         ":2: sources: 'a/b' cannot be a name"},
        {"sources:\n  a: {file: nowhere.safetensors}\nruns: [{game: minatar/breakout}]\n", ":2: "},
        {"seeds: 2\nsources:\n  a: {file: [x, y, z]}\nruns: [{game: minatar/breakout}]\n",
         ":3: file: 3 networks for 2 seeds"},
        {"seeds: [2, 1]\nsources:\n  a: {file: [x, y]}\nruns: [{game: minatar/breakout}]\n",
         ":3: file: one for each seed: write the `seeds` in rising order"},
        {"runs: [{game: minatar/breakout}]\ngames:\n"
         "  minatar/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: {threshold: 1}\n",
         ":3: unknown game 'minatar/bbbb"},
        {"runs: [{game: minatar/breakout}]\ngames:\n"
         "  "
         "minatar/"
         "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb:"
         " {threshold: 1}\n",
         ":3: a key is longer than 95 characters"},
        {"steps: 1k\nsources:\n  b: {game: minatar/breakout}\n  e: {from: b, at: 2k}\n"
         "runs: [{game: minatar/breakout}]\n",
         ":4: at: 2000 is beyond the 1000 steps of 'b'"},
        {"runs:\n  - {game: minatar/breakout, first: 1}\n", ":2: first: means nothing without"},
        {"runs:\n  - {game: minatar/breakout, from: x, first: 1}\n", ":2: from: 'x' is not among"},
        {"runs:\n  - {game: minatar/breakout, from: random}\n", ":2: from: exactly one of first"},
        {"runs:\n  - {game: minatar/breakout, from: random, first: 1, last: 1}\n",
         ":2: from: exactly one of first"},
        {"runs:\n  - {game: minatar/breakout, from: random, layers: '1,x'}\n", ":2: layers: '1,x'"},
        {"runs:\n  - {game: minatar/breakout, from: random, first: 1, freeze: true}\n",
         ":2: runs: nothing to compare 'minatar-breakout-from-random-first1-frozen' with"},
        {"runs:\n  - {game: minatar/breakout, from: random, first: 1}\n",
         ":2: from: random layers"},
        {"runs:\n  - {game: minatar/breakout}\n  - {game: minatar/breakout}\n",
         ":3: runs: 'minatar-breakout' is the same run as that of line 2"},
        {"runs:\n  - {game: minatar/breakout, name: x}\n  - {game: minatar/asterix, name: x}\n",
         ":3: 'x' is also what the run of line 2 is called"},
        {"runs:\n  - {game: [minatar/breakout, minatar/asterix], name: x}\n",
         ":2: name: the lists make 2 runs"},
        {"seeds: 3\nsources:\n  b: {game: minatar/breakout, seeds: 2}\nruns:\n"
         "  - {game: minatar/asterix}\n  - {game: minatar/asterix, from: b, first: 1}\n",
         ":6: seeds: 'minatar-asterix-from-b-first1' needs seed 3 of the source 'b'"},
        {"runs: [{game: minatar/breakout}]\ngames: {minatar/asterix: {threshold: 1}}\n",
         ":2: games: no run plays 'minatar/asterix'"},
        {"runs: [{game: minatar/breakout}]\n"
         "games: {minatar/breakout: {random: 2, reference: 1}}\n",
         ":2: reference: is not above random (2)"},
        {"runs: [{game: minatar/breakout}]\nclaims: [{says: x, expect: negative}]\n",
         ":2: of: no graft of this study fits"},
        {"runs: [{game: minatar/breakout}]\nclaims: [{says: x, expect: worse}]\n",
         ":2: than: belongs to better and worse"},
        {"runs: [{game: minatar/breakout}]\nclaims: [{says: x, expect: good}]\n",
         ":2: expect: one of positive"},
        {"runs:\n  - {game: minatar/breakout}\n  - {game: minatar/breakout, from: random, first: "
         "6, "
         "freeze: true}\n",
         ":3: `first` 6: the networks have 5 and 5 weighted layers; 1 to 5 can be copied"},
        {"runs:\n  - {game: minatar/breakout}\n  - {game: minatar/breakout, from: random, layers: "
         "'1,7', freeze: true}\n",
         ":3: `layers` 7: the networks have"},
        {"sources:\n  d: {game: minatar/breakout, settings: {network: grid-dueling}}\nruns:\n"
         "  - {game: minatar/asterix}\n"
         "  - {game: minatar/asterix, from: d, last: 1, settings: {network: grid}}\n",
         ":5: heads of the source has a value and an advantage head"},
        {"sources:\n  d: {game: minatar/breakout, settings: {network: 'grid-split:32'}}\nruns:\n"
         "  - {game: minatar/asterix}\n"
         "  - {game: minatar/asterix, from: d, first: 4, settings: {network: grid}}\n",
         ":5: fc1 of the source (linear 32x"},
        {"runs:\n  - {game: minatar/breakout}\n  - {game: minatar/breakout, from: random, first: "
         "2, "
         "freeze: true, lr_scale: '1:0.1'}\n",
         ":3: `lr_scale`: layer 1 is frozen to the end and has no learning rate"},
        {"runs:\n  - {game: minatar/breakout, also_evaluate: pong}\n",
         ":2: also_evaluate: pong has screens that a network of minatar/breakout does not take"},
        {"runs: [{game: minatar/breakout}]\nverdicts: {compare: pairs}\n",
         ":2: compare: one of moderated, welch, paired, not 'pairs'"},
        {"runs: [{game: minatar/breakout}]\nverdicts: {margin: 0}\n", ":2: margin: is more than 0"},
        {"runs: [{game: minatar/breakout}]\nverdicts: {alpha: 1}\n",
         ":2: verdicts: there is no key"},
        {"runs: [{game: minatar/breakout}]\nbaseline_seeds: [1, 1]\n",
         ":2: baseline_seeds: 1 stands twice"},
        {"runs:\n  - {game: minatar/breakout, settings: {minibatch: [1,2,3,4,5,6,7,8,9,10], "
         "history: [1,2,3,4,5,6,7,8], replay: [1,2,3,4,5,6,7,8,9,10], learn_start: "
         "[1,2,3,4,5,6,7,8,9,10], eval_every: [1,2]}}\n",
         "the lists make more than 10000 runs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_study *study;
        qg_error error = {0};
        const char *const path = write_study(cases[i].text);
        const qg_status status = qg_study_load(path, 1, &study, &error);
        if (status == QG_OK) fail_msg("taken: %s", cases[i].text);
        assert_null(study);
        if (strncmp(error.message, path, strlen(path)) != 0 ||
            !strstr(error.message + strlen(path), cases[i].message))
            fail_msg("%s: '%s' has no '%s'", cases[i].text, error.message, cases[i].message);
    }
    qg_study *study;
    qg_error error;
    assert_int_equal(qg_study_load(scratch_path("none.yaml"), 1, &study, &error), QG_ERROR_IO);
    assert_int_equal(qg_study_load(write_study(BASE), 0, &study, &error), QG_ERROR_USAGE);
    assert_int_equal(qg_study_load(write_study(BASE), 2, &study, &error), QG_ERROR_USAGE);
}

/* Games that a run is only evaluated on make it another one, and nothing that begins from it. */
static void test_also_evaluate(void **state)
{
    (void)state;
#define ALSO(games)                                                                                \
    "seeds: 1\nsteps: 1k\nsources: {b: {game: minatar/breakout, also_evaluate: " games "}}\n"      \
    "runs:\n  - {game: minatar/asterix}\n  - {game: minatar/asterix, from: b, first: 1}\n"
    qg_study *const none = load(ALSO("[]"));
    qg_study *const both = load(ALSO("[minatar/freeway, minatar/asterix]"));
    qg_study *const turned = load(ALSO("[minatar/asterix, minatar/freeway]"));
    const char *const child = "runs/minatar-asterix-from-b-first1/s1";
    assert_string_not_equal(hash_of(none, "runs/b/s1"), hash_of(both, "runs/b/s1"));
    assert_string_equal(hash_of(both, "runs/b/s1"), hash_of(turned, "runs/b/s1"));
    assert_string_equal(hash_of(none, child), hash_of(both, child));
    const qg_study_task *const b = &both->tasks[find_task(both, "runs/b/s1")];
    assert_string_equal(b->result_hash, hash_of(none, "runs/b/s1"));
    assert_string_equal(b->result_network_hash, b->result_hash);
    qg_study_free(none);
    qg_study_free(both);
    qg_study_free(turned);
}

static void save_network(const qg_network_info *info)
{
    qg_architecture architecture;
    qg_network network;
    qg_error error;
    assert_int_equal(qg_architecture_make("grid", 4, 10, 10, 1, 3, &architecture, &error), QG_OK);
    assert_int_equal(qg_network_create(&architecture, &network, &error), QG_OK);
    qg_network_initialise(&network, 1);
    assert_int_equal(qg_network_save(scratch_path("given.safetensors"), &network, info, &error),
                     QG_OK);
    qg_network_free(&network);
}

/* A given network is known by itself; for EWC also by what it says of its play. */
static void test_given_networks(void **state)
{
    (void)state;
    const char *const text =
        "seeds: 1\nsteps: 1k\nsources: {g: {file: given.safetensors}}\nruns:\n"
        "  - {game: minatar/breakout}\n"
        "  - {game: minatar/breakout, from: g, first: 2, group: x, name: plain}\n"
        "  - {game: minatar/breakout, from: g, first: 2, group: x, name: ewc, ewc: 5}\n";
    const qg_network_info infos[] = {
        {.domain = "minatar/breakout", .actions = "noop,left,right", .history = 1},
        {.domain = "minatar/breakout", .actions = "noop,left,right", .history = 1, .step = 9},
        {.domain = "minatar/freeway", .actions = "noop,left,right", .history = 1},
        {.domain = "minatar/breakout", .actions = "noop,right,left", .history = 1},
    };
    const qg_network_info two = {
        .domain = "minatar/breakout", .actions = "noop,left,right", .history = 2};
    char plain[65] = "", ewc[65] = "";
    for (size_t i = 0; i < sizeof infos / sizeof *infos; i++) {
        save_network(&infos[i]);
        qg_study *const s = load(text);
        const char *const found = s->tasks[find_task(s, "runs/ewc/s1")].network_hash;
        if (i == 0) {
            memcpy(plain, s->tasks[find_task(s, "runs/plain/s1")].network_hash, sizeof plain);
            memcpy(ewc, found, sizeof ewc);
        }
        assert_string_equal(plain, s->tasks[find_task(s, "runs/plain/s1")].network_hash);
        assert_int_equal(strcmp(ewc, found) == 0, i < 2);
        qg_study_free(s);
    }
    qg_study *none;
    qg_error error;
    save_network(&two);
    assert_int_equal(qg_study_load(write_study(text), 1, &none, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, ":6: from: 'g' sees 2 screens at a time, the run 1"));
}

/* Every way in which a file can be cut off or changed in one byte: refused or read, never a crash.
 */
static void test_mutations(void **state)
{
    (void)state;
    const char *const good =
        BASE "runs:\n  - {game: [minatar/asterix, minatar/breakout]}\n"
             "  - {game: minatar/asterix, from: [b, soft], layers: '1,2', group: '{from}'}\n"
             "games: {minatar/asterix: {threshold: 3, random: 0, reference: 9}}\n"
             "claims: [{says: x, expect: negative, of: {from: [b]}}]\n";
    const size_t size = strlen(good);
    char text[2048];
    for (size_t i = 0; i < size; i++) {
        for (const char *c = "\0:{]x-"; c < &"\0:{]x-"[6]; c++) {
            memcpy(text, good, size + 1);
            text[i] = *c; /* NUL: cut off here */
            qg_study *study;
            qg_error error;
            if (!qg_study_load(write_study(text), 1, &study, &error)) qg_study_free(study);
        }
    }
}

static bool exists(const char *path)
{
    struct stat information;
    return stat(path, &information) == 0;
}

static void test_folder(void **state)
{
    (void)state;
    qg_error error;
    qg_study *opened;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", scratch_path("study"));
    qg_study *const s =
        load_scaled(BASE "runs:\n  - {game: minatar/breakout, from: b, first: 1}\n", 0.5);
    assert_int_equal(qg_study_open(folder, &opened, &error), QG_ERROR_USAGE);
    assert_int_equal(qg_study_save(s, folder, &error), QG_OK);
    assert_int_equal(qg_study_save(s, folder, &error), QG_OK); /* again */
    assert_int_equal(qg_study_open(folder, &opened, &error), QG_OK);
    assert_string_equal(opened->name, s->name);
    assert_true(opened->scale == 0.5);
    assert_int_equal(opened->task_count, s->task_count);
    for (int i = 0; i < s->task_count; i++)
        assert_string_equal(opened->tasks[i].hash, s->tasks[i].hash);
    qg_study_free(opened);
    qg_study *const other = load("study: other\nruns:\n  - {game: minatar/breakout}\n");
    assert_int_equal(qg_study_save(other, folder, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "holds the study 's', not 'other'"));
    char parent[512]; /* something else is in it */
    snprintf(parent, sizeof parent, "%s", folder);
    *strrchr(parent, '/') = '\0';
    assert_int_equal(qg_study_save(other, parent, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "is not empty and holds no study"));
    qg_study_free(other);
    qg_study_free(s);
}

static void test_task_folder(void **state)
{
    (void)state;
    qg_error error;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", scratch_path("tasks"));
    const char *const text = "seeds: 2\nsteps: 1k\nsources: {b: {game: minatar/breakout}}\n"
                             "runs:\n  - {game: minatar/breakout, from: b, first: 1}\n";
    qg_study *const s = load(text);
    qg_task_status statuses[5];
    assert_int_equal(s->task_count, 5); /* the last one measures */
    assert_int_equal(qg_study_look(s, folder, statuses, &error), QG_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(statuses[i].state, QG_TASK_WAITING);
    assert_int_equal(qg_task_prepare(s, 0, folder, &error), QG_OK);
    qg_task_status status = {.state = QG_TASK_FAILED, .seconds = 2.5, .host = "h", .message = "no"};
    assert_int_equal(qg_task_note(s, 0, folder, &status, &error), QG_OK);
    assert_int_equal(qg_study_look(s, folder, statuses, &error), QG_OK);
    assert_int_equal(statuses[0].state, QG_TASK_FAILED);
    assert_string_equal(statuses[0].message, "no");
    assert_true(statuses[0].seconds == 2.5);
    assert_int_equal(statuses[1].state, QG_TASK_WAITING);
    assert_int_equal(statuses[2].state, QG_TASK_BLOCKED); /* the graft of seed 1 */
    assert_string_equal(statuses[2].message, "runs/b/s1 failed");
    assert_int_equal(statuses[3].state, QG_TASK_WAITING);

    char *const run = qg_task_path(s, 0, folder, NULL);
    qg_lock lock;
    assert_int_equal(qg_lock_folder(run, &lock, &error), QG_OK);
    assert_int_equal(qg_study_look(s, folder, statuses, &error), QG_OK);
    assert_int_equal(statuses[0].state, QG_TASK_RUNNING);
    assert_int_equal(qg_task_prepare(s, 0, folder, &error), QG_ERROR_BUSY);
    qg_unlock_folder(&lock);

    /* Other settings: the folder goes aside; the old ones: it comes back. */
    status.state = QG_TASK_FINISHED;
    assert_int_equal(qg_task_note(s, 0, folder, &status, &error), QG_OK);
    qg_study *const changed = load("seeds: 2\nsteps: 2k\nsources: {b: {game: minatar/breakout}}\n"
                                   "runs:\n  - {game: minatar/breakout, from: b, first: 1}\n");
    assert_int_equal(qg_study_look(changed, folder, statuses, &error), QG_OK);
    assert_int_equal(statuses[0].state, QG_TASK_STALE);
    assert_int_equal(qg_task_prepare(changed, 0, folder, &error), QG_OK);
    char *const note = qg_task_path(s, 0, folder, "task.json");
    assert_false(exists(note));
    assert_int_equal(qg_task_note(changed, 0, folder, &status, &error), QG_OK);
    assert_int_equal(qg_task_prepare(s, 0, folder, &error), QG_OK);
    assert_int_equal(qg_study_look(s, folder, statuses, &error), QG_OK);
    assert_int_equal(statuses[0].state, QG_TASK_FINISHED);
    assert_int_equal(qg_task_prepare(changed, 0, folder, &error), QG_OK);
    assert_int_equal(qg_study_look(changed, folder, statuses, &error), QG_OK);
    assert_int_equal(statuses[0].state, QG_TASK_FINISHED);

    /* A note that was cut off counts as not there. */
    assert_int_equal(truncate(note, 20), 0);
    assert_int_equal(qg_study_look(changed, folder, statuses, &error), QG_OK);
    assert_int_equal(statuses[0].state, QG_TASK_WAITING);
    free(note);
    free(run);
    qg_study_free(changed);
    qg_study_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plan),
                                       cmocka_unit_test(test_run_files),
                                       cmocka_unit_test(test_measurements),
                                       cmocka_unit_test(test_forecast),
                                       cmocka_unit_test(test_multiplied_settings),
                                       cmocka_unit_test(test_short_runs_evaluate_in_proportion),
                                       cmocka_unit_test(test_scale),
                                       cmocka_unit_test(test_hashes),
                                       cmocka_unit_test(test_losses_of_students),
                                       cmocka_unit_test(test_lists_of_students),
                                       cmocka_unit_test(test_claims),
                                       cmocka_unit_test(test_rule_and_baseline_seeds),
                                       cmocka_unit_test(test_adequacy),
                                       cmocka_unit_test(test_lists_of_layers),
                                       cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_also_evaluate),
                                       cmocka_unit_test(test_given_networks),
                                       cmocka_unit_test(test_mutations),
                                       cmocka_unit_test(test_folder),
                                       cmocka_unit_test(test_task_folder)};
    return cmocka_run_group_tests_name("study", tests, scratch_setup, scratch_teardown);
}
