/* qgraft graft: copies layers of a trained network into a new one and trains it on a domain. */
#include "cli/train_arguments.h"

#include <qgraft/graft.h>

#include "base/text.h"

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
    OPTION_THAW,
    OPTION_THAW_EVERY,
    OPTION_LR_SCALE,
    OPTION_L2_SP,
    OPTION_EWC,
    OPTION_EWC_SAMPLES,
    OPTION_KICKSTART,
    OPTION_DISTILL_WEIGHT,
    OPTION_DISTILL_TAU,
    OPTION_WARM_REPLAY,
    OPTION_QDAGGER,
    OPTION_POLICY_REUSE,
    OPTION_POLICY_REUSE_DECAY,
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
    "  qgraft graft split.safetensors --to minatar/asterix --part perception\n"
    "  qgraft graft si.safetensors --to demon_attack --first 3 --freeze --thaw 1M --thaw-every "
    "500k\n"
    "  qgraft graft si.safetensors --to demon_attack --first 4 --ewc 100 --lr-scale 1:0.1,2:0.3\n"
    "Rivals to copying take the source's policy instead of its layers, or beside them:\n"
    "  qgraft graft si.safetensors --to demon_attack --kickstart 1M\n"
    "  qgraft graft si.safetensors --to demon_attack --warm-replay 200k --qdagger 50k --kickstart "
    "1M\n"
    "  qgraft graft si.safetensors --to demon_attack --policy-reuse 1 --policy-reuse-decay 0.99";

static const struct argp_option argp_options[] = {
    {"to", OPTION_TO, "DOMAIN", 0, "what the new network is trained on", 1},
    {"first", OPTION_FIRST, "N", 0, "copy the first N weighted layers", 1},
    {"last", OPTION_LAST, "N", 0, "copy the last N weighted layers", 1},
    {"layers", OPTION_LAYERS, "1,3", 0, "copy these weighted layers, counted from 1", 1},
    {"part", OPTION_PART, "NAME", 0, "copy a part of a split network: perception or decision", 1},
    {"freeze", OPTION_FREEZE, NULL, 0, "the copied layers do not learn", 1},
    {"thaw", OPTION_THAW, "STEP", 0, "frozen layers learn from this step on", 1},
    {"thaw-every", OPTION_THAW_EVERY, "N", 0,
     "gradually: the topmost at --thaw (default N), the next below N steps later, and so on", 1},
    {"lr-scale", OPTION_LR_SCALE, "1:0.1,2:0.3", 0, "factors of layers' learning rates", 1},
    {"l2-sp", OPTION_L2_SP, "ALPHA", 0,
     "pull copied layers back to the source's weights (L2-SP, Li 2018)", 1},
    {"ewc", OPTION_EWC, "LAMBDA", 0,
     "the same by the source's Fisher information, from its play (EWC, Kirkpatrick 2017)", 1},
    {"ewc-samples", OPTION_EWC_SAMPLES, "N", 0, "states that it is measured on (default 1000)", 1},
    {"match", OPTION_MATCH, "HOW", 0,
     "rows of the last layer, and actions, by 'meaning' (default) or 'index'", 1},
    {"reinit-seed", OPTION_REINIT, "S", 0, "seed of the fresh layers (default: --seed)", 1},
    {"epsilon-start", OPTION_EPSILON, "E", 0, "as --set epsilon_start=E", 1},
    {"learn-start", OPTION_LEARN_START, "N", 0, "as --set learn_start=N", 1},
    {"dry-run", OPTION_DRY_RUN, NULL, 0, "print the table of layers and end", 1},
    {NULL, 0, NULL, 0, "Taking the source's policy, instead of layers or beside them:", 2},
    {"kickstart", OPTION_KICKSTART, "N", 0,
     "distil the source's policy while learning, with a weight that falls to 0 over N steps "
     "(kickstarting, Schmitt 2018)",
     2},
    {"distill-weight", OPTION_DISTILL_WEIGHT, "W", 0, "where that weight begins (default 1)", 2},
    {"distill-tau", OPTION_DISTILL_TAU, "T", 0,
     "temperature of both policies (default 0.1: Agarwal 2022)", 2},
    {"warm-replay", OPTION_WARM_REPLAY, "N", 0,
     "the source plays the first N steps, with epsilon_end; learning begins behind them", 2},
    {"qdagger", OPTION_QDAGGER, "K", 0,
     "K updates on what --warm-replay has played, with the full weight of --kickstart, before the "
     "steps go on (QDagger, Agarwal 2022)",
     2},
    {"policy-reuse", OPTION_POLICY_REUSE, "P", 0,
     "probability of the source's action at the first step of an episode (probabilistic policy "
     "reuse, Fernandez and Veloso 2006)",
     2},
    {"policy-reuse-decay", OPTION_POLICY_REUSE_DECAY, "V", 0,
     "its factor from step to step of an episode (default 0.95)", 2},
    {0}};

