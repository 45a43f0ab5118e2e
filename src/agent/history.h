/* The last screens of an episode, for acting outside the replay memory. */
#ifndef QG_HISTORY_H
#define QG_HISTORY_H

#include <qgraft/domain.h>
#include <qgraft/engine.h>
#include <qgraft/settings.h>

#include "agent/tape.h"

typedef struct qg_history {
    int length, known; /* screens of a state; of this episode so far, at most `length` */
    int newest;        /* place of the newest screen */
    int channels;
    size_t size;
    uint8_t *memory; /* [length][size] */
    const uint8_t *screens[QG_MAX_HISTORY];
} qg_history;

qg_status qg_history_create(const qg_observation_shape *shape, int length, qg_history *history,
                            qg_error *error);
void qg_history_destroy(qg_history *history);

void qg_history_clear(qg_history *history); /* a new episode: everything before is zeros */

/* Where the next screen is to be written; qg_history_push makes it the newest. */
uint8_t *qg_history_next(qg_history *history);
void qg_history_push(qg_history *history);

void qg_history_pass(qg_history *history, qg_tape *tape); /* for a checkpoint */

/* The state; pointers valid until the next push. */
qg_states qg_history_state(qg_history *history);

#endif
