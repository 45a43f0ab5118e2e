/* The tables of names, and the way between them and a network. */
#include "network/foreign.h"

#include "network/safetensors.h"

#include <stdio.h>
#include <string.h>

#define LAYERS 5 /* of nature-pad0 */

/* What a format calls things. The target network's names are the online network's with another
 * prefix. */
typedef struct naming {
    const char *name;
    const char *prefix;
    const char *target; /* prefix of the target network; NULL: the format has none */
    const char *layers[LAYERS];
} naming;

static const naming namings[] = {
    [QG_FOREIGN_CLEANRL] = {"cleanrl", "network.", NULL, {"0", "2", "4", "7", "9"}},
    [QG_FOREIGN_SB3] = {"sb3",
                        "q_net.",
                        "q_net_target.",
                        {"features_extractor.cnn.0", "features_extractor.cnn.2",
                         "features_extractor.cnn.4", "features_extractor.linear.0", "q_net.0"}},
};
#define FORMATS (sizeof namings / sizeof *namings)

const char *qg_foreign_name(qg_foreign_format format)
{
    return namings[format].name;
}

qg_foreign_format qg_foreign_find(const char *name)
{
    for (size_t f = 1; f < FORMATS; f++)
        if (strcmp(name, namings[f].name) == 0) return (qg_foreign_format)f;
    return QG_FOREIGN_UNKNOWN;
}

