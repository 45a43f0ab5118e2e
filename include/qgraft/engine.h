/* An engine computes with networks: acting (forward) and learning (descending a loss).
 *
 * It holds parameters of one architecture in a layout of its own: the online network, a target
 * network, and what its optimiser keeps. There may be many engines: each is a qg_engine_class, a
 * table of what an engine does, and a run chooses one by its `precision`, on which its bits depend.
 * How an engine uses the machine (threads, instruction set) changes no bit. An engine knows no
 * rewards: what is to be learned is a loss of the caller's (td_learner.h). One thread at a time may
 * use an engine. Every call can fail, as an engine may compute on a device; a wrong index, a
 * parameter set that the engine does not hold or another architecture is a programming error. */
#ifndef QGRAFT_ENGINE_H
#define QGRAFT_ENGINE_H

#include <qgraft/network.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------- what it is made for */

/* How an engine uses this machine; changes no bit of a result. */
typedef struct qg_machine {
    int threads;     /* 0: one; at most 256 */
    const char *isa; /* instruction set: "amx", "avx512", "avx2", "portable"; NULL: the best */
} qg_machine;

typedef enum qg_optimiser_kind {
    QG_NO_OPTIMISER,    /* the engine acts and does not learn */
    QG_RMSPROP_CENTRED, /* Graves 2013, eq. 38-45, without momentum; two moments */
    QG_ADAM,            /* Kingma & Ba 2015, algorithm 1; two moments and the number of steps */
} qg_optimiser_kind;

/* The step w += ... along d, the direction of ascent (a sum over the minibatch). */
typedef struct qg_optimiser {
    qg_optimiser_kind kind;
    float learning_rate;
    union {
        struct {
            float decay, epsilon;
        } rmsprop; /* w += learning_rate * d / sqrt(m2 - m1^2 + epsilon) */
        struct {
            double beta1, beta2, epsilon;
        } adam; /* w += learning_rate * m1^ / (sqrt(m2^) + epsilon), ^ without their bias */
    };
} qg_optimiser;

/* How parameters learn; the names are those of qg_settings. */
typedef struct qg_learning {
    qg_optimiser optimiser;
    /* Farebrother et al. 2018; all 0: off, and the bits are those of the plain step. */
    float l2;                           /* weight decay: d - l2 * w for weights, not for biases */
    float dropout_conv, dropout_linear; /* probability that an output of a hidden layer is dropped
                                           from the online network while it learns (inverted: the
                                           others are scaled by 1 / (1 - p)) */
    const float *layer_rates;           /* [layers] factors of the learning rate; NULL: all 1 */
    float max_norm; /* of the gradient of all free layers, in front of pull and decay: a larger one
                       is scaled down to it (Pascanu et al. 2013, algorithm 1); 0: none is */
} qg_learning;

typedef struct qg_engine_options {
    const qg_architecture *architecture;
    const char *precision; /* name of its class; NULL: float32 */
    int max_batch;         /* states that it takes at once */
    qg_machine machine;
    bool target;                 /* whether it holds a target network */
    bool anchored;               /* whether it holds an anchor and its pull */
    qg_optimiser_kind optimiser; /* that it learns by */
} qg_engine_options;

/* ------------------------------------------------------------------------- what it holds */

typedef enum qg_parameter_set {
    QG_ONLINE,
    QG_TARGET,
    QG_MOMENT1, /* the optimiser's */
    QG_MOMENT2,
    /* Where learning is pulled back to, and how strongly, parameter by parameter: d - pull * (w -
     * anchor), in front of the weight decay. With a pull of alpha that is L2-SP (Li et al. 2018,
     * eq. 1), with lambda * F elastic weight consolidation (Kirkpatrick et al. 2017, eq. 3). */
    QG_ANCHOR,
    QG_PULL,
    QG_GRADIENT, /* of the last step that kept it or limited its norm; no part of the state */
    QG_PARAMETER_SETS,
} qg_parameter_set;

/* A piece of an engine's state: of what its results to come depend on. */
typedef struct qg_slot {
    const char *name;     /* "online", "target", "moment1", ... */
    qg_parameter_set set; /* parameters, unless: */
    uint64_t *counter;    /* it is this number */
} qg_slot;

enum { QG_MAX_SLOTS = QG_PARAMETER_SETS };

typedef struct qg_engine_class qg_engine_class;
typedef struct qg_stopwatch qg_stopwatch;

/* An engine as all see it; the fields are for reading. */
typedef struct qg_engine {
    const qg_engine_class *methods;
    void *self; /* of the class */
    qg_architecture architecture;
    int max_batch;
    qg_optimiser_kind optimiser;
    uint64_t steps; /* of the optimiser */
    bool frozen[QG_MAX_LAYERS];
    uint64_t idle[QG_MAX_LAYERS]; /* of these steps, those that a layer was frozen for */
    size_t slot_count;
    qg_slot slots[QG_MAX_SLOTS]; /* all of its state, the online network first */
} qg_engine;

/* States of the network: `size` times `parts` screens u8 [height][width][part_channels], or vectors
 * float [part_channels] where the input is floats, oldest first; NULL is a screen of zeros. parts *
 * part_channels may be smaller than the network's input channels: the rest is zeros. */
typedef struct qg_states {
    int size, parts, part_channels;
    const uint8_t *const *screens; /* [size * parts] */
} qg_states;

/* At most `most` of the states, from `begin` on. */
qg_states qg_states_some(const qg_states *states, int begin, int most);

/* ------------------------------------------------------------------------- what it does */

/* Makes an engine whose parameters are all zero. The caller destroys *engine. QG_ERROR_USAGE: there
 * is no such precision, so many threads are none, or the machine lacks the instruction set;
 * QG_ERROR_MEMORY. */
