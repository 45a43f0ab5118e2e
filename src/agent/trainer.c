/* The training loop, in the order of DQN 3.0.
 *
 * One agent step: the screen that has come is stored with the action and reward that led to it; the
 * next action is chosen; then comes the update; then the target network; then the action is played
 * (or, after an end, a new episode begun). The action is chosen before the update. */
#include <qgraft/agent.h>

#include "base/text.h"
#include "agent/policy.h"
#include "agent/replay.h"
#include "agent/run_folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Sums since the last row of training.csv. */
typedef struct interval {
    double return_sum, td_error_sum;
    int64_t episodes, updates;
} interval;

typedef struct trainer {
    const qg_train_options *options;
    const qg_settings *settings;
    qg_run_folder folder;
    qg_domain *domain;
    qg_engine *engine;
    qg_replay *replay;
    qg_minibatch minibatch, validation; /* validation: drawn once, when learning starts */
    qg_network network;                 /* room for what goes into files */
    qg_learning learning;
    qg_random policy, sampling, noops, dropout;
    float *td_errors; /* [minibatch], of the last update */
    uint8_t *screen;  /* the newest */
    bool end;         /* ... ended the episode */
    int action;       /* chosen on it */
    double episode_return;
    int64_t step, episodes, updates;
    interval since;
    qg_train_result result;
    double started, learning_started, evaluation_seconds; /* of the monotonic clock */
    int64_t learning_start_step;
    qg_progress progress;
} trainer;

static double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ------------------------------------------------------------------------------ progress */

static void report(trainer *t)
{
    if (!t->options->progress) return;
    t->progress.step = t->step;
    t->progress.seconds = clock_seconds() - t->started;
    t->progress.epsilon = qg_epsilon(t->settings, t->step);
    t->options->progress(t->options->context, &t->progress);
}

static void report_evaluation(void *context, int64_t step)
{
    trainer *t = context;
    t->progress.evaluation_step = step;
    report(t);
}

/* ---------------------------------------------------------------------------- evaluation */

/* Mean max Q of the target network on the next states and mean |TD error|, on the transitions that
 * were drawn when learning started (DQN 3.0's v_avg and tderr_avg). */
static qg_status validate(trainer *t, double *q, double *td_error, qg_error *error)
{
    *q = *td_error = NAN;
    const qg_batch *batch = &t->validation.batch;
    const int size = batch->states.size, actions = t->network.architecture.actions;
    if (!t->validation.screens) return QG_OK;
    const size_t count = (size_t)size * (size_t)actions;
    float *values = malloc(2 * count * sizeof *values);
    if (!values) return qg_fail_memory(error, "validation values", 2 * count * sizeof *values);
    float *next = values + count;
    qg_engine_forward(t->engine, QG_ONLINE, &batch->states, values);
    qg_engine_forward(t->engine, QG_TARGET, &batch->next_states, next);
    double q_sum = 0, error_sum = 0;
    for (int i = 0; i < size; i++) {
        float best = next[(size_t)i * (size_t)actions];
        for (int a = 1; a < actions; a++)
            best = fmaxf(best, next[(size_t)i * (size_t)actions + (size_t)a]);
        const float target =
            batch->rewards[i] + (batch->terminals[i] ? 0 : t->learning.discount * best);
        float delta = target - values[(size_t)i * (size_t)actions + (size_t)batch->actions[i]];
        if (t->learning.clip_error > 0) delta = fminf(fabsf(delta), t->learning.clip_error);
        q_sum += (double)best;
        error_sum += (double)fabsf(delta);
    }
    free(values);
    *q = q_sum / size;
    *td_error = error_sum / size;
    return QG_OK;
}

static qg_status save_network(trainer *t, const char *name, double score, qg_error *error)
{
    qg_network_info info = {.history = t->settings->history,
                            .seed = t->options->seed,
                            .step = t->step,
                            .score = score,
                            .notes = t->options->notes,
                            .note_count = t->options->note_count};
    snprintf(info.domain, sizeof info.domain, "%s", t->domain->name);
    qg_text_join(t->domain->game->actions, t->domain->game->action_count, info.actions,
                 sizeof info.actions);
    qg_engine_read(t->engine, QG_ONLINE, &t->network);
    return qg_run_folder_network(&t->folder, name, &t->network, &info, error);
}

