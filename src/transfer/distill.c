/* A distillation: its folder, its parts, and how it begins, goes on and ends. */
#include "base/clock.h"
#include "base/file.h"
#include "transfer/distiller.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int64_t qg_held_out(int64_t samples)
{
    const int64_t part = samples / 50;
    return part < 1 ? 1 : part > 5000 ? 5000 : part;
}

/* ---------------------------------------------------------------------------------- samples */

bool qg_distiller_is_kept(const qg_distiller *d, int k)
{
    return d->options->set_files && d->options->set_files[k];
}

char *qg_distiller_samples_path(const qg_distiller *d, int k)
{
    if (qg_distiller_is_kept(d, k)) return strdup(d->options->set_files[k]);
    char name[32];
    snprintf(name, sizeof name, "samples-%d", k + 1);
    return qg_path_join(d->options->run.folder, name);
}

/* Sets that are there are opened and, for those that are not, the room on the disk is looked at,
 * before anything is written. */
static qg_status find_samples(qg_distiller *d, qg_error *error)
{
    size_t needed = 0;
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_teacher *t = &d->teachers[k];
        const size_t bytes = qg_sample_set_bytes(&t->source);
        const char *path = qg_distiller_is_kept(d, k) ? d->options->set_files[k] : NULL;
        if (!path)
            needed += bytes;
        else if (access(path, F_OK) != 0)
            status = qg_sample_set_check_room(path, bytes, error);
        else {
            qg_distiller_report(d, QG_PHASE_READING, 0, t->source.count);
            status = qg_sample_set_open(path, &t->source, d->options->run.stop, &t->samples, error);
            t->reused = true;
        }
    }
    return status ? status : qg_sample_set_check_room(d->options->run.folder, needed, error);
}

/* Reserves the room of those that are missing. */
static qg_status create_samples(qg_distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_teacher *t = &d->teachers[k];
        if (t->samples) continue;
        char *path = qg_distiller_samples_path(d, k);
        if (!path) return qg_fail_memory(error, "a path", strlen(d->options->run.folder));
        status =
            qg_sample_set_create(path, &t->source, qg_distiller_is_kept(d, k), &t->samples, error);
        free(path);
    }
    return status;
}

/* ----------------------------------------------------------------------------- begin and end */

static qg_status check_options(const qg_distillation_options *o, qg_error *error)
{
    if (o->teacher_count < 1 || o->teacher_count > QG_MAX_TEACHERS)
        return qg_fail(error, QG_ERROR_USAGE, "%d teachers: 1 to %d are allowed", o->teacher_count,
                       QG_MAX_TEACHERS);
    if (o->samples < 1 || o->samples > INT64_C(1000000000))
        return qg_fail(error, QG_ERROR_USAGE, "%lld samples: 1 to 1000000000 are allowed",
                       (long long)o->samples);
    if (!(o->epsilon >= 0 && o->epsilon <= 1))
        return qg_fail(error, QG_ERROR_USAGE, "epsilon: %g is not from 0 to 1", o->epsilon);
    if (o->temperatures.count < 1 || o->temperatures.count > QG_MAX_TEMPERATURES)
        return qg_fail(error, QG_ERROR_USAGE, "%d temperatures: 1 to %d are allowed",
                       o->temperatures.count, QG_MAX_TEMPERATURES);
    for (int t = 0; t < o->temperatures.count; t++)
        if (!(o->temperatures.values[t] > 0 && o->temperatures.values[t] < HUGE_VAL))
            return qg_fail(error, QG_ERROR_USAGE, "temperature: %g is not above 0",
                           o->temperatures.values[t]);
    return qg_settings_check(&o->settings, error);
}

qg_status qg_distiller_open_task(qg_distiller *d, int k, qg_error *error)
{
    qg_task *own = &d->task[k];
    const size_t bytes = (size_t)d->options->samples * sizeof *own->order;
    char purpose[64];
    snprintf(purpose, sizeof purpose, "distillation/order/%d", k);
    own->shuffle = qg_random_stream(d->options->run.seed, purpose);
    own->order = malloc(bytes);
    if (!own->order) return qg_fail_memory(error, "the order of the samples", bytes);
    return qg_sample_states_create(d->teachers[k].samples, d->settings.minibatch, &own->minibatch,
                                   error);
}

static qg_status open_parts(qg_distiller *d, qg_error *error)
{
    qg_status status = check_options(d->options, error);
    for (int k = 0; k < d->options->teacher_count && !status; k++) {
        d->tasks = k + 1; /* what is closed in the end */
        status = qg_teacher_open(d->options, k, &d->teachers[k], error);
        snprintf(d->result->taught[k].domain, QG_DOMAIN_NAME, "%s", d->teachers[k].domain);
    }
    if (status) return status;
    d->settings.history = d->teachers[0].history;
    d->learning = qg_learning_of(&d->settings);
    return qg_student_open(d->options, d->teachers, &d->student, error);
}

static qg_status begin(qg_distiller *d, qg_error *error)
{
    qg_status status = d->options->run.resume ? find_samples(d, error) : QG_OK;
    if (status) return status;
    qg_run_folder_clear(&d->folder.run);
    d->fresh = true;
    status = create_samples(d, error);
    if (!status) status = qg_distillation_folder_begin(&d->folder, error);
    for (int k = 0; k < d->tasks && !status; k++)
        status = qg_distiller_open_task(d, k, error);
    d->next_row = d->settings.log_every;
    return status;
}

