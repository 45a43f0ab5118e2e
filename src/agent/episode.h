/* An episode of a domain: how it begins, and one step of it. Whoever plays goes through here:
 * training, evaluations, the teachers of a distillation. */
#ifndef QG_EPISODE_H
#define QG_EPISODE_H

#include <qgraft/domain.h>

#include "agent/tape.h"
#include "base/random.h"

typedef struct qg_episode {
    qg_domain *domain;   /* not owned */
    int noop_max;        /* 1 ... noop_max no-op frames begin an episode; 0: none */
    bool life_loss_ends; /* a lost life ends the episode; the game goes on in the next one */
    qg_random noops;     /* how many */

    bool over;          /* the next thing to do is to begin one */
    bool game_over;     /* ... with a new game */
    bool truncated;     /* it is over, but its last state still has a value */
    int64_t steps;      /* of the game so far */
    double game_return; /* sum of its rewards, as the domain gives them */
    bool ended_between; /* of qg_episode_begin: the game went on, and has ended under the no-ops */
    double last_return; /* ... with this return */
} qg_episode;

/* Before the first episode. */
qg_episode qg_episode_of(qg_domain *domain, int noop_max, qg_random noops);

/* Begins one. `screen` gets the first screen, qg_observation_size bytes. Fails as qg_domain_reset.
 */
qg_status qg_episode_begin(qg_episode *episode, uint8_t *screen, qg_error *error);

/* Plays an action; the episode is not over. Fails as qg_domain_step. */
qg_status qg_episode_step(qg_episode *episode, int action, qg_step *step, uint8_t *screen,
                          qg_error *error);

/* Passes it and the domain over a checkpoint's tape. An episode that the domain has lost is over,
 * truncated. QG_ERROR_USAGE: the domain cannot be saved. */
qg_status qg_episode_pass(qg_episode *episode, qg_tape *tape, qg_error *error);

#endif
