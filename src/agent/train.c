/* A training run: its folder, its parts, and how it begins, goes on and ends. */
#include "agent/trainer.h"

#include "agent/run_yaml.h"
#include "base/clock.h"
#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* -------------------------------------------------------------------------------- its parts */

static qg_status open_engine(qg_trainer *t, qg_error *error)
{
    const qg_settings *s = t->settings;
    qg_architecture architecture;
    qg_status status = qg_architecture_for(s, t->domain, &architecture, error);
    if (!status) status = qg_network_create(&architecture, &t->network, error);
    if (!status)
        status =
            qg_td_learner_create(&architecture, s, &t->options->run.machine, &t->learner, error);
    if (status) return status;
    const qg_network *initial = t->options->initial;
    if (!initial)
        qg_network_initialise(&t->network, t->options->run.seed);
    else if (qg_architecture_equal(&initial->architecture, &architecture))
        memcpy(t->network.parameters, initial->parameters,
               qg_architecture_parameters(&architecture) * sizeof(float));
    else
        return qg_fail(error, QG_ERROR_USAGE,
                       "the network to begin with has another architecture than the settings make");
    t->initial_crc = (uint32_t)crc32_z(0, (const uint8_t *)t->network.parameters,
                                       qg_architecture_parameters(&architecture) * sizeof(float));
    for (int l = 0; l < architecture.layer_count && !status; l++)
        status = qg_engine_freeze(t->learner.engine, l, t->options->frozen[l], error);
    if (!status) status = qg_engine_write(t->learner.engine, QG_ONLINE, &t->network, error);
    return status ? status : qg_engine_copy_to_target(t->learner.engine, error);
}

static qg_status open_domain(qg_trainer *t, qg_error *error)
{
    qg_random random = qg_random_stream(t->options->run.seed, "domain");
    const qg_domain_options options = {.seed = (uint32_t)qg_random_u64(&random),
                                       .frame_skip = t->settings->frame_skip,
                                       .sticky = t->settings->sticky,
                                       .break_on_life = t->settings->life_loss_terminal};
    qg_status status = qg_domain_open(t->options->domain, &options, &t->domain, error);
    if (status) return status;
    t->screen = calloc(1, qg_observation_size(&t->domain->shape));
    return t->screen ? QG_OK : qg_fail_memory(error, "a screen", 0);
}

qg_status qg_trainer_open_replay(qg_trainer *t, bool existing, qg_error *error)
{
    const qg_settings *s = t->settings;
    const qg_replay_plan plan = qg_replay_plan_for(s, t->options->steps, &t->domain->shape);
    const bool keeps_all = plan.capacity + plan.slack > t->options->steps;
    t->checkpoint_span = keeps_all ? INT64_MAX : plan.slack / 2;
    char *path = qg_path_join(t->folder.path, "replay.bin");
    if (!path) return qg_fail_memory(error, "a path", strlen(t->folder.path));
    qg_status status = existing ? qg_replay_open(path, &plan, &t->replay, error)
                                : qg_replay_create(path, &plan, &t->replay, error);
    free(path);
    if (!status) status = qg_minibatch_create(t->replay, s->minibatch, &t->minibatch, error);
    if (status) return status;
    t->td_errors = calloc((size_t)s->minibatch, sizeof *t->td_errors);
    return t->td_errors ? QG_OK : qg_fail_memory(error, "TD errors", 0);
}

/* ----------------------------------------------------------------------- begin, go on, end */

static qg_status make_run(const qg_trainer *t, const char *isa, bool unchanged, char **text,
                          qg_error *error)
{
    return qg_run_yaml_make(t->options, t->domain, &t->network.architecture, isa, unchanged, text,
                            error);
}

