/* qgraft graft: copies layers of a trained network into a new one and trains it on a domain. */
#include "cli/train_arguments.h"

#include <qgraft/graft.h>

#include "base/file.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_TO = OPTION_TRAIN_END,
    OPTION_FIRST,
    OPTION_LAST,
    OPTION_LAYERS,
    OPTION_PART,
    OPTION_FREEZE,
    OPTION_MATCH,
    OPTION_REINIT,
    OPTION_EPSILON,
    OPTION_LEARN_START,
    OPTION_DRY_RUN,
};

static const char documentation[] =
    "Copies weighted layers of SOURCE (a .safetensors network, or 'random' for the control) into a "
    "new network and trains it on a domain. The layers that are not copied are exactly those of "
    "'qgraft train' with the same seed. The grafted network is evaluated before training (step "
    "0 of evaluations.csv).\v"
    "In a last layer, rows go by the meaning of the actions (fire to fire); rows without a "
    "counterpart stay fresh. Frozen layers never change, which is checked at the end.\n"
    "Examples:\n"
    "  qgraft graft runs/breakout-s1/best.safetensors --to pong --first 3 --freeze\n"
    "  qgraft graft si.safetensors --to demon_attack --last 1 --seed 2 --steps 25M\n"
    "  qgraft graft si.safetensors --to demon_attack --first 2 --dry-run\n"
    "  qgraft graft random --to minatar/asterix --first 3 --freeze    (control)\n"
    "  qgraft graft split.safetensors --to minatar/asterix --part perception";

static const struct argp_option argp_options[] = {
    {"to", OPTION_TO, "DOMAIN", 0, "what the new network is trained on", 1},
    {"first", OPTION_FIRST, "N", 0, "copy the first N weighted layers", 1},
    {"last", OPTION_LAST, "N", 0, "copy the last N weighted layers", 1},
    {"layers", OPTION_LAYERS, "1,3", 0, "copy these weighted layers, counted from 1", 1},
    {"part", OPTION_PART, "NAME", 0, "copy a part of a split network: perception or decision", 1},
    {"freeze", OPTION_FREEZE, NULL, 0, "the copied layers do not learn", 1},
    {"match", OPTION_MATCH, "HOW", 0, "rows of the last layer by 'meaning' (default) or 'index'",
     1},
    {"reinit-seed", OPTION_REINIT, "S", 0, "seed of the fresh layers (default: --seed)", 1},
    {"epsilon-start", OPTION_EPSILON, "E", 0, "as --set epsilon_start=E", 1},
    {"learn-start", OPTION_LEARN_START, "N", 0, "as --set learn_start=N", 1},
    {"dry-run", OPTION_DRY_RUN, NULL, 0, "print the table of layers and end", 1},
    {0}};

typedef struct graft_arguments {
    train_arguments train;
    qg_graft_choice choice;
    unsigned ways; /* bit w: an option for the qg_graft_way w was given */
    const char *source, *reinit, *epsilon_start, *learn_start;
    bool dry_run;
} graft_arguments;

static void check_complete(const graft_arguments *a, struct argp_state *state)
{
    if (!a->source)
        argp_error(state, "name the source: a .safetensors file, or 'random'");
    else if (!a->train.domain)
        argp_error(state, "--to is missing: the domain to train on");
    else if (!a->ways || (a->ways & (a->ways - 1)))
        argp_error(state, "one of --first, --last, --layers and --part is needed");
    else if (strcmp(a->source, "random") == 0 && !a->choice.frozen)
        argp_error(state, "'random' without --freeze is what 'qgraft train' does");
}