static qg_status prepare(qg_distiller *d, qg_error *error)
{
    bool found = false;
    qg_status status = open_parts(d, error);
    /* What does not fit is found before anything is written. */
    if (!status && !d->options->run.resume) status = find_samples(d, error);
    if (!status)
        status =
            qg_distillation_folder_create(&d->folder, d->options, d->teachers, &d->settings, error);
    if (status || (d->options->run.resume && d->folder.run.found == QG_FOUND_COMPLETE))
        return status;
    d->checkpoints.folder = d->options->run.folder;
    if (d->options->run.resume && d->folder.run.found)
        status = qg_distiller_resume(d, &found, error);
    if (!status && !found) status = begin(d, error);
    d->begun = !status;
    for (int k = 0; k < d->tasks; k++)
        d->result->taught[k].reused = d->teachers[k].reused;
    return status;
}

/* process.yaml is that of a training of as many steps. */
static qg_status write_process(qg_distiller *d, const char *state, qg_error *error)
{
    const qg_train_options options = {.run.machine = d->options->run.machine};
    const double seconds = qg_clock_seconds() - d->started;
    const qg_run_result result = {.step = d->samples,
                                  .seconds = seconds,
                                  .steps_per_second = (double)d->samples / fmax(1e-9, seconds)};
    return qg_run_folder_process(&d->folder.run, &options, &result, state, error);
}

/* What was learned is kept, and can be gone on with. */
static qg_status keep(qg_distiller *d, qg_error *error)
{
    qg_error problem;
    qg_status status = qg_distiller_checkpoint(d, &problem);
    if (!status) status = qg_student_read(&d->student, d->teachers, &problem);
    if (!status && d->samples > 0) status = qg_distiller_save_student(d, "last", NAN, &problem);
    if (!status) return QG_STOPPED;
    *error = problem;
    return status;
}

static qg_status work(qg_distiller *d, qg_error *error)
{
    /* At once, so that sets that have been reserved are known. */
    qg_status status = d->has_checkpoint ? QG_OK : qg_distiller_checkpoint(d, error);
    if (!status) status = qg_distiller_play(d, error);
    if (!status && !d->teachers_evaluated) status = qg_distiller_evaluate_teachers(d, error);
    if (!status) status = qg_distiller_learn(d, error);
    return status ? status : qg_distiller_evaluate_student(d, error);
}

static qg_status run(qg_distiller *d, qg_error *error)
{
    qg_status status = write_process(d, "running", error);
    if (!status) status = work(d, error);
    if (status == QG_STOPPED) status = keep(d, error);
    if (status) return status;
    status = qg_distiller_examine(d, error);
    if (!status)
        status = qg_distillation_folder_held_out(&d->folder, &d->options->temperatures, d->result,
                                                 error);
    return status ? status : qg_distillation_folder_sync(&d->folder, error);
}

/* process.yaml: last of all, as "finished" marks a complete run. */
static qg_status end(qg_distiller *d, qg_status status, qg_error *error)
{
    if (!d->begun) return status;
    qg_error ignored; /* what ended the run is the better message */
    const char *state = status == QG_OK ? "finished" : status == QG_STOPPED ? "stopped" : "failed";
    const qg_status written = write_process(d, state, status ? &ignored : error);
    if (!status && !written) qg_run_folder_remove_state(&d->folder.run);
    return status ? status : written;
}

/* A run that was complete already. */
static qg_status read_result(qg_distiller *d, qg_error *error)
{
    d->result->run.was_complete = true;
    d->samples = d->options->samples * d->options->temperatures.count * d->tasks;
    qg_run_folder_remove_state(&d->folder.run); /* where the end was interrupted */
    return qg_distillation_folder_read(&d->folder, &d->options->temperatures, d->result,
                                       &d->updates, error);
}

static void close_all(qg_distiller *d)
{
    /* A checkpoint counts even where its writer said that it failed: it may have its name. */
    const bool go_on = !d->fresh || !qg_checkpoints_absent(d->options->run.folder);
    qg_play_close(&d->play);
    for (int k = 0; k < d->tasks; k++) {
        qg_sample_states_destroy(&d->task[k].minibatch);
        free(d->task[k].order);
        if (!go_on) {
            qg_sample_set_discard(d->teachers[k].samples);
            d->teachers[k].samples = NULL;
        }
        qg_teacher_close(&d->teachers[k]);
    }
    qg_student_close(&d->student);
    qg_distillation_folder_close(&d->folder);
    free(d);
}

qg_status qg_distill(const qg_distillation_options *options, qg_distillation_result *result,
                     qg_error *error)
{
    *result = (qg_distillation_result){.run = {.best_score = NAN, .last_score = NAN},
                                       .held_out = qg_held_out(options->samples)};
    qg_distiller *d = calloc(1, sizeof *d);
    if (!d) return qg_fail_memory(error, "a distillation", sizeof *d);
    d->options = options;
    d->settings = options->settings;
    d->result = result;
    d->dropout = qg_random_stream(options->run.seed, "dropout");
    d->best = NAN;
    d->folder.run.lock.descriptor = -1;
    d->started = d->checkpoint_clock = qg_clock_seconds();
    d->progress.kl = d->progress.agreement = NAN;
    qg_status status = prepare(d, error);
    if (!status && d->begun)
        status = run(d, error);
    else if (!status)
        status = read_result(d, error);
    status = end(d, status, error);
    result->run.step = d->samples;
    result->updates = d->updates;
    result->run.seconds = qg_clock_seconds() - d->started;
    close_all(d);
    return status;
}
