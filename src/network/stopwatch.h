/* Where an engine spends its time: a stopwatch that its first thread carries while one is given. */
#ifndef QG_STOPWATCH_H
#define QG_STOPWATCH_H

#include <qgraft/engine.h>

typedef enum qg_work {
    QG_WORK_CONVERT, /* screens to floats; counted as layer 0's, as is all but the layers' work */
    QG_WORK_FORWARD,
    QG_WORK_LOSS,
    QG_WORK_INPUT_GRADIENT,
    QG_WORK_WEIGHT_GRADIENT, /* and that of the biases */
    QG_WORK_OPTIMISER,
    QG_WORKS,
} qg_work;

/* Seconds, waits at the barriers among them. */
struct qg_stopwatch {
    double seconds[QG_WORKS][QG_MAX_LAYERS];
    double lap; /* when the last piece of work ended, by the monotonic clock */
};

/* From now on the engine adds to *stopwatch (the caller's, zeroed), until NULL is given. False: it
 * takes no times. */
bool qg_engine_time(qg_engine *engine, qg_stopwatch *stopwatch);

#endif
