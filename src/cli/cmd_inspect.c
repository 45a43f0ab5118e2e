/* qgraft inspect: what a .safetensors file holds: the layers of a network, the tensors of any other
 * file, and its metadata. */
#include "cli/cli.h"
#include "cli/pedigree.h"

#include <qgraft/network.h>

#include "network/safetensors.h"

#include <errno.h>
#include <math.h>
#include <string.h>

typedef struct inspect_options {
    const char *path, *search;
    bool json, pedigree;
} inspect_options;

static const char documentation[] =
    "Shows what a .safetensors file holds: a network's table of layers (min, max and rms are those "
    "of its weights, biases left out), another file's tensors (a batch, a rollout, a network of "
    "other types than F32), and the "
    "metadata. With --pedigree: which networks it comes from, generation by generation; they are "
    "recognised by the SHA-256 of the file or, saved again by another program, of the network.\v"
    "Examples:\n"
    "  qgraft inspect runs/breakout/best.safetensors\n"
    "  qgraft inspect --json play.safetensors\n"
    "  qgraft inspect --pedigree runs/grafted/best.safetensors --search runs";

enum { OPTION_PEDIGREE = 256, OPTION_SEARCH };

static const struct argp_option argp_options[] = {
    {"json", 'j', NULL, 0, "print JSON", 0},
    {"pedigree", OPTION_PEDIGREE, NULL, 0, "show the networks that it comes from", 0},
    {"search", OPTION_SEARCH, "FOLDER", 0,
     "where to look for those that moved (default: the current folder)", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    inspect_options *options = state->input;
    switch (key) {
    case 'j':
        options->json = true;
        return 0;
    case OPTION_PEDIGREE:
        options->pedigree = true;
        return 0;
    case OPTION_SEARCH:
        options->search = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) cli_bad_arguments(state, "one FILE only");
        options->path = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        cli_bad_arguments(state, "FILE is missing");
    case ARGP_KEY_END:
        if (options->search && !options->pedigree)
            cli_bad_arguments(state, "--search needs --pedigree");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void format_shape(const qg_tensor *tensor, char *text, size_t size)
{
    size_t used = 0;
    snprintf(text, size, "scalar");
    for (int i = 0; i < tensor->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? " x %zu" : "%zu", tensor->shape[i]);
}

static size_t count_elements(const qg_tensors *tensors)
{
    size_t elements = 0;
    for (size_t i = 0; i < qg_tensors_count(tensors); i++)
        elements += qg_tensors_at(tensors, i)->elements;
    return elements;
}

typedef struct listing {
    const qg_tensors *tensors;
    size_t elements;
} listing;

static const cli_column columns[] = {
    {"tensor", false}, {"dtype", false}, {"shape", false}, {"values", true}, {"share", true},
};

static void tensor_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const listing *all = context;
    const qg_tensor *tensor = qg_tensors_at(all->tensors, row);
    switch (column) {
    case 0:
        snprintf(text, size, "%s", tensor->name);
        break;
    case 1:
        snprintf(text, size, "%s", qg_dtype_name(tensor->dtype));
        break;
    case 2:
        format_shape(tensor, text, size);
        break;
    case 3:
        snprintf(text, size, "%zu", tensor->elements);
        break;
    default:
        snprintf(text, size, "%.1f %%",
                 all->elements ? 100.0 * (double)tensor->elements / (double)all->elements : 0.0);
        break;
    }
}

static void print_tensors(const qg_tensors *tensors)
{
    const listing all = {tensors, count_elements(tensors)};
    const size_t count = qg_tensors_count(tensors);
    cli_print_table(columns, sizeof columns / sizeof *columns, count, tensor_cell, &all);
    printf("%zu tensors, %zu values\n", count, all.elements);
}

static void print_metadata(const qg_tensors *tensors)
{
    const char *key = NULL;
    if (qg_tensors_next_key(tensors, NULL)) putchar('\n');
    while ((key = qg_tensors_next_key(tensors, key))) {
        cli_print_safe(key);
        fputs(": ", stdout);
        cli_print_safe(qg_tensors_metadata(tensors, key));
        putchar('\n');
    }
}

/* -------------------------------------------------------------------------------- layers */

static const char *kind_name(const qg_layer *layer)
{
    return layer->kind == QG_CONV ? "conv" : "linear";
}

static size_t layer_parameters(const qg_layer *layer)
{
    return qg_layer_weights(layer) + (size_t)layer->outputs;
}

typedef struct spread {
    double minimum, maximum, rms;
} spread;

static spread measure_weights(const qg_network *network, int layer)
{
    const float *weights = network->weights[layer];
    const size_t count = qg_layer_weights(&network->architecture.layers[layer]);
    spread s = {(double)weights[0], (double)weights[0], 0};
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        const double weight = (double)weights[i];
        s.minimum = fmin(s.minimum, weight);
        s.maximum = fmax(s.maximum, weight);
        squares += weight * weight;
    }
    s.rms = sqrt(squares / (double)count);
    return s;
}

static const cli_column layer_columns[] = {
    {"layer", false},  {"kind", false}, {"kernel", true}, {"stride", true},
    {"padding", true}, {"input", true}, {"output", true}, {"parameters", true},
    {"share", true},   {"min", true},   {"max", true},    {"rms", true},
};

static void format_image(int channels, int height, int width, char *text, size_t size)
{
    if (height == 1 && width == 1)
        snprintf(text, size, "%d", channels);
    else
        snprintf(text, size, "%d x %d x %d", channels, height, width);
}

