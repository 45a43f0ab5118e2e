#include "agent/run.h"

#include "base/clock.h"
#include "base/text.h"
#include "network/network_file.h"
#include "network/safetensors.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

qg_run qg_run_of(const qg_run_class *methods, void *self, const qg_run_options *options,
                 const qg_settings *settings, int64_t steps)
{
    const double now = qg_clock_seconds();
    return (qg_run){.methods = methods,
                    .self = self,
                    .options = options,
                    .settings = settings,
                    .steps = steps,
                    .checkpoint_span = INT64_MAX,
                    .folder = {.lock = {-1}},
                    .result = {.best_score = NAN, .last_score = NAN, .confirmed_score = NAN},
                    .evaluated_step = -1,
                    .checkpoint_step = -1,
                    .started = now,
                    .checkpoint_clock = now};
}

bool qg_run_is_stopped(const qg_run *run)
{
    return run->options->stop && *run->options->stop;
}

void qg_run_warn(qg_run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!*run->result.warning)
        vsnprintf(run->result.warning, sizeof run->result.warning, format, arguments);
    va_end(arguments);
}

void qg_run_note_losses(qg_run *run, const qg_domain *domain)
{
    run->result.inexact_resumes += domain->losses;
    if (domain->lost)
        qg_run_warn(run,
                    "%s does not do the same when it is played again: the run went on from a fresh "
                    "episode, and its result is marked in process.yaml",
                    domain->name);
}

double qg_run_seconds(const qg_run *run)
{
    return qg_clock_seconds() - run->started;
}

void qg_run_learns(qg_run *run)
{
    if (run->learning_started > 0) return;
    run->learning_started = qg_clock_seconds();
    run->learning_start_step = run->step;
    run->evaluation_seconds = 0;
}

/* ------------------------------------------------------------------------------- networks */

static qg_status save(qg_run *run, const char *name, const qg_run_network *what, int64_t step,
                      double score, double confirmed_score, qg_error *error)
{
    qg_network_info info = {.history = run->settings->history,
                            .seed = run->options->seed,
                            .step = step,
                            .score = score,
                            .confirmed_score = confirmed_score,
                            .notes = run->notes,
                            .note_count = run->note_count};
    snprintf(info.domain, sizeof info.domain, "%s", what->domain);
    snprintf(info.precision, sizeof info.precision, "%s", run->settings->precision);
    snprintf(info.emulator, sizeof info.emulator, "%s", qg_game_emulator(what->domain));
    qg_text_join(what->actions, what->network->architecture.actions, info.actions,
                 sizeof info.actions);
    return qg_run_folder_network(&run->folder, name, what->network, &info, error);
}

qg_status qg_run_save(qg_run *run, const char *name, const qg_run_network *what, double score,
                      qg_error *error)
{
    return save(run, name, what, run->step, score, NAN, error);
}

/* Of the evaluation of this step; NaN: there was none of the network as it is. */
static double score_here(const qg_run *run)
{
    return run->evaluated_step == run->step && !run->moved ? run->result.last_score : NAN;
}

/* The network as it is, under one name or two (NULL: no second one). */
static qg_status save_as(qg_run *run, const char *name, const char *other, double score,
                         qg_error *error)
{
    qg_run_network what;
    qg_status status = run->methods->network(run->self, &what, error);
    if (!status) status = qg_run_save(run, name, &what, score, error);
    if (!status && other) status = qg_run_save(run, other, &what, score, error);
    return status;
}

static void name_snapshot(int64_t step, char name[32])
{
    snprintf(name, 32, "step-%lld", (long long)step);
}

static qg_status save_snapshot(qg_run *run, qg_error *error)
{
    bool wanted = false;
    for (size_t i = 0; i < run->snapshot_count; i++)
        wanted = wanted || run->snapshots[i] == run->step;
    if (!wanted || run->moved) return QG_OK;
    char name[32];
    name_snapshot(run->step, name);
    return save_as(run, name, NULL, score_here(run), error);
}

