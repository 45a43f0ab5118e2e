#include "study/kinds.h"

#include "agent/priorities.h"
#include "agent/replay.h"
#include "transfer/graft_learning.h"
#include "transfer/graft_reuse.h"
#include "transfer/sample_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------- what all kinds have */

static double parameter_bytes(const qg_run_times *t)
{
    return sizeof(float) * (double)qg_architecture_parameters(&t->architecture);
}

/* Memory and disk of a run that has `file` bytes on the disk and uses `used` of them while it
 * works, needs `work` besides the process itself, those that play its two domains (one for
 * evaluations), what learns and three networks in the files' layout, and leaves `networks`. */
static void weigh_bytes(const qg_study_run *run, const qg_run_times *t, double file, double used,
                        double work, int networks, qg_task_load *load)
{
    const qg_settings *s = &run->settings;
    const double rows = (double)run->steps * (1 / (double)s->log_every + 1 / (double)s->eval_every);
    const double checkpoints = 2 * 4 * parameter_bytes(t);
    load->memory = 12e6 + 2 * t->beside + (double)t->learner + 3 * parameter_bytes(t) + used + work;
    load->kept = 30e3 + 250 * rows + networks * (4000 + parameter_bytes(t)); /* CSV, TensorBoard */
    load->disk = load->kept + fmax(file, used) + checkpoints;
}

/* -------------------------------------------------------------------------------- trainings */

static int no_sources(const qg_study_run *run, int sources[QG_MAX_TEACHERS])
{
    (void)run, (void)sources;
    return 0;
}

static void describe_nothing(const qg_study_run *run, FILE *out)
{
    (void)run, (void)out;
}

static qg_status fill_training(const qg_study_run *run, qg_run_file *file, qg_error *error)
{
    const size_t bytes = (size_t)run->snapshot_count * sizeof *file->snapshots;
    memcpy(file->domain, run->game, sizeof file->domain);
    file->steps = run->steps;
    for (; file->also_evaluate_count < run->also_evaluate_count; file->also_evaluate_count++) {
        char *const game = strdup(run->also_evaluate[file->also_evaluate_count]);
        if (!game) return qg_fail_memory(error, "a run file", QG_DOMAIN_NAME);
        file->also_evaluate[file->also_evaluate_count] = game;
    }
    if (!run->snapshot_count) return QG_OK;
    file->snapshots = malloc(bytes);
    if (!file->snapshots) return qg_fail_memory(error, "snapshots", bytes);
    memcpy(file->snapshots, run->snapshots, bytes);
    file->snapshot_count = (size_t)run->snapshot_count;
    return QG_OK;
}

static void title_training(const qg_study *study, const qg_study_run *run, char *text, size_t size)
{
    (void)study;
    snprintf(text, size, "train %s", run->game);
}

/* Of looking at the layers: a second learner with three networks and a sum of doubles, the states,
 * what the layers put out on them, and a source with its Gram matrices. */
static double layer_bytes(const qg_study_run *run, const qg_run_times *t)
{
    const qg_settings *s = &run->settings;
    const double n = s->layer_states, layers = t->architecture.layer_count;
    double width = 0;
    for (int l = 0; l < t->architecture.layer_count; l++)
        width += (double)qg_layer_width(&t->architecture.layers[l]);
    if (n == 0) return 0;
    return (double)t->learner + 7 * parameter_bytes(t) + 8 * n * n * (layers + 1) +
           n * (4 * width + s->history * (double)qg_observation_size(&t->shape));
}

/* The last evaluation is the one that confirms the best network. */
static qg_status weigh_training(const qg_study_run *run, const qg_run_times *t, qg_task_load *load,
                                qg_error *error)
{
    (void)error;
    const qg_settings *s = &run->settings;
    const double steps = (double)run->steps;
    const double updates = fmax(0, steps - (double)s->learn_start) / (double)s->update_every;
    const double evaluations =
        (1 + ceil(steps / (double)s->eval_every)) * (1 + run->also_evaluate_count) + 1;
    load->seconds =
        (steps + evaluations * (double)s->eval_steps) * (t->step + t->act) + updates * t->update;
    qg_replay_plan replay = qg_replay_plan_for(s, run->steps, &t->shape);
    replay.compressed = !t->plain;
    const double validation =
        2.0 * (double)s->validation_size * s->history * (double)qg_observation_size(&t->shape);
    const double priorities =
        s->prioritised ? (double)qg_priorities_bytes((size_t)replay.capacity) : 0;
    weigh_bytes(run, t, (double)qg_replay_bytes(&replay), qg_replay_used(&replay, t->frame),
                validation + 2 * priorities + layer_bytes(run, t), 2 + run->snapshot_count,
                load);            /* and their tape */
    load->disk += 2 * priorities; /* checkpoints */
    return QG_OK;
}

/* ----------------------------------------------------------------------------------- grafts */

