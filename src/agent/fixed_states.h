/* Fixed states: some that random play of a game comes by, the same for whoever asks, on which
 * networks are looked at and compared. */
#ifndef QG_FIXED_STATES_H
#define QG_FIXED_STATES_H

#include <qgraft/engine.h>

#include <signal.h>

typedef struct qg_fixed_states_plan {
    const char *domain;
    int parts;         /* screens of a state */
    int part_channels; /* of each, zeros behind the game's own; 0: those alone */
    int count;
    int64_t steps; /* of the play, >= count: the states are evenly spread over them */
    const qg_architecture *seen_by; /* a network that must see such states; NULL: any may be */
    uint32_t seed; /* the play is that of `qgraft rollout DOMAIN --random STEPS --seed SEED` */
    const volatile sig_atomic_t *stop; /* becomes non-zero: QG_STOPPED; may be NULL */
} qg_fixed_states_plan;

typedef struct qg_fixed_states {
    qg_states states; /* point into the below */
    const uint8_t **screens;
    uint8_t *memory;
} qg_fixed_states;

/* Plays and keeps them; the caller frees them. Fails as qg_random_play, and qg_network_sees of
 * `seen_by`. */
qg_status qg_fixed_states_create(const qg_fixed_states_plan *plan, qg_fixed_states *fixed,
                                 qg_error *error);
void qg_fixed_states_free(qg_fixed_states *fixed); /* of zero bytes is allowed */

#endif