/* Whether the snapshots before `step` are there. */
static qg_status check_snapshots(const qg_run *run, int64_t step, qg_error *error)
{
    for (size_t i = 0; i < run->snapshot_count; i++) {
        if (run->snapshots[i] >= step) continue;
        char name[32];
        name_snapshot(run->snapshots[i], name);
        char *path = qg_run_folder_network_path(&run->folder, name);
        if (!path) return qg_fail_memory(error, "a path", strlen(run->folder.path));
        const bool there = access(path, F_OK) == 0;
        free(path);
        if (!there)
            return qg_fail(error, QG_ERROR_USAGE,
                           "%s: the run is past step %lld, of which it has kept no network",
                           run->folder.path, (long long)run->snapshots[i]);
    }
    return QG_OK;
}

/* ----------------------------------------------------------------------------- evaluation */

static void report_evaluation(void *context, int64_t step)
{
    qg_run *run = context;
    run->methods->evaluating(run->self, step);
}

qg_status qg_run_play(qg_run *run, qg_engine *engine, const char *name, qg_action_set actions,
                      const int *outputs, int history, const char *purpose,
                      qg_evaluation *evaluation, qg_error *error)
{
    const qg_settings *s = run->settings;
    char of_step[64];
    snprintf(of_step, sizeof of_step, "evaluation/%lld", (long long)run->step);
    qg_random random = qg_random_stream(run->options->seed, purpose ? purpose : of_step);
    qg_domain_options domain_options = qg_domain_options_of(s);
    domain_options.seed = (uint32_t)qg_random_u64(&random);
    domain_options.actions = actions;
    const qg_evaluation_options options = {.steps = s->eval_steps,
                                           .epsilon = s->eval_epsilon,
                                           .noop_max = s->noop_max,
                                           .history = history,
                                           .outputs = outputs,
                                           .seed = qg_random_u64(&random),
                                           .progress = report_evaluation,
                                           .context = run,
                                           .stop = run->options->stop};
    qg_domain *domain;
    qg_status status = qg_domain_open(name, &domain_options, &domain, error);
    if (status) return status;
    status = qg_evaluate(engine, domain, &options, evaluation, error);
    qg_domain_close(domain);
    if (!status && !evaluation->episodes)
        qg_run_warn(run,
                    "no episode ended in the %lld steps of an evaluation, whose score is that of "
                    "an unfinished one: set 'eval_steps' or 'max_episode_frames'",
                    (long long)s->eval_steps);
    return status;
}

/* Whether the network still consists of numbers. One that has diverged is kept, but no file of it
 * can be loaded, and it has no score; its rows in evaluations.csv, and so in a report, say how it
 * plays all the same. */
static qg_status look_for_numbers(qg_run *run, bool *finite, qg_error *error)
{
    qg_run_network what;
    const qg_status status = run->methods->network(run->self, &what, error);
    if (status) return status;
    const size_t count = qg_architecture_parameters(&what.network->architecture);
    size_t i = 0;
    while (i < count && isfinite(what.network->parameters[i]))
        i++;
    *finite = i == count;
    if (*finite || strstr(run->result.warning, "has diverged")) return QG_OK;
    *run->result.warning = '\0'; /* whatever was said before matters less */
    qg_run_warn(run,
                "the network has diverged: at step %lld its weights are no numbers; lower "
                "'learning_rate', or set 'max_grad_norm'",
                (long long)run->step);
    return QG_OK;
}

/* Keeps the best network and the last. Step 0 is no candidate for the best: DQN 3.0 evaluates first
 * after a period of training. */
