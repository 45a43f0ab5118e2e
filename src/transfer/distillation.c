/* The distillation: samples from the teachers' play, then the student's passes over them. The
 * minibatches of several teachers take turns; each one's loss is on the outputs of its own
 * actions. */
#include <qgraft/distillation.h>

#include "base/file.h"
#include "base/text.h"
#include "base/random.h"
#include "transfer/distillation_folder.h"
#include "transfer/lesson.h"
#include "transfer/student.h"
#include "transfer/teacher.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What the student learns from one teacher. */
typedef struct task {
    qg_sample_states minibatch;
    uint32_t *order; /* [samples], shuffled for every pass */
    qg_random shuffle;
    qg_lesson_sums since[QG_MAX_TEMPERATURES]; /* the last rows of distillation.csv */
    qg_evaluation evaluation;                  /* the latest */
} task;

typedef struct distiller {
    const qg_distillation_options *options;
    qg_settings settings;
    int tasks;
    qg_teacher teachers[QG_MAX_TEACHERS];
    task task[QG_MAX_TEACHERS];
    qg_evaluation teacher_evaluations[QG_MAX_TEACHERS];
    qg_distillation_folder folder;
    qg_student student;
    qg_learning learning;
    qg_random dropout;
    int64_t samples, updates;     /* so far */
    int64_t next_row, next_score; /* samples at which a row, an evaluation is due */
    double best;
    qg_distillation_result *result;
    double started;
    qg_distillation_progress progress;
} distiller;

int64_t qg_held_out(int64_t samples)
{
    const int64_t part = samples / 50;
    return part < 1 ? 1 : part > 5000 ? 5000 : part;
}

/* -------------------------------------------------------------------------------- progress */

static double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void report(distiller *d, qg_distillation_phase phase, int64_t done, int64_t total)
{
    if (!d->options->progress) return;
    d->progress.phase = phase;
    d->progress.done = done;
    d->progress.total = total;
    d->progress.seconds = clock_seconds() - d->started;
    d->options->progress(d->options->context, &d->progress);
}

static void report_play(void *context, int64_t done, int64_t total)
{
    report(context, QG_PHASE_PLAYING, done, total);
}

static void report_evaluation(void *context, int64_t step)
{
    distiller *d = context;
    report(d, QG_PHASE_EVALUATING, step, d->settings.eval_steps);
}

/* ---------------------------------------------------------------------------------- samples */

static bool is_kept(const distiller *d, int k)
{
    return d->options->set_files && d->options->set_files[k];
}

/* Sets that are there are opened and, for those that are not, the room on the disk is looked at,
 * before anything is written. */
static qg_status find_samples(distiller *d, qg_error *error)
{
    size_t needed = 0;
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_teacher *t = &d->teachers[k];
        const size_t bytes = qg_sample_set_bytes(&t->source);
        const char *path = is_kept(d, k) ? d->options->set_files[k] : NULL;
        if (!path)
            needed += bytes;
        else if (access(path, F_OK) != 0)
            status = qg_sample_set_check_room(path, bytes, error);
        else {
            report(d, QG_PHASE_READING, 0, t->source.count);
            status = qg_sample_set_open(path, &t->source, d->options->stop, &t->samples, error);
            t->reused = true;
        }
    }
    return status ? status : qg_sample_set_check_room(d->options->folder, needed, error);
}

/* Reserves the room of those that are missing. */
static qg_status create_samples(distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_teacher *t = &d->teachers[k];
        if (t->samples) continue;
        char *path = is_kept(d, k) ? strdup(d->options->set_files[k])
                                   : qg_path_join(d->options->folder, "samples");
        if (!path) return qg_fail_memory(error, "a path", strlen(d->options->folder));
        status = qg_sample_set_create(path, &t->source, is_kept(d, k), &t->samples, error);
        free(path);
    }
    return status;
}

static qg_status play_teachers(distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++)
        if (!d->teachers[k].reused)
            status = qg_teacher_play(&d->teachers[k], d->options->stop, report_play, d, error);
    return status;
}

/* ------------------------------------------------------------------------------- evaluation */

static qg_status evaluate_at(distiller *d, qg_engine *engine, const qg_teacher *teacher,
                             const char *purpose, qg_evaluation *evaluation, qg_error *error)
{
    const qg_settings *s = &d->settings;
    qg_random random = qg_random_stream(d->options->seed, purpose);
    const qg_domain_options domain_options = {
        .seed = (uint32_t)qg_random_u64(&random), .frame_skip = s->frame_skip, .sticky = s->sticky};
    const qg_evaluation_options options = {.steps = s->eval_steps,
                                           .epsilon = s->eval_epsilon,
                                           .noop_max = s->noop_max,
                                           .history = teacher->history,
                                           .seed = qg_random_u64(&random),
                                           .progress = report_evaluation,
                                           .context = d,
                                           .stop = d->options->stop};
    qg_domain *domain;
    qg_status status = qg_domain_open(teacher->domain, &domain_options, &domain, error);
    if (status) return status;
    status = qg_evaluate(engine, domain, &options, evaluation, error);
    qg_domain_close(domain);
    return status;
}