/* Every evaluation plays on a domain of its own, with streams of its own. */
static qg_status play_evaluation(trainer *t, qg_evaluation *evaluation, qg_error *error)
{
    char purpose[64];
    snprintf(purpose, sizeof purpose, "evaluation/%lld", (long long)t->step);
    qg_random random = qg_random_stream(t->options->seed, purpose);
    const qg_domain_options domain_options = {.seed = (uint32_t)qg_random_u64(&random),
                                              .frame_skip = t->settings->frame_skip,
                                              .sticky = t->settings->sticky};
    const qg_evaluation_options options = {.steps = t->settings->eval_steps,
                                           .epsilon = t->settings->eval_epsilon,
                                           .noop_max = t->settings->noop_max,
                                           .history = t->settings->history,
                                           .seed = qg_random_u64(&random),
                                           .progress = report_evaluation,
                                           .context = t,
                                           .stop = t->options->stop};
    qg_domain *domain;
    qg_status status = qg_domain_open(t->options->domain, &domain_options, &domain, error);
    if (status) return status;
    status = qg_evaluate(t->engine, domain, &options, evaluation, error);
    qg_domain_close(domain);
    return status;
}

/* Plays, writes the row, keeps the best network and the last. Step 0 is no candidate for the best:
 * DQN 3.0 evaluates first after a period of training. */
static qg_status evaluate(trainer *t, qg_error *error)
{
    const double begin = clock_seconds();
    t->progress.evaluating = true;
    qg_evaluation_row row = {.step = t->step};
    qg_status status = play_evaluation(t, &row.evaluation, error);
    t->progress.evaluating = false;
    if (!status) status = validate(t, &row.validation_q, &row.validation_td_error, error);
    if (!status) status = qg_run_folder_evaluation(&t->folder, &row, error);
    if (status) return status;
    const double score = row.evaluation.score;
    t->progress.last_score = t->result.last_score = score;
    if (t->step > 0 && !(score <= t->result.best_score)) { /* the first is above NaN */
        t->result.best_score = score;
        t->result.best_step = t->step;
        status = save_network(t, "best", score, error);
    }
    if (!status) status = save_network(t, "last", score, error);
    t->evaluation_seconds += clock_seconds() - begin;
    return status;
}

/* ------------------------------------------------------------------------------ learning */

/* At the first update: the transitions for validation. */
static qg_status start_learning(trainer *t, qg_error *error)
{
    qg_status status =
        qg_minibatch_create(t->replay, (int)t->settings->validation_size, &t->validation, error);
    if (status) return status;
    qg_random random = qg_random_stream(t->options->seed, "validation");
    qg_replay_sample(t->replay, &random, &t->validation);
    status = qg_minibatch_detach(t->replay, &t->validation, error);
    t->learning_started = clock_seconds();
    t->learning_start_step = t->step;
    t->evaluation_seconds = 0;
    return status;
}

static qg_status learn(trainer *t, qg_error *error)
{
    const qg_settings *s = t->settings;
    if (t->step <= s->learn_start || t->step % s->update_every || !qg_replay_can_sample(t->replay))
        return QG_OK;
    if (!t->validation.screens) {
        const qg_status status = start_learning(t, error);
        if (status) return status;
    }
    qg_replay_sample(t->replay, &t->sampling, &t->minibatch);
    t->learning.dropout_draw = qg_random_u64(&t->dropout);
    qg_engine_update(t->engine, &t->learning, &t->minibatch.batch, false, NULL, t->td_errors);
    double sum = 0;
    for (int i = 0; i < s->minibatch; i++)
        sum += (double)fabsf(t->td_errors[i]);
    t->since.td_error_sum += sum / s->minibatch;
    t->since.updates++;
    t->updates++;
    return QG_OK;
}

static qg_status log_interval(trainer *t, qg_error *error)
{
    const interval *i = &t->since;
    const qg_training_row row = {
        .step = t->step,
        .episodes = t->episodes,
        .updates = t->updates,
        .epsilon = qg_epsilon(t->settings, t->step),
        .mean_return = i->episodes ? i->return_sum / (double)i->episodes : NAN,
        .td_error = i->updates ? i->td_error_sum / (double)i->updates : NAN};
    if (i->episodes) t->progress.last_return = row.mean_return;
    t->since = (interval){0};
    return qg_run_folder_training(&t->folder, &row, error);
}

/* -------------------------------------------------------------------------------- acting */

static void choose_action(trainer *t)
{
    const int actions = t->domain->game->action_count;
    if (qg_explore(&t->policy, qg_epsilon(t->settings, t->step), actions, &t->action)) return;
    float q_values[QG_MAX_ACTIONS];
    const qg_states state = qg_replay_state(t->replay);
    qg_engine_forward(t->engine, QG_ONLINE, &state, q_values);
    t->action = qg_greedy_action(q_values, actions, qg_random_uniform(&t->policy));
}

static qg_status begin_episode(trainer *t, qg_error *error)
{
    const int noop_max = t->settings->noop_max;
    const int noops = noop_max ? 1 + (int)qg_random_below(&t->noops, (uint64_t)noop_max) : 0;
    t->end = false;
    return qg_domain_reset(t->domain, noops, t->screen, error);
}

