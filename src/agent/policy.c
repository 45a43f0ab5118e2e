#include "agent/policy.h"

#include <qgraft/agent.h>

#include <string.h>

double qg_epsilon(const qg_settings *settings, int64_t step)
{
    const bool at_once = strcmp(settings->epsilon_from, "start") == 0;
    const int64_t since = at_once ? step : step - settings->learn_start;
    if (since <= 0) return settings->epsilon_start;
    if (since >= settings->epsilon_steps) return settings->epsilon_end;
    const double share = (double)since / (double)settings->epsilon_steps;
    return settings->epsilon_start + (settings->epsilon_end - settings->epsilon_start) * share;
}

bool qg_explore(qg_random *random, double epsilon, int actions, int *action)
{
    if (qg_random_uniform(random) >= epsilon) return false;
    *action = (int)qg_random_below(random, (uint64_t)actions);
    return true;
}

qg_status qg_exploit(qg_random *random, qg_engine *engine, const qg_states *state, int *action,
                     qg_error *error)
{
    float q_values[QG_MAX_ACTIONS];
    const qg_status status = qg_engine_forward(engine, QG_ONLINE, state, q_values, error);
    if (status) return status;
    *action = qg_greedy_action(q_values, engine->architecture.actions, qg_random_uniform(random));
    return QG_OK;
}

int qg_greedy_action(const float *q_values, int actions, double draw)
{
    float best = q_values[0];
    for (int a = 1; a < actions; a++)
        if (q_values[a] > best) best = q_values[a];
    int ties = 0;
    for (int a = 0; a < actions; a++)
        ties += q_values[a] == best;
    int choice = (int)(draw * ties), action = 0;
    for (int a = 0; a < actions; a++)
        if (q_values[a] == best && choice-- == 0) action = a;
    return action;
}
