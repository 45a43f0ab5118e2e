/* Networks: an architecture as data, and its parameters in PyTorch's layout.
 *
 * A deep Q-network is a list of convolutions and linear layers with a ReLU behind each but the
 * last; the last linear layer has one output per action. That of a dueling network (Wang et al.
 * 2016) has two heads instead: its first output is the state's value and sees the first half of the
 * layer below (the value stream), the others are the actions' advantages and see the second; the
 * q-values are value + advantage - mean advantage (equation 9). Its "weighted layers" are counted
 * from the input, 1 ... layer_count: what a graft copies. A qg_network is the form that files hold
 * and that layers are copied in; an engine (engine.h) computes with a layout of its own. */
#ifndef QGRAFT_NETWORK_H
#define QGRAFT_NETWORK_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QG_MAX_LAYERS        16
#define QG_PART_NAME         16 /* bytes of the name of a part, 1 to 15 small letters, with the NUL */
#define QG_ARCHITECTURE_TEXT 1024 /* bytes of an architecture as text, with the final NUL */
#define QG_ACTION_NAMES      4096 /* bytes of the names of all actions, with commas and the NUL */

typedef enum qg_layer_kind { QG_CONV, QG_LINEAR } qg_layer_kind;

/* One weighted layer. Weights [outputs][in_channels][kernel][kernel] (conv) or
 * [outputs][in_channels * in_height * in_width], channel-major (linear); biases [outputs]. */
typedef struct qg_layer {
    qg_layer_kind kind;
    char name[12];           /* conv1, conv2, ..., fc1, fc2, ... */
    char part[QG_PART_NAME]; /* of a split network: "perception", "decision"; empty: none */
    int in_channels, in_height, in_width;
    bool heads;                  /* of a dueling network, the last layer: value, then advantages */
    bool norm;                   /* layer normalisation of its outputs, in front of the ReLU */
    int outputs;                 /* channels (conv) or units (linear) */
    int out_height, out_width;   /* 1, 1 for a linear layer */
    int kernel, stride, padding; /* of a conv; 0 for a linear layer */
} qg_layer;

typedef struct qg_architecture {
    int channels, height, width; /* the input: history * channels of the screen */
    int input_max;               /* inputs are bytes / input_max: 255 for grey values, 1 for bits;
                                    0: floats as they are, of height and width 1 */
    int actions;
    int layer_count;
    qg_layer layers[QG_MAX_LAYERS];
    char text[QG_ARCHITECTURE_TEXT]; /* the preset's name or the list it was made from */
} qg_architecture;

/* Makes the architecture `text` for this input and number of actions. `text` is a preset:
 *   nature       DQN 3.0: conv 32 8x8/4 padding 1, 64 4x4/2, 64 3x3/1, linear 512
 *   nature-pad0  the same without padding, as PyTorch ports have it
 *   grid         conv 16 3x3 three times, linear 128; the input has 10 channels, so that first
 *                layers fit between the built-in games (fewer are filled up with zeros)
 *   vector       linear 128 twice, for vectors of floats
 *   NAME-dueling (NAME: one of these)
 *                a dueling network: two streams of as many units as the preset's last hidden
 *                linear layer, a value and an advantage head
 *   NAME-norm    layer normalisation behind every hidden layer
 *   NAME-split:W of these
 *                split networks: the convolutions and a linear layer of W units (the bottleneck)
 *                are the part "perception", the linear layers behind it the part "decision"
 *
 * or JSON: [{"conv": 32, "kernel": 8, "stride": 4, "padding": 1}, ..., {"linear": 512}].
 * The last linear layer, one unit per action, is added. {"dueling": 512} as the last of the list
 * makes two streams of 512 units, and heads behind them. "norm": true in a convolution or linear
 * layer normalises its outputs (Ba et al. 2016): minus their mean, over the root of their variance
 * + 1e-5, both of all outputs of one state; it has no parameters (torch.nn.LayerNorm without its
 * affine ones). A layer may have a "part": a name of at most 15 letters; the last layer belongs to
 * the part of the one before it. QG_ERROR_USAGE names the layer that does not fit. */
