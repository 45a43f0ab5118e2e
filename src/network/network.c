/* The parameters of a network in PyTorch's layout: allocation, initial values, files. */
#include <qgraft/network.h>

#include "base/random.h"
#include "network/network_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

qg_status qg_network_create(const qg_architecture *architecture, qg_network *network,
                            qg_error *error)
{
    const size_t count = qg_architecture_parameters(architecture);
    network->architecture = *architecture;
    network->parameters = calloc(count, sizeof(float));
    if (!network->parameters) return qg_fail_memory(error, "a network", count * sizeof(float));
    float *next = network->parameters;
    for (int i = 0; i < architecture->layer_count; i++) {
        network->weights[i] = next;
        next += qg_layer_weights(&architecture->layers[i]);
        network->biases[i] = next;
        next += architecture->layers[i].outputs;
    }
    return QG_OK;
}

void qg_network_free(qg_network *network)
{
    free(network->parameters);
    network->parameters = NULL;
}

void qg_network_initialise(qg_network *network, uint64_t seed)
{
    for (int i = 0; i < network->architecture.layer_count; i++) {
        const qg_layer *layer = &network->architecture.layers[i];
        char purpose[32];
        snprintf(purpose, sizeof purpose, "weights/%s", layer->name);
        qg_random random = qg_random_stream(seed, purpose);
        const double bound = 1 / sqrt((double)qg_layer_fan_in(layer));
        const size_t count = qg_layer_weights(layer) + (size_t)layer->outputs;
        for (size_t k = 0; k < count; k++) /* the biases follow the weights */
            network->weights[i][k] = (float)(bound * (2 * qg_random_uniform(&random) - 1));
    }
}

/* Rows of a layer that are a pair of tensors in files: all, or those of a head. */
typedef struct rows {
    const char *name;
    int first, count;
} rows;

static int list_rows(const qg_layer *layer, rows list[2])
{
    list[0] = layer->heads ? (rows){"value", 0, 1} : (rows){layer->name, 0, layer->outputs};
    list[1] = (rows){"advantage", 1, layer->outputs - 1};
    return layer->heads ? 2 : 1;
}

/* Shape of the weights of some rows of a layer in the file; the number of dimensions is returned.
 */
static int weight_shape(const qg_layer *layer, const rows *r, size_t shape[4])
{
    shape[0] = (size_t)r->count;
    if (layer->kind == QG_LINEAR) {
        shape[1] = qg_layer_fan_in(layer);
        return 2;
    }
    shape[1] = (size_t)layer->in_channels;
    shape[2] = shape[3] = (size_t)layer->kernel;
    return 4;
}

/* A note says nothing in place of the file itself. */
static qg_status check_key(const char *key, qg_error *error)
{
    static const char *const own[] = {"format",    "architecture", "input",  "history",
                                      "precision", "emulator",     "domain", "actions",
                                      "seed",      "step",         "score",  "confirmed_score"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(key, own[i]) == 0)
            return qg_fail(error, QG_ERROR_USAGE, "`notes`: '%s' is what the file says itself",
                           key);
    return QG_OK;
}

static qg_status describe(qg_tensors *file, const qg_architecture *a, const qg_network_info *info,
                          qg_error *error)
{
    char input[96], history[16], seed[32], step[32], score[64], confirmed[64];
    snprintf(score, sizeof score, "%.17g", info->score);
    snprintf(confirmed, sizeof confirmed, "%.17g", info->confirmed_score);
    snprintf(input, sizeof input, "%d,%d,%d,%d", a->channels, a->height, a->width, a->input_max);
    snprintf(seed, sizeof seed, "%" PRIu64, info->seed);
    snprintf(history, sizeof history, "%d", info->history);
    snprintf(step, sizeof step, "%" PRId64, info->step);
    qg_status status;
    if ((status = qg_tensors_set_metadata(file, "format", "qgraft network 1", error)) ||
        (status = qg_tensors_set_metadata(file, "architecture", a->text, error)) ||
        (status = qg_tensors_set_metadata(file, "input", input, error)) ||
        (status =
             info->history ? qg_tensors_set_metadata(file, "history", history, error) : QG_OK) ||
        (status = info->precision[0] && strcmp(info->precision, "float32") != 0
                      ? qg_tensors_set_metadata(file, "precision", info->precision, error)
                      : QG_OK) ||
        (status = info->emulator[0]
                      ? qg_tensors_set_metadata(file, "emulator", info->emulator, error)
                      : QG_OK) ||
        (status = qg_tensors_set_metadata(file, "domain", info->domain, error)) ||
        (status = qg_tensors_set_metadata(file, "actions", info->actions, error)) ||
        (status = qg_tensors_set_metadata(file, "seed", seed, error)) ||
        (status = qg_tensors_set_metadata(file, "step", step, error)))
        return status;
    for (size_t i = 0; i < info->note_count; i++)
        if ((status = check_key(info->notes[i].key, error)) ||
            (status =
                 qg_tensors_set_metadata(file, info->notes[i].key, info->notes[i].value, error)))
            return status;
    if (!isnan(info->score) && (status = qg_tensors_set_metadata(file, "score", score, error)))
        return status;
    if (isnan(info->confirmed_score)) return QG_OK;
    return qg_tensors_set_metadata(file, "confirmed_score", confirmed, error);
}

