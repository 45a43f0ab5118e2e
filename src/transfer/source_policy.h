/* The source of a graft as somebody who plays and judges the target game, for the reuse of its
 * policy (agent/reuse.h).
 *
 * Its Q-values of the actions that both games have, q_T, and the new network's of the same, q, give
 *
 *   loss   weight * cross-entropy of softmax(q / tau) under softmax(q_T / tau)
 *
 * which Agarwal et al. 2022 (QDagger) have of Q-learners; the temperature is the same on
 * both sides, so that q may be Q-values, too, and need not be q_T / tau. */
#ifndef QG_SOURCE_POLICY_H
#define QG_SOURCE_POLICY_H

#include <qgraft/graft.h>

#include "agent/reuse.h"

typedef struct qg_source_policy {
    qg_graft_reuse plan; /* with what is the default filled in */
    qg_engine *engine;
    double epsilon; /* of its play */
    int actions;    /* of the target */
    /* The actions that both have: output of the source, action of the target; how many. */
    int outputs[QG_MAX_ACTIONS], own[QG_MAX_ACTIONS], shared;
    float *q_values; /* [minibatch][the source's actions] of what was looked at last */
    double weight;   /* of its loss */
} qg_source_policy;

/* Pairs the actions of the source with those of the target (names separated by commas), as the
 * choice says. QG_ERROR_USAGE: too few are in common for what is asked. */
qg_status qg_source_policy_pair(const qg_graft_choice *choice, const qg_network *source,
                                const char *source_actions, const char *target_actions,
                                qg_source_policy *policy, qg_error *error);

/* Makes it ready, behind the pairing, for a training by `settings`. After a failure, too,
 * qg_source_policy_close releases what was opened. Fails as qg_engine_create. */
qg_status qg_source_policy_open(const qg_network *source, const qg_settings *settings,
                                const qg_machine *machine, qg_source_policy *policy,
                                qg_error *error);
void qg_source_policy_close(qg_source_policy *policy); /* one of zero bytes is allowed */

/* For a training; borrows the policy. */
qg_reuse qg_source_policy_reuse(qg_source_policy *policy);

#endif