/* The source's network is an engine more; it looks at a part of the minibatches, and there are
 * updates more. */
static void weigh_reuse(const qg_study_run *run, const qg_run_times *t, qg_task_load *load)
{
    const qg_graft_reuse *const reuse = &run->choice.reuse;
    const double distilled = fmin((double)reuse->kickstart, (double)run->steps);
    load->memory += (double)t->learner / 2 + parameter_bytes(t);
    load->seconds += (double)reuse->qdagger * 1.3 * t->update +
                     distilled / (double)run->settings.update_every * 0.3 * t->update;
}

/* Anchor and pull lie in the engine, and in both checkpoints; EWC needs a gradient for each action
 * of each state. */
static qg_status weigh_graft(const qg_study_run *run, const qg_run_times *t, qg_task_load *load,
                             qg_error *error)
{
    const qg_graft_learning *const learning = &run->choice.learning;
    const qg_status status = weigh_training(run, t, load, error);
    if (!status && qg_graft_reuses(&run->choice)) weigh_reuse(run, t, load);
    if (status || !qg_graft_learning_pulls(learning)) return status;
    load->memory += 2 * parameter_bytes(t);
    load->disk += 2 * 2 * parameter_bytes(t);
    if (!(learning->ewc > 0)) return QG_OK;
    const int64_t samples = learning->ewc_samples ? learning->ewc_samples : QG_EWC_SAMPLES;
    load->memory += 5 * parameter_bytes(t);
    load->seconds += (double)samples * t->architecture.actions * t->update;
    return QG_OK;
}

static int source_of_graft(const qg_study_run *run, int sources[QG_MAX_TEACHERS])
{
    sources[0] = run->source;
    return run->source >= 0 ? 1 : 0;
}

static void describe_graft(const qg_study_run *run, FILE *out)
{
    const qg_graft_choice *const c = &run->choice;
    fprintf(out, "first %d last %d part %s index %d freeze %d layers",
            c->way == QG_CHOOSE_FIRST ? c->count : 0, c->way == QG_CHOOSE_LAST ? c->count : 0,
            c->way == QG_CHOOSE_PART ? c->part : "-", c->match == QG_MATCH_INDEX, c->frozen);
    for (int l = 0; c->way == QG_CHOOSE_LAYERS && l < QG_MAX_LAYERS; l++)
        if (c->layers & UINT32_C(1) << l) fprintf(out, " %d", l + 1);
    char learning[QG_GRAFT_CHOICE_TEXT];
    qg_graft_learning_format(&c->learning, " ", learning);
    if (*learning) fprintf(out, " %s", learning);
    if ((c->learning.thaw || c->learning.thaw_every) &&
        strcmp(run->settings.optimiser, "adam") == 0)
        fputs(" counts steps by layer", out); /* earlier versions counted them for all */
    qg_graft_reuse_format(&c->reuse, " ", learning);
    if (*learning) fprintf(out, " %s", learning);
}

static qg_status fill_graft(const qg_study_run *run, qg_run_file *file, qg_error *error)
{
    file->choice = run->choice;
    if (run->source == QG_SOURCE_RANDOM) {
        file->parents[0] = strdup("random");
        file->parent_count = 1;
        if (!file->parents[0]) return qg_fail_memory(error, "a run file", 8);
    }
    return fill_training(run, file, error);
}

static void title_graft(const qg_study *study, const qg_study_run *run, char *text, size_t size)
{
    char layers[QG_GRAFT_CHOICE_TEXT];
    qg_graft_choice_label(&run->choice, layers);
    if (run->choice.way == QG_CHOOSE_NONE) {
        snprintf(text, size, "policy of %s by %s to %s", study->sources[run->source].name, layers,
                 run->game);
        return;
    }
    snprintf(text, size, "%s of %s%s to %s", layers,
             run->source >= 0 ? study->sources[run->source].name : "a random network",
             run->choice.frozen ? ", frozen," : "", run->game);
}

/* ---------------------------------------------------------------------------- distillations */

static int teachers_of(const qg_study_run *run, int sources[QG_MAX_TEACHERS])
{
    memcpy(sources, run->teachers, (size_t)run->teacher_count * sizeof *sources);
    return run->teacher_count;
}

static void describe_distillation(const qg_study_run *run, FILE *out)
{
    fprintf(out, "temperature %s order %d epsilon %.17g", run->temperature, (int)run->order,
            run->epsilon);
    if (run->loss != QG_LOSS_KL) /* as before there was another */
        fprintf(out, " loss %s", qg_distillation_loss_name(run->loss));
}

static qg_status fill_distillation(const qg_study_run *run, qg_run_file *file, qg_error *error)
{
    file->samples = run->steps;
    file->order = run->order;
    file->loss = run->loss;
    file->epsilon = run->epsilon;
    return qg_temperatures_parse(run->temperature, &file->temperatures, error);
}