static qg_status evaluate(qg_run *run, qg_error *error)
{
    const double begin = qg_clock_seconds();
    qg_run_result *r = &run->result;
    double score;
    bool finite = true;
    qg_status status = run->methods->evaluate(run->self, &score, error);
    if (!status) status = look_for_numbers(run, &finite, error);
    if (status) return status;
    if (!finite) score = NAN; /* no network plays so */
    run->evaluated_step = run->step;
    r->last_score = score;
    const bool better = run->step > 0 && (isnan(r->best_score) || score > r->best_score);
    if (better) {
        r->best_score = score;
        r->best_step = run->step;
    }
    status = save_as(run, "last", better ? "best" : NULL, score, error);
    run->evaluation_seconds += qg_clock_seconds() - begin;
    return status;
}

/* The score that chose the best network is the highest of many noisy ones. The network is played
 * once more, with seeds that have chosen nothing, and its file has both. */
static qg_status confirm(qg_run *run, qg_error *error)
{
    qg_run_result *r = &run->result;
    qg_run_network what;
    qg_network best;
    qg_network_info info;
    if (isnan(r->best_score)) return QG_OK;
    char *path = qg_run_folder_network_path(&run->folder, "best");
    if (!path) return qg_fail_memory(error, "a path", strlen(run->folder.path));
    qg_status status = qg_network_load(path, &best, &info, error);
    free(path);
    if (status) return status;
    const double begin = qg_clock_seconds();
    double score; /* of a play that was stopped it is none */
    status = run->methods->confirm(run->self, &best, "confirmation", &score, error);
    if (!status) r->confirmed_score = score;
    run->evaluation_seconds += qg_clock_seconds() - begin;
    if (!status) status = run->methods->network(run->self, &what, error);
    what.network = &best;
    if (!status)
        status = save(run, "best", &what, info.step, info.score, r->confirmed_score, error);
    qg_network_free(&best);
    return status;
}

/* At the beginning, when eval_every steps more are made, and at the end. */
static bool evaluation_due(const qg_run *run)
{
    const int64_t every = run->settings->eval_every;
    if (run->evaluated_step < 0) return true;
    return run->evaluated_step != run->step &&
           (run->step / every > run->evaluated_step / every || run->step == run->steps);
}

/* ---------------------------------------------------------------------------- checkpoints */

static qg_status pass(qg_run *run, qg_tape *tape, qg_error *error)
{
    QG_TAPE_PASS(tape, run->step);
    QG_TAPE_PASS(tape, run->evaluated_step);
    QG_TAPE_PASS(tape, run->result.best_score);
    QG_TAPE_PASS(tape, run->result.best_step);
    QG_TAPE_PASS(tape, run->result.last_score);
    qg_tape_require(tape, run->step >= 0 && run->step <= run->steps && run->evaluated_step >= -1 &&
                              run->evaluated_step <= run->step);
    if (!tape->good) return QG_OK; /* found at the end */
    const qg_status status = run->methods->pass(run->self, tape, error);
    return status || !tape->good ? status : qg_run_folder_pass(&run->folder, tape, error);
}

bool qg_run_checkpoint_due(const qg_run *run)
{
    if (run->step - (run->checkpoint_step > 0 ? run->checkpoint_step : 0) >= run->checkpoint_span)
        return true;
    const double minutes = run->options->checkpoint_minutes;
    return qg_clock_seconds() - run->checkpoint_clock >= 60 * (minutes > 0 ? minutes : 10);
}

qg_status qg_run_checkpoint(qg_run *run, qg_error *error)
{
    if (run->without_checkpoints) return QG_OK;
    /* Of the same step as the last one: over that, as their steps tell which of two is newer. */
    if (run->checkpoint_step == run->step) run->checkpoints.next = 1 - run->checkpoints.next;
    qg_tape tape = qg_tape_to_write();
    qg_status status = pass(run, &tape, error);
    if (!status) status = qg_checkpoint_write(&run->checkpoints, &tape, run->step, error);
    qg_tape_free(&tape);
    run->checkpoint_clock = qg_clock_seconds();
    if (status == QG_ERROR_USAGE) { /* a plugin's game that cannot be saved */
        run->without_checkpoints = true;
        qg_run_warn(run, "no checkpoints, so the run cannot be resumed: %.150s", error->message);
        return QG_OK;
    }
    if (!status) run->checkpoint_step = run->step;
    return status;
}