qg_status qg_architecture_make(const char *text, int channels, int height, int width, int input_max,
                               int actions, qg_architecture *architecture, qg_error *error);

bool qg_architecture_is_dueling(const qg_architecture *architecture);
bool qg_architecture_is_normed(const qg_architecture *architecture); /* is a layer? */

/* Number of inputs of one unit of the layer. */
size_t qg_layer_fan_in(const qg_layer *layer);
size_t qg_layer_weights(const qg_layer *layer); /* outputs * fan_in */
size_t qg_layer_width(const qg_layer *layer);   /* outputs * out_height * out_width */
size_t qg_architecture_parameters(const qg_architecture *architecture); /* weights and biases */

/* Whether two architectures compute the same function of the same parameters. */
bool qg_architecture_equal(const qg_architecture *a, const qg_architecture *b);

/* Parameters of one network, PyTorch's layout, one allocation: layer after layer, weights then
 * biases. */
typedef struct qg_network {
    qg_architecture architecture;
    float *parameters;
    float *weights[QG_MAX_LAYERS]; /* views into `parameters` */
    float *biases[QG_MAX_LAYERS];
} qg_network;

/* All zeros. The caller frees it with qg_network_free. QG_ERROR_MEMORY. */
qg_status qg_network_create(const qg_architecture *architecture, qg_network *network,
                            qg_error *error);
void qg_network_free(qg_network *network); /* a network of zero bytes is allowed */

/* Torch7's initial weights: weights and biases uniform in +-1/sqrt(fan_in). Each layer has a random
 * stream of its own under `seed`, so that it starts the same whatever the other layers are. */
void qg_network_initialise(qg_network *network, uint64_t seed);

/* SHA-256 of what the network is, in 64 lower-case hexadecimal digits: of its input, its layers and
 * its parameters, whatever they are called and whatever else the file says. The bytes: a line
 * "input CHANNELS HEIGHT WIDTH MAX", for each layer a line "conv OUTPUTS KERNEL STRIDE PADDING" or
 * "linear OUTPUTS", of the last layer of a dueling network "heads OUTPUTS" (each with a newline
 * behind it), behind one with layer normalisation a line "norm", then layer after layer the weights
 * and the biases as they lie in files. */
void qg_network_sha256(const qg_network *network, char hex[65]);

/* One more line of metadata; both strings are borrowed. */
typedef struct qg_note {
    const char *key, *value;
} qg_note;

/* What a file says about its network beside the parameters. Strings are empty where unknown. */
typedef struct qg_network_info {
    char domain[96];
    char actions[QG_ACTION_NAMES]; /* in the order of the outputs, separated by commas */
    int history;                   /* screens per state; 0: unknown */
    char precision[16]; /* it was trained in (settings.h); files say nothing of float32 */
    char emulator[32];  /* that it was trained on (qg_game); empty: none, or that before ALE */
    uint64_t seed;
    int64_t step;           /* agent steps it was trained for */
    double score;           /* of its evaluation; NaN: not evaluated */
    double confirmed_score; /* of a run's best network: when it was played once more, with other
                               seeds; NaN: it was not */
    /* Written as they are (a pedigree), under keys that the file does not have itself; not filled
     * when a file is read. */
    const qg_note *notes;
    size_t note_count;
} qg_network_info;

/* Reads and checks a network file (safetensors in PyTorch's layout, architecture in the metadata)
 * into `network`, which the caller frees, and `info`. Every message begins with the path.
 * QG_ERROR_IO, QG_ERROR_DATA (no network, damaged, not finite), QG_ERROR_MEMORY; nothing is to be
 * freed after a failure, but may be when `network` was of zero bytes before. */
qg_status qg_network_load(const char *path, qg_network *network, qg_network_info *info,
                          qg_error *error);

/* What a network file holds, checked like qg_network_load, which can fail in the same ways. */
qg_status qg_network_look(const char *path, qg_architecture *architecture, qg_network_info *info,
                          qg_error *error);

/* Writes a network file, complete or not at all: QG_ERROR_IO or QG_ERROR_MEMORY leave an older file
 * as it was. */
qg_status qg_network_save(const char *path, const qg_network *network, const qg_network_info *info,
                          qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
