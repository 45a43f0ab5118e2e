/* A training: its parts, its run.yaml, and how it begins and ends. */
#include "agent/trainer.h"

#include "agent/run_yaml.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* -------------------------------------------------------------------------------- its parts */

static qg_status open_network(qg_trainer *t, qg_error *error)
{
    const qg_network *initial = t->options->initial;
    qg_architecture architecture;
    qg_status status = qg_architecture_for(t->settings, t->domain, &architecture, error);
    if (!status) status = qg_network_create(&architecture, &t->network, error);
    if (status) return status;
    if (initial && !qg_architecture_equal(&initial->architecture, &architecture))
        return qg_fail(error, QG_ERROR_USAGE,
                       "the network to begin with has another architecture than the settings make");
    qg_trainer_fill_initial(t->options, &t->network);
    t->initial_crc = (uint32_t)crc32_z(0, (const uint8_t *)t->network.parameters,
                                       qg_architecture_parameters(&architecture) * sizeof(float));
    return QG_OK;
}

static qg_status open_learner(qg_trainer *t, qg_error *error)
{
    const qg_architecture *a = &t->network.architecture;
    qg_status status = qg_td_learner_create(a, t->settings, t->options->pull,
                                            &t->options->run.machine, &t->learner, error);
    if (!status) t->run.isa = qg_engine_isa(t->learner.engine);
    t->learner.learning.layer_rates = t->options->layer_rates;
    for (int l = 0; l < a->layer_count && !status; l++)
        qg_engine_freeze(t->learner.engine, l, t->options->frozen[l]);
    if (!status) status = qg_engine_write(t->learner.engine, QG_ONLINE, &t->network, error);
    return status ? status : qg_engine_copy_to_target(t->learner.engine, error);
}

static qg_status open_domain(qg_trainer *t, qg_error *error)
{
    qg_random random = qg_random_stream(t->options->run.seed, "domain");
    qg_domain_options options = qg_domain_options_of(t->settings);
    options.seed = (uint32_t)qg_random_u64(&random);
    options.break_on_life = t->settings->life_loss_terminal;
    qg_status status = qg_domain_open(t->options->domain, &options, &t->domain, error);
    if (status) return status;
    t->screen = calloc(1, qg_observation_size(&t->domain->shape));
    if (!t->screen) return qg_fail_memory(error, "a screen", 0);
    t->episode = qg_episode_of(t->domain, t->settings->noop_max,
                               qg_random_stream(t->options->run.seed, "noops"));
    t->episode.life_loss_ends = t->settings->life_loss_terminal;
    return QG_OK;
}

/* ------------------------------------------------------------------------------ run.yaml */

/* What a transfer adds: the frozen layers. */
static void write_frozen(FILE *out, const qg_train_options *options,
                         const qg_architecture *architecture, bool unchanged)
{
    const char *separator = "frozen: [";
    for (int l = 0; l < architecture->layer_count; l++)
        if (options->frozen[l]) {
            fprintf(out, "%s%s", separator, architecture->layers[l].name);
            separator = ", ";
        }
    if (strcmp(separator, ", ") == 0) fprintf(out, "]\n");
    if (unchanged) fprintf(out, "frozen_unchanged: true # bit for bit, checked at the end\n");
}

/* Of a network that comes from memory no file says more than which it is; and how its layers learn
 * stands in no `choice`, as that of grafts does. */
static void write_initial(FILE *out, const qg_train_options *options, int layers)
{
    char sum[65], text[32];
    bool thaws = false;
    if (!options->initial || options->choice) return;
    qg_network_sha256(options->initial, sum);
    fprintf(out, "initial_network_sha256: %s\n", sum);
    for (int l = 0; l < layers; l++)
        thaws |= options->thaw[l] > 0;
    for (int l = 0; l < layers && thaws; l++)
        fprintf(out, "%s%" PRId64, l ? ", " : "initial_thaw: [", options->thaw[l]);
    if (thaws) fprintf(out, "]\n");
    for (int l = 0; l < layers && options->layer_rates; l++)
        fprintf(out, "%s%s", l ? ", " : "initial_layer_rates: [",
                qg_text_from_real((double)options->layer_rates[l], text));
    if (options->layer_rates) fprintf(out, "]\n");
    if (options->pull) fprintf(out, "initial_pull: true\n");
}

