/* Architectures: presets and lists of layers become shapes, every one checked. */
#include <qgraft/network.h>

#include "base/json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits on what a file or a setting may ask for: far above any network for these games, far below
 * what would overflow an int. */
enum {
    MAX_CHANNELS = 8192,
    MAX_SIDE = 1024,
    MAX_KERNEL = 64,
    MAX_PARAMETERS = 1 << 28,
    MAX_VALUES = 1 << 26, /* inputs or outputs of a layer for one state */
};

static const struct {
    const char *name, *layers;
} presets[] = {
    {"nature", "[{\"conv\":32,\"kernel\":8,\"stride\":4,\"padding\":1},"
               "{\"conv\":64,\"kernel\":4,\"stride\":2},{\"conv\":64,\"kernel\":3},"
               "{\"linear\":512}]"},
    {"nature-pad0", "[{\"conv\":32,\"kernel\":8,\"stride\":4},"
                    "{\"conv\":64,\"kernel\":4,\"stride\":2},{\"conv\":64,\"kernel\":3},"
                    "{\"linear\":512}]"},
    {"grid", "[{\"conv\":16,\"kernel\":3},{\"conv\":16,\"kernel\":3},{\"conv\":16,\"kernel\":3},"
             "{\"linear\":128}]"},
    {"vector", "[{\"linear\":128},{\"linear\":128}]"},
};

size_t qg_layer_fan_in(const qg_layer *layer)
{
    const size_t channels = (size_t)layer->in_channels;
    return layer->kind == QG_CONV ? channels * (size_t)layer->kernel * (size_t)layer->kernel
                                  : channels * (size_t)layer->in_height * (size_t)layer->in_width /
                                        (layer->heads ? 2 : 1);
}

bool qg_architecture_is_normed(const qg_architecture *architecture)
{
    bool normed = false;
    for (int i = 0; i < architecture->layer_count; i++)
        normed |= architecture->layers[i].norm;
    return normed;
}

bool qg_architecture_is_dueling(const qg_architecture *architecture)
{
    return architecture->layers[architecture->layer_count - 1].heads;
}

size_t qg_layer_weights(const qg_layer *layer)
{
    return qg_layer_fan_in(layer) * (size_t)layer->outputs;
}

size_t qg_layer_width(const qg_layer *layer)
{
    return (size_t)layer->outputs * (size_t)layer->out_height * (size_t)layer->out_width;
}

size_t qg_architecture_parameters(const qg_architecture *architecture)
{
    size_t sum = 0;
    for (int i = 0; i < architecture->layer_count; i++)
        sum += qg_layer_weights(&architecture->layers[i]) + (size_t)architecture->layers[i].outputs;
    return sum;
}

bool qg_architecture_equal(const qg_architecture *a, const qg_architecture *b)
{
    if (a->channels != b->channels || a->height != b->height || a->width != b->width ||
        a->input_max != b->input_max || a->layer_count != b->layer_count)
        return false;
    for (int i = 0; i < a->layer_count; i++) {
        const qg_layer *x = &a->layers[i], *y = &b->layers[i];
        if (x->kind != y->kind || x->outputs != y->outputs || x->kernel != y->kernel ||
            x->stride != y->stride || x->padding != y->padding || x->heads != y->heads ||
            x->norm != y->norm)
            return false;
    }
    return true;
}

/* Integer `key` of a layer, `fallback` where it is absent (negative: it must be there). */
static qg_status read_field(const json_t *object, int position, const char *key, int fallback,
                            int min, int max, int *value, qg_error *error)
{
    const json_t *field = json_object_get(object, key);
    if (!field && fallback >= 0) {
        *value = fallback;
        return QG_OK;
    }
    const json_int_t number = json_is_integer(field) ? json_integer_value(field) : -1;
    if (number < min || number > max)
        return qg_fail(error, QG_ERROR_USAGE,
                       "network: layer %d needs '%s', a whole number from %d to %d", position, key,
                       min, max);
    *value = (int)number;
    return QG_OK;
}

