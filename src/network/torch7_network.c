#include "network/torch7_network.h"

#include "network/torch7.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MODULES = 128, SIDE = 84, MOST_SIZE = 1 << 16 };

/* What the modules say, gathered from the input on. */
typedef struct gathering {
    const qg_torch7 *file;
    const char *path;
    qg_error *error;
    int channels, height, width;                  /* of the input; 0: not said */
    char layers[QG_ARCHITECTURE_TEXT];            /* as JSON, without the last linear layer */
    const qg_torch7_node *modules[QG_MAX_LAYERS]; /* the weighted layers */
    int count, actions;
    bool open; /* the last layer has no ReLU behind it (yet) */
} gathering;

static qg_status fail(const gathering *g, int module, const qg_torch7_node *node, const char *what)
{
    return qg_fail(g->error, QG_ERROR_DATA, "%s: module %d (%.*s): %s", g->path, module,
                   (int)(node->length < 60 ? node->length : 60), node->text, what);
}

/* A whole number of a module from `least` on; `otherwise` where it has none of this name. -1: no
 * such number. */
static int number(const gathering *g, const qg_torch7_node *module, const char *key, int least,
                  int otherwise)
{
    const qg_torch7_node *const n = qg_torch7_field(g->file, module, key);
    if (!n || n->kind == QG_TORCH7_NIL) return otherwise;
    if (n->kind != QG_TORCH7_NUMBER || !(n->number >= least) || !(n->number <= MOST_SIZE))
        return -1;
    return n->number == (int)n->number ? (int)n->number : -1;
}

__attribute__((format(printf, 2, 3))) static bool append(gathering *g, const char *format, ...)
{
    const size_t length = strlen(g->layers), room = sizeof g->layers - length;
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(g->layers + length, room, format, arguments);
    va_end(arguments);
    return size >= 0 && (size_t)size < room;
}

/* ------------------------------------------------------------------------------------ the modules
 */

static qg_status add_layer(gathering *g, int i, const qg_torch7_node *module)
{
    if (g->open) return fail(g, i, module, "no rectifier stands between it and the layer before");
    if (g->count == QG_MAX_LAYERS) return fail(g, i, module, "more layers than a network may have");
    if (g->actions) { /* the linear layer before is not the last one */
        if (!append(g, "%s{\"linear\": %d}", g->count > 1 ? ", " : "", g->actions))
            return fail(g, i, module, "too many layers");
        g->actions = 0;
    }
    g->modules[g->count++] = module;
    g->open = true;
    return QG_OK;
}

static qg_status add_convolution(gathering *g, int i, const qg_torch7_node *m)
{
    const bool after_linear = g->actions != 0;
    qg_status status = add_layer(g, i, m);
    if (status) return status;
    if (after_linear) return fail(g, i, m, "a convolution behind a linear layer");
    const int inputs = number(g, m, "nInputPlane", 1, -1),
              outputs = number(g, m, "nOutputPlane", 1, -1);
    const int kernel = number(g, m, "kW", 1, -1), stride = number(g, m, "dW", 1, -1);
    const int old = number(g, m, "padding", 0, 0); /* of both sides, until 2015 */
    const int padding = number(g, m, "padW", 0, old);
    if (inputs < 0 || outputs < 0 || kernel < 0 || stride < 0 || old < 0 || padding < 0)
        return fail(g, i, m, "a size of it is missing or wrong");
    if (number(g, m, "kH", 1, -1) != kernel || number(g, m, "dH", 1, -1) != stride ||
        number(g, m, "padH", 0, old) != padding)
        return fail(g, i, m, "kernel, stride and padding must be square");
    if (g->count == 1 && !g->channels) g->channels = inputs;
    if (!append(g, "%s{\"conv\": %d, \"kernel\": %d, \"stride\": %d, \"padding\": %d}",
                g->count > 1 ? ", " : "", outputs, kernel, stride, padding))
        return fail(g, i, m, "too many layers");
    return QG_OK;
}

