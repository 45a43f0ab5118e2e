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

/* What at most QG_MOST_HELD_OUT states say: sums of the loss, and of the values of the teacher [0]
 * and the student [1]; the ratios of their advantages. */
typedef struct qg_likeness_sums {
    int64_t count;
    double loss;
    double values[2], squares[2], product; /* means; around them */
    size_t ratio_count;
    double ratios[QG_MOST_HELD_OUT];
} qg_likeness_sums;

/* Adds what a state says: the Q-values [actions] of both, and the loss. */
void qg_likeness_add(qg_likeness_sums *sums, const float *teacher, const float *student,
                     int actions, double loss);

/* `agreement` is taken over; the ratios are sorted. */
qg_likeness qg_likeness_of(qg_likeness_sums *sums, const qg_agreement *agreement);

/* A minibatch at one temperature. */
typedef struct qg_lesson {
    const qg_teacher *teacher;
    int outputs;             /* of the student */
    const uint32_t *samples; /* of the minibatch */
    qg_distillation_loss loss;
    double temperature;
    float weight; /* of each sample in the gradient */
    qg_lesson_sums *sums;
    qg_likeness_sums *likeness; /* may be NULL */
} qg_lesson;

/* An engine's loss on a qg_lesson: the descent of its loss at the outputs of the teacher's actions.
 * Adds to the lesson's sums; without `gradient` that is all. */
qg_loss qg_lesson_study;

#endif
