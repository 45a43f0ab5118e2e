#include "study/estimate.h"

#include "agent/replay.h"
#include "base/random.h"
#include "study/process.h"

#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* --------------------------------------------------------------------------- the machine */

/* The memory limit of a control group (a container, a batch job); infinite where there is none. */
static double group_memory(void)
{
    FILE *file = fopen("/sys/fs/cgroup/memory.max", "re");
    double bytes;
    if (!file) return INFINITY;
    if (fscanf(file, "%lf", &bytes) != 1) bytes = INFINITY; /* "max" */
    fclose(file);
    return bytes;
}

/* The nearest folder above `path` that is there. */
static double free_disk(const char *path)
{
    struct statvfs disk;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    while (statvfs(folder, &disk) != 0) {
        char *slash = strrchr(folder, '/');
        if (slash == folder || strcmp(folder, ".") == 0) return INFINITY;
        if (slash)
            *slash = 0;
        else
            strcpy(folder, ".");
    }
    return (double)disk.f_bavail * (double)disk.f_frsize;
}

void qg_machine_look(const char *folder, qg_machine *machine)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
    const long cores = known ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    machine->cores = cores < 1 ? 1 : (int)cores;
    machine->memory =
        fmin((double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), group_memory());
    machine->disk = free_disk(folder);
}

/* ---------------------------------------------------------------------------- measurement */

/* Seconds of the parts of a run, and the shapes on which its bytes depend. */
typedef struct times {
    double step, act, update;
    qg_observation_shape shape;
    qg_architecture architecture;
} times;

/* A minibatch of random screens of which half the values are zero. */
typedef struct random_batch {
    uint8_t *memory;
    const uint8_t **screens;
    int32_t *actions;
    float *rewards;
    uint8_t *terminals;
    qg_batch batch;
} random_batch;

static qg_status make_batch(const qg_observation_shape *shape, const qg_settings *settings,
                            random_batch *b, qg_error *error)
{
    const size_t size = (size_t)settings->minibatch, history = (size_t)settings->history;
    const size_t screen = qg_observation_size(shape), count = 2 * size * history;
    *b = (random_batch){.memory = malloc(count * screen),
                        .screens = malloc(count * sizeof *b->screens),
                        .actions = calloc(size, sizeof *b->actions),
                        .rewards = calloc(size, sizeof *b->rewards),
                        .terminals = calloc(size, sizeof *b->terminals)};
    if (!b->memory || !b->screens || !b->actions || !b->rewards || !b->terminals)
        return qg_fail_memory(error, "a minibatch", count * screen);
    qg_random random = qg_random_stream(1, "estimate");
    for (size_t i = 0; i < count * screen; i++) {
        const uint64_t draw = qg_random_u64(&random);
        b->memory[i] = draw & 1 ? (uint8_t)(shape->max == 1 ? 1 : draw >> 8) : 0;
    }
    for (size_t i = 0; i < count; i++)
        b->screens[i] = b->memory + i * screen;
    b->batch = (qg_batch){
        .states = {(int)size, (int)history, shape->channels, b->screens},
        .next_states = {(int)size, (int)history, shape->channels, b->screens + count / 2},
        .actions = b->actions,
        .rewards = b->rewards,
        .terminals = b->terminals};
    return QG_OK;
}

static void free_batch(random_batch *b)
{
    free(b->memory);
    free(b->screens);
    free(b->actions);
    free(b->rewards);
    free(b->terminals);
}

/* One random step, of a new episode where the last one has ended. */
static qg_status play_step(qg_domain *domain, qg_random *random, qg_step *step, uint8_t *screen,
                           qg_error *error)
{
    const qg_status status = step->end ? qg_domain_reset(domain, 0, screen, error) : QG_OK;
    const uint64_t action = qg_random_below(random, (uint64_t)domain->game->action_count);
    return status ? status : qg_domain_step(domain, (int)action, step, screen, error);
}

static qg_status measure_steps(qg_domain *domain, double budget, double *seconds, qg_error *error)
{
    uint8_t *screen = malloc(qg_observation_size(&domain->shape));
    if (!screen) return qg_fail_memory(error, "a screen", qg_observation_size(&domain->shape));
    qg_random random = qg_random_stream(1, "estimate");
    qg_step step = {.end = true};
    int steps = 0;
    qg_status status = QG_OK;
    const double begin = qg_process_clock();
    do
        for (int i = 0; i < 16 && !status; i++, steps++)
            status = play_step(domain, &random, &step, screen, error);
    while (!status && qg_process_clock() - begin < budget);
    *seconds = (qg_process_clock() - begin) / fmax(1, steps);
    free(screen);
    return status;
}