static void set_choice(graft_arguments *a, const char *key, const char *value,
                       struct argp_state *state)
{
    qg_error error;
    if (qg_graft_choice_set(&a->choice, key, value, &error))
        argp_error(state, "--%s", error.message);
    a->ways |= 1u << a->choice.way;
}

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    graft_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->train;
        break;
    case OPTION_TO:
        a->train.domain = text;
        break;
    case OPTION_FIRST:
        set_choice(a, "first", text, state);
        break;
    case OPTION_LAST:
        set_choice(a, "last", text, state);
        break;
    case OPTION_LAYERS:
        set_choice(a, "layers", text, state);
        break;
    case OPTION_PART:
        set_choice(a, "part", text, state);
        break;
    case OPTION_FREEZE:
        a->choice.frozen = true;
        break;
    case OPTION_MATCH:
        set_choice(a, "match", text, state);
        break;
    case OPTION_REINIT:
        a->reinit = text;
        break;
    case OPTION_EPSILON:
        a->epsilon_start = text;
        break;
    case OPTION_LEARN_START:
        a->learn_start = text;
        break;
    case OPTION_DRY_RUN:
        a->dry_run = true;
        break;
    case ARGP_KEY_ARG:
        if (a->source) argp_error(state, "only one source, not also '%.60s'", text);
        a->source = text;
        break;
    case ARGP_KEY_END:
        check_complete(a, state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Everything the command holds. */
typedef struct graft_work {
    qg_network source, network;
    qg_network_info info; /* of the source */
    char actions[512];    /* of the target */
    qg_grafted_layer grafted[QG_MAX_LAYERS];
    qg_train_options options;
    char sha256[65], step[32], score[32], copied[512];
    qg_note notes[8];
    char folder[256];
} graft_work;

static bool is_random(const graft_arguments *a)
{
    return strcmp(a->source, "random") == 0;
}

/* The settings: those of training, with the source's architecture unless another is set. */
static qg_status resolve_settings(const graft_arguments *a, graft_work *w, qg_error *error)
{
    qg_settings *settings = &w->options.settings;
    qg_status status = train_resolve_settings(
        &a->train, is_random(a) ? NULL : w->source.architecture.text, settings, error);
    if (!status && a->epsilon_start)
        status = qg_settings_set_value(settings, "epsilon_start", a->epsilon_start, error);
    if (!status && a->learn_start)
        status = qg_settings_set_value(settings, "learn_start", a->learn_start, error);
    return status ? status : qg_settings_check(settings, error);
}

/* The fresh network of the target, as `qgraft train` would begin. */
static qg_status make_fresh(const graft_arguments *a, graft_work *w, qg_error *error)
{
    const qg_domain_options domain_options = {.seed = 1, .sticky = -1};
    qg_domain *domain;
    qg_architecture architecture;
    int64_t seed = (int64_t)w->options.seed;
    qg_status status = qg_domain_open(a->train.domain, &domain_options, &domain, error);
    if (status) return status;
    qg_text_join(domain->game->actions, domain->game->action_count, w->actions, sizeof w->actions);
    status = qg_architecture_for(&w->options.settings, domain, &architecture, error);
    qg_domain_close(domain);
    if (status && strcmp(w->options.settings.network, w->source.architecture.text) == 0) {
        const qg_error inner = *error;
        status = qg_fail(error, status, "the source's architecture '%.60s' does not fit %.90s: %s",
                         w->source.architecture.text, a->train.domain, inner.message);
    }
    if (!status && a->reinit)
        status = qg_parse_count("--reinit-seed", a->reinit, 0, INT64_MAX, &seed, error);
    if (!status) status = qg_network_create(&architecture, &w->network, error);
    if (!status) qg_network_initialise(&w->network, (uint64_t)seed);
    return status;
}

/* The control: the fresh layers themselves stand for copied ones, so that the run differs from its
 * baseline by the freezing alone. */
static qg_status graft(const graft_arguments *a, graft_work *w, qg_error *error)
{
    const qg_status status = qg_graft(is_random(a) ? &w->network : &w->source,
                                      is_random(a) ? w->actions : w->info.actions, &w->network,
                                      w->actions, &a->choice, w->grafted, error);
    for (int l = 0; l < w->network.architecture.layer_count && !status; l++)
        w->options.frozen[l] = a->choice.frozen && w->grafted[l].source >= 0;
    w->options.initial = &w->network;
    return status;
}

static void add_note(graft_work *w, const char *key, const char *value)
{
    w->notes[w->options.note_count++] = (qg_note){key, value};
    w->options.notes = w->notes;
}

/* The pedigree: which file, what it was, and what was copied of it. */
static qg_status write_pedigree(const graft_arguments *a, graft_work *w, qg_error *error)
{
    for (int l = 0; l < w->network.architecture.layer_count; l++) {
        if (w->grafted[l].source < 0) continue;
        const size_t used = strlen(w->copied);
        const qg_layer *layer = &w->network.architecture.layers[l];
        snprintf(w->copied + used, sizeof w->copied - used, "%s%s", used ? "," : "", layer->name);
        if (w->grafted[l].rows < layer->outputs) {
            const size_t more = strlen(w->copied);
            snprintf(w->copied + more, sizeof w->copied - more, "(%d of %d rows)",
                     w->grafted[l].rows, layer->outputs);
        }
    }
    add_note(w, "parent_file", a->source);
    add_note(w, "copied", w->copied);
    add_note(w, "copied_layers_are", a->choice.frozen ? "frozen" : "free");
    if (a->reinit) add_note(w, "reinit_seed", a->reinit);
    if (is_random(a)) return QG_OK;
    const qg_status status = qg_sha256_file(a->source, w->sha256, error);
    if (status) return status;
    snprintf(w->step, sizeof w->step, "%" PRId64, w->info.step);
    snprintf(w->score, sizeof w->score, "%.17g", w->info.score);
    add_note(w, "parent_sha256", w->sha256);
    add_note(w, "parent_domain", w->info.domain);
    add_note(w, "parent_step", w->step);
    if (!isnan(w->info.score)) add_note(w, "parent_score", w->score);
    return QG_OK;
}

/* -------------------------------------------------------------------------------- dry run */

static const cli_column columns[] = {{"layer", false},  {"shape", false},     {"from", false},
                                     {"learns", false}, {"parameters", true}, {"share", true}};

static size_t layer_size(const qg_layer *layer)
{
    return qg_layer_weights(layer) + (size_t)layer->outputs;
}

static void layer_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const graft_work *w = context;
    const qg_layer *layer = &w->network.architecture.layers[row];
    const qg_grafted_layer *g = &w->grafted[row];
    switch (column) {
    case 0:
        snprintf(text, size, "%s", layer->name);
        break;
    case 1:
        if (layer->kind == QG_CONV)
            snprintf(text, size, "%d x %d x %d x %d", layer->outputs, layer->in_channels,
                     layer->kernel, layer->kernel);
        else
            snprintf(text, size, "%d x %zu", layer->outputs, qg_layer_fan_in(layer));
        break;
    case 2:
        if (g->source < 0)
            snprintf(text, size, "fresh");
        else if (!w->source.parameters)
            snprintf(text, size, "random");
        else if (g->rows < layer->outputs)
            snprintf(text, size, "copied: %s, %d of %d rows",
                     w->source.architecture.layers[g->source].name, g->rows, layer->outputs);
        else
            snprintf(text, size, "copied: %s", w->source.architecture.layers[g->source].name);
        break;
    case 3:
        snprintf(text, size, w->options.frozen[row] ? "frozen" : "free");
        break;
    case 4:
        snprintf(text, size, "%zu", layer_size(layer));
        break;
    default:
        snprintf(text, size, "%.1f %%",
                 100 * (double)layer_size(layer) /
                     (double)qg_architecture_parameters(&w->network.architecture));
        break;
    }
}