static qg_status evaluate_teachers(distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_evaluation *e = &d->teacher_evaluations[k];
        status =
            evaluate_at(d, d->teachers[k].engine, &d->teachers[k], "evaluation/teacher", e, error);
        d->result->taught[k].teacher_score = e->score;
    }
    if (status) return status;
    return qg_distillation_folder_teachers(&d->folder, d->teachers, d->teacher_evaluations, error);
}

/* The network of all outputs, or (names: a game's actions) of one task. */
static qg_status save_network(distiller *d, const char *name, const qg_network *network,
                              const char *domain, const char *const *actions, double score,
                              qg_error *error)
{
    qg_network_info info = {.history = d->settings.history,
                            .seed = d->options->seed,
                            .step = d->samples,
                            .score = score,
                            .notes = d->folder.notes,
                            .note_count = d->folder.note_count};
    snprintf(info.domain, sizeof info.domain, "%s", domain);
    qg_text_join(actions, network->architecture.actions, info.actions, sizeof info.actions);
    return qg_run_folder_network(&d->folder.run, name, network, &info, error);
}

/* A student of several has no domain of its own; the cut outs task-K.safetensors have. */
static qg_status save_student(distiller *d, const char *name, double score, qg_error *error)
{
    return save_network(d, name, &d->student.network, d->tasks == 1 ? d->teachers[0].domain : "",
                        d->student.actions, score, error);
}

static qg_status save_tasks(distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && d->tasks > 1 && !status; k++) {
        char name[32];
        snprintf(name, sizeof name, "task-%d", k + 1);
        status = save_network(d, name, &d->student.players[k].network, d->teachers[k].domain,
                              d->teachers[k].game->actions, d->task[k].evaluation.score, error);
    }
    return status;
}

/* One number for the best student: the score, of several teachers the mean share of theirs. */
static double grade(const distiller *d)
{
    if (d->tasks == 1) return d->task[0].evaluation.score;
    double sum = 0;
    for (int k = 0; k < d->tasks; k++) {
        const double teacher = d->teacher_evaluations[k].score;
        sum += d->task[k].evaluation.score / (teacher > 0 ? teacher : 1);
    }
    return sum / d->tasks;
}

static qg_status evaluate_student(distiller *d, qg_error *error)
{
    char purpose[64];
    snprintf(purpose, sizeof purpose, "evaluation/%lld", (long long)d->samples);
    qg_student_read(&d->student, d->teachers);
    for (int k = 0; k < d->tasks; k++) {
        qg_evaluation *e = &d->task[k].evaluation;
        qg_status status =
            evaluate_at(d, d->student.players[k].engine, &d->teachers[k], purpose, e, error);
        if (!status)
            status = qg_distillation_folder_evaluation(&d->folder, d->samples, k, e, error);
        if (status) return status;
        d->result->taught[k].student_score = e->score;
    }
    const double now = grade(d);
    qg_status status = QG_OK;
    if (d->samples > 0 && !(now <= d->best)) { /* the first is above NaN */
        d->best = now;
        status = save_student(d, "best", now, error);
    }
    if (!status) status = save_student(d, "last", now, error);
    return status ? status : save_tasks(d, error);
}

/* -------------------------------------------------------------------------------- lessons */

static void study(void *context, int index, const float *q_values, float *gradient)
{
    const qg_lesson *l = context;
    qg_lesson_study(l, l->samples[index], q_values, gradient);
}

static qg_status write_rows(distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks; k++)
        for (int t = 0; t < d->options->temperatures.count && !status; t++) {
            qg_lesson_sums *sums = &d->task[k].since[t];
            if (sums->count == 0) continue;
            const qg_agreement means = qg_lesson_means(sums);
            d->progress.kl = means.kl;
            d->progress.agreement = means.agreement;
            status = qg_distillation_folder_lesson(&d->folder, d->samples, d->updates, k,
                                                   d->options->temperatures.values[t], sums, error);
            *sums = (qg_lesson_sums){0};
        }
    d->next_row = (d->samples / d->settings.log_every + 1) * d->settings.log_every;
    return status;
}