static qg_status add_rows(const qg_network *network, int i, const rows *r, const char *prefix,
                          qg_tensors *file, qg_error *error)
{
    const qg_layer *layer = &network->architecture.layers[i];
    char name[64];
    size_t shape[4];
    const int rank = weight_shape(layer, r, shape);
    const size_t first = (size_t)r->first;
    snprintf(name, sizeof name, "%s%s.weight", prefix, r->name);
    const qg_status status =
        qg_tensors_add(file, name, QG_F32, rank, shape,
                       network->weights[i] + first * qg_layer_fan_in(layer), error);
    snprintf(name, sizeof name, "%s%s.bias", prefix, r->name);
    return status ? status
                  : qg_tensors_add(file, name, QG_F32, 1, shape, network->biases[i] + first, error);
}

qg_status qg_network_to_tensors(const qg_network *network, const char *prefix, qg_tensors *file,
                                qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0; i < network->architecture.layer_count; i++) {
        rows list[2];
        const int count = list_rows(&network->architecture.layers[i], list);
        for (int k = 0; k < count && !status; k++)
            status = add_rows(network, i, &list[k], prefix, file, error);
    }
    return status;
}

qg_status qg_network_save(const char *path, const qg_network *network, const qg_network_info *info,
                          qg_error *error)
{
    qg_tensors *file = qg_tensors_new();
    if (!file) return qg_fail_memory(error, path, 0);
    const qg_architecture *a = &network->architecture;
    qg_status status = describe(file, a, info, error);
    if (!status) status = qg_network_to_tensors(network, "", file, error);
    if (!status) status = qg_tensors_save(file, path, error);
    qg_tensors_free(file);
    return status;
}

/* A string of the metadata into a buffer; a longer one is refused, an absent one is empty. */
static qg_status read_text(const qg_tensors *file, const char *path, const char *key, char *buffer,
                           size_t size, qg_error *error)
{
    const char *text = qg_tensors_metadata(file, key);
    if (!text) text = "";
    if (strlen(text) >= size)
        return qg_fail(error, QG_ERROR_DATA, "%s: '%s' in the metadata is longer than %zu bytes",
                       path, key, size - 1);
    memcpy(buffer, text, strlen(text) + 1);
    return QG_OK;
}

static qg_status read_info(const qg_tensors *file, const char *path, qg_network_info *info,
                           qg_error *error)
{
    *info = (qg_network_info){.score = NAN, .confirmed_score = NAN};
    qg_status status;
    if ((status = read_text(file, path, "domain", info->domain, sizeof info->domain, error)) ||
        (status = read_text(file, path, "actions", info->actions, sizeof info->actions, error)) ||
        (status =
             read_text(file, path, "precision", info->precision, sizeof info->precision, error)) ||
        (status = read_text(file, path, "emulator", info->emulator, sizeof info->emulator, error)))
        return status;
    if (!info->precision[0]) strcpy(info->precision, "float32");
    const char *seed = qg_tensors_metadata(file, "seed"), *step = qg_tensors_metadata(file, "step");
    const char *score = qg_tensors_metadata(file, "score");
    const char *confirmed = qg_tensors_metadata(file, "confirmed_score");
    const char *history = qg_tensors_metadata(file, "history");
    if (history) info->history = (int)strtol(history, NULL, 10);
    if (seed) info->seed = strtoull(seed, NULL, 10);
    if (step) info->step = strtoll(step, NULL, 10);
    if (score) info->score = strtod(score, NULL);
    if (confirmed) info->confirmed_score = strtod(confirmed, NULL);
    return QG_OK;
}

/* "channels,height,width,max" of the input. */
static bool read_input(const char *text, int input[4])
{
    for (int i = 0; i < 4; i++) {
        char *end;
        const long value = strtol(text, &end, 10);
        if (end == text || *end != (i < 3 ? ',' : '\0') || value < 0 || value > INT32_MAX)
            return false;
        input[i] = (int)value;
        text = end + 1;
    }
    return true;
}

/* Actions of the network: the size of the biases of its last layer, of advantages or the fcN.bias
 * with the highest N, wherever it stands (some writers sort by name). 0: there is none. */
