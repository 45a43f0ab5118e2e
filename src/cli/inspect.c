/* qgraft inspect: what a .safetensors file holds, its tensors and its metadata. */
#include "cli/cli.h"

#include "network/safetensors.h"

#include <errno.h>

typedef struct inspect_options {
    const char *path;
    bool json;
} inspect_options;

static const char documentation[] =
    "Shows the tensors of a .safetensors file (a network, a batch, a rollout) and its metadata.\v"
    "Examples:\n"
    "  qgraft inspect runs/breakout/best.safetensors\n"
    "  qgraft inspect --json play.safetensors";

static const struct argp_option argp_options[] = {
    {"json", 'j', NULL, 0, "print JSON", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    inspect_options *options = state->input;
    switch (key) {
    case 'j':
        options->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) argp_error(state, "one FILE only");
        options->path = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "FILE is missing");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char *dtype_name(qg_dtype dtype)
{
    return dtype == QG_F32 ? "F32" : dtype == QG_U8 ? "U8" : "I64";
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
        snprintf(text, size, "%s", dtype_name(tensor->dtype));
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
    const char *key = qg_tensors_metadata_key(tensors, 0);
    if (key) putchar('\n');
    for (size_t i = 0; (key = qg_tensors_metadata_key(tensors, i)); i++) {
        cli_print_safe(key);
        fputs(": ", stdout);
        cli_print_safe(qg_tensors_metadata(tensors, key));
        putchar('\n');
    }
}

static json_t *tensor_to_json(const qg_tensor *tensor)
{
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    return json_pack("{s:s, s:s, s:o, s:I}", "name", tensor->name, "dtype",
                     dtype_name(tensor->dtype), "shape", shape, "values",
                     (json_int_t)tensor->elements);
}

static int print_tensors_json(const qg_tensors *tensors)
{
    json_t *list = json_array(), *metadata = json_object();
    int failed = 0;
    for (size_t i = 0; i < qg_tensors_count(tensors); i++)
        failed |= json_array_append_new(list, tensor_to_json(qg_tensors_at(tensors, i)));
    const char *key;
    for (size_t i = 0; (key = qg_tensors_metadata_key(tensors, i)); i++)
        failed |=
            json_object_set_new(metadata, key, json_string(qg_tensors_metadata(tensors, key)));
    json_t *all = json_pack("{s:o, s:o}", "tensors", list, "metadata", metadata);
    if (failed) {
        json_decref(all);
        all = NULL;
    }
    return cli_print_json(all);
}

int cmd_inspect(int argc, char **argv)
{
    inspect_options options = {0};
    const struct argp argp = {argp_options, parse_option, "FILE", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &options);
    qg_error error;
    qg_tensors *tensors;
    if (qg_tensors_load(options.path, &tensors, &error) != QG_OK) return cli_fail(&error);
    int code = 0;
    if (options.json)
        code = print_tensors_json(tensors);
    else
        print_tensors(tensors);
    qg_tensors_free(tensors);
    return code;
}
