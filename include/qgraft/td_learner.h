/* The TD learner: DQN (Mnih et al. 2015, algorithm 1) in DQN 3.0's form, on any engine.
 *
 *   target   = r + discount * Q_target(s', a*), or r alone where s' is terminal; of n steps
 *              (`n_step`, Sutton & Barto 2018, section 7.1) r is their discounted sum, s' the state
 *              behind them and the discount that of as many steps
 *   a*       = argmax_a Q_target(s', a), or with `double_q` argmax_a Q_online(s', a) (van Hasselt,
 *              Guez & Silver 2016, eq. 4); of equal ones the first
 *   td_error = target - Q(s, a), clipped to [-clip_error, clip_error] unless `loss` is mse
 *
 * Q(s, a) moves along -dL/dQ, where L is a sum or a mean over the minibatch of
 *   clipped   what has the clipped td_error as its slope
 *   huber     td_error^2 / 2 within +-clip_error, clip_error (|td_error| - clip_error / 2) outside:
 *             the same slope, and so the same bits (torch.nn.HuberLoss of delta = clip_error)
 *   mse       td_error^2 (torch.nn.MSELoss): the slope is 2 td_error */
#ifndef QGRAFT_TD_LEARNER_H
#define QGRAFT_TD_LEARNER_H

#include <qgraft/engine.h>
#include <qgraft/settings.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Transitions to learn from. */
typedef struct qg_batch {
    qg_states states, next_states;
    const int32_t *actions;   /* [size] */
    const float *rewards;     /* [size], as they are to be learned: see qg_learned_reward */
    const uint8_t *terminals; /* [size] 1: no value behind next_states */
    const float *discounts;   /* [size] of the next states' values; NULL: the learner's for all */
    const float *weights;     /* [size] of the slopes of the loss; NULL: all are 1 */
} qg_batch;

/* A reward as it is learned: clipped to [-1, 1] where the settings say so. */
float qg_learned_reward(const qg_settings *settings, float reward);

/* What a loss has beside that of the TD error: adds to gradient [actions] `scale` times the
 * direction in which q_values [actions] of state i of the minibatch shall move for it. */
typedef void qg_auxiliary_loss(void *context, int i, const float *q_values, float scale,
                               float *gradient);

/* How parameters are to learn under `settings`. */
qg_learning qg_learning_of(const qg_settings *settings);

typedef struct qg_td_learner {
    qg_engine *engine;
    qg_learning learning;
    float discount, clip_error; /* clip_error 0: not clipped */
    bool double_q;
    float slope;    /* of the loss at a td_error of 1 */
    bool mean;      /* over the minibatch; else a sum */
    float *values;  /* room: [2][max_batch][actions] */
    float *targets; /* room: [max_batch] */
    /* Summed or averaged over the minibatch and weighted as the rest; NULL: none. */
    qg_auxiliary_loss *auxiliary;
    void *auxiliary_context;
} qg_td_learner;

/* Memory of a learner in bytes, without making it; fails as qg_td_learner_create. */
qg_status qg_td_learner_bytes(const qg_architecture *architecture, const qg_settings *settings,
                              bool anchored, const qg_machine *machine, size_t *bytes,
                              qg_error *error);

/* A learner by `settings`, with an engine of their precision that takes minibatches of their size;
 * its parameters are zero. `anchored`: as in qg_engine_options. The caller frees it. Fails as
 * qg_engine_create. */
qg_status qg_td_learner_create(const qg_architecture *architecture, const qg_settings *settings,
                               bool anchored, const qg_machine *machine, qg_td_learner *learner,
                               qg_error *error);
void qg_td_learner_free(qg_td_learner *learner); /* one of zero bytes is allowed */

/* What an update was made of; the arrays are the caller's, NULL: not wanted. */
typedef struct qg_td_trace {
    float *q_values;    /* [size][actions] before the update */
    float *td_errors;   /* [size] */
    bool keep_gradient; /* as in qg_descent */
} qg_td_trace;

/* One update from at most max_batch transitions. `draw`: as in qg_descent. `trace` may be NULL.
 * Fails as the engine does. */
qg_status qg_td_learner_update(qg_td_learner *learner, const qg_batch *batch, uint64_t draw,
                               const qg_td_trace *trace, qg_error *error);

/* Learns nothing: the mean of Q_target(s', a*) and of |td_error| on any number of transitions
 * (DQN 3.0's v_avg and tderr_avg). */
qg_status qg_td_learner_validate(const qg_td_learner *learner, const qg_batch *batch, double *value,
                                 double *td_error, qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