/* Samples to learn from in all. */
static int64_t presentations(const distiller *d)
{
    return d->options->samples * d->options->temperatures.count * d->tasks;
}

/* The samples [begin, begin + count) of every task's order, at temperatures [from, to). */
static qg_status teach(distiller *d, int64_t begin, int count, int from, int to, qg_error *error)
{
    for (int k = 0; k < d->tasks; k++) {
        task *own = &d->task[k];
        qg_lesson l = {.teacher = &d->teachers[k], .samples = own->order + begin};
        qg_sample_set_gather(l.teacher->samples, l.samples, count, &own->minibatch);
        for (int t = from; t < to; t++) {
            l.temperature = d->progress.temperature = d->options->temperatures.values[t];
            l.sums = &own->since[t];
            d->learning.dropout_draw = qg_random_u64(&d->dropout);
            qg_engine_descend(d->student.engine, &d->learning, &own->minibatch.states, study, &l,
                              false);
            d->samples += count;
            d->updates++;
        }
    }
    qg_status status = d->samples >= d->next_row ? write_rows(d, error) : QG_OK;
    const bool complete = d->samples == presentations(d); /* evaluated in any case */
    if (!status && d->samples >= d->next_score && !complete) {
        d->next_score = (d->samples / d->settings.eval_every + 1) * d->settings.eval_every;
        status = evaluate_student(d, error);
    }
    return status;
}

static void shuffle(task *own, int64_t samples)
{
    for (int64_t i = 0; i < samples; i++)
        own->order[i] = (uint32_t)i;
    for (int64_t i = samples - 1; i > 0; i--) { /* Fisher and Yates */
        const uint64_t other = qg_random_below(&own->shuffle, (uint64_t)i + 1);
        const uint32_t moved = own->order[i];
        own->order[i] = own->order[other];
        own->order[other] = moved;
    }
}

/* Once over all samples, at temperatures [from, to). */
static qg_status pass(distiller *d, int from, int to, qg_error *error)
{
    const int64_t samples = d->options->samples;
    const int size = d->settings.minibatch;
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks; k++)
        shuffle(&d->task[k], samples);
    for (int64_t begin = 0; begin < samples && !status; begin += size) {
        if (d->options->stop && *d->options->stop)
            return qg_fail(error, QG_STOPPED, "stopped after %lld samples", (long long)d->samples);
        status = teach(d, begin, samples - begin < size ? (int)(samples - begin) : size, from, to,
                       error);
        if (begin / size % 16 == 0) report(d, QG_PHASE_LEARNING, d->samples, presentations(d));
    }
    return status ? status : write_rows(d, error);
}

static qg_status learn(distiller *d, qg_error *error)
{
    const int temperatures = d->options->temperatures.count;
    qg_status status = evaluate_student(d, error);
    if (d->options->order == QG_ORDER_SAMPLE)
        return status ? status : pass(d, 0, temperatures, error);
    for (int t = 0; t < temperatures && !status; t++)
        status = pass(d, t, t + 1, error);
    return status;
}

/* The samples behind those that are learned from: the end of the play, no neighbours of the rest.
 */