static qg_status restore(void *context, qg_tape *tape, qg_error *error)
{
    ((qg_run *)context)->result.inexact_resumes = 0; /* of a damaged one that was tried before */
    return pass(context, tape, error);
}

static qg_status resume(qg_run *run, bool *found, qg_error *error)
{
    const qg_status status =
        qg_checkpoints_resume(&run->checkpoints, restore, run, found, run->result.warning,
                              sizeof run->result.warning, error);
    if (status || !*found) return status;
    run->checkpoint_step = run->result.begun_at = run->step;
    return check_snapshots(run, run->step, error);
}

bool qg_run_can_go_on(const qg_run *run)
{
    return !qg_checkpoints_absent(run->options->folder);
}

/* -------------------------------------------------------------------------------- its way */

/* What is due between two steps: the evaluation and the files that belong to this step. What a
 * kill leaves half done is done again from the checkpoint before. */
static qg_status settle(qg_run *run, qg_error *error)
{
    const bool due = evaluation_due(run);
    qg_status status = due ? evaluate(run, error) : QG_OK;
    if (!status) status = save_snapshot(run, error);
    if (!status && run->step < run->steps && (due || qg_run_checkpoint_due(run)))
        status = qg_run_checkpoint(run, error);
    return status;
}

static qg_status make_steps(qg_run *run, qg_error *error)
{
    const qg_run_class *methods = run->methods;
    qg_status status = methods->prepare ? methods->prepare(run->self, error) : QG_OK;
    if (!status) status = settle(run, error);
    while (!status && run->step < run->steps) {
        if (qg_run_is_stopped(run))
            return qg_fail(error, QG_STOPPED, "stopped at %s %lld", methods->step_name,
                           (long long)run->step);
        status = methods->step(run->self, error);
        if (!status) status = settle(run, error);
    }
    if (!status) status = confirm(run, error);
    return status || !methods->finish ? status : methods->finish(run->self, error);
}

static qg_status make_no_steps(qg_run *run, qg_error *error)
{
    const qg_status status = save_as(run, "best", "last", NAN, error);
    return status ? status : save_snapshot(run, error);
}

/* What was learned is kept, and can be gone on with. */
static qg_status keep(qg_run *run, qg_error *error)
{
    qg_error problem;
    qg_status status = qg_run_checkpoint(run, &problem);
    if (!status && run->step > 0) status = save_as(run, "last", NULL, score_here(run), &problem);
    if (!status) return QG_STOPPED;
    *error = problem;
    return status;
}

static qg_status work(qg_run *run, qg_error *error)
{
    qg_status status = run->steps > 0 ? make_steps(run, error) : make_no_steps(run, error);
    if (status == QG_STOPPED) status = keep(run, error);
    return status ? status : qg_run_folder_sync(&run->folder, error);
}

static qg_status begin(qg_run *run, const char *yaml, qg_error *error)
{
    /* A run that is complete stays until this one has what it needs. */
    if (run->folder.found == QG_FOUND_UNFINISHED) qg_run_folder_clear(&run->folder);
    qg_status status = run->methods->begin(run->self, error);
    if (!status) status = qg_run_folder_begin(&run->folder, yaml, error);
    if (!status) status = qg_run_folder_open_tables(&run->folder, error);
    run->begun = !status;
    return status;
}

/* Begins, or goes on where the run in the folder was left. */
static qg_status begin_or_resume(qg_run *run, const char *yaml, qg_error *error)
{
    bool found = false;
    qg_status status = QG_OK;
    if (run->options->resume && run->folder.found) status = resume(run, &found, error);
    run->begun = found && !status;
    return status || found ? status : begin(run, yaml, error);
}

