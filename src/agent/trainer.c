/* The training loop, in the order of DQN 3.0.
 *
 * One agent step: the screen that has come is stored with the action and reward that led to it; the
 * next action is chosen; then comes the update; then the target network; then the action is played
 * (or, after an end, a new episode begun). The action is chosen before the update. */
#include "agent/trainer.h"

#include "agent/policy.h"
#include "base/clock.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------------------ progress */

void qg_trainer_report(qg_trainer *t)
{
    if (!t->options->progress) return;
    t->progress.step = t->run.step;
    t->progress.seconds = qg_run_seconds(&t->run);
    t->progress.epsilon = qg_epsilon(t->settings, t->run.step);
    t->progress.last_score = t->run.result.last_score;
    t->options->progress(t->options->context, &t->progress);
}

void qg_trainer_evaluating(void *self, int64_t step)
{
    qg_trainer *t = self;
    t->progress.evaluation_step = step;
    qg_trainer_report(t);
}

/* ---------------------------------------------------------------------------- evaluation */

/* On the transitions that were drawn when learning started; NaN before. */
static qg_status validate(const qg_trainer *t, qg_evaluation_row *row, qg_error *error)
{
    row->validation_q = row->validation_td_error = NAN;
    if (!t->validation.screens) return QG_OK;
    return qg_td_learner_validate(&t->learner, &t->validation.batch, &row->validation_q,
                                  &row->validation_td_error, error);
}

/* On the run's own game. */
static qg_status play_own(qg_trainer *t, qg_engine *engine, const char *purpose,
                          qg_evaluation *evaluation, qg_error *error)
{
    return qg_run_play(&t->run, engine, t->options->domain,
                       qg_domain_options_of(t->settings).actions, NULL, t->settings->history,
                       purpose, evaluation, error);
}

qg_status qg_trainer_evaluate(void *self, double *score, qg_error *error)
{
    qg_trainer *t = self;
    qg_evaluation_row row = {.step = t->run.step};
    t->progress.evaluating = true;
    qg_evaluation others[QG_MAX_OTHER_GAMES];
    qg_layer_row layers[QG_MAX_LAYERS];
    qg_status status = play_own(t, t->learner.engine, NULL, &row.evaluation, error);
    if (!status)
        status = qg_other_games_play(&t->others, &t->run, t->learner.engine, others, error);
    t->progress.evaluating = false;
    if (!status) status = validate(t, &row, error);
    if (!status) status = qg_trainer_look(t, layers, error);
    *score = row.evaluation.score;
    /* Behind the last one, as a run that is stopped evaluates all again. */
    if (!status)
        status = qg_run_folder_evaluation(&t->run.folder, QG_TRAINER_EVALUATIONS, 0, &row, error);
    if (!status) status = qg_other_games_write(&t->others, &t->run, others, error);
    return status ? status : qg_trainer_write_layers(t, layers, error);
}

qg_status qg_trainer_confirm(void *self, const qg_network *network, const char *purpose,
                             double *score, qg_error *error)
{
    qg_trainer *t = self;
    qg_engine *engine;
    qg_evaluation evaluation = {.score = NAN};
    const qg_engine_options options = {.architecture = &network->architecture,
                                       .precision = t->settings->precision,
                                       .max_batch = 1,
                                       .machine = t->options->run.machine};
    qg_status status = qg_engine_create(&options, &engine, error);
    if (status) return status;
    t->progress.evaluating = true;
    status = qg_engine_write(engine, QG_ONLINE, network, error);
    if (!status) status = play_own(t, engine, purpose, &evaluation, error);
    t->progress.evaluating = false;
    *score = evaluation.score;
    qg_engine_destroy(engine);
    return status;
}

/* ------------------------------------------------------------------------------ learning */

/* At the first update: the transitions for validation. */
static qg_status start_learning(qg_trainer *t, qg_error *error)
{
    const qg_status status = qg_minibatch_create(
        qg_replay_form(t->replay), (int)t->settings->validation_size, &t->validation, error);
    if (status) return status;
    qg_random random = qg_random_stream(t->options->run.seed, "validation");
    qg_replay_sample(t->replay, &random, &t->validation);
    return qg_minibatch_detach(qg_replay_form(t->replay), &t->validation, error);
}

