/* Reuse of a policy that is there already, while another one is learned: whom a training asks who
 * acts, how much it learns before its steps go on, and what its loss has beside the TD error. What
 * stands behind it is filled in by transfer/source_policy.c. */
#ifndef QG_REUSE_H
#define QG_REUSE_H

#include <qgraft/agent.h>
#include <qgraft/td_learner.h>

#include "base/random.h"

struct qg_reuse {
    void *self;
    int64_t play_steps;      /* the first of the run, in which nothing is learned */
    int64_t offline_updates; /* behind them, before the next step */

    /* Writes to *action what the old policy does at this step of the run, `age` steps into a game;
     * leaves it as it is where the new one shall act. `random`: a stream of its own. */
    qg_status (*act)(void *self, int64_t step, int64_t age, qg_random *random,
                     const qg_states *state, int *action, qg_error *error);

    /* Before an update from `states`, `since` steps behind the first one that learns: looks at them
     * and writes to *adds whether its loss is anything. */
    qg_status (*study)(void *self, int64_t since, const qg_states *states, bool *adds,
                       qg_error *error);
    qg_auxiliary_loss *loss; /* on what was looked at last; its context is `self` */
};

#endif