static qg_status play_action(trainer *t, qg_error *error)
{
    qg_step step;
    const qg_status status = qg_domain_step(t->domain, t->action, &step, t->screen, error);
    if (status) return status;
    float reward = step.reward;
    t->episode_return += (double)reward;
    if (t->settings->clip_reward) reward = reward > 1 ? 1 : reward < -1 ? -1 : reward;
    qg_replay_set_action(t->replay, t->action, reward);
    t->end = step.end || (t->settings->life_loss_terminal && step.life_lost);
    if (step.end) { /* returns are counted by game, not by life */
        t->since.return_sum += t->episode_return;
        t->since.episodes++;
        t->episodes++;
        t->episode_return = 0;
    }
    return QG_OK;
}

static qg_status agent_step(trainer *t, qg_error *error)
{
    qg_replay_add_screen(t->replay, t->screen, t->end);
    if (!t->end) choose_action(t);
    qg_status status = learn(t, error);
    if (status) return status;
    t->step++;
    if (t->step % t->settings->target_every == 0) qg_engine_update_target(t->engine);
    return t->end ? begin_episode(t, error) : play_action(t, error);
}

static qg_status loop(trainer *t, qg_error *error)
{
    const qg_settings *s = t->settings;
    qg_status status = evaluate(t, error);
    if (!status) status = begin_episode(t, error);
    while (!status && t->step < t->options->steps) {
        if (t->options->stop && *t->options->stop)
            return qg_fail(error, QG_STOPPED, "stopped at step %lld", (long long)t->step);
        status = agent_step(t, error);
        if (!status && t->step % s->log_every == 0) status = log_interval(t, error);
        if (!status && (t->step % s->eval_every == 0 || t->step == t->options->steps))
            status = evaluate(t, error);
        if (t->step % 256 == 0) report(t);
    }
    return status;
}

/* --------------------------------------------------------------------------- open and close */

static qg_status open_engine(trainer *t, qg_error *error)
{
    const qg_settings *s = t->settings;
    qg_architecture architecture;
    qg_status status = qg_architecture_for(s, t->domain, &architecture, error);
    if (!status) status = qg_network_create(&architecture, &t->network, error);
    if (!status)
        status = qg_engine_create(&architecture, s->minibatch, t->options->threads, t->options->isa,
                                  &t->engine, error);
    if (status) return status;
    const qg_network *initial = t->options->initial;
    if (!initial)
        qg_network_initialise(&t->network, t->options->seed);
    else if (qg_architecture_equal(&initial->architecture, &architecture))
        memcpy(t->network.parameters, initial->parameters,
               qg_architecture_parameters(&architecture) * sizeof(float));
    else
        return qg_fail(error, QG_ERROR_USAGE,
                       "the network to begin with has another architecture than the settings make");
    for (int l = 0; l < architecture.layer_count; l++)
        qg_engine_freeze(t->engine, l, t->options->frozen[l]);
    qg_engine_write(t->engine, QG_ONLINE, &t->network);
    qg_engine_update_target(t->engine);
    t->learning = (qg_learning){.discount = (float)s->discount,
                                .clip_error = (float)s->clip_error,
                                .learning_rate = (float)s->learning_rate,
                                .rms_decay = (float)s->rms_decay,
                                .rms_epsilon = (float)s->rms_epsilon,
                                .l2 = (float)s->l2,
                                .dropout_conv = (float)s->dropout_conv,
                                .dropout_linear = (float)s->dropout_linear};
    return QG_OK;
}

static qg_status open_domain(trainer *t, qg_error *error)
{
    qg_random random = qg_random_stream(t->options->seed, "domain");
    const qg_domain_options options = {.seed = (uint32_t)qg_random_u64(&random),
                                       .frame_skip = t->settings->frame_skip,
                                       .sticky = t->settings->sticky,
                                       .break_on_life = t->settings->life_loss_terminal};
    qg_status status = qg_domain_open(t->options->domain, &options, &t->domain, error);
    if (status) return status;
    t->screen = calloc(1, qg_observation_size(&t->domain->shape));
    return t->screen ? QG_OK : qg_fail_memory(error, "a screen", 0);
}

static qg_status open_replay(trainer *t, qg_error *error)
{
    const qg_settings *s = t->settings;
    /* A run shorter than the memory never fills it: its steps and the screen behind the last. */
    const int64_t needed =
        t->options->steps + 1 > s->history + 1 ? t->options->steps + 1 : s->history + 1;
    const int64_t capacity = s->replay < needed ? s->replay : needed;
    char *path = qg_path_join(t->folder.path, "replay.bin");
    if (!path) return qg_fail_memory(error, "a path", strlen(t->folder.path));
    qg_status status =
        qg_replay_create(path, capacity, s->history, &t->domain->shape, &t->replay, error);
    free(path);
    if (!status) status = qg_minibatch_create(t->replay, s->minibatch, &t->minibatch, error);
    if (status) return status;
    t->td_errors = calloc((size_t)s->minibatch, sizeof *t->td_errors);
    return t->td_errors ? QG_OK : qg_fail_memory(error, "TD errors", 0);
}

