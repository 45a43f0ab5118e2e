/* Where an engine spends its time: a stopwatch that its first thread carries while one is given. */
#ifndef QG_PROFILE_H
#define QG_PROFILE_H

#include <qgraft/engine.h>

typedef enum qg_work {
    QG_WORK_CONVERT, /* screens to floats; counted as layer 0's, as is all but the layers' work */
    QG_WORK_FORWARD,
    QG_WORK_LOSS,
    QG_WORK_INPUT_GRADIENT,
    QG_WORK_WEIGHT_GRADIENT, /* and that of the biases */
    QG_WORK_RMSPROP,
    QG_WORKS,
} qg_work;

/* Seconds, waits at the barriers among them. */
typedef struct qg_profile {
    double seconds[QG_WORKS][QG_MAX_LAYERS];
    double lap; /* when the last piece of work ended, by the monotonic clock */
} qg_profile;

/* From now on the engine adds to *profile (the caller's, zeroed), until NULL is given. */
void qg_engine_profile(qg_engine *engine, qg_profile *profile);

#endif