static void layer_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const qg_network *network = context;
    const qg_layer *layer = &network->architecture.layers[row];
    const size_t parameters = layer_parameters(layer);
    if (layer->kind == QG_LINEAR && column >= 2 && column <= 4) {
        snprintf(text, size, "-");
        return;
    }
    switch (column) {
    case 0:
        snprintf(text, size, "%s", layer->name);
        break;
    case 1:
        snprintf(text, size, "%s", kind_name(layer));
        break;
    case 2:
        snprintf(text, size, "%d x %d", layer->kernel, layer->kernel);
        break;
    case 3:
        snprintf(text, size, "%d", layer->stride);
        break;
    case 4:
        snprintf(text, size, "%d", layer->padding);
        break;
    case 5:
        format_image(layer->in_channels, layer->in_height, layer->in_width, text, size);
        break;
    case 6:
        format_image(layer->outputs, layer->out_height, layer->out_width, text, size);
        break;
    case 7:
        snprintf(text, size, "%zu", parameters);
        break;
    case 8:
        snprintf(text, size, "%.1f %%",
                 100.0 * (double)parameters /
                     (double)qg_architecture_parameters(&network->architecture));
        break;
    default: {
        const spread s = measure_weights(network, (int)row);
        snprintf(text, size, "%.4f", column == 9 ? s.minimum : column == 10 ? s.maximum : s.rms);
    }
    }
}

static void print_layers(const qg_network *network)
{
    const qg_architecture *a = &network->architecture;
    cli_print_table(layer_columns, sizeof layer_columns / sizeof *layer_columns,
                    (size_t)a->layer_count, layer_cell, network);
    printf("%d weighted layers, %zu parameters\n", a->layer_count, qg_architecture_parameters(a));
}

static json_t *layer_to_json(const qg_network *network, int index)
{
    const qg_layer *layer = &network->architecture.layers[index];
    const spread s = measure_weights(network, index);
    json_t *all =
        json_pack("{s:s, s:s, s:[i,i,i], s:[i,i,i], s:I, s:f, s:f, s:f}", "name", layer->name,
                  "kind", kind_name(layer), "input", layer->in_channels, layer->in_height,
                  layer->in_width, "output", layer->outputs, layer->out_height, layer->out_width,
                  "parameters", (json_int_t)layer_parameters(layer), "minimum", s.minimum,
                  "maximum", s.maximum, "rms", s.rms);
    if (layer->kind == QG_LINEAR) return all;
    json_t *conv = json_pack("{s:i, s:i, s:i}", "kernel", layer->kernel, "stride", layer->stride,
                             "padding", layer->padding);
    json_object_update(all, conv);
    json_decref(conv);
    return all;
}

/* ---------------------------------------------------------------------------------- JSON */

static json_t *tensor_to_json(const qg_tensor *tensor)
{
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    return json_pack("{s:s, s:s, s:o, s:I}", "name", tensor->name, "dtype",
                     qg_dtype_name(tensor->dtype), "shape", shape, "values",
                     (json_int_t)tensor->elements);
}

static int print_json(const qg_tensors *tensors, const qg_network *network)
{
    json_t *list = json_array(), *metadata = json_object(), *layers = json_array();
    int failed = 0;
    for (size_t i = 0; i < qg_tensors_count(tensors); i++)
        failed |= json_array_append_new(list, tensor_to_json(qg_tensors_at(tensors, i)));
    const char *key = NULL;
    while ((key = qg_tensors_next_key(tensors, key)))
        failed |=
            json_object_set_new(metadata, key, json_string(qg_tensors_metadata(tensors, key)));
    for (int i = 0; network && i < network->architecture.layer_count; i++)
        failed |= json_array_append_new(layers, layer_to_json(network, i));
    json_t *all = json_pack("{s:o, s:o}", "tensors", list, "metadata", metadata);
    if (network)
        failed |= json_object_set_new(all, "layers", layers);
    else
        json_decref(layers);
    if (failed) {
        json_decref(all);
        all = NULL;
    }
    return cli_print_json(all);
}

/* Only what says that it is a network must be one. */
static bool says_network(const qg_tensors *tensors)
{
    const char *format = qg_tensors_metadata(tensors, "format");
    return format && strncmp(format, "qgraft network", strlen("qgraft network")) == 0;
}

int cmd_inspect(int argc, char **argv)
{
    inspect_options options = {0};
    const struct argp argp = {argp_options, parse_option, "FILE", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &options);
    if (options.pedigree)
        return pedigree_print(options.path, options.search ? options.search : ".", options.json);
    qg_error error;
    qg_tensors *tensors;
    if (qg_tensors_load(options.path, &tensors, &error) != QG_OK) return cli_fail(&error);
    qg_network network = {0};
    qg_network_info info;
    int code = 0;
    const bool is_network = says_network(tensors);
    const bool loaded =
        is_network && qg_network_load(options.path, &network, &info, &error) == QG_OK;
    if (options.json) {
        code = print_json(tensors, loaded ? &network : NULL);
    } else {
        if (loaded)
            print_layers(&network);
        else
            print_tensors(tensors);
        print_metadata(tensors);
    }
    if (is_network && !loaded) code = cli_fail(&error); /* a broken one is shown all the same */
    qg_network_free(&network);
    qg_tensors_free(tensors);
    return code;
}
