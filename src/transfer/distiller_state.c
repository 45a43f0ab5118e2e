/* What a checkpoint of a distillation holds: all that the samples, steps and lessons to come depend
 * on. */
#include "base/clock.h"
#include "transfer/distiller.h"

#include <stdio.h>
#include <stdlib.h>

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
        status = qg_sample_set_pass(tape, path, &t->source, qg_distiller_is_kept(d, k),
                                    d->options->run.stop, &t->samples, error);
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
    return status ? status : qg_play_pass(&d->play, tape, error);
}

static void pass_task(qg_distiller *d, int k, qg_tape *tape)
{
    qg_task *own = &d->task[k];
    QG_TAPE_PASS(tape, own->since);
    QG_TAPE_PASS(tape, own->evaluation);
    QG_TAPE_PASS(tape, d->teacher_evaluations[k]);
    /* The order follows from where its shuffling began. */
    qg_random from = d->shuffled ? own->shuffled_from : own->shuffle;
    qg_tape_pass_random(tape, &from);
    if (!tape->reading || !tape->good) return;
    own->shuffle = from;
    if (d->shuffled) qg_distiller_shuffle(d, k);
    d->result->taught[k].student_score = own->evaluation.score;
    d->result->taught[k].teacher_score = d->teacher_evaluations[k].score;
}

static void pass_numbers(qg_distiller *d, qg_tape *tape)
{
    QG_TAPE_PASS(tape, d->played);
    qg_tape_pass_bool(tape, &d->teachers_evaluated);
    QG_TAPE_PASS(tape, d->pass);
    QG_TAPE_PASS(tape, d->at);
    qg_tape_pass_bool(tape, &d->shuffled);
    QG_TAPE_PASS(tape, d->samples);
    QG_TAPE_PASS(tape, d->updates);
    QG_TAPE_PASS(tape, d->next_row);
    QG_TAPE_PASS(tape, d->next_score);
    QG_TAPE_PASS(tape, d->best);
    QG_TAPE_PASS(tape, d->progress.kl);
    QG_TAPE_PASS(tape, d->progress.agreement);
    qg_tape_pass_random(tape, &d->dropout);
    qg_tape_require(tape, d->played >= 0 && d->played <= d->tasks && d->pass >= 0 && d->at >= 0 &&
                              d->at <= d->options->samples && d->samples >= 0);
}

static qg_status pass(qg_distiller *d, qg_tape *tape, qg_error *error)
{
    pass_numbers(d, tape);
    if (!tape->good) return QG_OK; /* found at the end */
    qg_status status = pass_samples(d, tape, error);
    if (!status) status = pass_play(d, tape, error);
    if (status || !tape->good) return status;
    for (int k = 0; k < d->tasks; k++)
        pass_task(d, k, tape);
    status = qg_tape_pass_engine(tape, d->student.engine, &d->student.network, error);
    if (status) return status;
    return tape->good ? qg_distillation_folder_pass(&d->folder, tape, error) : QG_OK;
}

bool qg_distiller_checkpoint_due(const qg_distiller *d)
{
    const double minutes = d->options->run.checkpoint_minutes;
    return qg_clock_seconds() - d->checkpoint_clock >= 60 * (minutes > 0 ? minutes : 10);
}

qg_status qg_distiller_checkpoint(qg_distiller *d, qg_error *error)
{
    if (d->without_checkpoints) return QG_OK;
    qg_tape tape = qg_tape_to_write();
    qg_status status = pass(d, &tape, error);
    if (!status) status = qg_checkpoint_write(&d->checkpoints, &tape, d->samples, error);
    qg_tape_free(&tape);
    d->checkpoint_clock = qg_clock_seconds();
    if (status == QG_ERROR_USAGE) { /* a plugin's game that cannot be saved */
        d->without_checkpoints = true;
        snprintf(d->result->run.warning, sizeof d->result->run.warning,
                 "no checkpoints during the play: %.150s", error->message);
        return QG_OK;
    }
    d->has_checkpoint |= !status;
    return status;
}

static qg_status restore(void *context, qg_tape *tape, qg_error *error)
{
    return pass(context, tape, error);
}

qg_status qg_distiller_resume(qg_distiller *d, bool *found, qg_error *error)
{
    const qg_status status =
        qg_checkpoints_resume(&d->checkpoints, restore, d, found, d->result->run.warning,
                              sizeof d->result->run.warning, error);
    d->has_checkpoint = *found && !status;
    d->result->run.begun_at = d->samples;
    return status;
}