static int count_actions(const qg_tensors *file)
{
    int actions = 0;
    for (int n = 1; n <= QG_MAX_LAYERS + 1; n++) {
        char name[32];
        snprintf(name, sizeof name, n > QG_MAX_LAYERS ? "advantage.bias" : "fc%d.bias", n);
        const qg_tensor *biases = qg_tensors_find(file, name);
        if (biases)
            actions =
                biases->rank == 1 && biases->shape[0] <= INT32_MAX ? (int)biases->shape[0] : 0;
    }
    return actions;
}

/* The architecture from the metadata and the number of actions. */
static qg_status read_architecture(const qg_tensors *file, const char *path, qg_architecture *a,
                                   qg_error *error)
{
    const char *text = qg_tensors_metadata(file, "architecture");
    const char *input = qg_tensors_metadata(file, "input");
    int shape[4];
    if (!text || !input || !read_input(input, shape))
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: not a qgraft network: 'architecture' and 'input' "
                       "(channels,height,width,max) are missing in its metadata; `import` "
                       "makes one of a state dict of CleanRL or Stable-Baselines3",
                       path);
    const int actions = count_actions(file);
    if (actions == 0)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: has no biases of a last layer (fc1.bias, fc2.bias, ...)", path);
    qg_error inner;
    if (qg_architecture_make(text, shape[0], shape[1], shape[2], shape[3], actions, a, &inner))
        return qg_fail(error, inner.code == QG_ERROR_MEMORY ? inner.code : QG_ERROR_DATA, "%s: %s",
                       path, inner.message);
    const size_t tensors = qg_tensors_count(file);
    const size_t needed = 2 * (size_t)a->layer_count + (qg_architecture_is_dueling(a) ? 2 : 0);
    if (tensors != needed)
        return qg_fail(error, QG_ERROR_DATA, "%s: has %zu tensors, its architecture needs %zu",
                       path, tensors, needed);
    return QG_OK;
}

static qg_status read_rows(const qg_tensors *file, const char *path, const char *prefix,
                           const qg_layer *layer, const rows *r, qg_network *network, int i,
                           qg_error *error)
{
    char name[64];
    size_t shape[4];
    const int rank = weight_shape(layer, r, shape);
    const size_t first = (size_t)r->first;
    const qg_tensor *tensor;
    snprintf(name, sizeof name, "%s%s.weight", prefix, r->name);
    qg_status status = qg_tensors_require(file, path, name, QG_F32, rank, shape, &tensor, error);
    if (status) return status;
    if (network)
        memcpy(network->weights[i] + first * qg_layer_fan_in(layer), tensor->data,
               tensor->elements * sizeof(float));
    snprintf(name, sizeof name, "%s%s.bias", prefix, r->name);
    status = qg_tensors_require(file, path, name, QG_F32, 1, shape, &tensor, error);
    if (!status && network)
        memcpy(network->biases[i] + first, tensor->data, tensor->elements * sizeof(float));
    return status;
}

/* Checks the tensors of all layers; copies them, unless `network` is NULL. */
static qg_status read_layers(const qg_tensors *file, const char *path, const char *prefix,
                             const qg_architecture *a, qg_network *network, qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0; i < a->layer_count; i++) {
        rows list[2];
        const int count = list_rows(&a->layers[i], list);
        for (int k = 0; k < count && !status; k++)
            status = read_rows(file, path, prefix, &a->layers[i], &list[k], network, i, error);
    }
    return status;
}

qg_status qg_tensors_to_network(const qg_tensors *file, const char *path, const char *prefix,
                                qg_network *network, qg_error *error)
{
    return read_layers(file, path, prefix, &network->architecture, network, error);
}

qg_status qg_network_load(const char *path, qg_network *network, qg_network_info *info,
                          qg_error *error)
{
    qg_tensors *file;
    qg_architecture a;
    qg_status status = qg_tensors_load(path, &file, error);
    if (status) return status;
    status = read_architecture(file, path, &a, error);
    if (!status) status = read_info(file, path, info, error);
    /* First of all, so that no room is made for what only the metadata says. */
    if (!status) status = read_layers(file, path, "", &a, NULL, error);
    if (!status) status = qg_network_create(&a, network, error);
    if (!status) {
        status = qg_tensors_to_network(file, path, "", network, error);
        if (status) qg_network_free(network);
    }
    qg_tensors_free(file);
    return status;
}

qg_status qg_network_read_info(const char *path, qg_network_info *info, qg_error *error)
{
    qg_tensors *file;
    qg_status status = qg_tensors_load(path, &file, error);
    if (status) return status;
    status = read_info(file, path, info, error);
    qg_tensors_free(file);
    return status;
}

qg_status qg_network_look(const char *path, qg_architecture *architecture, qg_network_info *info,
                          qg_error *error)
{
    qg_network network;
    const qg_status status = qg_network_load(path, &network, info, error);
    if (status) return status;
    *architecture = network.architecture;
    qg_network_free(&network);
    return QG_OK;
}
