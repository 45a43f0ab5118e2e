/* The state of a distillation: its tasks' room, and what a checkpoint holds: all that the samples,
 * lessons and evaluations to come depend on. */
#include "transfer/distiller.h"

#include <stdio.h>
#include <stdlib.h>

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

/* The sample sets: as far as they have come. Reading opens them. */
static qg_status pass_samples(qg_distiller *d, qg_tape *tape, qg_error *error)
{
    qg_status status = QG_OK;
    for (int k = 0; k < d->tasks && !status; k++) {
        qg_teacher *t = &d->teachers[k];
        if (tape->reading) {
            qg_distiller_report(d, QG_PHASE_READING, 0, t->source.count);
            qg_sample_set_close(t->samples); /* of an attempt before */
            t->samples = NULL;
        }
        char *path = qg_distiller_samples_path(d, k);
        if (!path) return qg_fail_memory(error, "a path", 4096);
        qg_tape_pass_bool(tape, &t->reused);
        const qg_sample_form form = qg_distiller_form(d, k);
        status = qg_sample_set_pass(tape, path, &t->source, &form, d->options->run.stop,
                                    &t->samples, error);
        free(path);
        if (!status && tape->reading && tape->good && !d->task[k].order)
            status = qg_distiller_open_task(d, k, error);
    }
    return status;
}

/* The play of the teacher whose set is not complete. */
static qg_status pass_play(qg_distiller *d, qg_tape *tape, qg_error *error)
{
    bool playing = d->play.teacher;
    qg_tape_pass_bool(tape, &playing);
    qg_tape_require(tape, !playing || d->played < d->tasks);
    if (tape->reading) qg_play_close(&d->play);
    if (!playing || !tape->good) return QG_OK;
    qg_status status = QG_OK;
    if (tape->reading) status = qg_play_open(&d->teachers[d->played], &d->play, error);
    if (!status) status = qg_play_pass(&d->play, tape, error);
    if (!status && tape->reading && tape->good) qg_run_note_losses(&d->run, d->play.domain);
    return status;
}

static void pass_task(qg_distiller *d, int k, qg_tape *tape)
{
    qg_task *own = &d->task[k];
    QG_TAPE_PASS(tape, own->since);
    QG_TAPE_PASS(tape, own->evaluation);
    QG_TAPE_PASS(tape, d->teacher_evaluations[k]);
    /* The order follows from where its shuffling began. */
    const bool shuffled = qg_distiller_at(d) > 0;
    qg_random from = shuffled ? own->shuffled_from : own->shuffle;
    qg_tape_pass_random(tape, &from);
    if (!tape->reading || !tape->good) return;
    own->shuffle = from;
    if (shuffled) qg_distiller_shuffle(d, k);
    d->result->taught[k].student_score = own->evaluation.score;
    d->result->taught[k].teacher_score = d->teacher_evaluations[k].score;
}

static void pass_numbers(qg_distiller *d, qg_tape *tape)
{
    QG_TAPE_PASS(tape, d->played);
    qg_tape_pass_bool(tape, &d->teachers_evaluated);
    QG_TAPE_PASS(tape, d->progress.kl);
    QG_TAPE_PASS(tape, d->progress.agreement);
    qg_tape_pass_random(tape, &d->dropout);
    qg_tape_require(tape,
                    d->played >= 0 && d->played <= d->tasks && qg_distiller_is_between_lessons(d));
}

qg_status qg_distiller_pass(void *self, qg_tape *tape, qg_error *error)
{
    qg_distiller *d = self;
    pass_numbers(d, tape);
    if (!tape->good) return QG_OK; /* found at the end */
    qg_status status = pass_samples(d, tape, error);
    if (!status) status = pass_play(d, tape, error);
    if (status || !tape->good) return status;
    for (int k = 0; k < d->tasks; k++)
        pass_task(d, k, tape);
    return qg_tape_pass_engine(tape, d->student.engine, &d->student.network, error);
}
