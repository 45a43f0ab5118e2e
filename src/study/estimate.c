#include "study/estimate.h"

#include "agent/replay.h"
#include "study/measure.h"

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

void qg_capacity_look(const char *folder, qg_capacity *capacity)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
    const long cores = known ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    capacity->cores = cores < 1 ? 1 : (int)cores;
    capacity->memory =
        fmin((double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), group_memory());
    capacity->disk = free_disk(folder);
}

/* ------------------------------------------------------------------------------- the loads */

/* Whether one measurement is good for both. */
static bool is_alike(const qg_study_run *a, const qg_study_run *b)
{
    const qg_settings *s = &a->settings, *o = &b->settings;
    return strcmp(a->game, b->game) == 0 && strcmp(s->network, o->network) == 0 &&
           s->history == o->history && s->minibatch == o->minibatch &&
           s->frame_skip == o->frame_skip && s->dropout_conv == o->dropout_conv &&
           s->dropout_linear == o->dropout_linear;
}

static double training_seconds(const qg_study_run *run, const qg_run_times *t)
{
    const qg_settings *s = &run->settings;
    const double steps = (double)run->steps;
    const double updates = fmax(0, steps - (double)s->learn_start) / (double)s->update_every;
    const double evaluations = 1 + ceil(steps / (double)s->eval_every);
    return (steps + evaluations * (double)s->eval_steps) * (t->step + t->act) + updates * t->update;
}

/* The teachers play (2 % more than is learned from) and are evaluated; the student learns, without
 * the target network's forward pass, and is evaluated. */
static double distillation_seconds(const qg_study_run *run, int temperatures, const qg_run_times *t)
{
    const qg_settings *s = &run->settings;
    const double samples = (double)run->steps, teachers = run->teacher_count;
    const double lessons = samples * temperatures * teachers;
    const double evaluations = teachers * (3 + floor(lessons / (double)s->eval_every));
    return (1.02 * samples * teachers + evaluations * (double)s->eval_steps) * (t->step + t->act) +
           lessons / s->minibatch * 0.75 * t->update;
}

/* The replay memory with the slack that training gives it, or the teachers' samples. */
static double memory_file(const qg_study_run *run, const qg_run_times *t)
{
    const double entry = (double)qg_replay_entry_bytes(&t->shape);
    if (run->kind == QG_RUN_DISTILL)
        return 1.02 * (double)run->steps * run->teacher_count *
               (entry + sizeof(float) * (double)t->architecture.actions);
    const double slack = fmax((double)run->settings.replay / 8, (16 << 20) / entry);
    return entry * (fmin((double)run->settings.replay + slack, (double)run->steps + 1) + 512);
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
static double work_memory(const qg_study_run *run, const qg_run_times *t)
{
    const qg_settings *s = &run->settings;
    const double parameters = (double)qg_architecture_parameters(&t->architecture);
    const double validation =
        2.0 * (double)s->validation_size * s->history * (double)qg_observation_size(&t->shape);
    return 8e6 +
           sizeof(float) * (7 * parameters + 4 * s->minibatch * activations(&t->architecture)) +
           (run->kind == QG_RUN_DISTILL ? 0 : validation);
}

/* Rows of CSV and TensorBoard, and networks. */
static double kept_bytes(const qg_study_run *run, const qg_run_times *t)
{
    const qg_settings *s = &run->settings;
    const double parameters = (double)qg_architecture_parameters(&t->architecture);
    const double networks =
        2 + run->snapshot_count + (run->teacher_count > 1 ? run->teacher_count : 0);
    const double rows = (double)run->steps * (1 / (double)s->log_every + 1 / (double)s->eval_every);
    return 30e3 + 250 * rows + networks * (4000 + sizeof(float) * parameters);
}

static qg_status weigh(const qg_study_run *run, const qg_run_times *t, qg_load *load,
                       qg_error *error)
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
static qg_status estimate_run(const qg_study *study, int r, bool measure, qg_run_times *all,
                              bool *measured, qg_error *error)
{
    for (int like = 0; like < r; like++)
        if (is_alike(&study->runs[like], &study->runs[r]) && measured[like] >= measure) {
            all[r] = all[like];
            measured[r] = measured[like];
            return QG_OK;
        }
    measured[r] = measure;
    return qg_measure_run(&study->runs[r], study->threads, measure, &all[r], error);
}

static qg_status estimate_runs(const qg_study *study, const qg_task_status *statuses,
                               qg_run_times *all, bool *measured, qg_load *runs, qg_error *error)
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
    qg_run_times *all = calloc(count, sizeof *all);
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
                        const qg_capacity *capacity, qg_error *error)
{
    for (int t = 0; t < study->task_count; t++) {
        const bool memory = loads[t].memory > capacity->memory;
        const bool begun = statuses[t].state == QG_TASK_STOPPED ||
                           statuses[t].state == QG_TASK_RUNNING; /* has its room on the disk */
        const bool disk = loads[t].disk > capacity->disk && !begun;
        if (statuses[t].state == QG_TASK_FINISHED || (!memory && !disk)) continue;
        return qg_fail(
            error, QG_ERROR_USAGE,
            "%s: a run of it needs %.2f GB of %s, there are %.2f GB: shrink it with "
            "--scale, or set a smaller '%s'",
            study->runs[study->tasks[t].run].id, (memory ? loads[t].memory : loads[t].disk) * 1e-9,
            memory ? "memory" : "disk", (memory ? capacity->memory : capacity->disk) * 1e-9,
            study->runs[study->tasks[t].run].kind == QG_RUN_DISTILL ? "samples" : "replay");
    }
    return QG_OK;
}
