/* How long the parts of a run take on this machine. */
#ifndef QG_MEASURE_H
#define QG_MEASURE_H

#include <qgraft/study.h>

/* Seconds of the parts of a run, and what its bytes depend on. */
typedef struct qg_run_times {
    double step, act, update; /* one step of the game, one choice of an action, one update */
    qg_observation_shape shape;
    qg_architecture architecture;
    size_t learner; /* bytes of what learns; of a distillation a little more than it needs */
    double frame;   /* bytes of a compressed screen in the mean, with a reserve */
    double picture; /* bytes of what people see; 0: it has none */
    double beside;  /* bytes of the process that plays the domain; 0: the run itself plays it */
    bool plain;     /* screens are not compressed */
} qg_run_times;

/* Looks at the game and the network of a run and, if `measure`, plays and learns for about 0.3 s in
 * all, and compresses screens; otherwise a step takes 1 s and the rest nothing, and screens are
 * taken to shrink to a 14th, which is more than was measured of any game (docs/performance.md). It
 * is done in a process of its own: a game that crashes or hangs costs the measurement, whose times
 * are then 0, and nothing else. Fails as qg_domain_open and qg_engine_create do. */
qg_status qg_measure_run(const qg_study_run *run, int threads, bool measure, qg_run_times *times,
                         qg_error *error);

#endif
