/* The training loop, in the order of DQN 3.0.
 *
 * One agent step: the screen that has come is stored with the action and reward that led to it; the
 * next action is chosen; then comes the update; then the target network; then the action is played
 * (or, after an end, a new episode begun). The action is chosen before the update. */
#include "agent/trainer.h"

#include "agent/policy.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------ progress */

static void report(qg_trainer *t)
{
    if (!t->options->progress) return;
    t->progress.step = t->step;
    t->progress.seconds = qg_clock_seconds() - t->started;
    t->progress.epsilon = qg_epsilon(t->settings, t->step);
    t->options->progress(t->options->context, &t->progress);
}

static void report_evaluation(void *context, int64_t step)
{
    qg_trainer *t = context;
    t->progress.evaluation_step = step;
    report(t);
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

qg_status qg_trainer_save(qg_trainer *t, const char *name, double score, qg_error *error)
{
    qg_network_info info = {.history = t->settings->history,
                            .seed = t->options->run.seed,
                            .step = t->step,
                            .score = score,
                            .notes = t->options->notes,
                            .note_count = t->options->note_count};
    snprintf(info.domain, sizeof info.domain, "%s", t->domain->name);
    qg_text_join(t->domain->game->actions, t->domain->game->action_count, info.actions,
                 sizeof info.actions);
    const qg_status status = qg_engine_read(t->learner.engine, QG_ONLINE, &t->network, error);
    return status ? status : qg_run_folder_network(&t->folder, name, &t->network, &info, error);
}

/* Every evaluation plays on a domain of its own, with streams of its own. */
static qg_status play_evaluation(qg_trainer *t, qg_evaluation *evaluation, qg_error *error)
{
    char purpose[64];
    snprintf(purpose, sizeof purpose, "evaluation/%lld", (long long)t->step);
    qg_random random = qg_random_stream(t->options->run.seed, purpose);
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
                                           .stop = t->options->run.stop};
    qg_domain *domain;
    qg_status status = qg_domain_open(t->options->domain, &domain_options, &domain, error);
    if (status) return status;
    status = qg_evaluate(t->learner.engine, domain, &options, evaluation, error);
    qg_domain_close(domain);
    return status;
}

/* Plays, writes the row, keeps the best network and the last. Step 0 is no candidate for the best:
 * DQN 3.0 evaluates first after a period of training. */
static qg_status evaluate(qg_trainer *t, qg_error *error)
{
    const double begin = qg_clock_seconds();
    t->progress.evaluating = true;
    qg_evaluation_row row = {.step = t->step};
    qg_status status = play_evaluation(t, &row.evaluation, error);
    t->progress.evaluating = false;
    if (!status) status = validate(t, &row, error);
    if (!status) status = qg_run_folder_evaluation(&t->folder, &row, error);
    if (status) return status;
    const double score = row.evaluation.score;
    t->evaluated_step = t->step;
    t->progress.last_score = t->result.last_score = score;
    if (t->step > 0 && !(score <= t->result.best_score)) { /* the first is above NaN */
        t->result.best_score = score;
        t->result.best_step = t->step;
        status = qg_trainer_save(t, "best", score, error);
    }
    if (!status) status = qg_trainer_save(t, "last", score, error);
    t->evaluation_seconds += qg_clock_seconds() - begin;
    return status;
}

static bool evaluation_due(const qg_trainer *t)
{
    return t->evaluated_step != t->step &&
           (t->step % t->settings->eval_every == 0 || t->step == t->options->steps);
}

/* ----------------------------------------------------------------------------- snapshots */

static bool is_snapshot(const qg_train_options *options, int64_t step)
{
    for (size_t i = 0; i < options->snapshot_count; i++)
        if (options->snapshots[i] == step) return true;
    return false;
}

qg_status qg_trainer_save_snapshot(qg_trainer *t, qg_error *error)
{
    if (!is_snapshot(t->options, t->step)) return QG_OK;
    char name[32];
    snprintf(name, sizeof name, "step-%lld", (long long)t->step);
    return qg_trainer_save(t, name, t->evaluated_step == t->step ? t->result.last_score : NAN,
                           error);
}

qg_status qg_trainer_check_snapshots(const qg_trainer *t, int64_t step, qg_error *error)
{
    for (size_t i = 0; i < t->options->snapshot_count; i++) {
        if (t->options->snapshots[i] >= step) continue;
        char name[64];
        snprintf(name, sizeof name, "step-%lld.safetensors", (long long)t->options->snapshots[i]);
        char *path = qg_path_join(t->options->run.folder, name);
        if (!path) return qg_fail_memory(error, "a path", strlen(t->options->run.folder));
        const bool there = access(path, F_OK) == 0;
        free(path);
        if (!there)
            return qg_fail(error, QG_ERROR_USAGE,
                           "%s: the run is past step %lld, of which it has kept no network",
                           t->options->run.folder, (long long)t->options->snapshots[i]);
    }
    return QG_OK;
}

/* ------------------------------------------------------------------------------ learning */