static void tensor_name(const naming *names, const char *prefix, int layer, const char *what,
                        char name[96])
{
    snprintf(name, 96, "%s%s.%s", prefix, names->layers[layer], what);
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The format whose first layer is in the file. */
static qg_foreign_format recognise(const qg_tensors *file)
{
    for (size_t f = 1; f < FORMATS; f++) {
        char name[96];
        tensor_name(&namings[f], namings[f].prefix, 0, "weight", name);
        if (qg_tensors_find(file, name)) return (qg_foreign_format)f;
    }
    return QG_FOREIGN_UNKNOWN;
}

/* Whether the format has a tensor of this name; those of the target network count. */
static bool is_known(const naming *names, const char *tensor)
{
    if (names->target && begins(tensor, names->target)) return true;
    for (int l = 0; l < LAYERS; l++) {
        char weight[96], bias[96];
        tensor_name(names, names->prefix, l, "weight", weight);
        tensor_name(names, names->prefix, l, "bias", bias);
        if (strcmp(tensor, weight) == 0 || strcmp(tensor, bias) == 0) return true;
    }
    return false;
}

static qg_status check_names(const qg_tensors *file, const char *path, const naming *names,
                             qg_error *error)
{
    for (size_t i = 0; i < qg_tensors_count(file); i++) {
        const char *tensor = qg_tensors_at(file, i)->name;
        if (!is_known(names, tensor))
            return qg_fail(error, QG_ERROR_DATA,
                           "%s: tensor '%.100s' is none of a five-layer network of format %s", path,
                           tensor, names->name);
    }
    return QG_OK;
}

static qg_status make_architecture(int actions, qg_architecture *a, qg_error *error)
{
    return qg_architecture_make("nature-pad0", 4, 84, 84, 255, actions, a, error);
}

/* An empty network with as many actions as the last layer has biases. */
static qg_status create(const qg_tensors *file, const char *path, const naming *names,
                        qg_network *network, qg_error *error)
{
    char name[96];
    const size_t any = 0;
    const qg_tensor *biases;
    tensor_name(names, names->prefix, LAYERS - 1, "bias", name);
    qg_status status = qg_tensors_require(file, path, name, QG_F32, 1, &any, &biases, error);
    if (status) return status;
    qg_architecture a;
    qg_error inner;
    if (biases->shape[0] > INT32_MAX || make_architecture((int)biases->shape[0], &a, &inner))
        return qg_fail(error, QG_ERROR_DATA, "%s: %zu actions are not possible", path,
                       biases->shape[0]);
    return qg_network_create(&a, network, error);
}

/* Shape of a layer's weights, the biases' in front; the number of dimensions is returned. */
static int weight_shape(const qg_layer *layer, size_t shape[4])
{
    const bool conv = layer->kind == QG_CONV;
    shape[0] = (size_t)layer->outputs;
    shape[1] = conv ? (size_t)layer->in_channels : qg_layer_fan_in(layer);
    shape[2] = shape[3] = (size_t)layer->kernel;
    return conv ? 4 : 2;
}

static qg_status read_layer(const qg_tensors *file, const char *path, const naming *names, int l,
                            qg_network *network, qg_error *error)
{
    size_t shape[4];
    const int rank = weight_shape(&network->architecture.layers[l], shape);
    char name[96];
    const qg_tensor *tensor;
    tensor_name(names, names->prefix, l, "weight", name);
    qg_status status = qg_tensors_require(file, path, name, QG_F32, rank, shape, &tensor, error);
    if (status) return status;
    memcpy(network->weights[l], tensor->data, tensor->elements * sizeof(float));
    tensor_name(names, names->prefix, l, "bias", name);
    status = qg_tensors_require(file, path, name, QG_F32, 1, shape, &tensor, error);
    if (status) return status;
    memcpy(network->biases[l], tensor->data, tensor->elements * sizeof(float));
    return QG_OK;
}

static qg_status read_network(const qg_tensors *file, const char *path, const naming *names,
                              qg_network *network, qg_error *error)
{
    qg_status status = check_names(file, path, names, error);
    if (!status) status = create(file, path, names, network, error);
    if (status) return status;
    for (int l = 0; l < LAYERS && !status; l++)
        status = read_layer(file, path, names, l, network, error);
    if (status) qg_network_free(network);
    return status;
}

qg_status qg_foreign_load(const char *path, qg_foreign_format *format, qg_network *network,
                          qg_error *error)
{
    qg_tensors *file;
    qg_status status = qg_tensors_load(path, &file, error);
    if (status) return status;
    if (*format == QG_FOREIGN_UNKNOWN) *format = recognise(file);
    if (*format == QG_FOREIGN_UNKNOWN)
        status = qg_fail(error, QG_ERROR_DATA,
                         "%s: neither a CleanRL (network.0.weight, ...) nor a Stable-Baselines3 "
                         "(q_net.features_extractor.cnn.0.weight, ...) DQN state dict",
                         path);
    else
        status = read_network(file, path, &namings[*format], network, error);
    qg_tensors_free(file);
    return status;
}

static qg_status add_network(qg_tensors *file, const naming *names, const char *prefix,
                             const qg_network *network, qg_error *error)
{
    qg_status status = QG_OK;
    for (int l = 0; l < LAYERS && !status; l++) {
        size_t shape[4];
        const int rank = weight_shape(&network->architecture.layers[l], shape);
        char name[96];
        tensor_name(names, prefix, l, "weight", name);
        status = qg_tensors_add(file, name, QG_F32, rank, shape, network->weights[l], error);
        tensor_name(names, prefix, l, "bias", name);
        if (!status)
            status = qg_tensors_add(file, name, QG_F32, 1, shape, network->biases[l], error);
    }
    return status;
}

qg_status qg_foreign_save(const char *path, qg_foreign_format format, const qg_network *network,
                          qg_error *error)
{
    const naming *names = &namings[format];
    const qg_architecture *a = &network->architecture;
    qg_architecture needed;
    qg_status status = make_architecture(a->actions, &needed, error);
    if (status) return status;
    if (!qg_architecture_equal(a, &needed))
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s networks are nature-pad0 with an input of 4 x 84 x 84 bytes / 255; this "
                       "one is '%.60s' with %d x %d x %d / %d",
                       names->name, a->text, a->channels, a->height, a->width, a->input_max);
    qg_tensors *file = qg_tensors_new();
    if (!file) return qg_fail_memory(error, path, 0);
    status = qg_tensors_set_metadata(file, "format", "pt", error); /* as PyTorch's writer has it */
    if (!status) status = add_network(file, names, names->prefix, network, error);
    if (!status && names->target) status = add_network(file, names, names->target, network, error);
    if (!status) status = qg_tensors_save(file, path, error);
    qg_tensors_free(file);
    return status;
}
