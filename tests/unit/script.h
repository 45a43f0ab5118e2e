/* A scripted domain in the place of qg_domain_open, which writes down what it is asked and does
 * what it is told; and what learns on it. Of those that are opened the first is the training's, the
 * others are the evaluations'. */
#ifndef QG_SCRIPT_H
#define QG_SCRIPT_H

#include <qgraft/agent.h>
#include <qgraft/td_learner.h>

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static qg_error error;

static inline void must(qg_status status)
{
    if (status) fail_msg("%s", error.message);
}

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
    bool truncates; /* every second game, instead of ending it */
    qg_domain_options training_options, evaluation_options;
} play;

static inline void script_begin(void)
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
    domain->games = s->games;
    if (s->training && play.count < LOG) play.log[play.count++] = -1 - noops;
    show(s, screen);
    return QG_OK;
}

bool qg_domain_is_over(const qg_domain *domain)
{
    return ((const script *)domain->self)->over;
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
    const bool truncated = play.truncates && s->games % 2 == 0;
    *step = (qg_step){.reward = isnan(s->scripted) ? drawn : s->scripted,
                      .end = s->over && !truncated,
                      .truncated = s->over && truncated,
                      .life_lost = (s->over && !truncated) || s->frame % 7 == 0};
    show(s, screen);
    return QG_OK;
}

static inline qg_domain *script_open(bool training, uint32_t seed, double scripted)
{
    qg_domain *domain = calloc(1, sizeof *domain);
    script *s = calloc(1, sizeof *s);
    assert_non_null(domain);
    assert_non_null(s);
    *s = (script){.training = training, .seed = seed, .scripted = (float)scripted, .over = true};
    *domain = (qg_domain){.self = s,
                          .game = &script_game,
                          .shape = {SIDE, SIDE, 1, 255},
                          .actions = action_names,
                          .action_count = ACTIONS};
    strcpy(domain->name, "script");
    return domain;
}

const char *const *qg_game_actions(const qg_game *game, qg_action_set set, int *count)
{
    (void)set;
    *count = game->action_count;
    return game->actions;
}

qg_status qg_domain_resolve(const char *name, const qg_game **game, char normalised[QG_DOMAIN_NAME],
                            qg_error *e)
{
    if (strcmp(name, "script") != 0) return qg_fail(e, QG_ERROR_USAGE, "no game '%s'", name);
    *game = &script_game;
    strcpy(normalised, name);
    return QG_OK;
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

/* ---- What learns on it ---- */

static inline qg_settings small_settings(void)
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
    s.layer_states = 0; /* which would play a domain more */
    return s;
}

static inline qg_td_learner learner_of(const qg_settings *s, uint64_t seed)
{
    qg_architecture a;
    qg_network n;
    qg_td_learner learner;
    must(qg_architecture_make(s->network, s->history, SIDE, SIDE, 255, ACTIONS, &a, &error));
    must(qg_network_create(&a, &n, &error));
    must(qg_td_learner_create(&a, s, false, &(qg_machine){.threads = 1}, &learner, &error));
    qg_network_initialise(&n, seed);
    must(qg_engine_write(learner.engine, QG_ONLINE, &n, &error));
    must(qg_engine_copy_to_target(learner.engine, &error));
    qg_network_free(&n);
    return learner;
}

#endif