/* The shortest of many, as other work on the machine only ever lengthens them. */
static void measure_learning(qg_engine *engine, const qg_settings *s, const random_batch *b,
                             double budget, times *t)
{
    const qg_learning learning = {.discount = (float)s->discount,
                                  .clip_error = (float)s->clip_error,
                                  .learning_rate = (float)s->learning_rate,
                                  .rms_decay = (float)s->rms_decay,
                                  .rms_epsilon = (float)s->rms_epsilon,
                                  .l2 = (float)s->l2,
                                  .dropout_conv = (float)s->dropout_conv,
                                  .dropout_linear = (float)s->dropout_linear};
    float q_values[QG_MAX_ACTIONS];
    qg_states state = b->batch.states;
    state.size = 1;
    t->update = t->act = INFINITY;
    for (double begin = qg_process_clock(), now = begin; now - begin < budget;) {
        qg_engine_update(engine, &learning, &b->batch, false, NULL, NULL);
        const double updated = qg_process_clock();
        qg_engine_forward(engine, QG_ONLINE, &state, q_values);
        const double acted = qg_process_clock();
        t->update = fmin(t->update, updated - now);
        t->act = fmin(t->act, acted - updated);
        now = acted;
    }
}

static qg_status measure_engine(const qg_study_run *run, int threads, double budget, times *t,
                                qg_error *error)
{
    random_batch b = {0};
    qg_network network = {0};
    qg_engine *engine = NULL;
    qg_status status = make_batch(&t->shape, &run->settings, &b, error);
    if (!status) status = qg_network_create(&t->architecture, &network, error);
    if (!status)
        status = qg_engine_create(&t->architecture, run->settings.minibatch, threads, NULL, &engine,
                                  error);
    if (!status) {
        qg_network_initialise(&network, 1);
        qg_engine_write(engine, QG_ONLINE, &network);
        qg_engine_update_target(engine);
        measure_learning(engine, &run->settings, &b, budget, t);
    }
    qg_engine_destroy(engine);
    qg_network_free(&network);
    free_batch(&b);
    return status;
}

static qg_status examine(const qg_study_run *run, int threads, bool measure, times *t,
                         qg_error *error)
{
    const qg_domain_options options = {
        .seed = 1, .frame_skip = run->settings.frame_skip, .sticky = run->settings.sticky};
    qg_domain *domain;
    *t = (times){.step = 1};
    qg_status status = qg_domain_open(run->game, &options, &domain, error);
    if (status) return status;
    t->shape = domain->shape;
    status = qg_architecture_for(&run->settings, domain, &t->architecture, error);
    if (!status && measure) status = measure_steps(domain, 0.1, &t->step, error);
    qg_domain_close(domain);
    if (!status && measure) status = measure_engine(run, threads, 0.2, t, error);
    return status;
}

/* Whether one measurement is good for both. */
static bool is_alike(const qg_study_run *a, const qg_study_run *b)
{
    const qg_settings *s = &a->settings, *o = &b->settings;
    return strcmp(a->game, b->game) == 0 && strcmp(s->network, o->network) == 0 &&
           s->history == o->history && s->minibatch == o->minibatch &&
           s->frame_skip == o->frame_skip && s->dropout_conv == o->dropout_conv &&
           s->dropout_linear == o->dropout_linear;
}

/* ------------------------------------------------------------------------------- the loads */

static double training_seconds(const qg_study_run *run, const times *t)
{
    const qg_settings *s = &run->settings;
    const double steps = (double)run->steps;
    const double updates = fmax(0, steps - (double)s->learn_start) / (double)s->update_every;
    const double evaluations = 1 + ceil(steps / (double)s->eval_every);
    return (steps + evaluations * (double)s->eval_steps) * (t->step + t->act) + updates * t->update;
}

/* The teachers play (2 % more than is learned from) and are evaluated; the student learns, without
 * the target network's forward pass, and is evaluated. */
static double distillation_seconds(const qg_study_run *run, int temperatures, const times *t)
{
    const qg_settings *s = &run->settings;
    const double samples = (double)run->steps, teachers = run->teacher_count;
    const double lessons = samples * temperatures * teachers;
    const double evaluations = teachers * (3 + floor(lessons / (double)s->eval_every));
    return (1.02 * samples * teachers + evaluations * (double)s->eval_steps) * (t->step + t->act) +
           lessons / s->minibatch * 0.75 * t->update;
}

/* The replay memory, or the teachers' samples. */
static double memory_file(const qg_study_run *run, const times *t)
{
    const double entry = (double)qg_replay_entry_bytes(&t->shape);
    if (run->kind == QG_RUN_DISTILL)
        return 1.02 * (double)run->steps * run->teacher_count *
               (entry + sizeof(float) * (double)t->architecture.actions);
    const double most = fmin((double)run->settings.replay, (double)run->steps + 1);
    return entry * most;
}

static double activations(const qg_architecture *a)
{
    double sum = (double)a->channels * a->height * a->width;
    for (int l = 0; l < a->layer_count; l++)
        sum += (double)a->layers[l].outputs * a->layers[l].out_height * a->layers[l].out_width;
    return sum;
}

/* Parameters: online, target, two moments, a gradient, a copy in the files' layout and one in the
 * kernels'. Values of a minibatch: forward for both networks, backward, and as columns. */
