#include <qgraft/agent.h>
#include <qgraft/td_learner.h>

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

float qg_learned_reward(const qg_settings *settings, float reward)
{
    if (!settings->clip_reward) return reward;
    return reward > 1 ? 1 : reward < -1 ? -1 : reward;
}

qg_learning qg_learning_of(const qg_settings *settings)
{
    qg_optimiser optimiser = {
        .kind = QG_RMSPROP_CENTRED,
        .learning_rate = (float)settings->learning_rate,
        .rmsprop = {(float)settings->rms_decay, (float)settings->rms_epsilon}};
    if (strcmp(settings->optimiser, "adam") == 0) {
        optimiser.kind = QG_ADAM;
        optimiser.adam.beta1 = settings->adam_beta1;
        optimiser.adam.beta2 = settings->adam_beta2;
        optimiser.adam.epsilon = settings->adam_epsilon;
    }
    return (qg_learning){.optimiser = optimiser,
                         .max_norm = (float)settings->max_grad_norm,
                         .l2 = (float)settings->l2,
                         .dropout_conv = (float)settings->dropout_conv,
                         .dropout_linear = (float)settings->dropout_linear};
}

static qg_engine_options engine_of(const qg_architecture *architecture, const qg_settings *settings,
                                   bool anchored, const qg_machine *machine)
{
    return (qg_engine_options){.architecture = architecture,
                               .precision = settings->precision,
                               .max_batch = settings->minibatch,
                               .machine = *machine,
                               .target = true,
                               .anchored = anchored,
                               .optimiser = qg_learning_of(settings).optimiser.kind};
}

/* Floats for targets and for the Q-values of both networks. */
static size_t room_of(const qg_architecture *architecture, const qg_settings *settings)
{
    return (size_t)settings->minibatch * (2 * (size_t)architecture->actions + 1);
}

qg_status qg_td_learner_bytes(const qg_architecture *architecture, const qg_settings *settings,
                              bool anchored, const qg_machine *machine, size_t *bytes,
                              qg_error *error)
{
    const qg_engine_options options = engine_of(architecture, settings, anchored, machine);
    const qg_status status = qg_engine_bytes(&options, bytes, error);
    if (!status) *bytes += room_of(architecture, settings) * sizeof(float);
    return status;
}

qg_status qg_td_learner_create(const qg_architecture *architecture, const qg_settings *settings,
                               bool anchored, const qg_machine *machine, qg_td_learner *learner,
                               qg_error *error)
{
    const size_t count = room_of(architecture, settings);
    const qg_engine_options options = engine_of(architecture, settings, anchored, machine);
    const bool mse = strcmp(settings->loss, "mse") == 0;
    *learner = (qg_td_learner){.learning = qg_learning_of(settings),
                               .discount = (float)settings->discount,
                               .clip_error = mse ? 0 : (float)settings->clip_error,
                               .double_q = settings->double_q,
                               .slope = mse ? 2 : 1,
                               .mean = strcmp(settings->reduction, "mean") == 0,
                               .targets = malloc(count * sizeof *learner->targets)};
    if (!learner->targets)
        return qg_fail_memory(error, "a learner", count * sizeof *learner->targets);
    learner->values = learner->targets + settings->minibatch;
    const qg_status status = qg_engine_create(&options, &learner->engine, error);
    if (status) qg_td_learner_free(learner);
    return status;
}

void qg_td_learner_free(qg_td_learner *learner)
{
    qg_engine_destroy(learner->engine);
    free(learner->targets);
    *learner = (qg_td_learner){0};
}

/* ------------------------------------------------------------------------- the equation */

/* The values of the next states into learner->values [size], their targets into learner->targets.
 */
static qg_status find_targets(const qg_td_learner *learner, const qg_batch *batch, qg_error *error)
{
    const int actions = learner->engine->architecture.actions, size = batch->next_states.size;
    float *values = learner->values, *choosing = values;
    qg_status status =
        qg_engine_forward(learner->engine, QG_TARGET, &batch->next_states, values, error);
    if (learner->double_q && !status) {
        choosing = values + (size_t)size * (size_t)actions;
        status =
            qg_engine_forward(learner->engine, QG_ONLINE, &batch->next_states, choosing, error);
    }
    for (int i = 0; i < size && !status; i++) {
        const size_t row = (size_t)i * (size_t)actions;
        const int best = qg_greedy_action(choosing + row, actions, 0); /* of equal ones the first */
        const float value = values[row + (size_t)best];
        learner->targets[i] = batch->rewards[i];
        const float discount = batch->discounts ? batch->discounts[i] : learner->discount;
        if (!batch->terminals[i]) learner->targets[i] += discount * value;
        values[i] = value; /* of a row that has been looked at */
    }
    return status;
}