/* Frozen layers must equal what the run began with, bit for bit. */
static qg_status check_frozen(qg_trainer *t, qg_error *error)
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
        qg_network_initialise(&begun, t->options->run.seed);
    status = qg_engine_read(t->learner.engine, QG_ONLINE, &t->network, error);
    for (int l = 0; l < a->layer_count && !status; l++) {
        const size_t count = qg_layer_weights(&a->layers[l]) + (size_t)a->layers[l].outputs;
        if (t->options->frozen[l] &&
            memcmp(begun.weights[l], t->network.weights[l], count * sizeof(float)) != 0)
            status = qg_fail(error, QG_ERROR_DATA, "%s: frozen layer %s changed: this is a defect",
                             t->folder.path, a->layers[l].name);
    }
    qg_network_free(&begun);
    char *text;
    if (!status) status = make_run(t, t->folder.isa, true, &text, error);
    if (status) return status;
    status = qg_run_folder_text(&t->folder, "run.yaml", text, error);
    free(text);
    return status;
}

/* Takes the folder; t->folder.found says what is to be done with it. */
static qg_status open_folder(qg_trainer *t, char **run, qg_error *error)
{
    const qg_train_options *o = t->options;
    const qg_status status = make_run(t, qg_engine_isa(t->learner.engine), false, run, error);
    if (status) return status;
    return qg_run_folder_create(
        &t->folder, &(qg_run_claim){o->run.folder, *run, o->run.overwrite, o->run.resume}, error);
}

static qg_status begin(qg_trainer *t, const char *run, qg_error *error)
{
    qg_status status = qg_run_folder_begin_training(&t->folder, run, error);
    t->begun = !status;
    if (!status && t->options->steps > 0) status = qg_trainer_open_replay(t, false, error);
    return status || !t->options->steps ? status : qg_trainer_begin_episode(t, error);
}

/* Begins, or goes on where the run in the folder was left. */
static qg_status begin_or_resume(qg_trainer *t, const char *run, qg_error *error)
{
    bool found = false;
    qg_status status = QG_OK;
    t->checkpoints.folder = t->folder.path;
    if (t->options->run.resume && t->folder.found) status = qg_trainer_resume(t, &found, error);
    t->begun = found && !status;
    if (!status && !found) status = begin(t, run, error);
    if (status) return status;
    return qg_run_folder_process(&t->folder, t->options, &t->result, "running", error);
}

/* The result of a run that is complete, from its networks. */
static qg_status read_result(qg_trainer *t, qg_error *error)
{
    static const char *const names[] = {"best.safetensors", "last.safetensors"};
    qg_network_info info[2];
    qg_status status = qg_trainer_check_snapshots(t, INT64_MAX, error);
    for (int i = 0; i < 2 && !status; i++) {
        qg_network network;
        char *path = qg_path_join(t->folder.path, names[i]);
        if (!path) return qg_fail_memory(error, "a path", strlen(t->folder.path));
        status = qg_network_load(path, &network, &info[i], error);
        if (!status) qg_network_free(&network);
        free(path);
    }
    if (status) return status;
    t->result.best_score = info[0].score;
    t->result.best_step = info[0].step;
    t->result.last_score = info[1].score;
    t->step = t->options->steps;
    t->result.was_complete = true;
    qg_run_folder_remove_state(&t->folder); /* where the end was interrupted */
    return QG_OK;
}

/* What was learned is kept, and can be gone on with. */
static qg_status keep(qg_trainer *t, qg_error *error)
{
    qg_error problem;
    qg_status status = qg_trainer_checkpoint(t, &problem);
    if (!status) status = qg_trainer_save(t, "last", NAN, &problem);
    if (!status) return QG_STOPPED;
    *error = problem;
    return status;
}

static qg_status train(qg_trainer *t, qg_error *error)
{
    if (t->options->steps == 0) {
        qg_status status = qg_trainer_save(t, "best", NAN, error);
        if (!status) status = qg_trainer_save(t, "last", NAN, error);
        return status ? status : qg_trainer_save_snapshot(t, error);
    }
    qg_status status = qg_trainer_run(t, error);
    if (status == QG_STOPPED) status = keep(t, error);
    if (!status) status = check_frozen(t, error);
    return status ? status : qg_run_folder_sync(&t->folder, error);
}