/* Lets those frozen layers learn whose time has come. */
static void thaw(qg_trainer *t)
{
    for (int l = 0; l < t->network.architecture.layer_count; l++)
        if (t->options->thaw[l] > 0 && t->run.step >= t->options->thaw[l])
            qg_engine_freeze(t->learner.engine, l, false);
}

/* An update; `next`: steps until the one behind it, 0: it comes at once. */
static qg_status update(qg_trainer *t, int64_t next, qg_error *error)
{
    const qg_settings *s = t->settings;
    qg_run_learns(&t->run);
    thaw(t);
    if (!t->validation.screens) {
        const qg_status status = start_learning(t, error);
        if (status) return status;
    }
    qg_trainer_draw(t, &t->sampling, &t->minibatch);
    const qg_td_trace trace = {.td_errors = t->td_errors};
    qg_status status = qg_trainer_study(t, &t->learner, &t->minibatch.batch.states, error);
    if (!status)
        status = qg_td_learner_update(&t->learner, &t->minibatch.batch, qg_random_u64(&t->dropout),
                                      &trace, error);
    if (status) return status; /* without TD errors there are no priorities */
    if (s->prioritised)        /* what is drawn next depends on what will be added */
        qg_replay_set_priorities(t->replay, &t->minibatch, t->td_errors);
    else if (next > 0)
        qg_replay_expect(t->replay, &t->sampling, next, s->minibatch); /* as it plays */
    double sum = 0;
    for (int i = 0; i < s->minibatch; i++)
        sum += (double)fabsf(t->td_errors[i]);
    t->since.td_error_sum += sum / s->minibatch;
    t->since.updates++;
    t->updates++;
    return QG_OK;
}

static bool may_learn(const qg_trainer *t)
{
    return t->run.step > t->learn_start && qg_replay_can_sample(t->replay);
}

static qg_status learn(qg_trainer *t, qg_error *error)
{
    const int64_t every = t->settings->update_every;
    return may_learn(t) && t->run.step % every == 0 ? update(t, every, error) : QG_OK;
}

static qg_status update_target(qg_trainer *t, qg_error *error)
{
    const qg_settings *s = t->settings;
    return strcmp(s->target_update, "soft") == 0
               ? qg_engine_mix_into_target(t->learner.engine, (float)s->tau, error)
               : qg_engine_copy_to_target(t->learner.engine, error);
}

/* Updates of the target network in the steps of so many updates. */
static int64_t target_updates(const qg_settings *s, int64_t updates)
{
    return (int64_t)((long double)updates * (long double)s->update_every /
                     (long double)s->target_every);
}

/* All updates that come before the steps go on. The target network follows as it does in as many
 * updates of steps. */
static qg_status learn_offline(qg_trainer *t, qg_error *error)
{
    const qg_settings *s = t->settings;
    const int64_t wanted = t->options->reuse->offline_updates;
    qg_status status = QG_OK;
    while (t->offline_updates < wanted && !status) {
        if (qg_run_is_stopped(&t->run))
            return qg_fail(error, QG_STOPPED,
                           "stopped at step %" PRId64 ", after %" PRId64 " of %" PRId64
                           " offline updates",
                           t->run.step, t->offline_updates, wanted);
        status = update(t, 0, error);
        const int64_t due = target_updates(s, t->offline_updates + 1);
        for (int64_t i = target_updates(s, t->offline_updates); i < due && !status; i++)
            status = update_target(t, error);
        if (!status) t->offline_updates++;
        if (qg_clock_tells(t->offline_updates, &t->told)) qg_trainer_report(t);
        t->run.moved = t->offline_updates < wanted; /* behind the last one the step goes on */
        if (!status && t->run.moved && qg_run_checkpoint_due(&t->run))
            status = qg_run_checkpoint(&t->run, error);
    }
    return status;
}