/* The name of the layer's part, empty where it has none. */
static qg_status read_part(const json_t *object, int position, char part[QG_PART_NAME],
                           qg_error *error)
{
    const json_t *field = json_object_get(object, "part");
    const char *name = field ? json_string_value(field) : "";
    if (!name || strlen(name) > 15 || strspn(name, "abcdefghijklmnopqrstuvwxyz") < strlen(name) ||
        (field && !*name))
        return qg_fail(error, QG_ERROR_USAGE,
                       "network: the part of layer %d must be a name of 1 to 15 small letters",
                       position);
    memcpy(part, name, strlen(name) + 1);
    return QG_OK;
}

/* `streams`: whether its outputs are the two streams of a dueling network. */
static qg_status read_layer(const json_t *object, int position, qg_layer *layer, bool *streams,
                            qg_error *error)
{
    *streams = false;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        static const char *const known[] = {"conv",   "kernel",  "stride", "padding",
                                            "linear", "dueling", "norm",   "part"};
        enum { KNOWN = sizeof known / sizeof *known };
        size_t k = 0;
        while (k < KNOWN && strcmp(key, known[k]) != 0)
            k++;
        if (k == KNOWN)
            return qg_fail(error, QG_ERROR_USAGE,
                           "network: layer %d has the unknown key '%.40s' (conv, kernel, stride, "
                           "padding, linear, dueling, norm or part)",
                           position, key);
    }
    qg_status status = read_part(object, position, layer->part, error);
    if (status) return status;
    const json_t *norm = json_object_get(object, "norm");
    if (norm && (!json_is_boolean(norm) || json_object_get(object, "dueling")))
        return qg_fail(
            error, QG_ERROR_USAGE,
            "network: the norm of layer %d must be true or false, and no dueling layer has "
            "one",
            position);
    layer->norm = json_is_true(norm);
    if (json_object_get(object, "conv")) {
        layer->kind = QG_CONV;
        const char *other = json_object_get(object, "linear")    ? "linear"
                            : json_object_get(object, "dueling") ? "dueling"
                                                                 : NULL;
        if (other)
            return qg_fail(error, QG_ERROR_USAGE,
                           "network: layer %d is both conv and %s: leave one out", position, other);
        if ((status = read_field(object, position, "conv", -1, 1, MAX_CHANNELS, &layer->outputs,
                                 error)) ||
            (status = read_field(object, position, "kernel", -1, 1, MAX_KERNEL, &layer->kernel,
                                 error)) ||
            (status =
                 read_field(object, position, "stride", 1, 1, MAX_KERNEL, &layer->stride, error)))
            return status;
        return read_field(object, position, "padding", 0, 0, layer->kernel - 1, &layer->padding,
                          error);
    }
    layer->kind = QG_LINEAR;
    const size_t others = (json_object_get(object, "part") ? 1U : 0U) + (norm ? 1U : 0U);
    if (json_object_size(object) != 1 + others)
        return qg_fail(error, QG_ERROR_USAGE,
                       "network: layer %d must be {conv: CHANNELS, kernel: K, stride: S, padding: "
                       "P}, {linear: UNITS} or, the last one, {dueling: UNITS}",
                       position);
    if (json_object_get(object, "dueling")) {
        status = read_field(object, position, "dueling", -1, 1, MAX_CHANNELS / 2, &layer->outputs,
                            error);
        layer->outputs *= 2;
        *streams = true;
        return status;
    }
    return read_field(object, position, "linear", -1, 1, MAX_CHANNELS, &layer->outputs, error);
}