static json_t *layer_to_json(const graft_work *w, int l)
{
    const qg_layer *layer = &w->network.architecture.layers[l];
    const qg_grafted_layer *g = &w->grafted[l];
    json_t *from = g->source < 0 ? json_null()
                   : w->source.parameters
                       ? json_string(w->source.architecture.layers[g->source].name)
                       : json_string("random");
    return json_pack("{s:s, s:o, s:i, s:i, s:b, s:I}", "layer", layer->name, "copied_from", from,
                     "rows_copied", g->rows, "outputs", layer->outputs, "frozen",
                     w->options.frozen[l], "parameters", (json_int_t)layer_size(layer));
}

static int print_plan(const graft_arguments *a, const graft_work *w)
{
    const int layers = w->network.architecture.layer_count;
    int frozen = 0;
    for (int l = 0; l < layers; l++)
        frozen += w->options.frozen[l];
    if (a->train.json) {
        json_t *array = json_array();
        for (int l = 0; l < layers; l++)
            json_array_append_new(array, layer_to_json(w, l));
        return cli_print_json(json_pack("{s:s, s:s, s:s, s:o}", "source", a->source, "domain",
                                        w->options.domain, "folder", w->options.folder, "layers",
                                        array));
    }
    cli_print_table(columns, sizeof columns / sizeof *columns, (size_t)layers, layer_cell, w);
    for (int l = 0; l < layers; l++) {
        const qg_layer *layer = &w->network.architecture.layers[l];
        if (w->options.frozen[l] && w->grafted[l].rows < layer->outputs)
            printf("the %d fresh rows of %s are frozen too\n", layer->outputs - w->grafted[l].rows,
                   layer->name);
    }
    if (frozen == layers) printf("every layer is frozen: nothing will be learned\n");
    return 0;
}

static qg_status prepare(const graft_arguments *a, graft_work *w, qg_error *error)
{
    char prefix[96], what[QG_GRAFT_CHOICE_TEXT]; /* of the default folder: graft-first3-frozen- */
    qg_graft_choice_what(&a->choice, what);
    snprintf(prefix, sizeof prefix, "graft%s-%s%s%s-", is_random(a) ? "-random" : "",
             a->choice.way == QG_CHOOSE_PART ? "" : qg_graft_way_name(a->choice.way), what,
             a->choice.frozen ? "-frozen" : "");
    for (char *c = prefix; *c; c++)
        if (*c == ',') *c = '-';
    qg_status status = QG_OK;
    if (!is_random(a)) status = qg_network_load(a->source, &w->source, &w->info, error);
    if (!status) status = resolve_settings(a, w, error);
    if (!status)
        status = train_resolve(&a->train, prefix, &w->options, w->folder, sizeof w->folder, error);
    if (!status) status = make_fresh(a, w, error);
    if (!status) status = graft(a, w, error);
    return status ? status : write_pedigree(a, w, error);
}

int cmd_graft(int argc, char **argv)
{
    graft_arguments arguments = {0};
    const struct argp_child children[] = {{&train_argp, 0, "Training:", 2}, {0}};
    const struct argp argp = {argp_options, parse_option, "SOURCE", documentation,
                              children,     NULL,         NULL};
    cli_parse(&argp, argc, argv, &arguments);
    graft_work work = {0};
    qg_error error;
    int code;
    if (prepare(&arguments, &work, &error))
        code = cli_fail(&error);
    else if (arguments.train.settings)
        code = train_print_settings(&work.options.settings);
    else if (arguments.dry_run)
        code = print_plan(&arguments, &work);
    else
        code = train_run(&arguments.train, &work.options);
    qg_network_free(&work.source);
    qg_network_free(&work.network);
    return code;
}
