/* The state of a training: its replay memory, and what a checkpoint holds: all that the steps to
 * come depend on. */
#include "agent/trainer.h"

#include "base/file.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------- replay memory */

qg_status qg_trainer_open_replay(qg_trainer *t, bool existing, qg_error *error)
{
    const qg_settings *s = t->settings;
    qg_replay_plan plan = qg_replay_plan_for(s, t->run.steps, &t->domain->shape);
    plan.threads = t->options->run.machine.threads;
    plan.compressed = !t->options->run.plain_replay;
    const bool keeps_all = plan.capacity + plan.slack > t->run.steps;
    t->run.checkpoint_span = keeps_all ? INT64_MAX : plan.slack / 2;
    char *path = qg_path_join(t->run.folder.path, "replay.bin");
    if (!path) return qg_fail_memory(error, "a path", strlen(t->run.folder.path));
    qg_status status = existing ? qg_replay_open(path, &plan, &t->replay, error)
                                : qg_replay_create(path, &plan, &t->replay, error);
    free(path);
    if (!status)
        status = qg_minibatch_create(qg_replay_form(t->replay), s->minibatch, &t->minibatch, error);
    if (status) return status;
    t->td_errors = calloc((size_t)s->minibatch, sizeof *t->td_errors);
    return t->td_errors ? QG_OK : qg_fail_memory(error, "TD errors", 0);
}

/* What a data set says of its making: as it is played, and what the rewards and ends are. */
static void describe(const qg_trainer *t, char about[QG_REPLAY_ABOUT])
{
    static const char *const told[] = {"preset",      "frame_skip",         "sticky",
                                       "noop_max",    "discount",           "history",
                                       "clip_reward", "life_loss_terminal", "max_episode_frames",
                                       "actions"};
    size_t count;
    const qg_setting *table = qg_settings_table(&count);
    char names[QG_REPLAY_ABOUT / 2];
    qg_text_join(t->domain->actions, t->domain->action_count, names, sizeof names - strlen(",..."));
    if (strlen(names) + sizeof ",..." == sizeof names) { /* full: the last name may be a part */
        char *const comma = strrchr(names, ',');
        memcpy(comma ? comma : names, ",...", sizeof ",...");
    }
    snprintf(about, QG_REPLAY_ABOUT, "domain: %s\naction_names: %s\nseed: %llu\nstep: %lld\n",
             t->domain->name, names, (unsigned long long)t->options->run.seed,
             (long long)t->run.step);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof told / sizeof *told; k++) {
            char value[1100];
            if (strcmp(table[i].name, told[k]) != 0) continue;
            qg_setting_format(t->settings, &table[i], value, sizeof value);
            qg_text_add(about, QG_REPLAY_ABOUT, "%s: %s\n", table[i].name, value);
        }
}

qg_status qg_trainer_close_replay(qg_trainer *t, qg_error *error)
{
    char about[QG_REPLAY_ABOUT], bytes[32];
    if (!t->replay) return QG_OK;
    const size_t growth = qg_screen_store_growth(qg_replay_file(t->replay)->store);
    if (growth > 0)
        qg_run_warn(
            &t->run,
            "the screens of %s shrink less than others do: the replay memory took %s more than "
            "was reserved for it",
            t->domain->name, qg_text_from_bytes((double)growth, bytes));
    if (!t->options->run.keep_replay) return QG_OK;
    describe(t, about);
    return qg_replay_finish(t->replay, about, error);
}

/* ---------------------------------------------------------------------------- checkpoints */

static qg_status pass_validation(qg_trainer *t, qg_tape *tape, qg_error *error)
{
    bool drawn = t->validation.screens;
    qg_tape_pass_bool(tape, &drawn);
    if (tape->reading) qg_minibatch_destroy(&t->validation);
    if (!drawn || !tape->good) return QG_OK;
    return qg_minibatch_pass(qg_replay_form(t->replay), tape, (int)t->settings->validation_size,
                             t->domain->action_count, &t->validation, error);
}

static void pass_numbers(qg_trainer *t, qg_tape *tape)
{
    QG_TAPE_PASS(tape, t->episodes);
    QG_TAPE_PASS(tape, t->updates);
    QG_TAPE_PASS(tape, t->since);
    QG_TAPE_PASS(tape, t->progress.last_return);
    QG_TAPE_PASS(tape, t->action);
    qg_tape_pass(tape, t->screen, qg_observation_size(&t->domain->shape));
    qg_tape_pass_random(tape, &t->policy);
    qg_tape_pass_random(tape, &t->sampling);
    qg_tape_pass_random(tape, &t->dropout);
    qg_tape_require(tape, t->action >= 0 && t->action < t->domain->action_count);
    if (!t->options->reuse) return;
    qg_tape_pass_random(tape, &t->reuse);
    QG_TAPE_PASS(tape, t->offline_updates);
    const int64_t wanted = t->options->reuse->offline_updates;
    qg_tape_require(tape, t->offline_updates >= 0 && t->offline_updates <= wanted);
    if (tape->reading) t->run.moved = t->offline_updates > 0 && t->offline_updates < wanted;
}

static qg_status pass_replay(qg_trainer *t, qg_tape *tape, qg_error *error)
{
    qg_status status = QG_OK;
    if (!tape->reading)
        status = qg_replay_sync(t->replay, error); /* a checkpoint counts on it */
    else if (!t->replay)
        status = qg_trainer_open_replay(t, true, error);
    /* Every step adds one screen. */
    return status ? status
                  : qg_replay_pass(t->replay, tape, t->run.step, t->domain->action_count,
                                   t->options->run.stop, error);
}

/* What Adam knows of layers that thaw. */
static void pass_idle_steps(qg_trainer *t, qg_tape *tape)
{
    qg_engine *engine = t->learner.engine;
    bool thaws = false;
    for (int l = 0; l < engine->architecture.layer_count; l++)
        thaws |= t->options->thaw[l] > 0;
    if (!thaws || engine->optimiser != QG_ADAM) return;
    QG_TAPE_PASS(tape, engine->idle);
    for (int l = 0; l < engine->architecture.layer_count; l++)
        qg_tape_require(tape, engine->idle[l] <= engine->steps);
}

/* Of a game that is lost at its first screen nothing has been played that could end. */
static qg_status begin_again(qg_trainer *t, qg_error *error)
{
    if (!t->domain->lost || !t->episode.over || !qg_replay_at_end(t->replay)) return QG_OK;
    return qg_episode_begin(&t->episode, t->screen, error);
}

qg_status qg_trainer_pass(void *self, qg_tape *tape, qg_error *error)
{
    qg_trainer *t = self;
    uint32_t initial = t->initial_crc;
    QG_TAPE_PASS(tape, initial);
    if (initial != t->initial_crc)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: holds another run: it began with another network; give the same, "
                       "another `folder` or `overwrite`",
                       t->run.folder.path);
    pass_numbers(t, tape);
    if (!tape->good) return QG_OK; /* found at the end */
    qg_status status = pass_replay(t, tape, error);
    t->progress.restoring = tape->reading;
    if (tape->reading) qg_trainer_report(t); /* it may take a while */
    if (!status) status = qg_episode_pass(&t->episode, tape, error);
    if (!status && tape->reading) {
        qg_run_note_losses(&t->run, t->domain);
        status = begin_again(t, error);
    }
    t->progress.restoring = false;
    if (!status) status = pass_validation(t, tape, error);
    if (!status) status = qg_tape_pass_engine(tape, t->learner.engine, &t->network, error);
    if (!status) pass_idle_steps(t, tape);
    return status;
}