static qg_status add_linear(gathering *g, int i, const qg_torch7_node *m)
{
    size_t shape[QG_TORCH7_RANK];
    const qg_torch7_node *const weight = qg_torch7_field(g->file, m, "weight");
    const qg_status status = add_layer(g, i, m);
    if (status) return status;
    if (!weight || qg_torch7_shape(g->file, weight, shape) != 2 || shape[0] > MOST_SIZE)
        return fail(g, i, m, "its weight is no tensor [outputs][inputs] of floats");
    g->actions = (int)shape[0];
    return QG_OK;
}

/* A rectifier: of DQN 3.0 and of nn, where it is a threshold of 0. */
static bool is_rectifier(const gathering *g, const qg_torch7_node *m)
{
    if (qg_torch7_is(m, "nn.Rectifier")) return true;
    return (qg_torch7_is(m, "nn.ReLU") || qg_torch7_is(m, "nn.Threshold")) &&
           number(g, m, "threshold", 0, 0) == 0 && number(g, m, "val", 0, 0) == 0;
}

/* Of the first module: the input's shape; of a later one the flatten, whose order is ours. */
static qg_status add_reshape(gathering *g, int i, const qg_torch7_node *m)
{
    const qg_torch7_node *const size = qg_torch7_field(g->file, m, "size");
    if (g->count || !size || size->count != 3) return QG_OK;
    int *const sides[] = {&g->channels, &g->height, &g->width};
    for (size_t d = 0; d < 3; d++) {
        const int64_t side = qg_torch7_long(g->file, size, d);
        if (side < 1 || side > MOST_SIZE) return fail(g, i, m, "a size of it is wrong");
        *sides[d] = (int)side;
    }
    return QG_OK;
}

static qg_status add_module(gathering *g, int i, const qg_torch7_node *m)
{
    if (qg_torch7_is(m, "nn.SpatialConvolution") || qg_torch7_is(m, "nn.SpatialConvolutionMM"))
        return add_convolution(g, i, m);
    if (qg_torch7_is(m, "nn.Linear")) return add_linear(g, i, m);
    if (qg_torch7_is(m, "nn.Reshape") || qg_torch7_is(m, "nn.View")) return add_reshape(g, i, m);
    if (!is_rectifier(g, m))
        return fail(g, i, m,
                    "only SpatialConvolution, SpatialConvolutionMM, Linear, Rectifier, ReLU, "
                    "Reshape and View of nn are known");
    if (!g->open) return fail(g, i, m, "no layer stands before it");
    g->open = false;
    return QG_OK;
}

static qg_status gather(gathering *g, const qg_torch7_node *sequential)
{
    const qg_torch7_node *const modules = qg_torch7_field(g->file, sequential, "modules");
    qg_status status = QG_OK;
    append(g, "[");
    for (int i = 1; modules && !status; i++) {
        const qg_torch7_node *const m = qg_torch7_element(g->file, modules, i);
        if (!m) break;
        status = i > MOST_MODULES ? fail(g, i, m, "too many modules") : add_module(g, i, m);
    }
    if (status) return status;
    append(g, "]");
    if (!g->actions || !g->open)
        return qg_fail(g->error, QG_ERROR_DATA,
                       "%s: its last layer is no nn.Linear without a rectifier behind it", g->path);
    return QG_OK;
}

/* ------------------------------------------------------------------------------------ the network
 */

/* By its preset's name where it is one. */
static qg_status make_architecture(const gathering *g, qg_architecture *a)
{
    static const char *const presets[] = {"nature", "nature-pad0"};
    const int channels = g->channels ? g->channels : 4;
    const int height = g->height ? g->height : SIDE, width = g->width ? g->width : SIDE;
    qg_error inner;
    if (qg_architecture_make(g->layers, channels, height, width, 255, g->actions, a, &inner))
        return qg_fail(g->error, QG_ERROR_DATA, "%s: %.300s", g->path, inner.message);
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        qg_architecture preset;
        if (qg_architecture_make(presets[i], channels, height, width, 255, g->actions, &preset,
                                 &inner) == QG_OK &&
            qg_architecture_equal(a, &preset))
            *a = preset;
    }
    return QG_OK;
}

