/* What a checkpoint of a training holds: all that the steps to come depend on. */
#include "agent/trainer.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static qg_status pass_validation(qg_trainer *t, qg_tape *tape, qg_error *error)
{
    bool drawn = t->validation.screens;
    qg_tape_pass_bool(tape, &drawn);
    if (tape->reading) qg_minibatch_destroy(&t->validation);
    if (!drawn || !tape->good) return QG_OK;
    return qg_minibatch_pass(t->replay, tape, (int)t->settings->validation_size,
                             t->domain->game->action_count, &t->validation, error);
}

static void pass_numbers(qg_trainer *t, qg_tape *tape)
{
    QG_TAPE_PASS(tape, t->step);
    QG_TAPE_PASS(tape, t->episodes);
    QG_TAPE_PASS(tape, t->updates);
    QG_TAPE_PASS(tape, t->since);
    QG_TAPE_PASS(tape, t->evaluated_step);
    QG_TAPE_PASS(tape, t->result.best_score);
    QG_TAPE_PASS(tape, t->result.best_step);
    QG_TAPE_PASS(tape, t->result.last_score);
    QG_TAPE_PASS(tape, t->progress.last_return);
    QG_TAPE_PASS(tape, t->episode_return);
    QG_TAPE_PASS(tape, t->action);
    qg_tape_pass_bool(tape, &t->end);
    qg_tape_pass(tape, t->screen, qg_observation_size(&t->domain->shape));
    qg_tape_pass_random(tape, &t->policy);
    qg_tape_pass_random(tape, &t->sampling);
    qg_tape_pass_random(tape, &t->noops);
    qg_tape_pass_random(tape, &t->dropout);
    qg_tape_require(tape, t->step >= 0 && t->step <= t->options->steps && t->action >= 0 &&
                              t->action < t->domain->game->action_count &&
                              t->evaluated_step >= -1 && t->evaluated_step <= t->step);
    t->progress.last_score = t->result.last_score;
}

static qg_status pass(qg_trainer *t, qg_tape *tape, qg_error *error)
{
    uint32_t initial = t->initial_crc;
    QG_TAPE_PASS(tape, initial);
    if (initial != t->initial_crc)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: holds another run: it began with another network; give the same, "
                       "another `folder` or `overwrite`",
                       t->folder.path);
    pass_numbers(t, tape);
    if (!tape->good) return QG_OK; /* found at the end */
    /* Every step adds one screen. */
    qg_status status = qg_replay_pass(t->replay, tape, t->step, t->domain->game->action_count,
                                      t->options->run.stop, error);
    if (!status) status = qg_tape_pass_domain(tape, t->domain, error);
    if (!status) status = pass_validation(t, tape, error);
    if (!status) status = qg_tape_pass_engine(tape, t->learner.engine, &t->network, error);
    if (status) return status;
    return tape->good ? qg_run_folder_pass_training(&t->folder, tape, error) : QG_OK;
}

/* -------------------------------------------------------------------------------- writing */

bool qg_trainer_checkpoint_due(const qg_trainer *t)
{
    if (t->step - (t->checkpoint_step > 0 ? t->checkpoint_step : 0) >= t->checkpoint_span)
        return true;
    const double minutes = t->options->run.checkpoint_minutes;
    return qg_clock_seconds() - t->checkpoint_clock >= 60 * (minutes > 0 ? minutes : 10);
}

qg_status qg_trainer_checkpoint(qg_trainer *t, qg_error *error)
{
    if (t->without_checkpoints) return QG_OK;
    qg_tape tape = qg_tape_to_write();
    /* The ring comes first: a checkpoint counts on it. */
    qg_status status = qg_replay_sync(t->replay, error);
    if (!status) status = pass(t, &tape, error);
    if (!status) status = qg_checkpoint_write(&t->checkpoints, &tape, t->step, error);
    qg_tape_free(&tape);
    if (status == QG_ERROR_USAGE) { /* a plugin's game that cannot be saved */
        t->without_checkpoints = true;
        snprintf(t->result.warning, sizeof t->result.warning,
                 "no checkpoints, so the run cannot be resumed: %.150s", error->message);
        return QG_OK;
    }
    if (status) return status;
    t->checkpoint_step = t->step;
    t->checkpoint_clock = qg_clock_seconds();
    return QG_OK;
}

/* -------------------------------------------------------------------------------- going on */

static qg_status restore(void *context, qg_tape *tape, qg_error *error)
{
    qg_trainer *t = context;
    const qg_status status = t->replay ? QG_OK : qg_trainer_open_replay(t, true, error);
    return status ? status : pass(t, tape, error);
}

qg_status qg_trainer_resume(qg_trainer *t, bool *found, qg_error *error)
{
    qg_status status = qg_checkpoints_resume(&t->checkpoints, restore, t, found, t->result.warning,
                                             sizeof t->result.warning, error);
    if (status || !*found) {
        qg_replay_close(t->replay); /* the file stays as it is */
        t->replay = NULL;
        return status;
    }
    t->checkpoint_step = t->result.begun_at = t->step;
    if (t->validation.screens) {
        t->learning_started = qg_clock_seconds();
        t->learning_start_step = t->step;
    }
    return qg_trainer_check_snapshots(t, t->step, error);
}