static void title_distillation(const qg_study *study, const qg_study_run *run, char *text,
                               size_t size)
{
    const bool usual = run->loss == QG_LOSS_KL;
    snprintf(text, size, "distill %s%s at %s%s%s", study->sources[run->teachers[0]].name,
             run->teacher_count > 1 ? " and others" : "", run->temperature, usual ? "" : " by ",
             usual ? "" : qg_distillation_loss_name(run->loss));
}

/* The teachers play (also what is held out) and are evaluated; the student learns, without the
 * target network's forward pass, and is evaluated: before, meanwhile, and to confirm the best. */
static qg_status weigh_distillation(const qg_study_run *run, const qg_run_times *t,
                                    qg_task_load *load, qg_error *error)
{
    qg_temperatures temperatures;
    const qg_status status = qg_temperatures_parse(run->temperature, &temperatures, error);
    if (status) return status;
    const qg_settings *s = &run->settings;
    const double samples = (double)run->steps, held_out = (double)qg_held_out(run->steps);
    const double teachers = run->teacher_count;
    const double lessons = samples * temperatures.count * teachers;
    const double evaluations = teachers * (3 + ceil(lessons / (double)s->eval_every));
    load->seconds = ((samples + held_out) * teachers + evaluations * (double)s->eval_steps) *
                        (t->step + t->act) +
                    (lessons + evaluations * held_out / 3) / s->minibatch * 0.75 * t->update;
    const qg_sample_source set = {.count = run->steps + qg_held_out(run->steps),
                                  .actions = t->architecture.actions,
                                  .history = s->history,
                                  .height = t->shape.height,
                                  .width = t->shape.width,
                                  .channels = t->shape.channels,
                                  .max = t->shape.max};
    const double bytes = (double)qg_sample_set_bytes(&set, !t->plain);
    weigh_bytes(run, t, teachers * bytes,
                teachers * (t->plain ? bytes : qg_sample_set_used(&set, t->frame)), 0,
                2 + (run->teacher_count > 1 ? run->teacher_count : 0), load);
    return QG_OK;
}

/* ----------------------------------------------------------------------------- measurements */

static void describe_other_game(const qg_study_run *run, FILE *out)
{
    fprintf(out, "other game %s", run->other_game);
}

static qg_status fill_random_score(const qg_study_run *run, qg_run_file *file, qg_error *error)
{
    (void)error;
    memcpy(file->domain, run->game, sizeof file->domain);
    file->steps = run->steps;
    return QG_OK;
}

/* The games are played as they usually are. */
static qg_status fill_similarity(const qg_study_run *run, qg_run_file *file, qg_error *error)
{
    memcpy(file->other_domain, run->other_game, sizeof file->other_domain);
    file->settings = (qg_settings){0};
    return fill_random_score(run, file, error);
}

static void title_random_score(const qg_study *study, const qg_study_run *run, char *text,
                               size_t size)
{
    (void)study;
    snprintf(text, size, "random play of %s", run->game);
}

static void title_similarity(const qg_study *study, const qg_study_run *run, char *text,
                             size_t size)
{
    (void)study;
    snprintf(text, size, "similarity of %s and %s", run->game, run->other_game);
}

/* The pictures of a game are kept while it is looked at, and the games of a comparison are taken to
 * have pictures of one size. */
static qg_status weigh_measurement(const qg_study_run *run, const qg_run_times *t,
                                   qg_task_load *load, qg_error *error)
{
    (void)error;
    const int games = run->kind == QG_RUN_SIMILARITY ? 2 : 1;
    const double steps = (double)run->steps;
    const double pictures = games == 2 ? steps * t->picture : 0;
    *load = (qg_task_load){.seconds = games * steps * t->step,
                           .memory = 12e6 + t->beside + pictures,
                           .disk = 30e3,
                           .kept = 30e3,
                           .first = true};
    return QG_OK;
}

/* ------------------------------------------------------------------------------------ table */

static const qg_study_kind kinds[] = {
    [QG_RUN_TRAIN] = {no_sources, describe_nothing, fill_training, title_training, weigh_training,
                      "replay"},
    [QG_RUN_GRAFT] = {source_of_graft, describe_graft, fill_graft, title_graft, weigh_graft,
                      "replay"},
    [QG_RUN_DISTILL] = {teachers_of, describe_distillation, fill_distillation, title_distillation,
                        weigh_distillation, "samples"},
    [QG_RUN_RANDOM_SCORE] = {no_sources, describe_nothing, fill_random_score, title_random_score,
                             weigh_measurement, "games"},
    [QG_RUN_SIMILARITY] = {no_sources, describe_other_game, fill_similarity, title_similarity,
                           weigh_measurement, "games"},
};

const qg_study_kind *qg_study_kind_of(const qg_study_run *run)
{
    return &kinds[run->kind];
}

void qg_study_run_title(const qg_study *study, const qg_study_run *run, char *text, size_t size)
{
    qg_study_kind_of(run)->title(study, run, text, size);
}