/* At the first update: the transitions for validation. */
static qg_status start_learning(qg_trainer *t, qg_error *error)
{
    qg_status status =
        qg_minibatch_create(t->replay, (int)t->settings->validation_size, &t->validation, error);
    if (status) return status;
    qg_random random = qg_random_stream(t->options->run.seed, "validation");
    qg_replay_sample(t->replay, &random, &t->validation);
    status = qg_minibatch_detach(t->replay, &t->validation, error);
    t->learning_started = qg_clock_seconds();
    t->learning_start_step = t->step;
    t->evaluation_seconds = 0;
    return status;
}

static qg_status learn(qg_trainer *t, qg_error *error)
{
    const qg_settings *s = t->settings;
    if (t->step <= s->learn_start || t->step % s->update_every || !qg_replay_can_sample(t->replay))
        return QG_OK;
    if (!t->validation.screens) {
        const qg_status status = start_learning(t, error);
        if (status) return status;
    }
    qg_replay_sample(t->replay, &t->sampling, &t->minibatch);
    const qg_td_trace trace = {.td_errors = t->td_errors};
    const qg_status status = qg_td_learner_update(&t->learner, &t->minibatch.batch,
                                                  qg_random_u64(&t->dropout), &trace, error);
    if (status) return status;
    double sum = 0;
    for (int i = 0; i < s->minibatch; i++)
        sum += (double)fabsf(t->td_errors[i]);
    t->since.td_error_sum += sum / s->minibatch;
    t->since.updates++;
    t->updates++;
    return QG_OK;
}

static qg_status log_interval(qg_trainer *t, qg_error *error)
{
    const qg_interval *i = &t->since;
    const qg_training_row row = {
        .step = t->step,
        .episodes = t->episodes,
        .updates = t->updates,
        .epsilon = qg_epsilon(t->settings, t->step),
        .mean_return = i->episodes ? i->return_sum / (double)i->episodes : NAN,
        .td_error = i->updates ? i->td_error_sum / (double)i->updates : NAN};
    if (i->episodes) t->progress.last_return = row.mean_return;
    t->since = (qg_interval){0};
    return qg_run_folder_training(&t->folder, &row, error);
}

/* -------------------------------------------------------------------------------- acting */

static qg_status choose_action(qg_trainer *t, qg_error *error)
{
    const int actions = t->domain->game->action_count;
    if (qg_explore(&t->policy, qg_epsilon(t->settings, t->step), actions, &t->action)) return QG_OK;
    float q_values[QG_MAX_ACTIONS];
    const qg_states state = qg_replay_state(t->replay);
    const qg_status status =
        qg_engine_forward(t->learner.engine, QG_ONLINE, &state, q_values, error);
    if (status) return status;
    t->action = qg_greedy_action(q_values, actions, qg_random_uniform(&t->policy));
    return QG_OK;
}

qg_status qg_trainer_begin_episode(qg_trainer *t, qg_error *error)
{
    const int noop_max = t->settings->noop_max;
    const int noops = noop_max ? 1 + (int)qg_random_below(&t->noops, (uint64_t)noop_max) : 0;
    t->end = false;
    return qg_domain_reset(t->domain, noops, t->screen, error);
}

static qg_status play_action(qg_trainer *t, qg_error *error)
{
    qg_step step;
    const qg_status status = qg_domain_step(t->domain, t->action, &step, t->screen, error);
    if (status) return status;
    t->episode_return += (double)step.reward;
    qg_replay_set_action(t->replay, t->action, qg_learned_reward(t->settings, step.reward));
    t->end = step.end || (t->settings->life_loss_terminal && step.life_lost);
    if (step.end) { /* returns are counted by game, not by life */
        t->since.return_sum += t->episode_return;
        t->since.episodes++;
        t->episodes++;
        t->episode_return = 0;
    }
    return QG_OK;
}

static qg_status agent_step(qg_trainer *t, qg_error *error)
{
    qg_replay_add_screen(t->replay, t->screen, t->end);
    qg_status status = t->end ? QG_OK : choose_action(t, error);
    if (!status) status = learn(t, error);
    if (status) return status;
    t->step++;
    if (t->step % t->settings->target_every == 0)
        status = qg_engine_copy_to_target(t->learner.engine, error);
    if (status) return status;
    return t->end ? qg_trainer_begin_episode(t, error) : play_action(t, error);
}

/* What is due between two steps: the evaluation and the files that belong to this step. What a
 * kill leaves half done is done again from the checkpoint before. */
static qg_status settle(qg_trainer *t, qg_error *error)
{
    const bool due = evaluation_due(t);
    qg_status status = due ? evaluate(t, error) : QG_OK;
    if (!status) status = qg_trainer_save_snapshot(t, error);
    if (!status && t->step < t->options->steps && (due || qg_trainer_checkpoint_due(t)))
        status = qg_trainer_checkpoint(t, error);
    return status;
}

qg_status qg_trainer_run(qg_trainer *t, qg_error *error)
{
    qg_status status = settle(t, error);
    while (!status && t->step < t->options->steps) {
        if (t->options->run.stop && *t->options->run.stop)
            return qg_fail(error, QG_STOPPED, "stopped at step %lld", (long long)t->step);
        status = agent_step(t, error);
        if (!status && t->step % t->settings->log_every == 0) status = log_interval(t, error);
        if (!status) status = settle(t, error);
        if (t->step % 256 == 0) report(t);
    }
    return status;
}