/* Frozen layers must equal what the run began with, bit for bit. */
static qg_status check_frozen(trainer *t, qg_error *error)
{
    const qg_architecture *a = &t->network.architecture;
    int frozen = 0;
    for (int l = 0; l < a->layer_count; l++)
        frozen += t->options->frozen[l];
    if (!frozen) return QG_OK;
    qg_network begun;
    qg_status status = qg_network_create(a, &begun, error);
    if (status) return status;
    if (t->options->initial)
        memcpy(begun.parameters, t->options->initial->parameters,
               qg_architecture_parameters(a) * sizeof(float));
    else
        qg_network_initialise(&begun, t->options->seed);
    qg_engine_read(t->engine, QG_ONLINE, &t->network);
    for (int l = 0; l < a->layer_count && !status; l++) {
        const size_t count = qg_layer_weights(&a->layers[l]) + (size_t)a->layers[l].outputs;
        if (t->options->frozen[l] &&
            memcmp(begun.weights[l], t->network.weights[l], count * sizeof(float)) != 0)
            status = qg_fail(error, QG_ERROR_DATA, "%s: frozen layer %s changed: this is a defect",
                             t->folder.path, a->layers[l].name);
    }
    qg_network_free(&begun);
    return status ? status
                  : qg_run_folder_frozen(&t->folder, t->options, t->domain, t->engine, error);
}

static qg_status run(trainer *t, qg_error *error)
{
    qg_status status = open_domain(t, error);
    if (!status) status = open_engine(t, error);
    if (!status) status = qg_run_folder_open(&t->folder, t->options, t->domain, t->engine, error);
    if (!status)
        status = qg_run_folder_process(&t->folder, t->options, &t->result, "running", error);
    if (status) return status;
    if (t->options->steps == 0) {
        status = save_network(t, "best", NAN, error);
        return status ? status : save_network(t, "last", NAN, error);
    }
    status = open_replay(t, error);
    if (!status) status = loop(t, error);
    if (status == QG_STOPPED) { /* what was learned is kept */
        qg_error problem;
        if (save_network(t, "last", NAN, &problem)) {
            *error = problem;
            return problem.code;
        }
    }
    return status ? status : check_frozen(t, error);
}

static void summarise(trainer *t)
{
    const double now = clock_seconds();
    t->result.step = t->step;
    t->result.seconds = now - t->started;
    if (t->learning_started > 0)
        t->result.learning_steps_per_second =
            (double)(t->step - t->learning_start_step) /
            fmax(1e-9, now - t->learning_started - t->evaluation_seconds);
}

static void close_all(trainer *t)
{
    qg_minibatch_destroy(&t->minibatch);
    qg_minibatch_destroy(&t->validation);
    qg_replay_destroy(t->replay);
    qg_engine_destroy(t->engine);
    qg_domain_close(t->domain);
    qg_network_free(&t->network);
    free(t->td_errors);
    free(t->screen);
    qg_run_folder_close(&t->folder); /* last: the lock covers the replay memory's file */
}

qg_status qg_train(const qg_train_options *options, qg_train_result *result, qg_error *error)
{
    qg_status status = qg_settings_check(&options->settings, error);
    if (status) return status;
    trainer t = {.options = options,
                 .settings = &options->settings,
                 .folder = {.lock = {-1}},
                 .policy = qg_random_stream(options->seed, "policy"),
                 .sampling = qg_random_stream(options->seed, "replay"),
                 .noops = qg_random_stream(options->seed, "noops"),
                 .dropout = qg_random_stream(options->seed, "dropout"),
                 .result = {.best_score = NAN, .last_score = NAN},
                 .started = clock_seconds(),
                 .progress = {.steps = options->steps,
                              .evaluation_steps = options->settings.eval_steps,
                              .last_score = NAN,
                              .last_return = NAN}};
    status = run(&t, error);
    summarise(&t);
    if (t.folder.path) {
        qg_error ignored; /* what ended the run is the better message */
        const char *state = status == QG_OK        ? "finished"
                            : status == QG_STOPPED ? "stopped"
                                                   : "failed";
        const qg_status written =
            qg_run_folder_process(&t.folder, options, &t.result, state, status ? &ignored : error);
        if (!status) status = written;
    }
    *result = t.result;
    close_all(&t);
    return status;
}
