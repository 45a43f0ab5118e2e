/* A distillation in progress: what the play and the lessons (distillation.c), the checkpoints
 * (distiller_state.c) and the beginning and end of a run (distill.c) share. */
#ifndef QG_DISTILLER_H
#define QG_DISTILLER_H

#include <qgraft/distillation.h>
#include <qgraft/td_learner.h>

#include "agent/checkpoint.h"
#include "base/random.h"
#include "transfer/distillation_folder.h"
#include "transfer/lesson.h"
#include "transfer/teacher_play.h"
#include "transfer/student.h"
#include "transfer/teacher.h"

/* What the student learns from one teacher. */
typedef struct qg_task {
    qg_sample_states minibatch;
    uint32_t *order;                           /* [samples], shuffled for every pass */
    qg_random shuffle, shuffled_from;          /* now; when this pass was shuffled */
    qg_lesson_sums since[QG_MAX_TEMPERATURES]; /* the last rows of distillation.csv */
    qg_evaluation evaluation;                  /* the latest */
} qg_task;

typedef struct qg_distiller {
    const qg_distillation_options *options;
    qg_settings settings;
    int tasks;
    qg_teacher teachers[QG_MAX_TEACHERS];
    qg_task task[QG_MAX_TEACHERS];
    qg_evaluation teacher_evaluations[QG_MAX_TEACHERS];
    qg_distillation_folder folder;
    qg_student student;
    qg_learning learning;
    qg_random dropout;
    int played;                   /* teachers whose samples are complete */
    qg_play play;                 /* of the next one; of zero bytes: it has not begun */
    bool teachers_evaluated;      /* and teachers.csv written */
    int pass;                     /* over the samples, from 0 */
    bool shuffled;                /* for this pass */
    int64_t at;                   /* samples of every teacher's order that this pass has taught */
    int64_t samples, updates;     /* so far */
    int64_t next_row, next_score; /* samples at which a row, an evaluation is due */
    double best;
    qg_distillation_result *result;
    double started;
    qg_distillation_progress progress;

    bool begun; /* the files of the folder are this run's */
    bool fresh; /* ... and the sample sets, which it has made; it does not go on */
    qg_checkpoints checkpoints;
    bool has_checkpoint, without_checkpoints; /* without: a domain cannot be saved */
    double checkpoint_clock;                  /* when the last one was written */
} qg_distiller;

void qg_distiller_report(qg_distiller *d, qg_distillation_phase phase, int64_t done, int64_t total);

/* The teachers' play; then their evaluation; the lessons with the evaluations of the student; and
 * what the student makes of the samples held out. Each goes on from where `d` is, and QG_STOPPED
 * leaves it where it can be gone on with. */
qg_status qg_distiller_play(qg_distiller *d, qg_error *error);
qg_status qg_distiller_evaluate_teachers(qg_distiller *d, qg_error *error);
qg_status qg_distiller_learn(qg_distiller *d, qg_error *error);
qg_status qg_distiller_examine(qg_distiller *d, qg_error *error);

qg_status qg_distiller_evaluate_student(qg_distiller *d, qg_error *error);
qg_status qg_distiller_save_student(qg_distiller *d, const char *name, double score,
                                    qg_error *error);

/* Where the samples of teacher k are: FOLDER/samples-K, or the file that is to be kept, which
 * qg_distiller_is_kept tells. The caller frees it; NULL: no memory. */
bool qg_distiller_is_kept(const qg_distiller *d, int k);
char *qg_distiller_samples_path(const qg_distiller *d, int k);

/* Room for what task k learns, and its order. */
qg_status qg_distiller_open_task(qg_distiller *d, int k, qg_error *error);
void qg_distiller_shuffle(qg_distiller *d, int k);

/* Whether a checkpoint is due by the clock; writes one. */
bool qg_distiller_checkpoint_due(const qg_distiller *d);
qg_status qg_distiller_checkpoint(qg_distiller *d, qg_error *error);

/* Goes on from the newest checkpoint that can be used; *found: there was one. */
qg_status qg_distiller_resume(qg_distiller *d, bool *found, qg_error *error);

#endif