/* Shapes of a layer behind one with `channels` x `height` x `width` outputs, which are updated. */
static qg_status place_layer(qg_layer *layer, int position, int *channels, int *height, int *width,
                             qg_error *error)
{
    layer->in_channels = *channels;
    layer->in_height = *height;
    layer->in_width = *width;
    layer->out_height = layer->out_width = 1;
    if (layer->kind == QG_CONV) {
        const int y = *height + 2 * layer->padding - layer->kernel;
        const int x = *width + 2 * layer->padding - layer->kernel;
        if (y < 0 || x < 0)
            return qg_fail(error, QG_ERROR_USAGE,
                           "network: layer %d has a kernel of %d, larger than its input of %dx%d",
                           position, layer->kernel, *height, *width);
        layer->out_height = y / layer->stride + 1;
        layer->out_width = x / layer->stride + 1;
    }
    if ((int64_t)layer->outputs * layer->out_height * layer->out_width > MAX_VALUES)
        return qg_fail(error, QG_ERROR_USAGE,
                       "network: layer %d has %d x %dx%d outputs, at most "
                       "%d are possible",
                       position, layer->outputs, layer->out_height, layer->out_width, MAX_VALUES);
    *channels = layer->outputs;
    *height = layer->out_height;
    *width = layer->out_width;
    return QG_OK;
}

static qg_status build(const json_t *list, qg_architecture *a, qg_error *error)
{
    const size_t hidden = json_array_size(list);
    if (!json_is_array(list) || hidden + 1 > QG_MAX_LAYERS)
        return qg_fail(
            error, QG_ERROR_USAGE,
            "network: must be nature, nature-pad0, grid, vector or a list of at most %d layers",
            QG_MAX_LAYERS - 1);
    int channels = a->channels, height = a->height, width = a->width, convs = 0, linears = 0;
    bool dueling = false; /* the layer below is two streams */
    for (size_t i = 0; i <= hidden; i++) {
        qg_layer *layer = &a->layers[i];
        const int position = (int)i + 1;
        qg_status status = QG_OK;
        if (dueling && i < hidden)
            return qg_fail(error, QG_ERROR_USAGE,
                           "network: layer %d is dueling, which only the last of the list can be",
                           position - 1);
        if (i == hidden)
            *layer = (qg_layer){
                .kind = QG_LINEAR, .heads = dueling, .outputs = a->actions + (dueling ? 1 : 0)};
        else
            status = read_layer(json_array_get(list, i), position, layer, &dueling, error);
        if (status) return status;
        if (i == hidden && i > 0) memcpy(layer->part, a->layers[i - 1].part, sizeof layer->part);
        if (layer->kind == QG_CONV && linears)
            return qg_fail(error, QG_ERROR_USAGE,
                           "network: layer %d is a conv behind a linear layer", position);
        if ((status = place_layer(layer, position, &channels, &height, &width, error)))
            return status;
        if (layer->heads)
            strcpy(layer->name, "heads");
        else
            snprintf(layer->name, sizeof layer->name, layer->kind == QG_CONV ? "conv%d" : "fc%d",
                     layer->kind == QG_CONV ? ++convs : ++linears);
        a->layer_count++;
        if (qg_architecture_parameters(a) > MAX_PARAMETERS)
            return qg_fail(error, QG_ERROR_USAGE, "network: more than %d parameters",
                           MAX_PARAMETERS);
    }
    return QG_OK;
}

static const char *preset_layers(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (strlen(presets[i].name) == length && memcmp(name, presets[i].name, length) == 0)
            return presets[i].layers;
    return NULL;
}

/* Splits a preset: its convolutions and a bottleneck of `width` units perceive, the rest decides.
 */
static bool split_layers(json_t *list, int width)
{
    size_t first = 0; /* linear layer */
    while (json_object_get(json_array_get(list, first), "conv"))
        first++;
    bool good = json_array_insert_new(list, first, json_pack("{s:i}", "linear", width)) == 0;
    for (size_t i = 0; i < json_array_size(list) && good; i++)
        good = json_object_set_new(json_array_get(list, i), "part",
                                   json_string(i <= first ? "perception" : "decision")) == 0;
    return good;
}

/* Layer normalisation behind every layer of a preset. */
static bool norm_all(json_t *list)
{
    bool good = true;
    for (size_t i = 0; i < json_array_size(list) && good; i++)
        good = json_object_set_new(json_array_get(list, i), "norm", json_true()) == 0;
    return good;
}

