/* The work of a distillation: the teachers' play, then the student's passes over the samples. The
 * minibatches of several teachers take turns; each one's loss is on the outputs of its own
 * actions. */
#include "transfer/distiller.h"

#include "base/clock.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* -------------------------------------------------------------------------------- progress */

void qg_distiller_report(qg_distiller *d, qg_distillation_phase phase, int64_t done, int64_t total)
{
    if (!d->options->progress) return;
    d->progress.phase = phase;
    d->progress.done = done;
    d->progress.total = total;
    d->progress.seconds = qg_clock_seconds() - d->started;
    d->options->progress(d->options->context, &d->progress);
}

static void report_evaluation(void *context, int64_t step)
{
    qg_distiller *d = context;
    qg_distiller_report(d, QG_PHASE_EVALUATING, step, d->settings.eval_steps);
}

/* ------------------------------------------------------------------------------------ play */

static bool is_stopped(const qg_distiller *d)
{
    return d->options->run.stop && *d->options->run.stop;
}

/* The next teacher plays until its set is complete. */
static qg_status play_samples(qg_distiller *d, qg_error *error)
{
    const qg_teacher *t = &d->teachers[d->played];
    qg_status status = QG_OK;
    while (!status && qg_sample_set_added(t->samples) < t->source.count) {
        const int64_t done = qg_sample_set_added(t->samples);
        if (is_stopped(d))
            return qg_fail(error, QG_STOPPED,
                           "stopped while the teacher played, after %lld samples", (long long)done);
        if (done % 256 == 0) qg_distiller_report(d, QG_PHASE_PLAYING, done, t->source.count);
        status = qg_play_step(&d->play, error);
        if (!status && qg_distiller_checkpoint_due(d)) status = qg_distiller_checkpoint(d, error);
    }
    return status ? status : qg_sample_set_finish(t->samples, error);
}

qg_status qg_distiller_play(qg_distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (; d->played < d->tasks && !status; d->played += !status) {
        qg_teacher *t = &d->teachers[d->played];
        const bool complete = qg_sample_set_added(t->samples) == t->source.count;
        if (!complete && !d->play.teacher) status = qg_play_open(t, &d->play, error);
        if (!status && !t->reused) status = play_samples(d, error);
        if (!status) qg_play_close(&d->play);
    }
    return status;
}

/* ------------------------------------------------------------------------------- evaluation */

static qg_status evaluate_at(qg_distiller *d, qg_engine *engine, const qg_teacher *teacher,
                             const char *purpose, qg_evaluation *evaluation, qg_error *error)
{
    const qg_settings *s = &d->settings;
    qg_random random = qg_random_stream(d->options->run.seed, purpose);
    const qg_domain_options domain_options = {
        .seed = (uint32_t)qg_random_u64(&random), .frame_skip = s->frame_skip, .sticky = s->sticky};
    const qg_evaluation_options options = {.steps = s->eval_steps,
                                           .epsilon = s->eval_epsilon,
                                           .noop_max = s->noop_max,
                                           .history = teacher->history,
                                           .seed = qg_random_u64(&random),
                                           .progress = report_evaluation,
                                           .context = d,
                                           .stop = d->options->run.stop};
    qg_domain *domain;
    qg_status status = qg_domain_open(teacher->domain, &domain_options, &domain, error);
    if (status) return status;
    status = qg_evaluate(engine, domain, &options, evaluation, error);
    qg_domain_close(domain);
    return status;
}

qg_status qg_distiller_evaluate_teachers(qg_distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_evaluation *e = &d->teacher_evaluations[k];
        status =
            evaluate_at(d, d->teachers[k].engine, &d->teachers[k], "evaluation/teacher", e, error);
        d->result->taught[k].teacher_score = e->score;
    }
    if (!status)
        status =
            qg_distillation_folder_teachers(&d->folder, d->teachers, d->teacher_evaluations, error);
    d->teachers_evaluated = !status;
    return status ? status : qg_distiller_checkpoint(d, error);
}

/* The network of all outputs, or (names: a game's actions) of one task. */
static qg_status save_network(qg_distiller *d, const char *name, const qg_network *network,
                              const char *domain, const char *const *actions, double score,
                              qg_error *error)
{
    qg_network_info info = {.history = d->settings.history,
                            .seed = d->options->run.seed,
                            .step = d->samples,
                            .score = score,
                            .notes = d->folder.notes,
                            .note_count = d->folder.note_count};
    snprintf(info.domain, sizeof info.domain, "%s", domain);
    qg_text_join(actions, network->architecture.actions, info.actions, sizeof info.actions);
    return qg_run_folder_network(&d->folder.run, name, network, &info, error);
}

/* A student of several has no domain of its own; the cut outs task-K.safetensors have. */
qg_status qg_distiller_save_student(qg_distiller *d, const char *name, double score,
                                    qg_error *error)
{
    return save_network(d, name, &d->student.network, d->tasks == 1 ? d->teachers[0].domain : "",
                        d->student.actions, score, error);
}

static qg_status save_tasks(qg_distiller *d, qg_error *error)
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
static double grade(const qg_distiller *d)
{
    if (d->tasks == 1) return d->task[0].evaluation.score;
    double sum = 0;
    for (int k = 0; k < d->tasks; k++) {
        const double teacher = d->teacher_evaluations[k].score;
        sum += d->task[k].evaluation.score / (teacher > 0 ? teacher : 1);
    }
    return sum / d->tasks;
}

