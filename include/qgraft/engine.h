/* An engine computes with networks: acting (forward) and learning (one DQN update).
 *
 * It holds an online and a target network of one architecture and the two moments of centred
 * RMSProp, in a layout of its own. There may be many engines: each is a qg_engine_class, a table of
 * what an engine does, and a run chooses one by its `precision`, on which its bits depend. How an
 * engine uses the machine (threads, instruction set) changes no bit. One thread at a time may use
 * an engine. Every call can fail, as an engine may compute on a device; a wrong index or another
 * architecture is a programming error. */
#ifndef QGRAFT_ENGINE_H
#define QGRAFT_ENGINE_H

#include <qgraft/network.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How an engine uses this machine; changes no bit of a result. */
typedef struct qg_machine {
    int threads;     /* 0: one */
    const char *isa; /* instruction set: "avx512", "avx2", "portable"; NULL: the best there is */
} qg_machine;

/* What an engine is made for. */
typedef struct qg_engine_options {
    const qg_architecture *architecture;
    const char *precision; /* name of its class; NULL: float32 */
    int max_batch;         /* states that it takes at once */
    qg_machine machine;
} qg_engine_options;

typedef struct qg_engine_class qg_engine_class;

/* An engine as all see it. */
typedef struct qg_engine {
    const qg_engine_class *methods;
    void *self; /* of the class */
    qg_architecture architecture;
    int max_batch;
} qg_engine;

typedef enum qg_parameter_set {
    QG_ONLINE,
    QG_TARGET,
    QG_MOMENT1,
    QG_MOMENT2,
    QG_GRADIENT, /* of the last update that kept it */
    QG_PARAMETER_SETS,
} qg_parameter_set;

/* States of the network: `size` times `parts` screens u8 [height][width][part_channels], oldest
 * first; NULL is a screen of zeros. parts * part_channels may be smaller than the network's input
 * channels: the rest is zeros. */
typedef struct qg_states {
    int size, parts, part_channels;
    const uint8_t *const *screens; /* [size * parts] */
} qg_states;

/* Transitions to learn from. */
typedef struct qg_batch {
    qg_states states, next_states;
    const int32_t *actions;   /* [size] */
    const float *rewards;     /* [size], as they are to be learned (clipped) */
    const uint8_t *terminals; /* [size] 1: no value behind next_states */
} qg_batch;

/* Settings of an update; the names are those of qg_settings. */
typedef struct qg_learning {
    float discount;
    float clip_error; /* the TD error is clipped to [-clip_error, clip_error]; 0: it is not */
    float learning_rate, rms_decay, rms_epsilon;
    /* Farebrother et al. 2018; all 0: off, and the bits are those of the plain update. */
    float l2;                           /* weight decay: d - l2 * w for weights, not for biases */
    float dropout_conv, dropout_linear; /* probability that an output of a hidden layer is dropped
                                           from the online network while it learns (inverted: the
                                           others are scaled by 1 / (1 - p)) */
    uint64_t dropout_draw;              /* which outputs: another number for every update */
} qg_learning;

/* Makes an engine whose parameters are all zero. The caller destroys *engine. QG_ERROR_USAGE: there
 * is no such precision, or the machine lacks the instruction set; QG_ERROR_MEMORY. */
qg_status qg_engine_create(const qg_engine_options *options, qg_engine **engine, qg_error *error);
void qg_engine_destroy(qg_engine *engine);          /* NULL is allowed */
const char *qg_engine_isa(const qg_engine *engine); /* what it computes with; static */

/* Copies parameters into and out of the engine; `network` has the engine's architecture. */
qg_status qg_engine_write(qg_engine *engine, qg_parameter_set set, const qg_network *network,
                          qg_error *error);
qg_status qg_engine_read(const qg_engine *engine, qg_parameter_set set, qg_network *network,
                         qg_error *error);

qg_status qg_engine_copy_to_target(qg_engine *engine, qg_error *error); /* target = online */

/* A frozen layer's parameters and moments are never written by an update, and nothing is computed
 * for it or below the lowest free layer in the backward pass. `layer` counts from 0. */
