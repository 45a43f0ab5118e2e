/* The policy, the evaluator and the trainer on a scripted domain.
 *
 * This program brings its own qg_domain_open, so that a run plays the script below, which writes
 * down what it is asked. The trainer is compared, action for action and weight for weight, with a
 * second one written here in the order of DQN 3.0, which keeps every screen in plain arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <qgraft/agent.h>
#include <qgraft/td_learner.h>

#include "agent/policy.h"
#include "base/file.h"
#include "base/random.h"
#include "scratch.h"

#include <math.h>

static qg_error error;

static void must(qg_status status)
{
    if (status) fail_msg("%s", error.message);
}

/* ---- The scripted domain ---- */

enum { SIDE = 6, PIXELS = SIDE * SIDE, ACTIONS = 3, LOG = 20000 };

static const char *const action_names[] = {"noop", "left", "fire"};
static const qg_game script_game = {
    .name = "script", .actions = action_names, .action_count = ACTIONS, .levels = 1};

typedef struct script {
    bool training;
    uint32_t seed;
    int64_t games, frame; /* so far; of this game */
    int64_t length;       /* frames of this game */
    float scripted;       /* the reward of every step; NaN: drawn */
    bool over;
} script;

/* What the script is asked, and how it is to behave. */
static struct {
    int opened;                      /* domains, the training's first */
    int log[LOG], count;             /* training: actions, resets as -1 - noops */
    double evaluation_rewards[32];   /* by evaluation; NaN: drawn */
    int fixed_length;                /* of games; 0: drawn */
    int64_t stop_at, fail_at, steps; /* calls of step in all; 0: never */
    volatile sig_atomic_t stop;
    bool cannot_save;
    qg_domain_options training_options, evaluation_options;
} play;

static void script_begin(void)
{
    memset(&play, 0, sizeof play);
    for (int i = 0; i < 32; i++)
        play.evaluation_rewards[i] = NAN;
}

static uint64_t hash(const script *s, uint64_t what)
{
    qg_random r = qg_random_stream(
        s->seed + what * 1000003u + (uint64_t)s->games * 1009u + (uint64_t)s->frame, "script");
    return qg_random_u64(&r);
}

static void show(const script *s, uint8_t *screen)
{
    for (int k = 0; k < PIXELS; k += 8) {
        const uint64_t bits = hash(s, 100 + (uint64_t)k) & 0xff00ff00ff0fffff;
        memcpy(screen + k, &bits, k + 8 <= PIXELS ? 8 : (size_t)(PIXELS - k));
    }
}

static void begin_game(script *s)
{
    s->games++;
    s->frame = 0;
    s->over = false;
    s->length = play.fixed_length ? play.fixed_length : 9 + (int64_t)(hash(s, 1) % 20);
}

qg_status qg_domain_reset(qg_domain *domain, int noops, uint8_t *screen, qg_error *e)
{
    (void)e;
    script *s = domain->self;
    if (s->over) begin_game(s);
    s->frame += noops % 4; /* fewer than a game is long */
    if (s->frame >= s->length) begin_game(s);
    if (s->training && play.count < LOG) play.log[play.count++] = -1 - noops;
    show(s, screen);
    return QG_OK;
}

qg_status qg_domain_step(qg_domain *domain, int action, qg_step *step, uint8_t *screen, qg_error *e)
{
    static const float rewards[] = {-3, -1, 0, 0, 0.5f, 1, 7};
    script *s = domain->self;
    assert_false(s->over);
    assert_in_range(action, 0, ACTIONS - 1);
    if (s->training && play.count < LOG) play.log[play.count++] = action;
    if (++play.steps == play.stop_at) play.stop = 1;
    if (play.steps == play.fail_at) return qg_fail(e, QG_ERROR_IO, "the script ends here");
    s->frame++;
    const float drawn = rewards[hash(s, 10 + (uint64_t)action) % 7];
    s->over = s->frame >= s->length;
    *step = (qg_step){.reward = isnan(s->scripted) ? drawn : s->scripted,
                      .end = s->over,
                      .life_lost = s->over || s->frame % 7 == 0};
    show(s, screen);
    return QG_OK;
}

static qg_domain *script_open(bool training, uint32_t seed, double scripted)
{
    qg_domain *domain = calloc(1, sizeof *domain);
    script *s = calloc(1, sizeof *s);
    assert_non_null(domain);
    assert_non_null(s);
    *s = (script){.training = training, .seed = seed, .scripted = (float)scripted, .over = true};
    *domain = (qg_domain){.self = s, .game = &script_game, .shape = {SIDE, SIDE, 1, 255}};
    strcpy(domain->name, "script");
    return domain;
}