static double work_memory(const qg_study_run *run, const times *t)
{
    const qg_settings *s = &run->settings;
    const double parameters = (double)qg_architecture_parameters(&t->architecture);
    const double validation =
        2.0 * (double)s->validation_size * s->history * (double)qg_observation_size(&t->shape);
    return 12e6 +
           sizeof(float) * (7 * parameters + 4 * s->minibatch * activations(&t->architecture)) +
           (run->kind == QG_RUN_DISTILL ? 0 : validation);
}

/* Rows of CSV and TensorBoard, and networks. */
static double kept_bytes(const qg_study_run *run, const times *t)
{
    const qg_settings *s = &run->settings;
    const double parameters = (double)qg_architecture_parameters(&t->architecture);
    const double networks =
        2 + run->snapshot_count + (run->teacher_count > 1 ? run->teacher_count : 0);
    const double rows = (double)run->steps * (1 / (double)s->log_every + 1 / (double)s->eval_every);
    return 30e3 + 250 * rows + networks * (4000 + sizeof(float) * parameters);
}

static qg_status weigh(const qg_study_run *run, const times *t, qg_load *load, qg_error *error)
{
    qg_temperatures temperatures = {.count = 1};
    if (run->kind == QG_RUN_DISTILL) {
        const qg_status status = qg_temperatures_parse(run->temperature, &temperatures, error);
        if (status) return status;
    }
    const double file = memory_file(run, t);
    const double checkpoints =
        2 * 4 * sizeof(float) * (double)qg_architecture_parameters(&t->architecture);
    load->seconds = run->kind == QG_RUN_DISTILL ? distillation_seconds(run, temperatures.count, t)
                                                : training_seconds(run, t);
    load->memory = file + work_memory(run, t);
    load->kept = kept_bytes(run, t);
    load->disk = load->kept + file + checkpoints;
    return QG_OK;
}

static bool is_finished(const qg_study *study, const qg_task_status *statuses, int run)
{
    for (int t = 0; t < study->task_count; t++)
        if (study->tasks[t].run == run && statuses[t].state != QG_TASK_FINISHED) return false;
    return true;
}

/* `all`: the times of each run, those measured by `measured`. */
static qg_status estimate_run(const qg_study *study, int r, bool measure, times *all,
                              bool *measured, qg_error *error)
{
    for (int like = 0; like < r; like++)
        if (is_alike(&study->runs[like], &study->runs[r]) && measured[like] >= measure) {
            all[r] = all[like];
            measured[r] = measured[like];
            return QG_OK;
        }
    measured[r] = measure;
    return examine(&study->runs[r], study->threads, measure, &all[r], error);
}

static qg_status estimate_runs(const qg_study *study, const qg_task_status *statuses, times *all,
                               bool *measured, qg_load *runs, qg_error *error)
{
    qg_status status = QG_OK;
    for (int r = 0; r < study->run_count && !status; r++) {
        const bool measure = statuses && !is_finished(study, statuses, r);
        status = estimate_run(study, r, measure, all, measured, error);
        if (!status) status = weigh(&study->runs[r], &all[r], &runs[r], error);
        if (statuses && !measure) runs[r].seconds = 0;
    }
    return status;
}

qg_status qg_study_estimate(const qg_study *study, const qg_task_status *statuses, qg_load *loads,
                            qg_error *error)
{
    const size_t count = (size_t)study->run_count + 1;
    times *all = calloc(count, sizeof *all);
    bool *measured = calloc(count, sizeof *measured);
    qg_load *runs = calloc(count, sizeof *runs);
    qg_status status = all && measured && runs
                           ? estimate_runs(study, statuses, all, measured, runs, error)
                           : qg_fail_memory(error, "an estimate", count * sizeof *all);
    for (int t = 0; t < study->task_count && !status; t++)
        loads[t] = runs[study->tasks[t].run];
    free(all);
    free(measured);
    free(runs);
    return status;
}

qg_status qg_study_fits(const qg_study *study, const qg_task_status *statuses, const qg_load *loads,
                        const qg_machine *machine, qg_error *error)
{
    for (int t = 0; t < study->task_count; t++) {
        const bool memory = loads[t].memory > machine->memory;
        const bool begun = statuses[t].state == QG_TASK_STOPPED ||
                           statuses[t].state == QG_TASK_RUNNING; /* has its room on the disk */
        const bool disk = loads[t].disk > machine->disk && !begun;
        if (statuses[t].state == QG_TASK_FINISHED || (!memory && !disk)) continue;
        return qg_fail(
            error, QG_ERROR_USAGE,
            "%s: a run of it needs %.2f GB of %s, there are %.2f GB: shrink it with "
            "--scale, or set a smaller '%s'",
            study->runs[study->tasks[t].run].id, (memory ? loads[t].memory : loads[t].disk) * 1e-9,
            memory ? "memory" : "disk", (memory ? machine->memory : machine->disk) * 1e-9,
            study->runs[study->tasks[t].run].kind == QG_RUN_DISTILL ? "samples" : "replay");
    }
    return QG_OK;
}