typedef struct graft_arguments {
    train_arguments train;
    qg_graft_choice choice;
    unsigned ways; /* bit w: an option for the qg_graft_way w was given */
    const char *source, *reinit, *epsilon_start, *learn_start;
    bool random, dry_run;
} graft_arguments;

static void check_complete(graft_arguments *a, struct argp_state *state)
{
    a->random = a->source && strcmp(a->source, "random") == 0;
    if (!a->source)
        cli_bad_arguments(state, "name the source: a .safetensors file, or 'random'");
    else if (!a->train.domain)
        cli_bad_arguments(state, "--to is missing: the domain to train on");
    else if (a->ways & (a->ways - 1) || (!a->ways && !qg_graft_reuses(&a->choice)))
        cli_bad_arguments(state,
                          "one of --first, --last, --layers and --part is needed, or --kickstart, "
                          "--warm-replay or --policy-reuse");
    else if (a->random && !a->choice.frozen)
        cli_bad_arguments(state, "'random' without --freeze is what 'qgraft train' does");
}

/* What says which layers are copied and how they learn, as the library has it. */
static error_t parse_choice(graft_arguments *a, int option, const char *value,
                            struct argp_state *state)
{
    static const struct {
        int option;
        const char *key;
    } keys[] = {{OPTION_FIRST, "first"},
                {OPTION_LAST, "last"},
                {OPTION_LAYERS, "layers"},
                {OPTION_PART, "part"},
                {OPTION_MATCH, "match"},
                {OPTION_THAW, "thaw"},
                {OPTION_THAW_EVERY, "thaw_every"},
                {OPTION_LR_SCALE, "lr_scale"},
                {OPTION_L2_SP, "l2_sp"},
                {OPTION_EWC, "ewc"},
                {OPTION_EWC_SAMPLES, "ewc_samples"},
                {OPTION_KICKSTART, "kickstart"},
                {OPTION_DISTILL_WEIGHT, "distill_weight"},
                {OPTION_DISTILL_TAU, "distill_tau"},
                {OPTION_WARM_REPLAY, "warm_replay"},
                {OPTION_QDAGGER, "qdagger"},
                {OPTION_POLICY_REUSE, "policy_reuse"},
                {OPTION_POLICY_REUSE_DECAY, "policy_reuse_decay"}};
    enum { KEYS = sizeof keys / sizeof *keys };
    size_t i = 0;
    qg_error error;
    while (i < KEYS && keys[i].option != option)
        i++;
    if (i == KEYS) return ARGP_ERR_UNKNOWN;
    if (qg_graft_choice_set(&a->choice, keys[i].key, value, &error)) {
        char name[32];
        cli_name_option(keys[i].key, strlen(keys[i].key), name, sizeof name);
        cli_bad_arguments(state, "%s%s", name, error.message + strlen(keys[i].key));
    }
    if (a->choice.way != QG_CHOOSE_NONE) a->ways |= 1u << a->choice.way;
    return 0;
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
    case OPTION_FREEZE:
        a->choice.frozen = true;
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
        if (a->source) cli_bad_arguments(state, "only one source, not also '%.60s'", text);
        a->source = text;
        break;
    case ARGP_KEY_END:
        check_complete(a, state);
        break;
    default:
        return parse_choice(a, key, text, state);
    }
    return 0;
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
    const qg_graft_plan *plan = context;
    const qg_layer *layer = &plan->target.layers[row];
    const qg_grafted_layer *g = &plan->layers[row];
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
        else if (!plan->source.layer_count)
            snprintf(text, size, "random");
        else if (g->rows < layer->outputs)
            snprintf(text, size, "copied: %s, %d of %d rows", plan->source.layers[g->source].name,
                     g->rows, layer->outputs);
        else
            snprintf(text, size, "copied: %s", plan->source.layers[g->source].name);
        break;
    case 3:
        snprintf(text, size, g->frozen ? "frozen" : "free");
        if (g->thaw) qg_text_add(text, size, " until %lld", (long long)g->thaw);
        if (g->lr_scale != 1) qg_text_add(text, size, ", rate x %g", g->lr_scale);
        break;
    case 4:
        snprintf(text, size, "%zu", layer_size(layer));
        break;
    default:
        snprintf(text, size, "%.1f %%",
                 100 * (double)layer_size(layer) /
                     (double)qg_architecture_parameters(&plan->target));
        break;
    }
}

static json_t *layer_to_json(const qg_graft_plan *plan, int l)
{
    const qg_layer *layer = &plan->target.layers[l];
    const qg_grafted_layer *g = &plan->layers[l];
    json_t *from = g->source < 0              ? json_null()
                   : plan->source.layer_count ? json_string(plan->source.layers[g->source].name)
                                              : json_string("random");
    return json_pack("{s:s, s:o, s:i, s:i, s:b, s:o, s:f, s:I}", "layer", layer->name,
                     "copied_from", from, "rows_copied", g->rows, "outputs", layer->outputs,
                     "frozen", g->frozen, "thaw", g->thaw ? json_integer(g->thaw) : json_null(),
                     "lr_scale", g->lr_scale, "parameters", (json_int_t)layer_size(layer));
}