/* `unchanged`: the frozen layers were found to equal what the run began with. The caller frees
 * *text. */
static qg_status make_yaml(const qg_trainer *t, bool unchanged, char **text, qg_error *error)
{
    const qg_train_options *o = t->options;
    qg_run_yaml yaml;
    const qg_status status = qg_run_yaml_open(&yaml, "run of qgraft", error);
    if (status) return status;
    qg_run_yaml_begin(yaml.out, o->choice ? "graft" : "train", t->domain->name, o->run.seed,
                      o->steps);
    write_initial(yaml.out, o, t->network.architecture.layer_count);
    if (o->choice) fprintf(yaml.out, "choice: %s\n", o->choice);
    qg_run_yaml_snapshots(yaml.out, o->snapshots, o->snapshot_count);
    qg_run_yaml_other_games(yaml.out, o->also_evaluate, o->also_evaluate_count);
    write_frozen(yaml.out, o, &t->network.architecture, unchanged);
    return qg_run_yaml_close(&yaml, o->notes, o->note_count, &o->settings, text, error);
}

/* ------------------------------------------------------------------------- begin and end */

/* What the run is pulled back to, and how strongly. */
static qg_status anchor(qg_trainer *t, qg_error *error)
{
    qg_engine *engine = t->learner.engine;
    qg_network pull;
    qg_status status = qg_network_create(&t->network.architecture, &pull, error);
    if (status) return status;
    status = t->options->pull(t->options->pull_context, &pull, error);
    if (!status) status = qg_engine_write(engine, QG_PULL, &pull, error);
    if (!status) status = qg_engine_write(engine, QG_ANCHOR, &t->network, error);
    qg_network_free(&pull);
    return status;
}

static qg_status begin(void *self, qg_error *error)
{
    qg_trainer *t = self;
    if (t->options->steps == 0) return QG_OK;
    qg_status status = t->options->pull ? anchor(t, error) : QG_OK;
    if (!status) status = qg_trainer_open_replay(t, false, error);
    return status ? status : qg_episode_begin(&t->episode, t->screen, error);
}

static qg_status read_network(void *self, qg_run_network *what, qg_error *error)
{
    qg_trainer *t = self;
    *what = (qg_run_network){&t->network, t->domain->name, t->domain->actions};
    return qg_engine_read(t->learner.engine, QG_ONLINE, &t->network, error);
}

/* Whether a layer is to be at the end what it was at the beginning. */
static bool stays(const qg_trainer *t, int l)
{
    const int64_t thaw = t->options->thaw[l];
    return t->options->frozen[l] && (!thaw || thaw >= t->options->steps);
}

/* Frozen layers must equal what the run began with, bit for bit. */
static qg_status compare_frozen(qg_trainer *t, const qg_network *begun, qg_error *error)
{
    const qg_architecture *a = &begun->architecture;
    const qg_status status = qg_engine_read(t->learner.engine, QG_ONLINE, &t->network, error);
    if (status) return status;
    for (int l = 0; l < a->layer_count; l++) {
        const size_t count = qg_layer_weights(&a->layers[l]) + (size_t)a->layers[l].outputs;
        if (stays(t, l) &&
            memcmp(begun->weights[l], t->network.weights[l], count * sizeof(float)) != 0)
            return qg_fail(error, QG_ERROR_DATA, "%s: frozen layer %s changed: this is a defect",
                           t->run.folder.path, a->layers[l].name);
    }
    return QG_OK;
}

/* Ends with the replay memory; checks the frozen layers, and says so in run.yaml. */
static qg_status finish(void *self, qg_error *error)
{
    qg_trainer *t = self;
    int frozen = 0;
    if (!t->episodes)
        qg_run_warn(&t->run,
                    "no episode ended in the %lld steps of the training: set "
                    "'max_episode_frames', or make more steps",
                    (long long)t->run.step);
    for (int l = 0; l < t->network.architecture.layer_count; l++)
        frozen += stays(t, l);
    qg_status status = qg_trainer_close_replay(t, error);
    if (status || !frozen) return status;
    qg_network begun;
    status = qg_network_create(&t->network.architecture, &begun, error);
    if (status) return status;
    char *text = NULL;
    qg_trainer_fill_initial(t->options, &begun);
    status = compare_frozen(t, &begun, error);
    if (!status) status = make_yaml(t, true, &text, error);
    if (!status) status = qg_run_folder_text(&t->run.folder, "run.yaml", text, error);
    free(text);
    qg_network_free(&begun);
    return status;
}

