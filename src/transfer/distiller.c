/* The lessons of a distillation: the student's passes over the samples, and its evaluations. The
 * minibatches of several teachers take turns; each one's loss is on the outputs of its own actions.
 */
#include "transfer/distiller.h"

#include "transfer/distillation_tables.h"
#include "transfer/student_table.h"

#include <stdio.h>
#include <string.h>

/* -------------------------------------------------------------------------------- progress */

void qg_distiller_report(qg_distiller *d, qg_distillation_phase phase, int64_t done, int64_t total)
{
    if (!d->options->progress) return;
    d->progress.phase = phase;
    d->progress.done = done;
    d->progress.total = total;
    d->progress.seconds = qg_run_seconds(&d->run);
    d->options->progress(d->options->context, &d->progress);
}

void qg_distiller_evaluating(void *self, int64_t step)
{
    qg_distiller *d = self;
    qg_distiller_report(d, QG_PHASE_EVALUATING, step, d->settings.eval_steps);
}

/* -------------------------------------------------------------------------------- held out */

/* The samples behind those that are learned from: the end of the play, no neighbours of the rest.
 * At the temperatures from `from` on, into found[from], ...; likeness at the last. */
static qg_status examine_task(qg_distiller *d, int k, int from, qg_agreement *found,
                              qg_likeness *likeness, qg_error *error)
{
    qg_task *own = &d->task[k];
    const int size = d->settings.minibatch;
    float q_values[QG_MAX_ACTIONS * 64];
    const int64_t end = d->teachers[k].source.count;
    const qg_temperatures *temperatures = &d->options->temperatures;
    const int last = temperatures->count - 1;
    qg_lesson_sums sums[QG_MAX_TEMPERATURES] = {0};
    qg_likeness_sums scale = {.count = 0};
    for (int64_t begin = d->options->samples; begin < end;) {
        uint32_t samples[64];
        int count = 0;
        while (count < 64 && count < size && begin < end)
            samples[count++] = (uint32_t)begin++;
        qg_sample_set_gather(d->teachers[k].samples, samples, count, &own->minibatch);
        const qg_status status = qg_engine_forward(d->student.engine, QG_ONLINE,
                                                   &own->minibatch.states, q_values, error);
        if (status) return status;
        for (int t = from; t <= last; t++) {
            qg_lesson l = {.teacher = &d->teachers[k],
                           .outputs = d->student.action_count,
                           .samples = samples,
                           .loss = d->options->loss,
                           .temperature = temperatures->values[t],
                           .sums = &sums[t],
                           .likeness = t == last ? &scale : NULL};
            qg_lesson_study(&l, count, q_values, NULL);
        }
    }
    for (int t = from; t <= last; t++)
        found[t] = qg_lesson_means(&sums[t]);
    *likeness = qg_likeness_of(&scale, &found[last]);
    return QG_OK;
}

qg_status qg_distiller_examine(qg_distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_taught *taught = &d->result->taught[k];
        status = examine_task(d, k, 0, taught->held_out, &taught->likeness, error);
    }
    return status;
}

/* ------------------------------------------------------------------------------- evaluation */

qg_status qg_distiller_evaluate_teachers(qg_distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        const qg_teacher *t = &d->teachers[k];
        qg_evaluation *e = &d->teacher_evaluations[k];
        status = qg_run_play(&d->run, t->engine, t->domain, t->action_set, NULL, t->history,
                             "evaluation/teacher", e, error);
        d->result->taught[k].teacher_score = e->score;
    }
    if (!status)
        status = qg_distillation_write_teachers(&d->run.folder, d->teachers, d->teacher_evaluations,
                                                d->tasks, error);
    d->teachers_evaluated = !status;
    return status ? status : qg_run_checkpoint(&d->run, error);
}

