/* What the steps of a training and those who look on do in the same way. */
#include "agent/trainer.h"

#include <string.h>

void qg_trainer_fill_initial(const qg_train_options *options, qg_network *network)
{
    if (options->initial)
        memcpy(network->parameters, options->initial->parameters,
               qg_architecture_parameters(&network->architecture) * sizeof(float));
    else
        qg_network_initialise(network, options->run.seed);
}

/* Of the weights of importance: rises in a line to 1. */
static double priority_beta(const qg_trainer *t)
{
    const qg_settings *s = t->settings;
    const int64_t span =
        s->priority_beta_steps ? s->priority_beta_steps : t->run.steps - t->learn_start;
    const int64_t since = t->run.step - t->learn_start;
    if (since >= span) return 1;
    return s->priority_beta + (1 - s->priority_beta) * (double)since / (double)span;
}

void qg_trainer_draw(const qg_trainer *t, qg_random *random, qg_minibatch *minibatch)
{
    if (t->settings->prioritised)
        qg_replay_sample_by_priority(t->replay, random, priority_beta(t), minibatch);
    else
        qg_replay_sample(t->replay, random, minibatch);
}

qg_status qg_trainer_study(const qg_trainer *t, qg_td_learner *learner, const qg_states *states,
                           qg_error *error)
{
    const qg_reuse *reuse = t->options->reuse;
    const int64_t since = t->run.step - t->learn_start - 1;
    bool adds = false;
    if (!reuse) return QG_OK;
    const qg_status status = reuse->study(reuse->self, since, states, &adds, error);
    learner->auxiliary = adds ? reuse->loss : NULL;
    learner->auxiliary_context = reuse->self;
    return status;
}
