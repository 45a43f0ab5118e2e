/* qgraft diagnose: what the layers of finished runs are like. */
#include "cli/cli.h"

#include <qgraft/diagnosis.h>

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_JSON = 256, OPTION_CSV, OPTION_BASELINE };

static const char documentation[] =
    "Looks into the networks that trainings and grafts have kept (snapshots, best, last), layer by "
    "layer: how far they have gone from what the run began with and from the source, how alike "
    "their outputs are to the source's (CKA), which units are dormant, how many directions are in "
    "use. What it means: docs/diagnostics.md.\v"
    "Examples:\n"
    "  qgraft diagnose runs/minatar-asterix-s1\n"
    "  qgraft diagnose runs/graft-* --baseline runs/scratch/last.safetensors --csv > layers.csv";

static const struct argp_option argp_options[] = {
    {"baseline", OPTION_BASELINE, "NETWORK", 0,
     "compare the outputs with those of this network, too", 0},
    {"csv", OPTION_CSV, NULL, 0, "print CSV", 0},
    {"json", OPTION_JSON, NULL, 0, "print JSON", 0},
    {0}};

typedef struct diagnose_arguments {
    char **runs;
    int count;
    const char *baseline;
    bool csv, json;
} diagnose_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    diagnose_arguments *a = state->input;
    switch (key) {
    case OPTION_BASELINE:
        a->baseline = text;
        break;
    case OPTION_CSV:
        a->csv = true;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    case ARGP_KEY_ARGS:
        a->runs = state->argv + state->next;
        a->count = state->argc - state->next;
        break;
    case ARGP_KEY_NO_ARGS:
        cli_bad_arguments(state, "name the folder of a run, or several");
        break;
    case ARGP_KEY_END:
        if (a->csv && a->json) cli_bad_arguments(state, "--csv and --json are two things");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void warn(void *context, const char *line)
{
    qg_error said = {0};
    (void)context;
    snprintf(said.message, sizeof said.message, "%s", line);
    fprintf(stderr, "qgraft: warning: ");
    for (const char *at = cli_message(&said); *at;)
        at = cli_put_character(stderr, at);
    fputc('\n', stderr);
}

/* What a file can tell; the others take the training's state. */
static const qg_layer_measure shown[] = {QG_START_DISTANCE, QG_START_COSINE, QG_SOURCE_DISTANCE,
                                         QG_SOURCE_COSINE,  QG_SOURCE_CKA,   QG_BASELINE_CKA,
                                         QG_DORMANT,        QG_DEAD,         QG_EFFECTIVE_RANK,
                                         QG_SRANK};
enum { SHOWN = sizeof shown / sizeof *shown };

/* ---------------------------------------------------------------------------------- printing */

/* A row for each layer of each network. */
static const qg_diagnosis *find_row(const qg_diagnosis *d, size_t row, int *layer)
{
    for (; row >= (size_t)d->layer_count; d++)
        row -= (size_t)d->layer_count;
    *layer = (int)row;
    return d;
}

static void layer_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    int layer;
    const qg_diagnosis *d = find_row(context, row, &layer);
    if (column == 0)
        snprintf(text, size, "%s", layer ? "" : d->name);
    else if (column == 1)
        snprintf(text, size, "%lld", (long long)d->step);
    else if (column == 2)
        snprintf(text, size, "%s", d->layers[layer]);
    else {
        const double value = d->rows[layer].values[shown[column - 3]];
        snprintf(text, size, isnan(value) ? "-" : "%.4g", value);
    }
}

static void print_table(const char *run, const qg_diagnosis *list, size_t count)
{
    cli_column columns[SHOWN + 3] = {{"network", false}, {"step", true}, {"layer", false}};
    size_t rows = 0;
    for (size_t i = 0; i < count; i++)
        rows += (size_t)list[i].layer_count;
    for (int m = 0; m < SHOWN; m++)
        columns[m + 3] = (cli_column){qg_layer_measure_name(shown[m]), true};
    cli_print_safe(run);
    putchar('\n');
    cli_print_table(columns, SHOWN + 3, rows, layer_cell, list);
}

static void print_csv(const char *run, const qg_diagnosis *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (int l = 0; l < list[i].layer_count; l++) {
            qg_text_cell(stdout, run);
            printf(",%s,%lld,%s", list[i].name, (long long)list[i].step, list[i].layers[l]);
            for (int m = 0; m < SHOWN; m++) {
                const double value = list[i].rows[l].values[shown[m]];
                if (isnan(value))
                    printf(",");
                else
                    printf(",%.17g", value);
            }
            putchar('\n');
        }
}

static void add_json(json_t *all, const char *run, const qg_diagnosis *list, size_t count)
{
    json_t *networks = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *layers = json_array();
        for (int l = 0; l < list[i].layer_count; l++) {
            json_t *row = json_pack("{s:s}", "layer", list[i].layers[l]);
            for (int m = 0; m < SHOWN; m++)
                json_object_set_new(row, qg_layer_measure_name(shown[m]),
                                    cli_real_to_json(list[i].rows[l].values[shown[m]]));
            json_array_append_new(layers, row);
        }
        json_array_append_new(networks,
                              json_pack("{s:s, s:I, s:o}", "network", list[i].name, "step",
                                        (json_int_t)list[i].step, "layers", layers));
    }
    json_array_append_new(all, json_pack("{s:s, s:o}", "run", run, "networks", networks));
}

static void print_header(void)
{
    printf("run,network,step,layer");
    for (int m = 0; m < SHOWN; m++)
        printf(",%s", qg_layer_measure_name(shown[m]));
    putchar('\n');
}

int cmd_diagnose(int argc, char **argv)
{
    diagnose_arguments a = {0};
    const struct argp argp = {argp_options, parse_option, "RUN...", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &a);
    cli_catch_interrupt();
    const qg_diagnosis_options options = {
        .baseline = a.baseline, .stop = cli_interrupt_flag(), .warn = warn};
    json_t *all = a.json ? json_array() : NULL;
    int code = 0;
    if (a.csv) print_header();
    for (int i = 0; i < a.count && code != 130; i++) { /* one that is none keeps no other back */
        qg_diagnosis *list;
        size_t count;
        qg_error error;
        const qg_status status = qg_diagnose(a.runs[i], &options, &list, &count, &error);
        if (status) {
            code = cli_fail(&error);
            continue;
        }
        if (a.csv) print_csv(a.runs[i], list, count);
        if (a.json) add_json(all, a.runs[i], list, count);
        if (!a.csv && !a.json) print_table(a.runs[i], list, count);
        free(list);
    }
    if (!a.json) return code;
    const int printed = cli_print_json(all);
    return code ? code : printed;
}