static int print_json(const graft_arguments *a, const qg_graft_options *options,
                      const qg_graft_plan *plan)
{
    json_t *array = json_array();
    for (int l = 0; l < plan->target.layer_count; l++)
        json_array_append_new(array, layer_to_json(plan, l));
    char choice[QG_GRAFT_CHOICE_TEXT];
    qg_graft_choice_format(&a->choice, choice);
    return cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:o}", "source", a->source, "domain",
                                    options->train.domain, "folder", options->train.run.folder,
                                    "choice", choice, "layers", array));
}

static int print_plan(const graft_arguments *a, const qg_graft_plan *plan)
{
    char label[QG_GRAFT_CHOICE_TEXT];
    const int layers = plan->target.layer_count;
    int frozen = 0; /* for ever */
    cli_print_table(columns, sizeof columns / sizeof *columns, (size_t)layers, layer_cell, plan);
    for (int l = 0; l < layers; l++) {
        const int fresh = plan->target.layers[l].outputs - plan->layers[l].rows;
        frozen += plan->layers[l].frozen && !plan->layers[l].thaw;
        if (plan->layers[l].frozen && fresh)
            printf("the %d fresh rows of %s are frozen too%s\n", fresh, plan->target.layers[l].name,
                   plan->layers[l].thaw ? ", until it thaws" : "");
    }
    if (frozen == layers) printf("every layer is frozen: nothing will be learned\n");
    qg_graft_choice_label(&a->choice, label);
    if (qg_graft_reuses(&a->choice)) printf("taken of the source: %s\n", label);
    return 0;
}

static int dry_run(const graft_arguments *a, const qg_graft_options *options)
{
    qg_graft_plan plan;
    qg_error error;
    if (qg_graft_look(options, &plan, &error)) return cli_fail(&error);
    return a->train.json ? print_json(a, options, &plan) : print_plan(a, &plan);
}

/* ---------------------------------------------------------------------------------- options */

/* The settings: those of training, with the source's architecture unless another is set. */
static qg_status resolve_settings(const graft_arguments *a, qg_settings *settings, qg_error *error)
{
    qg_architecture source;
    qg_network_info info;
    qg_status status = QG_OK;
    if (!a->random) status = qg_network_look(a->source, &source, &info, error);
    if (!status && !a->random) cli_warn_of_network(&info);
    if (!status)
        status = train_read_settings(&a->train, a->random ? NULL : source.text, settings, error);
    if (!status && a->epsilon_start)
        status = cli_set(settings, "epsilon_start", "epsilon-start", a->epsilon_start, error);
    if (!status && a->learn_start)
        status = cli_set(settings, "learn_start", "learn-start", a->learn_start, error);
    return status ? status : qg_settings_check(settings, error);
}

/* Of the default folder: "graft-first3-frozen-". */
static void name_prefix(const graft_arguments *a, char *prefix, size_t size)
{
    char name[QG_GRAFT_CHOICE_TEXT];
    qg_graft_choice_name(&a->choice, name);
    snprintf(prefix, size, "graft%s-%.150s-", a->random ? "-random" : "", name);
}

static qg_status resolve(const graft_arguments *a, qg_graft_options *options, char *folder,
                         size_t size, qg_error *error)
{
    char prefix[200];
    int64_t seed = 0;
    options->source = a->random ? NULL : a->source;
    options->choice = a->choice;
    qg_status status = resolve_settings(a, &options->train.settings, error);
    name_prefix(a, prefix, sizeof prefix);
    if (!status) status = train_resolve(&a->train, prefix, &options->train, folder, size, error);
    if (status || !a->reinit) return status;
    options->reinit = true;
    status = qg_parse_count("--reinit-seed", a->reinit, 0, INT64_MAX, &seed, error);
    options->reinit_seed = (uint64_t)seed;
    return status;
}

int cmd_graft(int argc, char **argv)
{
    graft_arguments arguments = {0};
    const struct argp_child children[] = {{&train_argp, 0, "Training:", 3}, {0}};
    const struct argp argp = {argp_options, parse_option, "SOURCE", documentation,
                              children,     NULL,         NULL};
    cli_parse(&argp, argc, argv, &arguments);
    qg_graft_options options = {0};
    qg_error error;
    char folder[320];
    if (resolve(&arguments, &options, folder, sizeof folder, &error)) return cli_fail(&error);
    if (arguments.train.settings) return train_print_settings(&options.train.settings);
    if (arguments.dry_run) return dry_run(&arguments, &options);
    return train_run(&arguments.train, &options.train, train_call_graft, &options);
}
