/* A lesson: what one sample, or many, say about the student at one temperature. */
#ifndef QG_LESSON_H
#define QG_LESSON_H

#include <qgraft/distillation.h>

#include "transfer/teacher.h"

/* Sums over samples: of the KL, of the teacher's entropy, of the states where both agree. */
typedef struct qg_lesson_sums {
    double kl, entropy;
    int64_t agreed, count;
} qg_lesson_sums;

qg_agreement qg_lesson_means(const qg_lesson_sums *sums); /* NaN without samples */

/* A minibatch at one temperature; what the engine's loss is taken of. */
typedef struct qg_lesson {
    const qg_teacher *teacher;
    const uint32_t *samples; /* of the minibatch */
    double temperature;
    qg_lesson_sums *sums;
} qg_lesson;

/* Adds the loss of a sample to the sums. q_values, gradient [outputs of the student]; gradient gets
 * -dKL/dq at the outputs of the teacher's actions and may be NULL. */
void qg_lesson_study(const qg_lesson *lesson, uint32_t sample, const float *q_values,
                     float *gradient);

#endif