qg_status qg_engine_freeze(qg_engine *engine, int layer, bool frozen, qg_error *error);

/* q_values [size][actions] of the online or target network; any size (more than `max_batch` states
 * are taken in turns). */
qg_status qg_engine_forward(qg_engine *engine, qg_parameter_set set, const qg_states *states,
                            float *q_values, qg_error *error);

/* The outputs of weighted layer `layer` (from 0; behind its ReLU, where it has one): out [size]
 * [outputs * out_height * out_width] of the layer, channel-major as PyTorch flattens them. */
qg_status qg_engine_activations(qg_engine *engine, qg_parameter_set set, const qg_states *states,
                                int layer, float *out, qg_error *error);

/* One update of the online network by DQN (Mnih et al. 2015, algorithm 1), DQN 3.0's form:
 *   td_error = clip(r + discount * max_a Q_target(s', a) * (1 - terminal) - Q(s, a))
 *   d        = sum over the batch of td_error * dQ(s, a)/dw     (the direction of ascent)
 *   w        = w + learning_rate * d / sqrt(m2 - m1^2 + epsilon)   centred RMSProp
 * q_values [size][actions] (before the update) and td_errors [size] may be NULL. With
 * `keep_gradient` d can be read as QG_GRADIENT (zeros for frozen layers). size <= max_batch. */
qg_status qg_engine_update(qg_engine *engine, const qg_learning *learning, const qg_batch *batch,
                           bool keep_gradient, float *q_values, float *td_errors, qg_error *error);

/* A loss on the outputs of one state: adds to gradient [actions] (zeros before) the direction in
 * which the outputs shall move, -dL/dq. `index`: of the state in the batch. */
typedef void qg_loss(void *context, int index, const float *q_values, float *gradient);

/* One step of the online network down a loss of the caller's, by the same RMSProp; the target
 * network is not used. The loss is called once for each state, in order, on the caller's thread. */
qg_status qg_engine_descend(qg_engine *engine, const qg_learning *learning, const qg_states *states,
                            qg_loss *loss, void *context, bool keep_gradient, qg_error *error);

/* What can be relied on of an engine's results. */
typedef struct qg_exactness {
    bool same_bits; /* whatever the machine: its threads, its instruction set */
    double error;   /* largest error of a tensor of one update against the same in doubles, over its
                       largest value */
} qg_exactness;

/* What an engine does: `self` is what `create` made. The functions above check what is common to
 * all engines and call these. */
struct qg_engine_class {
    const char *name; /* the precision: a value of the setting */
    qg_exactness exactness;
    qg_status (*create)(const qg_engine_options *options, void **self, qg_error *error);
    void (*destroy)(void *self);
    const char *(*isa)(const void *self);
    qg_status (*write)(void *self, qg_parameter_set set, const qg_network *network,
                       qg_error *error);
    qg_status (*read)(const void *self, qg_parameter_set set, qg_network *network, qg_error *error);
    qg_status (*copy_to_target)(void *self, qg_error *error);
    qg_status (*freeze)(void *self, int layer, bool frozen, qg_error *error);
    qg_status (*forward)(void *self, qg_parameter_set set, const qg_states *states, float *q_values,
                         qg_error *error);
    qg_status (*activations)(void *self, qg_parameter_set set, const qg_states *states, int layer,
                             float *out, qg_error *error);
    qg_status (*update)(void *self, const qg_learning *learning, const qg_batch *batch,
                        bool keep_gradient, float *q_values, float *td_errors, qg_error *error);
    qg_status (*descend)(void *self, const qg_learning *learning, const qg_states *states,
                         qg_loss *loss, void *context, bool keep_gradient, qg_error *error);
};

/* All engines, the one that is taken where none is named first; static. */
const qg_engine_class *const *qg_engine_classes(size_t *count);

/* The one of this name; QG_ERROR_USAGE lists those that there are. NULL: the first. */
qg_status qg_engine_find_class(const char *precision, const qg_engine_class **found,
                               qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