qg_status qg_domain_open(const char *name, const qg_domain_options *options, qg_domain **domain,
                         qg_error *e)
{
    if (strcmp(name, "script") != 0) return qg_fail(e, QG_ERROR_USAGE, "no game '%s'", name);
    const int number = play.opened++;
    const double scripted =
        number > 0 && number <= 32 ? play.evaluation_rewards[number - 1] : (double)NAN;
    *(number ? &play.evaluation_options : &play.training_options) = *options;
    *domain = script_open(number == 0, options->seed, scripted);
    return QG_OK;
}

qg_status qg_domain_save(qg_domain *domain, uint8_t **state, size_t *size, qg_error *e)
{
    if (play.cannot_save) return qg_fail(e, QG_ERROR_USAGE, "the script cannot be saved");
    *size = sizeof(script);
    *state = malloc(*size);
    assert_non_null(*state);
    memcpy(*state, domain->self, *size);
    return QG_OK;
}

qg_status qg_domain_restore(qg_domain *domain, const uint8_t *state, size_t size, qg_error *e)
{
    if (size != sizeof(script)) return qg_fail(e, QG_ERROR_DATA, "no script");
    memcpy(domain->self, state, size);
    return QG_OK;
}

void qg_domain_close(qg_domain *domain)
{
    if (!domain) return;
    free(domain->self);
    free(domain);
}

/* ---- Policy ---- */

static void test_epsilon(void **state)
{
    (void)state;
    qg_settings s;
    assert_int_equal(qg_settings_preset(&s, "dqn3", &error), QG_OK);
    assert_true(qg_epsilon(&s, 0) == 1);
    assert_true(qg_epsilon(&s, 50000) == 1);
    assert_true(fabs(qg_epsilon(&s, 50001) - (1 - 0.9e-6)) < 1e-12);
    assert_true(fabs(qg_epsilon(&s, 550000) - 0.55) < 1e-12);
    assert_true(qg_epsilon(&s, 1049999) > 0.1);
    assert_true(qg_epsilon(&s, 1050000) == 0.1);
    assert_true(qg_epsilon(&s, INT64_C(1000000000000)) == 0.1);
    s.epsilon_steps = 0;
    assert_true(qg_epsilon(&s, 50000) == 1);
    assert_true(qg_epsilon(&s, 50001) == 0.1);
}

static void test_exploring(void **state)
{
    (void)state;
    qg_random random = qg_random_stream(1, "policy");
    int explored = 0, counts[6] = {0}, action = -1;
    for (int k = 0; k < 20000; k++)
        if (qg_explore(&random, 0.3, 6, &action)) {
            explored++;
            assert_in_range(action, 0, 5);
            counts[action]++;
        }
    assert_true(fabs(explored - 6000.0) < 4 * sqrt(20000 * 0.3 * 0.7));
    double chi_square = 0;
    for (int a = 0; a < 6; a++)
        chi_square += pow(counts[a] - explored / 6.0, 2) / (explored / 6.0);
    assert_true(chi_square < 25); /* 5 degrees of freedom: 1 in 10^4 */
    for (int k = 0; k < 1000; k++) {
        assert_false(qg_explore(&random, 0, 6, &action));
        assert_true(qg_explore(&random, 1, 6, &action));
    }
}

static void test_greedy(void **state)
{
    (void)state;
    const float q[] = {-1, 3, 2, 3, 3, -5};
    assert_int_equal(qg_greedy_action(q, 6, 0), 1);
    assert_int_equal(qg_greedy_action(q, 6, 0.33), 1);
    assert_int_equal(qg_greedy_action(q, 6, 0.34), 3);
    assert_int_equal(qg_greedy_action(q, 6, 0.67), 4);
    assert_int_equal(qg_greedy_action(q, 6, 1 - 0x1p-53), 4);
    assert_int_equal(qg_greedy_action(q, 1, 0.99), 0);
    assert_int_equal(qg_greedy_action(q + 4, 2, 0.99), 0);
    const float negative[] = {-2, -1, -1};
    assert_int_equal(qg_greedy_action(negative, 3, 0.99), 2);
}

/* ---- Evaluation ---- */