qg_status qg_engine_create(const qg_engine_options *options, qg_engine **engine, qg_error *error);
void qg_engine_destroy(qg_engine *engine);          /* NULL is allowed */
const char *qg_engine_isa(const qg_engine *engine); /* what it computes with; static */

/* Memory of an engine in bytes, without making it; fails as qg_engine_create. */
qg_status qg_engine_bytes(const qg_engine_options *options, size_t *bytes, qg_error *error);

/* Copies parameters into and out of the engine; `network` has the engine's architecture. */
qg_status qg_engine_write(qg_engine *engine, qg_parameter_set set, const qg_network *network,
                          qg_error *error);
qg_status qg_engine_read(const qg_engine *engine, qg_parameter_set set, qg_network *network,
                         qg_error *error);

qg_status qg_engine_copy_to_target(qg_engine *engine, qg_error *error); /* target = online */

/* target += tau * (online - target), tau from 0 to 1 (Lillicrap et al. 2016). */
qg_status qg_engine_mix_into_target(qg_engine *engine, float tau, qg_error *error);

/* A frozen layer's parameters and moments are never written by a step, and nothing is computed for
 * it or below the lowest free layer in the backward pass. A layer's steps of Adam are counted from
 * its own first one, as PyTorch counts those of a parameter; of a learner that goes on where layers
 * have been frozen before, `idle` is state, too. `layer` counts from 0. */
void qg_engine_freeze(qg_engine *engine, int layer, bool frozen);

/* q_values [size][actions] of the online or target network; any size (more than `max_batch` states
 * are taken in turns). */
qg_status qg_engine_forward(qg_engine *engine, qg_parameter_set set, const qg_states *states,
                            float *q_values, qg_error *error);

/* The outputs of weighted layer `layer` (from 0; behind its ReLU, where it has one): out [size]
 * [outputs * out_height * out_width] of the layer, channel-major as PyTorch flattens them. */
qg_status qg_engine_activations(qg_engine *engine, qg_parameter_set set, const qg_states *states,
                                int layer, float *out, qg_error *error);

/* Those of several layers at once: out[l] as above for layer l, NULL where they are not wanted. */
qg_status qg_engine_layers(qg_engine *engine, qg_parameter_set set, const qg_states *states,
                           float *const out[QG_MAX_LAYERS], qg_error *error);

/* A loss on the outputs of a minibatch: q_values [size][actions] of the online network (as it is
 * dropped out). Writes to gradient [size][actions], which is zeros before, the direction in which
 * the outputs shall move, -dL/dq. It must not call this engine, whose pass it would write over. */
typedef void qg_loss(void *context, int size, const float *q_values, float *gradient);

/* One step of the online network down a loss of the caller's. */
typedef struct qg_descent {
    const qg_learning *learning; /* its optimiser is of the engine's kind */
    qg_states states;            /* 1 ... max_batch */
    qg_loss *loss;               /* called once, on the caller's thread */
    void *context;
    uint64_t draw;      /* which outputs are dropped: another number for every step */
    bool keep_gradient; /* d = sum over the minibatch of -dL/dq * dq/dw, behind pull, weight decay
                           and the limit of the norm, can be read as QG_GRADIENT (zeros for frozen
                           layers) */
} qg_descent;

qg_status qg_engine_descend(qg_engine *engine, const qg_descent *descent, qg_error *error);

/* ------------------------------------------------------------------------- how one is added */

/* What can be relied on of an engine's results. */
typedef struct qg_exactness {
    bool same_bits; /* whatever the machine: its threads, its instruction set */
    double error;   /* largest error of a tensor of one step against the same in doubles, over its
                       largest value */
} qg_exactness;

/* What an engine does: `self` is what `create` made. The functions above check what is common to
 * all engines and call these. */
struct qg_engine_class {
    const char *name; /* the precision: a value of the setting */
    qg_exactness exactness;
    bool takes_vectors; /* computes with inputs of floats, too */
    /* The class that gives the same results on this machine, faster, which is then used, or this
     * one; NULL: there is no other. */
    const qg_engine_class *(*choose)(const qg_engine_options *options);
    qg_status (*create)(const qg_engine_options *options, void **self, qg_error *error);
    void (*destroy)(void *self);
    qg_status (*bytes)(const qg_engine_options *options, size_t *bytes, qg_error *error);
    const char *(*isa)(const void *self);
    qg_status (*write)(void *self, qg_parameter_set set, const qg_network *network,
                       qg_error *error);
    qg_status (*read)(const void *self, qg_parameter_set set, qg_network *network, qg_error *error);
    qg_status (*copy_to_target)(void *self, qg_error *error);
    qg_status (*mix_into_target)(void *self, float tau, qg_error *error);
    /* At most max_batch states. */
    qg_status (*forward)(void *self, qg_parameter_set set, const qg_states *states, float *q_values,
                         qg_error *error);
    qg_status (*activations)(void *self, qg_parameter_set set, const qg_states *states,
                             float *const out[QG_MAX_LAYERS], qg_error *error);
    /* frozen [layers]; steps [layers]: number of the optimiser's step, from 1; each layer counts
     * its own. */
    qg_status (*descend)(void *self, const qg_descent *descent, const bool *frozen,
                         const uint64_t *steps, qg_error *error);
    /* From now on it adds its times to *stopwatch, until NULL is given; NULL: it takes none. */
    void (*time)(void *self, qg_stopwatch *stopwatch);
};

/* All engines, the one that is taken where none is named first; static. */
const qg_engine_class *const *qg_engine_classes(size_t *count);

/* The one of this name, NULL: the first. QG_ERROR_USAGE lists those that there are. */
qg_status qg_engine_find_class(const char *precision, const qg_engine_class **found,
                               qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
