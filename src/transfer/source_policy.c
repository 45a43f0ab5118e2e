#include "transfer/source_policy.h"

#include <qgraft/distillation.h>

#include "agent/policy.h"
#include "base/exact_power.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- its actions */

qg_status qg_source_policy_pair(const qg_graft_choice *choice, const qg_network *source,
                                const char *source_actions, const char *target_actions,
                                qg_source_policy *p, qg_error *error)
{
    const bool by_index = choice->match == QG_MATCH_INDEX;
    const int outputs = source->architecture.actions;
    const char *name = target_actions;
    p->plan = choice->reuse;
    for (p->actions = 0; *name; p->actions++) {
        const size_t length = strcspn(name, ",");
        const int output = by_index ? p->actions : qg_text_find_name(source_actions, name, length);
        if (output >= 0 && output < outputs) {
            p->outputs[p->shared] = output;
            p->own[p->shared++] = p->actions;
        }
        name += length + (name[length] == ',');
    }
    if (by_index && p->actions != outputs)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`match` index: the source has %d actions, the target %d", outputs,
                       p->actions);
    const int needed = p->plan.kickstart ? 2 : 1;
    if (p->shared >= needed) return QG_OK;
    return qg_fail(
        error, QG_ERROR_USAGE,
        "reuse of the source: %s of the target's actions (%.60s) is one of the source's (%.60s)%s",
        p->shared ? "only one" : "none", target_actions,
        source_actions[0] ? source_actions : "unknown",
        p->shared ? ": `kickstart` needs two" : "; `match` index pairs by position");
}

/* -------------------------------------------------------------------------------- its acting */

/* The best of the actions that both have, ties broken by chance. */
static qg_status choose(qg_source_policy *p, qg_random *random, const qg_states *state, int *action,
                        qg_error *error)
{
    float shared[QG_MAX_ACTIONS];
    const qg_status status = qg_engine_forward(p->engine, QG_ONLINE, state, p->q_values, error);
    if (status) return status;
    for (int k = 0; k < p->shared; k++)
        shared[k] = p->q_values[p->outputs[k]];
    *action = p->own[qg_greedy_action(shared, p->shared, qg_random_uniform(random))];
    return QG_OK;
}

/* Warm replay, epsilon-greedy; then policy reuse (Fernandez & Veloso 2006): with a
 * probability that falls from step to step of an episode. */
static qg_status act(void *self, int64_t step, int64_t age, qg_random *random,
                     const qg_states *state, int *action, qg_error *error)
{
    qg_source_policy *p = self;
    const qg_graft_reuse *plan = &p->plan;
    if (step < plan->warm_replay) {
        if (qg_explore(random, p->epsilon, p->actions, action)) return QG_OK;
        return choose(p, random, state, action, error);
    }
    if (!(plan->policy_reuse > 0)) return QG_OK;
    const double psi = plan->policy_reuse * qg_power(plan->policy_reuse_decay, (double)age);
    if (qg_random_uniform(random) >= psi) return QG_OK;
    return choose(p, random, state, action, error);
}

/* ------------------------------------------------------------------------------- its lessons */

static qg_status study(void *self, int64_t since, const qg_states *states, bool *adds,
                       qg_error *error)
{
    qg_source_policy *p = self;
    const qg_graft_reuse *plan = &p->plan;
    *adds = since < plan->kickstart;
    if (!*adds) return QG_OK;
    p->weight = plan->distill_weight * (1 - (double)since / (double)plan->kickstart);
    return qg_engine_forward(p->engine, QG_ONLINE, states, p->q_values, error);
}

static void teach(void *self, int i, const float *q_values, float scale, float *gradient)
{
    const qg_source_policy *p = self;
    const float *source = p->q_values + (size_t)i * (size_t)p->engine->architecture.actions;
    float theirs[QG_MAX_ACTIONS], own[QG_MAX_ACTIONS], direction[QG_MAX_ACTIONS];
    for (int k = 0; k < p->shared; k++) {
        theirs[k] = source[p->outputs[k]];
        own[k] = q_values[p->own[k]];
    }
    qg_distillation_state(QG_LOSS_KL_BOTH, theirs, own, p->shared, p->plan.distill_tau, direction);
    const double strength = (double)scale * p->weight;
    for (int k = 0; k < p->shared; k++)
        gradient[p->own[k]] += (float)(strength * (double)direction[k]);
}

/* --------------------------------------------------------------------------------- its making */

qg_status qg_source_policy_open(const qg_network *source, const qg_settings *settings,
                                const qg_machine *machine, qg_source_policy *p, qg_error *error)
{
    qg_graft_reuse *plan = &p->plan;
    const size_t count = (size_t)settings->minibatch * (size_t)source->architecture.actions;
    if (!(plan->distill_weight > 0)) plan->distill_weight = QG_DISTILL_WEIGHT;
    if (!(plan->distill_tau > 0)) plan->distill_tau = QG_DISTILL_TAU;
    if (!(plan->policy_reuse_decay > 0)) plan->policy_reuse_decay = QG_POLICY_REUSE_DECAY;
    p->epsilon = settings->epsilon_end;
    p->q_values = calloc(count, sizeof *p->q_values);
    if (!p->q_values) return qg_fail_memory(error, "the source's policy", count * sizeof(float));
    const qg_status status =
        qg_engine_create(&(qg_engine_options){.architecture = &source->architecture,
                                              .precision = settings->precision,
                                              .max_batch = settings->minibatch,
                                              .machine = *machine},
                         &p->engine, error);
    return status ? status : qg_engine_write(p->engine, QG_ONLINE, source, error);
}

void qg_source_policy_close(qg_source_policy *p)
{
    qg_engine_destroy(p->engine);
    free(p->q_values);
    *p = (qg_source_policy){0};
}

qg_reuse qg_source_policy_reuse(qg_source_policy *p)
{
    return (qg_reuse){.self = p,
                      .play_steps = p->plan.warm_replay,
                      .offline_updates = p->plan.qdagger,
                      .act = act,
                      .study = study,
                      .loss = teach};
}