/* A row of training.csv: means since the row before. */
static qg_status log_interval(qg_trainer *t, qg_error *error)
{
    const qg_run_folder *folder = &t->run.folder;
    const qg_interval i = t->since;
    const int64_t step = t->run.step;
    const double epsilon = qg_epsilon(t->settings, step);
    const double mean_return = i.episodes ? i.return_sum / (double)i.episodes : NAN;
    const double td_error = i.updates ? i.td_error_sum / (double)i.updates : NAN;
    char cells[3][32];
    if (i.episodes) t->progress.last_return = mean_return;
    t->since = (qg_interval){0};
    qg_status status =
        qg_csv_row(folder->tables[QG_TRAINER_TRAINING].csv, error,
                   "%" PRId64 ",%s,%" PRId64 ",%s,%" PRId64 ",%s", step,
                   qg_csv_real(epsilon, cells[0]), t->episodes, qg_csv_real(mean_return, cells[1]),
                   t->updates, qg_csv_real(td_error, cells[2]));
    if (!status)
        status = qg_run_folder_scalar(folder, step, "training", 0, "return", mean_return, error);
    if (!status)
        status = qg_run_folder_scalar(folder, step, "training", 0, "epsilon", epsilon, error);
    if (!status)
        status = qg_run_folder_scalar(folder, step, "training", 0, "td_error", td_error, error);
    return status;
}

/* -------------------------------------------------------------------------------- acting */

static qg_status choose_action(qg_trainer *t, qg_error *error)
{
    const qg_reuse *reuse = t->options->reuse;
    if (reuse) {
        const qg_states state = qg_replay_state(t->replay);
        t->action = -1;
        const qg_status status = reuse->act(reuse->self, t->run.step, t->episode.steps, &t->reuse,
                                            &state, &t->action, error);
        if (status || t->action >= 0) return status;
    }
    const double epsilon = qg_epsilon(t->settings, t->run.step);
    if (qg_explore(&t->policy, epsilon, t->domain->action_count, &t->action)) return QG_OK;
    const qg_states state = qg_replay_state(t->replay);
    return qg_exploit(&t->policy, t->learner.engine, &state, &t->action, error);
}

/* Returns are counted by game, not by life. */
static void count_game(qg_trainer *t, double game_return)
{
    t->since.return_sum += game_return;
    t->since.episodes++;
    t->episodes++;
}

static qg_status begin_episode(qg_trainer *t, qg_error *error)
{
    const qg_status status = qg_episode_begin(&t->episode, t->screen, error);
    if (!status && t->episode.ended_between) count_game(t, t->episode.last_return);
    return status;
}

static qg_status play_action(qg_trainer *t, qg_error *error)
{
    qg_step step;
    const qg_status status = qg_episode_step(&t->episode, t->action, &step, t->screen, error);
    if (status) return status;
    qg_replay_set_action(t->replay, t->action, qg_learned_reward(t->settings, step.reward));
    if (t->episode.game_over) count_game(t, t->episode.game_return);
    return QG_OK;
}

qg_status qg_trainer_step(void *self, qg_error *error)
{
    qg_trainer *t = self;
    const qg_settings *s = t->settings;
    if (t->options->reuse && may_learn(t)) {
        const qg_status status = learn_offline(t, error);
        if (status) return status;
    }
    const bool end = t->episode.over;
    const qg_replay_end how = t->episode.truncated ? QG_REPLAY_TRUNCATED
                              : end                ? QG_REPLAY_TERMINAL
                                                   : QG_REPLAY_GOES_ON;
    qg_status status = qg_replay_add_screen(t->replay, t->screen, how, error);
    if (!status && !end) status = choose_action(t, error);
    if (!status) status = learn(t, error);
    if (status) return status;
    const int64_t step = ++t->run.step;
    if (step % s->target_every == 0) status = update_target(t, error);
    if (!status) status = end ? begin_episode(t, error) : play_action(t, error);
    if (!status && step % s->log_every == 0) status = log_interval(t, error);
    if (qg_clock_tells(step, &t->told)) qg_trainer_report(t);
    return status;
}
