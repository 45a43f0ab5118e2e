/* Minibatches: transitions that were drawn from a replay memory (replay.h), with room for their
 * screens. */
#ifndef QG_MINIBATCH_H
#define QG_MINIBATCH_H

#include <qgraft/td_learner.h>

#include "agent/tape.h"

/* What a memory's transitions are made of. */
typedef struct qg_transition_form {
    int history, channels; /* screens of a state, and their channels */
    int span;              /* steps of a transition */
    int row;               /* screens that are read for one */
    size_t pixels;         /* bytes of a screen */
    size_t room;           /* bytes that reading one takes */
    bool is_mapped;        /* screens are used where they lie in the file */
} qg_transition_form;

/* Room for `size` transitions outside the ring. */
typedef struct qg_minibatch {
    qg_batch batch; /* what is learned from; points into the ring and into the below */
    const uint8_t **screens;
    int32_t *actions;
    float *rewards;
    uint8_t *terminals;
    float *discounts; /* of several steps */
    float *weights;   /* of what was drawn by priority */
    int64_t *drawn;   /* [size]: entries; of each a state and the next one */
    int64_t *wanted;  /* [size][history + 1, of several steps 2 * history]: screens; -1: zeros */
    uint8_t *room;    /* the same as bytes, where the file has them otherwise or it is detached */
} qg_minibatch;

qg_status qg_minibatch_create(const qg_transition_form *form, int size, qg_minibatch *minibatch,
                              qg_error *error);
void qg_minibatch_destroy(qg_minibatch *minibatch);

/* Copies the screens of what was drawn, so that it stays valid for ever. */
qg_status qg_minibatch_detach(const qg_transition_form *form, qg_minibatch *minibatch,
                              qg_error *error);

/* Passes a detached minibatch of `size` transitions; reading makes it. What was read is checked
 * with the tape. */
qg_status qg_minibatch_pass(const qg_transition_form *form, qg_tape *tape, int size, int actions,
                            qg_minibatch *minibatch, qg_error *error);

#endif