static qg_settings small_settings(void)
{
    qg_settings s;
    assert_int_equal(qg_settings_preset(&s, "dqn3", &error), QG_OK);
    strcpy(s.network, "[{\"conv\":8,\"kernel\":3},{\"linear\":16}]");
    s.history = 3;
    s.learning_rate = 0.01;
    s.minibatch = 8;
    s.replay = 100;
    s.learn_start = 50;
    s.update_every = 4;
    s.target_every = 60;
    s.epsilon_end = 0.2;
    s.epsilon_steps = 100;
    s.eval_every = 100;
    s.eval_steps = 50;
    s.validation_size = 10;
    s.log_every = 70;
    s.noop_max = 5;
    return s;
}

static qg_td_learner learner_of(const qg_settings *s, uint64_t seed)
{
    qg_architecture a;
    qg_network n;
    qg_td_learner learner;
    must(qg_architecture_make(s->network, s->history, SIDE, SIDE, 255, ACTIONS, &a, &error));
    must(qg_network_create(&a, &n, &error));
    must(qg_td_learner_create(&a, s, &(qg_machine){.threads = 1}, &learner, &error));
    qg_network_initialise(&n, seed);
    must(qg_engine_write(learner.engine, QG_ONLINE, &n, &error));
    must(qg_engine_copy_to_target(learner.engine, &error));
    qg_network_free(&n);
    return learner;
}

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

/* ---- The trainer, a second time ---- */

enum { MOST = 4000 };

