/* A distillation: its parts, and how it begins and ends. */
#include "transfer/distiller.h"

#include "transfer/distillation_tables.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The folder in which a file is or will be; false: there is none, as whoever makes it will say. */
static bool find_folder(const char *path, const char **name, struct stat *folder)
{
    const char *const slash = strrchr(path, '/');
    char *const parent = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup(".");
    const bool found = parent && stat(parent, folder) == 0;
    *name = slash ? slash + 1 : path;
    free(parent);
    return found;
}

/* Whether two files are one, or will be when they are made: the same name in the same folder. */
static bool is_same_file(const char *a, const char *b)
{
    const char *names[2];
    struct stat folders[2];
    return find_folder(a, &names[0], &folders[0]) && find_folder(b, &names[1], &folders[1]) &&
           strcmp(names[0], names[1]) == 0 && folders[0].st_dev == folders[1].st_dev &&
           folders[0].st_ino == folders[1].st_ino;
}

static qg_status check_set_files(const qg_distillation_options *o, qg_error *error)
{
    for (int i = 0; o->set_files && i < o->teacher_count; i++)
        for (int j = 0; j < i; j++)
            if (o->set_files[i] && o->set_files[j] &&
                is_same_file(o->set_files[i], o->set_files[j]))
                return qg_fail(error, QG_ERROR_USAGE,
                               "%s: is the sample set of two teachers: each has one of its own "
                               "(`set_file`)",
                               o->set_files[i]);
    return QG_OK;
}

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
    if (o->loss < QG_LOSS_KL || o->loss > QG_LOSS_NLL)
        return qg_fail(error, QG_ERROR_USAGE, "loss: there is no number %d", (int)o->loss);
    return check_set_files(o, error);
}

static qg_status open_parts(qg_distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
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

static qg_status begin(void *self, qg_error *error)
{
    qg_distiller *d = self;
    qg_status status = d->options->run.resume ? qg_distiller_find_samples(d, error) : QG_OK;
    if (!status) status = qg_distiller_create_samples(d, error);
    for (int k = 0; k < d->tasks && !status; k++)
        status = qg_distiller_open_task(d, k, error);
    return status;
}

/* What comes before the lessons. */
static qg_status prepare(void *self, qg_error *error)
{
    qg_distiller *d = self;
    /* At once, so that sets that have been reserved are known. */
    qg_status status = d->run.checkpoint_step < 0 ? qg_run_checkpoint(&d->run, error) : QG_OK;
    if (!status) status = qg_distiller_play(d, error);
    return status || d->teachers_evaluated ? status : qg_distiller_evaluate_teachers(d, error);
}

/* A student of several has no domain of its own; the cut outs task-K.safetensors have. */
static qg_status read_network(void *self, qg_run_network *what, qg_error *error)
{
    qg_distiller *d = self;
    *what = (qg_run_network){&d->student.network, d->tasks == 1 ? d->teachers[0].domain : "",
                             d->student.actions};
    return qg_student_read(&d->student, d->teachers, error);
}

static qg_status finish(void *self, qg_error *error)
{
    qg_distiller *d = self;
    const qg_status status = qg_distiller_examine(d, error);
    return status ? status
                  : qg_distillation_write_held_out(&d->run.folder, &d->options->temperatures,
                                                   d->tasks, d->result, error);
}

static qg_status read_result(void *self, qg_error *error)
{
    qg_distiller *d = self;
    return qg_distillation_tables_read(d->run.folder.path, &d->options->temperatures, d->tasks,
                                       d->result, error);
}

static const qg_run_class distillation = {.step_name = "sample",
                                          .begin = begin,
                                          .prepare = prepare,
                                          .step = qg_distiller_step,
                                          .evaluate = qg_distiller_evaluate,
                                          .confirm = qg_distiller_confirm,
                                          .finish = finish,
                                          .network = read_network,
                                          .pass = qg_distiller_pass,
                                          .read_result = read_result,
                                          .evaluating = qg_distiller_evaluating};

static void open_run(qg_distiller *d)
{
    const qg_distillation_options *o = d->options;
    d->run = qg_run_of(&distillation, d, &o->run, &d->settings,
                       o->samples * o->temperatures.count * o->teacher_count);
    d->run.notes = d->notes.list;
    d->student_table = qg_distillation_tables_add(&d->run.folder, o->teacher_count);
}

static void close_all(qg_distiller *d)
{
    const bool go_on = qg_run_can_go_on(&d->run);
    qg_play_close(&d->play);
    for (int k = 0; k < d->tasks; k++) {
        free(d->task[k].order);
        if (!go_on) {
            qg_sample_set_discard(d->teachers[k].samples);
            d->teachers[k].samples = NULL;
        }
        qg_teacher_close(&d->teachers[k]); /* its samples may still be read into the minibatch */
        qg_sample_states_destroy(&d->task[k].minibatch);
    }
    qg_student_close(&d->student);
    qg_distillation_notes_free(&d->notes);
    qg_run_close(&d->run);
    free(d);
}

static qg_status distil(qg_distiller *d, qg_error *error)
{
    const qg_distillation_options *o = d->options;
    char *yaml = NULL;
    qg_status status = open_parts(d, error);
    for (int k = 0; k < d->tasks && !status; k++) {
        status = qg_run_folder_spare(o->run.folder, o->teachers[k], error);
        if (!status && qg_distiller_is_kept(d, k))
            status = qg_run_folder_spare(o->run.folder, o->set_files[k], error);
    }
    /* What does not fit is found before anything is written. */
    if (!status && !o->run.resume) status = qg_distiller_find_samples(d, error);
    if (!status) status = qg_distillation_notes_make(&d->notes, o, d->teachers, error);
    if (!status) d->run.isa = qg_engine_isa(d->student.engine);
    d->run.note_count = d->notes.count;
    if (!status)
        status = qg_distillation_yaml(o, d->teachers, &d->settings, &d->notes, &yaml, error);
    if (!status) status = qg_run_execute(&d->run, yaml, error);
    free(yaml);
    return status;
}

qg_status qg_distill(const qg_distillation_options *options, qg_distillation_result *result,
                     qg_error *error)
{
    *result = (qg_distillation_result){
        .run = {.best_score = NAN, .last_score = NAN, .confirmed_score = NAN},
        .held_out = qg_held_out(options->samples)};
    qg_status status = check_options(options, error);
    if (status) return status;
    qg_distiller *d = calloc(1, sizeof *d);
    if (!d) return qg_fail_memory(error, "a distillation", sizeof *d);
    d->options = options;
    d->settings = options->settings;
    d->result = result;
    d->dropout = qg_random_stream(options->run.seed, "dropout");
    d->progress.kl = d->progress.agreement = NAN;
    open_run(d);
    status = distil(d, error);
    for (int k = 0; k < d->tasks; k++)
        result->taught[k].reused = d->teachers[k].reused;
    result->run = d->run.result;
    result->updates = qg_distiller_updates(d);
    close_all(d);
    return status;
}