static qg_status run(qg_trainer *t, qg_error *error)
{
    char *text = NULL;
    qg_status status = open_domain(t, error);
    if (!status) status = open_engine(t, error);
    if (!status) status = open_folder(t, &text, error);
    if (!status && t->options->run.resume && t->folder.found == QG_FOUND_COMPLETE)
        status = read_result(t, error);
    else if (!status) {
        status = begin_or_resume(t, text, error);
        if (!status) status = train(t, error);
    }
    free(text);
    return status;
}

/* process.yaml: last of all, as "finished" marks a complete run. */
static qg_status end(qg_trainer *t, qg_status status, qg_error *error)
{
    if (!t->begun) return status;
    qg_error ignored; /* what ended the run is the better message */
    const char *state = status == QG_OK ? "finished" : status == QG_STOPPED ? "stopped" : "failed";
    const qg_status written =
        qg_run_folder_process(&t->folder, t->options, &t->result, state, status ? &ignored : error);
    if (!status && !written) qg_run_folder_remove_state(&t->folder);
    return status ? status : written;
}

static void summarise(qg_trainer *t)
{
    const double now = qg_clock_seconds();
    t->result.step = t->step;
    t->result.seconds = now - t->started;
    if (t->learning_started > 0)
        t->result.steps_per_second = (double)(t->step - t->learning_start_step) /
                                     fmax(1e-9, now - t->learning_started - t->evaluation_seconds);
}

static void close_all(qg_trainer *t)
{
    /* A checkpoint counts even where its writer said that it failed: it may have its name. */
    const bool go_on = t->replay && !qg_checkpoints_absent(t->folder.path);
    qg_minibatch_destroy(&t->minibatch);
    qg_minibatch_destroy(&t->validation);
    if (go_on)
        qg_replay_close(t->replay);
    else
        qg_replay_destroy(t->replay);
    qg_td_learner_free(&t->learner);
    qg_domain_close(t->domain);
    qg_network_free(&t->network);
    free(t->td_errors);
    free(t->screen);
    qg_run_folder_close(&t->folder); /* last: the lock covers the replay memory's file */
}

static qg_status check_snapshots(const qg_train_options *options, qg_error *error)
{
    for (size_t i = 0; i < options->snapshot_count; i++)
        if (options->snapshots[i] < 0 || options->snapshots[i] > options->steps)
            return qg_fail(error, QG_ERROR_USAGE,
                           "a snapshot of step %lld: the run has the steps 0 to %lld",
                           (long long)options->snapshots[i], (long long)options->steps);
    return QG_OK;
}

qg_status qg_train(const qg_train_options *options, qg_run_result *result, qg_error *error)
{
    *result = (qg_run_result){.best_score = NAN, .last_score = NAN};
    qg_status status = qg_settings_check(&options->settings, error);
    if (!status) status = check_snapshots(options, error);
    if (status) return status;
    qg_trainer t = {.options = options,
                    .settings = &options->settings,
                    .folder = {.lock = {-1}},
                    .policy = qg_random_stream(options->run.seed, "policy"),
                    .sampling = qg_random_stream(options->run.seed, "replay"),
                    .noops = qg_random_stream(options->run.seed, "noops"),
                    .dropout = qg_random_stream(options->run.seed, "dropout"),
                    .evaluated_step = -1,
                    .checkpoint_step = -1,
                    .result = *result,
                    .started = qg_clock_seconds(),
                    .progress = {.steps = options->steps,
                                 .evaluation_steps = options->settings.eval_steps,
                                 .last_score = NAN,
                                 .last_return = NAN}};
    t.checkpoint_clock = t.started;
    status = run(&t, error);
    summarise(&t);
    status = end(&t, status, error);
    *result = t.result;
    close_all(&t);
    return status;
}