static void close_all(qg_trainer *t)
{
    qg_layer_probe_close(&t->probe);
    qg_minibatch_destroy(&t->minibatch);
    qg_minibatch_destroy(&t->validation);
    /* One that is kept has another name by now, or could not get it. */
    if (qg_run_can_go_on(&t->run) || (t->options->run.keep_replay && t->run.step >= t->run.steps))
        qg_replay_close(t->replay);
    else
        qg_replay_destroy(t->replay);
    qg_td_learner_free(&t->learner);
    qg_domain_close(t->domain);
    qg_network_free(&t->network);
    free(t->td_errors);
    free(t->screen);
    qg_run_close(&t->run);
}

static qg_status check_options(const qg_train_options *options, qg_error *error)
{
    const qg_status status = qg_settings_check(&options->settings, error);
    if (status) return status;
    for (size_t i = 0; i < options->snapshot_count; i++)
        if (options->snapshots[i] < 0 || options->snapshots[i] > options->steps)
            return qg_fail(error, QG_ERROR_USAGE,
                           "a snapshot of step %lld: the run has the steps 0 to %lld",
                           (long long)options->snapshots[i], (long long)options->steps);
    return QG_OK;
}

static const qg_run_class training = {.step_name = "step",
                                      .begin = begin,
                                      .step = qg_trainer_step,
                                      .evaluate = qg_trainer_evaluate,
                                      .confirm = qg_trainer_confirm,
                                      .finish = finish,
                                      .network = read_network,
                                      .pass = qg_trainer_pass,
                                      .evaluating = qg_trainer_evaluating};

static qg_run make_run(qg_trainer *t, const qg_train_options *o)
{
    qg_run run = qg_run_of(&training, t, &o->run, &o->settings, o->steps);
    run.notes = o->notes;
    run.note_count = o->note_count;
    run.snapshots = o->snapshots;
    run.snapshot_count = o->snapshot_count;
    qg_run_folder_add_table(&run.folder, "evaluations.csv", QG_EVALUATION_COLUMNS);
    qg_run_folder_add_table(&run.folder, "training.csv",
                            "step,epsilon,episodes,mean_return,updates,td_error");
    if (o->also_evaluate_count > 0)
        t->others.table = qg_run_folder_add_table(&run.folder, "other_evaluations.csv",
                                                  QG_OTHER_EVALUATIONS_COLUMNS);
    t->layers_table = o->settings.layer_states > 0 ? qg_trainer_add_layers_table(&run.folder) : -1;
    return run;
}

/* The last step that does not learn. */
static int64_t learn_start_of(const qg_train_options *options)
{
    const int64_t start = options->settings.learn_start;
    const int64_t played = options->reuse ? options->reuse->play_steps : 0;
    return played > start ? played : start;
}

qg_status qg_train(const qg_train_options *options, qg_run_result *result, qg_error *error)
{
    const uint64_t seed = options->run.seed;
    qg_trainer t = {.options = options,
                    .settings = &options->settings,
                    .policy = qg_random_stream(seed, "policy"),
                    .sampling = qg_random_stream(seed, "replay"),
                    .dropout = qg_random_stream(seed, "dropout"),
                    .reuse = qg_random_stream(seed, "reuse"),
                    .learn_start = learn_start_of(options),
                    .progress = {.steps = options->steps,
                                 .evaluation_steps = options->settings.eval_steps,
                                 .last_return = NAN}};
    t.run = make_run(&t, options);
    char *yaml = NULL;
    qg_status status = check_options(options, error);
    if (!status) status = open_domain(&t, error);
    if (!status) status = open_network(&t, error);
    if (!status)
        status = qg_other_games_open(options, t.domain, &t.network.architecture, &t.others, error);
    if (!status) status = open_learner(&t, error);
    if (!status) status = make_yaml(&t, false, &yaml, error);
    if (!status) status = qg_run_execute(&t.run, yaml, error);
    free(yaml);
    *result = t.run.result;
    close_all(&t);
    return status;
}
