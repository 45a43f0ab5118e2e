/* A distillation in progress: what its lessons (distiller.c), its samples (distiller_samples.c),
 * its state for checkpoints (distiller_state.c) and its beginning and end (distill.c) share. Each
 * knows only those before it. */
#ifndef QG_DISTILLER_H
#define QG_DISTILLER_H

#include <qgraft/distillation.h>
#include <qgraft/td_learner.h>

#include "agent/run.h"
#include "base/random.h"
#include "transfer/distillation_yaml.h"
#include "transfer/lesson.h"
#include "transfer/student.h"
#include "transfer/teacher.h"
#include "transfer/teacher_play.h"

/* What the student learns from one teacher. */
typedef struct qg_task {
    qg_sample_states minibatch;
    uint32_t *order;                           /* [samples], shuffled for every pass */
    qg_random shuffle, shuffled_from;          /* now; when this pass was shuffled */
    qg_lesson_sums since[QG_MAX_TEMPERATURES]; /* the last rows of distillation.csv */
    qg_evaluation evaluation;                  /* the latest */
} qg_task;

/* A step of its run is a sample learned from, counted at every temperature and for every teacher.
 */
typedef struct qg_distiller {
    qg_run run;
    const qg_distillation_options *options;
    qg_settings settings;
    int tasks;
    qg_teacher teachers[QG_MAX_TEACHERS];
    qg_task task[QG_MAX_TEACHERS];
    qg_evaluation teacher_evaluations[QG_MAX_TEACHERS];
    qg_distillation_notes notes;
    int student_table; /* student.csv */
    qg_student student;
    qg_learning learning;
    qg_random dropout;
    int played;              /* teachers whose samples are complete */
    qg_play play;            /* of the next one; of zero bytes: it has not begun */
    bool teachers_evaluated; /* and teachers.csv written */
    qg_distillation_result *result;
    qg_distillation_progress progress;
} qg_distiller;

/* distiller.c */

void qg_distiller_report(qg_distiller *d, qg_distillation_phase phase, int64_t done, int64_t total);

/* For the table of the run; `self` is a qg_distiller. A step is the next minibatch of every task.
 */
qg_status qg_distiller_step(void *self, qg_error *error);
qg_status qg_distiller_evaluate(void *self, double *score, qg_error *error);
qg_status qg_distiller_confirm(void *self, const qg_network *network, const char *purpose,
                               double *score, qg_error *error);
void qg_distiller_evaluating(void *self, int64_t step);

/* Samples of every teacher that this pass over them has taught. */
int64_t qg_distiller_at(const qg_distiller *d);
bool qg_distiller_is_between_lessons(const qg_distiller *d); /* as every step leaves it */
int64_t qg_distiller_updates(const qg_distiller *d);         /* so far */

/* A new order of task k's samples. */
void qg_distiller_shuffle(qg_distiller *d, int k);

/* Evaluates the teachers, and writes teachers.csv. */
qg_status qg_distiller_evaluate_teachers(qg_distiller *d, qg_error *error);

/* What the student makes of the samples held out, into the result. */
qg_status qg_distiller_examine(qg_distiller *d, qg_error *error);

/* distiller_samples.c */

/* Whether the samples of teacher k are to be kept; and where they are: in that file, or in
 * FOLDER/samples-K. The caller frees it; NULL: no memory. */
bool qg_distiller_is_kept(const qg_distiller *d, int k);
char *qg_distiller_samples_path(const qg_distiller *d, int k);
qg_sample_form qg_distiller_form(const qg_distiller *d, int k);

/* Sets that are there are opened and, for those that are not, the room on the disk is looked at,
 * before anything is written. */
qg_status qg_distiller_find_samples(qg_distiller *d, qg_error *error);

/* Reserves the room of those that are missing. */
qg_status qg_distiller_create_samples(qg_distiller *d, qg_error *error);

/* The teachers play until their sets are complete. Goes on from where it is; QG_STOPPED leaves it
 * where it can be gone on with. */
qg_status qg_distiller_play(qg_distiller *d, qg_error *error);

/* distiller_state.c, for the table of the run */
qg_status qg_distiller_pass(void *self, qg_tape *tape, qg_error *error);

/* Room for what task k learns, and its order; its samples are open. */
qg_status qg_distiller_open_task(qg_distiller *d, int k, qg_error *error);

#endif