/* q_values [actions] of the state of transition i. */
static float td_error_of(const qg_td_learner *learner, const qg_batch *batch, int i,
                         const float *q_values)
{
    const float error = learner->targets[i] - q_values[batch->actions[i]];
    const float limit = learner->clip_error;
    return limit > 0 ? error > limit ? limit : error < -limit ? -limit : error : error;
}

/* ------------------------------------------------------------------------- learning */

typedef struct lesson {
    const qg_td_learner *learner;
    const qg_batch *batch;
    const qg_td_trace *trace;
} lesson;

static void take_loss(void *context, int size, const float *q_values, float *gradient)
{
    const lesson *l = context;
    const size_t actions = (size_t)l->learner->engine->architecture.actions;
    const float scale = l->learner->mean ? l->learner->slope / (float)size : l->learner->slope;
    for (int i = 0; i < size; i++) {
        const size_t row = (size_t)i * actions;
        const float error = td_error_of(l->learner, l->batch, i, q_values + row);
        const float weight = l->batch->weights ? l->batch->weights[i] : 1;
        gradient[row + (size_t)l->batch->actions[i]] = weight * scale * error;
        if (l->learner->auxiliary)
            l->learner->auxiliary(l->learner->auxiliary_context, i, q_values + row,
                                  l->learner->mean ? weight / (float)size : weight, gradient + row);
        if (l->trace->td_errors) l->trace->td_errors[i] = error;
    }
    if (l->trace->q_values)
        memcpy(l->trace->q_values, q_values, (size_t)size * actions * sizeof *q_values);
}

qg_status qg_td_learner_update(qg_td_learner *learner, const qg_batch *batch, uint64_t draw,
                               const qg_td_trace *trace, qg_error *error)
{
    static const qg_td_trace nothing = {0};
    assert(batch->states.size == batch->next_states.size &&
           batch->states.size <= learner->engine->max_batch);
    lesson l = {learner, batch, trace ? trace : &nothing};
    const qg_status status = find_targets(learner, batch, error);
    if (status) return status;
    return qg_engine_descend(learner->engine,
                             &(qg_descent){.learning = &learner->learning,
                                           .states = batch->states,
                                           .loss = take_loss,
                                           .context = &l,
                                           .draw = draw,
                                           .keep_gradient = l.trace->keep_gradient},
                             error);
}

/* ------------------------------------------------------------------------- validation */

/* At most max_batch of the transitions, from `begin` on. */
static qg_batch some(const qg_batch *batch, int begin, int most)
{
    return (qg_batch){.states = qg_states_some(&batch->states, begin, most),
                      .next_states = qg_states_some(&batch->next_states, begin, most),
                      .actions = batch->actions + begin,
                      .rewards = batch->rewards + begin,
                      .terminals = batch->terminals + begin,
                      .discounts = batch->discounts ? batch->discounts + begin : NULL};
}

qg_status qg_td_learner_validate(const qg_td_learner *learner, const qg_batch *batch, double *value,
                                 double *td_error, qg_error *error)
{
    const size_t actions = (size_t)learner->engine->architecture.actions;
    const int size = batch->states.size, most = learner->engine->max_batch;
    float *q_values = learner->values + (size_t)most * actions;
    double values = 0, errors = 0;
    for (int begin = 0; begin < size; begin += most) {
        const qg_batch part = some(batch, begin, most);
        qg_status status = find_targets(learner, &part, error);
        if (!status)
            status = qg_engine_forward(learner->engine, QG_ONLINE, &part.states, q_values, error);
        if (status) return status;
        for (int i = 0; i < part.states.size; i++) {
            values += (double)learner->values[i];
            errors += (double)fabsf(td_error_of(learner, &part, i, q_values + (size_t)i * actions));
        }
    }
    *value = values / size;
    *td_error = errors / size;
    return QG_OK;
}