/* The row of task k; of several tasks each has its network, cut out of the student. */
static qg_status keep_evaluation(qg_distiller *d, int k, const qg_evaluation *e, qg_error *error)
{
    const qg_teacher *t = &d->teachers[k];
    const qg_run_network player = {&d->student.players[k].network, t->domain, t->actions};
    char name[32];
    snprintf(name, sizeof name, "task-%d", k + 1);
    d->task[k].evaluation = *e;
    d->result->taught[k].student_score = e->score;
    const qg_status status =
        qg_distillation_write_evaluation(&d->run.folder, d->run.step, k, e, error);
    return status || d->tasks == 1 ? status : qg_run_save(&d->run, name, &player, e->score, error);
}

/* One number for the best student: the score, of several teachers the mean share of theirs. */
static double grade(const qg_distiller *d, const qg_evaluation *evaluations)
{
    if (d->tasks == 1) return evaluations[0].score;
    double sum = 0;
    for (int k = 0; k < d->tasks; k++)
        sum += qg_share_of_teacher(evaluations[k].score, d->teacher_evaluations[k].score);
    return sum / d->tasks;
}

/* What the players are, on the game of every teacher. */
static qg_status play(qg_distiller *d, const char *purpose, qg_evaluation *evaluations,
                      double *score, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        const qg_teacher *t = &d->teachers[k];
        status = qg_run_play(&d->run, d->student.players[k].engine, t->domain, t->action_set, NULL,
                             t->history, purpose, &evaluations[k], error);
    }
    if (!status) *score = grade(d, evaluations);
    return status;
}

/* Of all tasks, behind the play: a row of student.csv each. */
static qg_status record_likeness(qg_distiller *d, qg_error *error)
{
    const qg_temperatures *t = &d->options->temperatures;
    qg_student_row rows[QG_MAX_TEACHERS];
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_agreement found[QG_MAX_TEMPERATURES];
        rows[k] = (qg_student_row){.samples = d->run.step,
                                   .task = k,
                                   .temperature = t->values[t->count - 1],
                                   .score = d->task[k].evaluation.score,
                                   .teacher_score = d->teacher_evaluations[k].score};
        status = examine_task(d, k, t->count - 1, found, &rows[k].likeness, error);
    }
    return status ? status
                  : qg_student_table_write(&d->run.folder, d->student_table, rows, d->tasks, error);
}

qg_status qg_distiller_evaluate(void *self, double *score, qg_error *error)
{
    qg_distiller *d = self;
    qg_evaluation evaluations[QG_MAX_TEACHERS];
    qg_status status = qg_student_read(&d->student, d->teachers, error);
    if (!status) status = play(d, NULL, evaluations, score, error);
    /* Behind the last one, as a run that is stopped evaluates all again. */
    for (int k = 0; k < d->tasks && !status; k++)
        status = keep_evaluation(d, k, &evaluations[k], error);
    return status ? status : record_likeness(d, error);
}

qg_status qg_distiller_confirm(void *self, const qg_network *network, const char *purpose,
                               double *score, qg_error *error)
{
    qg_distiller *d = self;
    qg_evaluation evaluations[QG_MAX_TEACHERS];
    const qg_status status = qg_student_cast(&d->student, network, d->teachers, error);
    return status ? status : play(d, purpose, evaluations, score, error);
}

/* --------------------------------------------------------------------------------- its way */

/* Temperatures at which a minibatch is taught before the next one comes. */
static int temperatures_at_once(const qg_distiller *d)
{
    return d->options->order == QG_ORDER_PASS ? 1 : d->options->temperatures.count;
}

/* Steps of a pass over all samples. */
static int64_t pass_steps(const qg_distiller *d)
{
    return d->options->samples * d->tasks * temperatures_at_once(d);
}

int64_t qg_distiller_at(const qg_distiller *d)
{
    return d->run.step % pass_steps(d) / (d->tasks * temperatures_at_once(d));
}

bool qg_distiller_is_between_lessons(const qg_distiller *d)
{
    return d->run.step % (d->tasks * temperatures_at_once(d)) == 0;
}

