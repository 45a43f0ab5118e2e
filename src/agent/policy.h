/* The behaviour policy: epsilon-greedy with a linear schedule. */
#ifndef QG_POLICY_H
#define QG_POLICY_H

#include <qgraft/engine.h>
#include <qgraft/settings.h>

#include "base/random.h"

/* epsilon at an agent step: epsilon_start until learning starts, then linear to epsilon_end over
 * epsilon_steps (DQN 3.0). */
double qg_epsilon(const qg_settings *settings, int64_t step);

/* Decides whether to explore. True: *action is random and the network need not be asked. */
bool qg_explore(qg_random *random, double epsilon, int actions, int *action);

/* The best action of the online network on one state, ties broken by chance. Fails as
 * qg_engine_forward. */
qg_status qg_exploit(qg_random *random, qg_engine *engine, const qg_states *state, int *action,
                     qg_error *error);

#endif