/* Makes a dueling network of a preset: its last linear layer becomes two streams. */
static bool divide_last(json_t *list)
{
    json_t *last = json_array_get(list, json_array_size(list) - 1);
    return json_object_set(last, "dueling", json_object_get(last, "linear")) == 0 &&
           json_object_del(last, "linear") == 0;
}

/* Length of `text` without the ending; 0: it has another. */
static size_t without(const char *text, const char *ending)
{
    const size_t length = strlen(text), end = strlen(ending);
    return length > end && strcmp(text + length - end, ending) == 0 ? length - end : 0;
}

/* The list of layers that `text` stands for: PRESET, PRESET-dueling, PRESET-norm,
 * PRESET-split:WIDTH or JSON; NULL: `error`. */
static json_t *read_list(const char *text, qg_error *error)
{
    const char *split = strstr(text, "-split:");
    const size_t dueling = without(text, "-dueling"), norm = without(text, "-norm");
    const char *layers = preset_layers(text, split     ? (size_t)(split - text)
                                             : dueling ? dueling
                                             : norm    ? norm
                                                       : strlen(text));
    const char *json = layers ? layers : text;
    qg_error inner;
    json_t *list = qg_json_parse("the list", json, strlen(json), &inner);
    if (!list && inner.code == QG_ERROR_MEMORY)
        *error = inner;
    else if (!list)
        qg_fail(error, QG_ERROR_USAGE,
                "network: '%.80s' is not nature, nature-pad0, grid, vector (each also "
                "PRESET-dueling, PRESET-norm or PRESET-split:WIDTH) or a list of layers: %s",
                text, inner.message);
    if (list && layers && !split &&
        ((dueling && !divide_last(list)) || (norm && !norm_all(list)))) {
        json_decref(list);
        qg_fail_memory(error, "a network", strlen(json));
        return NULL;
    }
    if (!list || !layers || !split) return list;
    char *end;
    const long width = strtol(split + 7, &end, 10);
    const bool sound = !*end && end > split + 7 && width >= 1 && width <= MAX_CHANNELS;
    if (sound && split_layers(list, (int)width)) return list;
    if (sound)
        qg_fail_memory(error, "a network", strlen(json));
    else
        qg_fail(error, QG_ERROR_USAGE, "network: '%.80s': the bottleneck is 1 to %d units wide",
                text, MAX_CHANNELS);
    json_decref(list);
    return NULL;
}

qg_status qg_architecture_make(const char *text, int channels, int height, int width, int input_max,
                               int actions, qg_architecture *architecture, qg_error *error)
{
    if (channels < 1 || channels > MAX_CHANNELS || height < 1 || height > MAX_SIDE || width < 1 ||
        width > MAX_SIDE || (input_max != 0 && input_max != 1 && input_max != 255) ||
        (input_max == 0 && (height > 1 || width > 1)) || actions < 1 || actions > MAX_CHANNELS ||
        (int64_t)channels * height * width > MAX_VALUES)
        return qg_fail(error, QG_ERROR_USAGE,
                       "network: an input of %dx%dx%d (max %d) and %d "
                       "actions are not possible",
                       channels, height, width, input_max, actions);
    if (strlen(text) >= QG_ARCHITECTURE_TEXT)
        return qg_fail(error, QG_ERROR_USAGE, "network: longer than %d characters",
                       QG_ARCHITECTURE_TEXT - 1);
    *architecture = (qg_architecture){.channels = channels,
                                      .height = height,
                                      .width = width,
                                      .input_max = input_max,
                                      .actions = actions};
    snprintf(architecture->text, sizeof architecture->text, "%s", text);
    if (strncmp(text, "grid", 4) == 0 && channels < 10) architecture->channels = 10;
    json_t *list = read_list(text, error);
    if (!list) return error->code;
    const qg_status status = build(list, architecture, error);
    json_decref(list);
    return status;
}