int64_t qg_distiller_updates(const qg_distiller *d)
{
    const int64_t size = d->settings.minibatch;
    const int64_t a_pass = (d->options->samples + size - 1) / size;
    const int64_t minibatches = d->run.step / pass_steps(d) * a_pass + qg_distiller_at(d) / size;
    return minibatches * d->tasks * temperatures_at_once(d);
}

/* -------------------------------------------------------------------------------- lessons */

static qg_status write_rows(qg_distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks; k++)
        for (int t = 0; t < d->options->temperatures.count && !status; t++) {
            qg_lesson_sums *sums = &d->task[k].since[t];
            if (sums->count == 0) continue;
            const qg_agreement means = qg_lesson_means(sums);
            d->progress.kl = means.kl;
            d->progress.agreement = means.agreement;
            *sums = (qg_lesson_sums){0};
            status =
                qg_distillation_write_lesson(&d->run.folder, d->run.step, qg_distiller_updates(d),
                                             k, d->options->temperatures.values[t], &means, error);
        }
    return status;
}

void qg_distiller_shuffle(qg_distiller *d, int k)
{
    qg_task *own = &d->task[k];
    const int64_t samples = d->options->samples;
    own->shuffled_from = own->shuffle;
    for (int64_t i = 0; i < samples; i++)
        own->order[i] = (uint32_t)i;
    for (int64_t i = samples - 1; i > 0; i--) { /* Fisher and Yates */
        const uint64_t other = qg_random_below(&own->shuffle, (uint64_t)i + 1);
        const uint32_t moved = own->order[i];
        own->order[i] = own->order[other];
        own->order[other] = moved;
    }
}

/* `count` samples of task k's order from `at` on, at temperatures [from, to). */
static qg_status teach(qg_distiller *d, int k, int64_t at, int count, int from, int to,
                       qg_error *error)
{
    const int64_t rest = d->options->samples - at - count;
    const int next = rest < d->settings.minibatch ? (int)rest : d->settings.minibatch;
    qg_status status = QG_OK;
    qg_task *own = &d->task[k];
    const bool mean = strcmp(d->settings.reduction, "mean") == 0;
    qg_lesson l = {.teacher = &d->teachers[k],
                   .outputs = d->student.action_count,
                   .samples = own->order + at,
                   .loss = d->options->loss,
                   .weight = mean ? 1 / (float)count : 1};
    qg_sample_set_gather(l.teacher->samples, l.samples, count, &own->minibatch);
    for (int t = from; t < to && !status; t++) {
        l.temperature = d->progress.temperature = d->options->temperatures.values[t];
        l.sums = &own->since[t];
        const qg_descent descent = {.learning = &d->learning,
                                    .states = own->minibatch.states,
                                    .loss = qg_lesson_study,
                                    .context = &l,
                                    .draw = qg_random_u64(&d->dropout)};
        status = qg_engine_descend(d->student.engine, &descent, error);
    }
    if (!status && next > 0)
        qg_sample_set_expect(l.teacher->samples, l.samples + count, next, &own->minibatch);
    return status;
}

/* Rows are due when log_every samples more were taught, and at the end of a pass. */
qg_status qg_distiller_step(void *self, qg_error *error)
{
    qg_distiller *d = self;
    const int64_t before = d->run.step, at = qg_distiller_at(d), rest = d->options->samples - at;
    const int size = d->settings.minibatch, count = rest < size ? (int)rest : size;
    const int at_once = temperatures_at_once(d);
    const int from = at_once > 1 ? 0 : (int)(before / pass_steps(d));
    qg_run_learns(&d->run);
    for (int k = 0; k < d->tasks && at == 0; k++)
        qg_distiller_shuffle(d, k);
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++)
        status = teach(d, k, at, count, from, from + at_once, error);
    if (status) return status;
    d->run.step += (int64_t)count * d->tasks * at_once;
    if (at / size % 16 == 0) qg_distiller_report(d, QG_PHASE_LEARNING, d->run.step, d->run.steps);
    const int64_t every = d->settings.log_every;
    const bool due = d->run.step / every > before / every || count == rest;
    return due ? write_rows(d, error) : QG_OK;
}