/* Says so where a memory was to be kept and there is none. */
static void look_for_replay(qg_run *run)
{
    if (run->options->keep_replay && !qg_run_folder_has_replay(&run->folder))
        qg_run_warn(run, "no replay memory is kept: a run that %s has none",
                    run->result.was_complete ? "was complete already" : "makes no step");
}

/* What only served to go on. */
static void remove_state(qg_run *run)
{
    if (!qg_run_folder_remove_state(&run->folder, run->options->keep_replay))
        qg_run_warn(run,
                    "%s: the replay memory could not be renamed to replay.data: it is still "
                    "replay.bin",
                    run->folder.path);
    else
        look_for_replay(run);
}

/* The result of a run that is complete. */
static qg_status read_result(qg_run *run, qg_error *error)
{
    static const char *const names[] = {"best", "last"};
    qg_network_info info[2];
    qg_status status = check_snapshots(run, INT64_MAX, error);
    for (int i = 0; i < 2 && !status; i++) {
        char *path = qg_run_folder_network_path(&run->folder, names[i]);
        if (!path) return qg_fail_memory(error, "a path", strlen(run->folder.path));
        status = qg_network_read_info(path, &info[i], error);
        free(path);
    }
    if (status) return status;
    run->step = run->steps;
    run->result.was_complete = true;
    run->result.best_score = info[0].score;
    run->result.confirmed_score = info[0].confirmed_score;
    run->result.best_step = info[0].step;
    run->result.last_score = info[1].score;
    /* Where the end was interrupted. */
    remove_state(run);
    return run->methods->read_result ? run->methods->read_result(run->self, error) : QG_OK;
}

static qg_status write_process(qg_run *run, const char *state, qg_error *error)
{
    const double now = qg_clock_seconds();
    qg_run_result *r = &run->result;
    r->step = run->step;
    r->seconds = now - run->started;
    if (run->learning_started > 0)
        r->steps_per_second = (double)(run->step - run->learning_start_step) /
                              fmax(1e-9, now - run->learning_started - run->evaluation_seconds);
    if (!run->begun) return QG_OK;
    const int threads = run->options->machine.threads;
    const qg_machine machine = {threads > 0 ? threads : 1, run->isa};
    return qg_run_folder_process(&run->folder, &machine, r, state, error);
}

static qg_status go(qg_run *run, const char *yaml, qg_error *error)
{
    const qg_run_options *o = run->options;
    qg_status status = qg_run_folder_create(
        &run->folder, &(qg_run_claim){o->folder, yaml, o->overwrite, o->resume}, error);
    if (status) return status;
    run->checkpoints.folder = o->folder;
    if (o->resume && run->folder.found == QG_FOUND_COMPLETE) return read_result(run, error);
    status = begin_or_resume(run, yaml, error);
    if (!status) status = write_process(run, "running", error);
    return status ? status : work(run, error);
}

/* What is to stand in every network that the run writes; a file may have any name. */
static qg_status check_notes(const qg_run *run, qg_error *error)
{
    for (size_t i = 0; i < run->note_count; i++)
        if (!qg_tensors_takes(run->notes[i].value))
            return qg_fail(error, QG_ERROR_USAGE,
                           "%s: '%.200s' is not UTF-8 text, as a network's pedigree is: rename the "
                           "file",
                           run->notes[i].key, run->notes[i].value);
    return QG_OK;
}

qg_status qg_run_execute(qg_run *run, const char *yaml, qg_error *error)
{
    if (check_notes(run, error)) return error->code;
    const qg_status status = go(run, yaml, error);
    qg_error ignored; /* what ended the run is the better message */
    const char *state = status == QG_OK ? "finished" : status == QG_STOPPED ? "stopped" : "failed";
    const qg_status written = write_process(run, state, status ? &ignored : error);
    if (!status && !written && run->begun) remove_state(run);
    return status ? status : written;
}

void qg_run_close(qg_run *run)
{
    qg_run_folder_close(&run->folder);
}