static qg_status read_tensor(const gathering *g, int l, const qg_layer *layer, const char *key,
                             size_t values, float *out, qg_rounding *rounding)
{
    size_t shape[QG_TORCH7_RANK], count = 1;
    const qg_torch7_node *const tensor = qg_torch7_field(g->file, g->modules[l], key);
    const int rank = tensor ? qg_torch7_shape(g->file, tensor, shape) : -1;
    for (int d = 0; d < rank; d++)
        count *= shape[d];
    if (rank < 1 || count != values || shape[0] != (size_t)layer->outputs)
        return qg_fail(g->error, QG_ERROR_DATA,
                       "%s: the %s of %s is no tensor of floats of %zu values, %d outputs", g->path,
                       key, layer->name, values, layer->outputs);
    if (!qg_torch7_floats(g->file, tensor, out, rounding))
        return qg_fail(g->error, QG_ERROR_DATA, "%s: the %s of %s has a value that is not finite",
                       g->path, key, layer->name);
    return QG_OK;
}

/* Every tensor is compared with the architecture before there is room for the network: sizes in a
 * module's numbers cost nothing. */
static qg_status read_network(const gathering *g, qg_network *network, qg_rounding *rounding)
{
    qg_architecture a;
    qg_status status = make_architecture(g, &a);
    if (status) return status;
    size_t shape[QG_TORCH7_RANK];
    for (int l = 0; l < a.layer_count; l++) {
        const qg_torch7_node *const w = qg_torch7_field(g->file, g->modules[l], "weight");
        const int rank = w ? qg_torch7_shape(g->file, w, shape) : -1;
        size_t count = 1;
        for (int d = 0; d < rank; d++)
            count *= shape[d];
        if (rank < 1 || count != qg_layer_weights(&a.layers[l]))
            return qg_fail(g->error, QG_ERROR_DATA,
                           "%s: the weight of %s is no tensor of floats of %zu values", g->path,
                           a.layers[l].name, qg_layer_weights(&a.layers[l]));
    }
    status = qg_network_create(&a, network, g->error);
    if (status) return status;
    for (int l = 0; l < a.layer_count && !status; l++) {
        const qg_layer *const layer = &a.layers[l];
        status = read_tensor(g, l, layer, "weight", qg_layer_weights(layer), network->weights[l],
                             rounding);
        if (!status)
            status = read_tensor(g, l, layer, "bias", (size_t)layer->outputs, network->biases[l],
                                 rounding);
    }
    if (status) qg_network_free(network);
    return status;
}

/* The network, or the table that has it, and where: the best one first, as in the paper. */
static const qg_torch7_node *find_sequential(const qg_torch7 *file, const qg_torch7_node *root,
                                             const char **part)
{
    static const struct {
        const char *outer, *inner, *name;
    } places[] = {{"best_model", NULL, "best_model"},
                  {"model", NULL, "model"},
                  {"network", NULL, "network"},
                  {"agent", "best_network", "agent.best_network"},
                  {"agent", "network", "agent.network"}};
    *part = "";
    if (qg_torch7_is(root, "nn.Sequential")) return root;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const qg_torch7_node *n = qg_torch7_field(file, root, places[i].outer);
        if (n && places[i].inner) n = qg_torch7_field(file, n, places[i].inner);
        *part = places[i].name;
        if (n && qg_torch7_is(n, "nn.Sequential")) return n;
    }
    return NULL;
}

qg_status qg_torch7_network_load(const char *path, qg_network *network, const char **part,
                                 qg_rounding *rounding, qg_error *error)
{
    qg_torch7 *file;
    const qg_torch7_node *root;
    *rounding = (qg_rounding){0};
    qg_status status = qg_torch7_load(path, &file, &root, error);
    if (status) return status;
    gathering g = {.file = file, .path = path, .error = error};
    const qg_torch7_node *const sequential = find_sequential(file, root, part);
    if (!sequential)
        status =
            qg_fail(error, QG_ERROR_DATA,
                    "%s: holds no nn.Sequential, alone or as best_model, model or network", path);
    if (!status) status = gather(&g, sequential);
    if (!status) status = read_network(&g, network, rounding);
    qg_torch7_free(file);
    return status;
}