typedef struct second {
    const qg_settings *s;
    qg_td_learner learner;
    uint8_t screens[MOST][PIXELS];
    bool ends[MOST];
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
    float rewards[16];
    uint8_t terminals[16];
    const int first = t->count > s->replay ? t->count - (int)s->replay + s->history - 1 : 0;
    for (int i = 0; i < s->minibatch; i++) {
        int e;
        do
            e = first + (int)qg_random_below(replay, (uint64_t)(t->count - 1 - first));
        while (t->ends[e]);
        actions[i] = t->actions[e];
        rewards[i] = t->rewards[e];
        terminals[i] = t->ends[e + 1];
        state_of(t, e, states + i * s->history);
        state_of(t, e + 1, next_states + i * s->history);
    }
    const qg_batch batch = {{s->minibatch, s->history, 1, states},
                            {s->minibatch, s->history, 1, next_states},
                            actions,
                            rewards,
                            terminals};
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
    bool end = false;
    qg_domain_reset(domain, random_noops(t, &noops), screen, &error);
    for (int64_t step = 0; step < steps;) {
        memcpy(t->screens[t->count], screen, PIXELS);
        t->ends[t->count++] = end;
        int action = 0;
        if (!end) action = second_choose(t, &policy, step);
        if (step > s->learn_start && step % s->update_every == 0) second_update(t, &replay);
        step++;
        if (step % s->target_every == 0) must(qg_engine_copy_to_target(t->learner.engine, &error));
        if (end) {
            qg_domain_reset(domain, random_noops(t, &noops), screen, &error);
            end = false;
            continue;
        }
        qg_step result;
        qg_domain_step(domain, action, &result, screen, &error);
        t->actions[t->count - 1] = action;
        t->rewards[t->count - 1] =
            s->clip_reward ? fmaxf(-1, fminf(1, result.reward)) : result.reward;
        end = result.end || (s->life_loss_terminal && result.life_lost);
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

static void check_order(const qg_settings *settings, int64_t steps)
{
    static second t;
    static int log[LOG];
    qg_train_options options = train_options(steps);
    options.settings = *settings;
    options.run.overwrite = true;
    qg_run_result result;
    script_begin();
    if (qg_train(&options, &result, &error)) fail_msg("%s", error.message);
    assert_int_equal(result.step, steps);
    const int count = play.count;
    memcpy(log, play.log, sizeof log);

    script_begin();
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
    check_order(&s, 700); /* the ring of 100 is filled seven times */
    s.replay = 1000;
    s.update_every = 1;
    s.target_every = 7;
    s.noop_max = 0;
    check_order(&s, 300);
    s.clip_reward = s.life_loss_terminal = false;
    s.epsilon_start = s.epsilon_end = 0;
    s.history = 1;
    check_order(&s, 300);
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
    assert_int_equal(play.opened, 1 + 5); /* at 0, 100, ... 400 */
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
    assert_int_equal(play.opened, 1 + 2); /* at 0 and at the end */
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

static void test_best(void **state)
{
    (void)state;
    static const struct {
        double rewards[8];
        int best; /* number of the evaluation */
    } cases[] = {
        {{9, 1, 3, 3, 2}, 2}, /* step 0 is no candidate; a tie keeps the earlier */
        {{0, 1, 3, 2, 4}, 4},
        {{0, -1, -2, -3, -4}, 1},
        {{0, -1, -0.5, 0, 0}, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qg_train_options options = train_options(400);
        options.run.overwrite = true;
        qg_run_result result;
        script_begin();
        play.fixed_length = 10;
        memcpy(play.evaluation_rewards, cases[i].rewards, sizeof cases[i].rewards);
        options.settings.noop_max = 0;
        assert_int_equal(qg_train(&options, &result, &error), QG_OK);
        const double best = 10 * cases[i].rewards[cases[i].best];
        assert_true(result.best_score == best);
        assert_int_equal(result.best_step, 100 * cases[i].best);
        assert_true(result.last_score == 10 * cases[i].rewards[4]);
        qg_network network;
        qg_network_info info;
        load("run/best.safetensors", &network, &info);
        qg_network_free(&network);
        assert_true(info.score == best && info.step == 100 * cases[i].best && info.seed == 11);
        assert_string_equal(info.domain, "script");
        assert_string_equal(info.actions, "noop,left,fire");
        load("run/last.safetensors", &network, &info);
        qg_network_free(&network);
        assert_true(info.score == result.last_score && info.step == 400);
    }
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

static void test_refusals(void **state)
{
    (void)state;
    qg_train_options options = train_options(120);
    qg_run_result result;
    script_begin();
    assert_int_equal(qg_train(&options, &result, &error), QG_OK);
    assert_true(contains("run/process.yaml", "state: finished"));

    uint8_t *before, *after;
    size_t size, size_after;
    assert_int_equal(
        qg_file_read(scratch_path("run/last.safetensors"), 1 << 20, &before, &size, &error), QG_OK);
    options.run.seed = 12; /* another run: refused, nothing is touched */
    script_begin();
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_USAGE);
    assert_non_null(strstr(error.message, "`overwrite`"));
    assert_int_equal(play.steps, 0);
    assert_int_equal(
        qg_file_read(scratch_path("run/last.safetensors"), 1 << 20, &after, &size_after, &error),
        QG_OK);
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
    assert_true(contains("run/process.yaml", "state: finished"));

    qg_lock lock; /* another process is at it: not even with `overwrite` */
    assert_int_equal(qg_lock_folder(scratch_path("run"), &lock, &error), QG_OK);
    options.run.overwrite = true;
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_BUSY);
    qg_unlock_folder(&lock);

    script_begin(); /* overwritten, and nothing of the old run is left, though the new one stops */
    play.stop_at = 10;
    assert_int_equal(qg_train(&options, &result, &error), QG_STOPPED);
    assert_int_equal(access(scratch_path("run/best.safetensors"), F_OK), -1);
    assert_true(contains("run/run.yaml", "seed: 12"));
    char cell[64];
    assert_false(csv_cell("run/evaluations.csv", 1, 0, cell));
    assert_false(csv_cell("run/training.csv", 1, 0, cell));

    options.domain = "nothing";
    options.run.folder = scratch_path("never");
    assert_int_equal(qg_train(&options, &result, &error), QG_ERROR_USAGE);
    assert_int_equal(access(scratch_path("never"), F_OK), -1);
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

/* Another network to begin with is another run; a game that cannot be saved begins anew. */
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
    assert_non_null(strstr(error.message, "another network"));
    assert_true(contains("run/process.yaml", "state: stopped"));
    qg_network_free(&initial);

    options.initial = NULL;
    options.run.resume = false;
    options.run.overwrite = true;
    script_begin();
    play.cannot_save = true;
    play.stop_at = 230;
    assert_int_equal(qg_train(&options, &result, &error), QG_STOPPED);
    assert_non_null(strstr(result.warning, "cannot be saved"));
    assert_int_equal(look().checkpoint_step, -1);
    assert_int_equal(access(scratch_path("run/replay.bin"), F_OK), -1);
    options.run.overwrite = false;
    options.run.resume = true;
    script_begin();
    assert_int_equal(qg_train(&options, &result, &error), QG_OK);
    assert_int_equal(result.begun_at, 0);
    assert_true(look().complete);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epsilon),
        cmocka_unit_test(test_exploring),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test_setup_teardown(test_order, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_evaluations_apart, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_best, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_rows, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_no_steps, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_refusals, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_ends, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_resume, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_resume_refusals, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