static void examine(distiller *d, int k)
{
    task *own = &d->task[k];
    const int actions = d->student.action_count, size = d->settings.minibatch;
    float q_values[QG_MAX_ACTIONS * 64];
    const int64_t end = d->teachers[k].source.count;
    const qg_temperatures *temperatures = &d->options->temperatures;
    qg_lesson_sums sums[QG_MAX_TEMPERATURES] = {0};
    for (int64_t begin = d->options->samples; begin < end;) {
        uint32_t samples[64];
        int count = 0;
        while (count < 64 && count < size && begin < end)
            samples[count++] = (uint32_t)begin++;
        qg_sample_set_gather(d->teachers[k].samples, samples, count, &own->minibatch);
        qg_engine_forward(d->student.engine, QG_ONLINE, &own->minibatch.states, q_values);
        for (int t = 0; t < temperatures->count; t++) {
            const qg_lesson l = {&d->teachers[k], samples, temperatures->values[t], &sums[t]};
            for (int i = 0; i < count; i++)
                qg_lesson_study(&l, samples[i], q_values + (size_t)i * (size_t)actions, NULL);
        }
    }
    for (int t = 0; t < temperatures->count; t++)
        d->result->taught[k].held_out[t] = qg_lesson_means(&sums[t]);
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

static qg_status open_task(distiller *d, int k, qg_error *error)
{
    task *own = &d->task[k];
    const size_t bytes = (size_t)d->options->samples * sizeof *own->order;
    char purpose[64];
    snprintf(purpose, sizeof purpose, "distillation/order/%d", k);
    own->shuffle = qg_random_stream(d->options->seed, purpose);
    own->order = malloc(bytes);
    if (!own->order) return qg_fail_memory(error, "the order of the samples", bytes);
    return qg_sample_states_create(d->teachers[k].samples, d->settings.minibatch, &own->minibatch,
                                   error);
}

static qg_status prepare(distiller *d, qg_error *error)
{
    qg_status status = check_options(d->options, error);
    for (int k = 0; k < d->options->teacher_count && !status; k++) {
        d->tasks = k + 1; /* what is closed in the end */
        status = qg_teacher_open(d->options, k, &d->teachers[k], error);
        snprintf(d->result->taught[k].domain, QG_DOMAIN_NAME, "%s", d->teachers[k].domain);
    }
    if (status) return status;
    d->settings.history = d->teachers[0].history;
    status = qg_student_open(d->options, d->teachers, &d->student, error);
    if (!status) status = find_samples(d, error);
    if (!status)
        status =
            qg_distillation_folder_create(&d->folder, d->options, d->teachers, &d->settings, error);
    if (!status) status = create_samples(d, error);
    for (int k = 0; k < d->tasks && !status; k++) {
        d->result->taught[k].reused = d->teachers[k].reused;
        status = open_task(d, k, error);
    }
    if (status) return status;
    return qg_distillation_folder_begin(&d->folder, error);
}

/* process.yaml is that of a training of as many steps. */
static qg_status write_process(distiller *d, const char *state, qg_error *error)
{
    const qg_train_options options = {.threads = d->options->threads};
    const double seconds = clock_seconds() - d->started;
    const qg_train_result result = {.step = d->samples,
                                    .seconds = seconds,
                                    .learning_steps_per_second =
                                        (double)d->samples / fmax(1e-9, seconds)};
    return qg_run_folder_process(&d->folder.run, &options, &result, state, error);
}

static qg_status run(distiller *d, qg_error *error)
{
    qg_status status = write_process(d, "running", error);
    if (!status) status = play_teachers(d, error);
    if (!status) status = evaluate_teachers(d, error);
    if (status) return status;
    const qg_settings *s = &d->settings;
    d->learning = (qg_learning){.learning_rate = (float)s->learning_rate,
                                .rms_decay = (float)s->rms_decay,
                                .rms_epsilon = (float)s->rms_epsilon,
                                .l2 = (float)s->l2,
                                .dropout_conv = (float)s->dropout_conv,
                                .dropout_linear = (float)s->dropout_linear};
    d->next_row = d->settings.log_every;
    d->next_score = d->settings.eval_every;
    status = learn(d, error);
    if (status == QG_STOPPED && d->samples > 0) { /* what was learned is kept */
        qg_error problem;
        qg_student_read(&d->student, d->teachers);
        if (save_student(d, "last", NAN, &problem)) {
            *error = problem;
            return problem.code;
        }
    }
    if (!status) status = evaluate_student(d, error);
    for (int k = 0; k < d->tasks && !status; k++)
        examine(d, k);
    if (status) return status;
    return qg_distillation_folder_held_out(&d->folder, &d->options->temperatures, d->result, error);
}

static void close_all(distiller *d)
{
    for (int k = 0; k < d->tasks; k++) {
        qg_sample_states_destroy(&d->task[k].minibatch);
        free(d->task[k].order);
        qg_teacher_close(&d->teachers[k]);
    }
    qg_student_close(&d->student);
    qg_distillation_folder_close(&d->folder);
    free(d);
}

qg_status qg_distill(const qg_distillation_options *options, qg_distillation_result *result,
                     qg_error *error)
{
    *result = (qg_distillation_result){.held_out = qg_held_out(options->samples)};
    distiller *d = calloc(1, sizeof *d);
    if (!d) return qg_fail_memory(error, "a distillation", sizeof *d);
    d->options = options;
    d->settings = options->settings;
    d->result = result;
    d->dropout = qg_random_stream(options->seed, "dropout");
    d->best = NAN;
    d->folder.run.lock.descriptor = -1;
    d->started = clock_seconds();
    d->progress.kl = d->progress.agreement = NAN;
    qg_status status = prepare(d, error);
    if (!status) {
        status = run(d, error);
        qg_error ignored; /* what ended the run is the better message */
        const char *state = status == QG_OK        ? "finished"
                            : status == QG_STOPPED ? "stopped"
                                                   : "failed";
        const qg_status written = write_process(d, state, status ? &ignored : error);
        if (!status) status = written;
    }
    result->samples = d->samples;
    result->updates = d->updates;
    result->seconds = clock_seconds() - d->started;
    close_all(d);
    return status;
}