qg_status qg_distiller_evaluate_student(qg_distiller *d, qg_error *error)
{
    char purpose[64];
    snprintf(purpose, sizeof purpose, "evaluation/%lld", (long long)d->samples);
    qg_status status = qg_student_read(&d->student, d->teachers, error);
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_evaluation *e = &d->task[k].evaluation;
        status = evaluate_at(d, d->student.players[k].engine, &d->teachers[k], purpose, e, error);
        if (!status)
            status = qg_distillation_folder_evaluation(&d->folder, d->samples, k, e, error);
        d->result->taught[k].student_score = e->score;
    }
    if (status) return status;
    const double now = grade(d);
    if (d->samples > 0 && !(now <= d->best)) { /* the first is above NaN */
        d->best = now;
        status = qg_distiller_save_student(d, "best", now, error);
    }
    if (!status) status = qg_distiller_save_student(d, "last", now, error);
    return status ? status : save_tasks(d, error);
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
            status = qg_distillation_folder_lesson(&d->folder, d->samples, d->updates, k,
                                                   d->options->temperatures.values[t], sums, error);
            *sums = (qg_lesson_sums){0};
        }
    d->next_row = (d->samples / d->settings.log_every + 1) * d->settings.log_every;
    return status;
}

/* Samples to learn from in all. */
static int64_t presentations(const qg_distiller *d)
{
    return d->options->samples * d->options->temperatures.count * d->tasks;
}

/* The next minibatch of every task, at temperatures [from, to). */
static qg_status teach(qg_distiller *d, int from, int to, qg_error *error)
{
    const int64_t rest = d->options->samples - d->at;
    const int count = rest < d->settings.minibatch ? (int)rest : d->settings.minibatch;
    for (int k = 0; k < d->tasks; k++) {
        qg_task *own = &d->task[k];
        qg_lesson l = {.teacher = &d->teachers[k],
                       .outputs = d->student.action_count,
                       .samples = own->order + d->at};
        qg_sample_set_gather(l.teacher->samples, l.samples, count, &own->minibatch);
        for (int t = from; t < to; t++) {
            l.temperature = d->progress.temperature = d->options->temperatures.values[t];
            l.sums = &own->since[t];
            const qg_descent descent = {.learning = &d->learning,
                                        .states = own->minibatch.states,
                                        .loss = qg_lesson_study,
                                        .context = &l,
                                        .draw = qg_random_u64(&d->dropout)};
            const qg_status status = qg_engine_descend(d->student.engine, &descent, error);
            if (status) return status;
            d->samples += count;
            d->updates++;
        }
    }
    d->at += count;
    return QG_OK;
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

/* What is due between two minibatches. The student is evaluated in any case when all is learned. */
static qg_status settle(qg_distiller *d, qg_error *error)
{
    const bool complete = d->samples == presentations(d);
    if (d->samples >= d->next_score && !complete) {
        const qg_status status = qg_distiller_evaluate_student(d, error);
        if (status) return status;
        d->next_score = (d->samples / d->settings.eval_every + 1) * d->settings.eval_every;
        return qg_distiller_checkpoint(d, error);
    }
    return qg_distiller_checkpoint_due(d) ? qg_distiller_checkpoint(d, error) : QG_OK;
}

/* Once over all samples, at temperatures [from, to). */
static qg_status pass(qg_distiller *d, int from, int to, qg_error *error)
{
    for (int k = 0; k < d->tasks && !d->shuffled; k++)
        qg_distiller_shuffle(d, k);
    d->shuffled = true;
    qg_status status = settle(d, error);
    while (!status && d->at < d->options->samples) {
        if (is_stopped(d))
            return qg_fail(error, QG_STOPPED, "stopped after %lld samples", (long long)d->samples);
        const int64_t number = d->at / d->settings.minibatch;
        status = teach(d, from, to, error);
        if (!status && d->samples >= d->next_row) status = write_rows(d, error);
        if (!status) status = settle(d, error);
        if (number % 16 == 0)
            qg_distiller_report(d, QG_PHASE_LEARNING, d->samples, presentations(d));
    }
    if (!status) status = write_rows(d, error);
    return status;
}

qg_status qg_distiller_learn(qg_distiller *d, qg_error *error)
{
    const int temperatures = d->options->temperatures.count;
    const bool by_pass = d->options->order == QG_ORDER_PASS;
    const int passes = by_pass ? temperatures : 1;
    for (; d->pass < passes; d->pass++) {
        const qg_status status =
            pass(d, by_pass ? d->pass : 0, by_pass ? d->pass + 1 : temperatures, error);
        if (status) return status;
        d->at = 0;
        d->shuffled = false;
    }
    return QG_OK;
}

/* The samples behind those that are learned from: the end of the play, no neighbours of the rest.
 */
static qg_status examine_task(qg_distiller *d, int k, qg_error *error)
{
    qg_task *own = &d->task[k];
    const int size = d->settings.minibatch;
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
        const qg_status status = qg_engine_forward(d->student.engine, QG_ONLINE,
                                                   &own->minibatch.states, q_values, error);
        if (status) return status;
        for (int t = 0; t < temperatures->count; t++) {
            qg_lesson l = {&d->teachers[k], d->student.action_count, samples,
                           temperatures->values[t], &sums[t]};
            qg_lesson_study(&l, count, q_values, NULL);
        }
    }
    for (int t = 0; t < temperatures->count; t++)
        d->result->taught[k].held_out[t] = qg_lesson_means(&sums[t]);
    return QG_OK;
}

qg_status qg_distiller_examine(qg_distiller *d, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++)
        status = examine_task(d, k, error);
    return status;
}
