/* qgraft stitch: co-adaptation or specificity? */
#include "base/file.h"
#include "cli/player.h"

#include <qgraft/stitch.h>

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_JSON = 256, OPTION_AT, OPTION_SOURCE };

static const char documentation[] =
    "Puts the first layers of the network --source under the last layers of TARGET, as they are "
    "and "
    "with the best linear map between, and plays TARGET's game (or DOMAIN) with TARGET and both. "
    "What the map brings back of the loss is co-adaptation: the layers above knew another basis of "
    "the same information. What it does not is specificity: the information is not there.\v"
    "Examples:\n"
    "  qgraft stitch runs/asterix/best.safetensors --source runs/breakout/best.safetensors --at 2\n"
    "  qgraft stitch asterix-s1.safetensors --source asterix-s2.safetensors --at 2    the control\n"
    "\nWhat it can and cannot say: docs/diagnostics.md.";

static const struct argp_option argp_options[] = {
    {"source", OPTION_SOURCE, "NETWORK", 0, "whose first layers are taken", 0},
    {"at", OPTION_AT, "N", 0, "so many layers are the source's", 0},
    {"out", 'o', "FILE", 0, "write the network with the map", 0},
    {"json", OPTION_JSON, NULL, 0, "print JSON", 0},
    {0}};

static const struct argp_child children[] = {{&cli_player_argp, 0, NULL, 0}, {0}};

typedef struct stitch_arguments {
    cli_player_arguments player;
    const char *source, *at, *out;
    bool json;
} stitch_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    stitch_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->player;
        break;
    case OPTION_SOURCE:
        a->source = text;
        break;
    case OPTION_AT:
        a->at = text;
        break;
    case 'o':
        a->out = text;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    case ARGP_KEY_END:
        if (!a->source) cli_bad_arguments(state, "name whose layers are taken: --source NETWORK");
        if (!a->at) cli_bad_arguments(state, "say how many layers are taken: --at N");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* TARGET, TARGET with the source's layers, and with a map between. */
enum { WHOLE, DIRECT, MAPPED, WAYS };
static const char *const names[WAYS] = {"target", "direct", "mapped"};

typedef struct stitch_results {
    qg_evaluation played[WAYS];
    char domain[QG_DOMAIN_NAME];
    double fit;
    int64_t cut;
} stitch_results;

/* The network with the map: nobody has seen it play, and not all of it is the target's. */
static qg_status save(const stitch_arguments *a, const cli_player *player, int64_t cut,
                      const qg_network *stitched, const qg_network *source, qg_error *error)
{
    char sha256[65], network[65], copied[64];
    qg_network_info info = player->info;
    info.score = info.confirmed_score = NAN;
    snprintf(copied, sizeof copied, "stitched: first %lld layers, then a linear map",
             (long long)cut);
    const qg_note notes[] = {{"parent_file", a->source},
                             {"parent_sha256", sha256},
                             {"parent_network_sha256", network},
                             {"copied", copied}};
    info.notes = notes;
    info.note_count = sizeof notes / sizeof *notes;
    qg_network_sha256(source, network);
    const qg_status status = qg_sha256_file(a->source, sha256, error);
    return status ? status : qg_network_save(a->out, stitched, &info, error);
}

/* With the player's game and settings, but another network, of the same architecture. */
static qg_status play(const stitch_arguments *a, int way, const qg_network *source,
                      const qg_network_info *info, stitch_results *r, qg_error *error)
{
    cli_player player;
    qg_network stitched = {.parameters = NULL};
    qg_status status = cli_player_open(&a->player, &player, error);
    if (!status && info->history && info->history != player.options.history)
        status = qg_fail(error, QG_ERROR_USAGE,
                         "%s sees %d screens at a time, %s %d: its layers would see other states",
                         a->source, info->history, a->player.words[0], player.options.history);
    if (!status && way == WAYS - 1) cli_player_introduce(&player); /* the first */
    if (!status && way != WHOLE) {
        double fit;
        const qg_stitch_options options = {.source = source,
                                           .target = &player.network,
                                           .precisions = {info->precision, player.info.precision},
                                           .cut = (int)r->cut,
                                           .mapped = way == MAPPED,
                                           .domain = player.domain->name,
                                           .history = player.options.history,
                                           .stop = cli_interrupt_flag()};
        status = qg_stitch(&options, &stitched, &fit, error);
        if (way == MAPPED) r->fit = fit;
        if (!status) status = qg_engine_write(player.engine, QG_ONLINE, &stitched, error);
        if (!status && way == MAPPED && a->out)
            status = save(a, &player, r->cut, &stitched, source, error);
    }
    if (!status && isatty(STDERR_FILENO) == 1) fprintf(stderr, "\r\033[Kplaying: %s", names[way]);
    if (!status)
        status = qg_evaluate(player.engine, player.domain, &player.options, &r->played[way], error);
    if (!status) snprintf(r->domain, sizeof r->domain, "%s", player.domain->name);
    qg_network_free(&stitched);
    cli_player_close(&player);
    return status;
}

static double square_of_error(const qg_evaluation *e)
{
    return e->episodes > 1 ? e->deviation * e->deviation / (double)e->episodes : NAN;
}

/* Mean returns of one less the other's, and the standard error. */
static double difference(const stitch_results *r, int a, int b, double *error)
{
    *error = sqrt(square_of_error(&r->played[a]) + square_of_error(&r->played[b]));
    return r->played[a].score - r->played[b].score;
}

static int print_json(const stitch_arguments *a, const stitch_results *r)
{
    double errors[3];
    const double loss = difference(r, WHOLE, DIRECT, &errors[0]),
                 back = difference(r, MAPPED, DIRECT, &errors[1]),
                 rest = difference(r, WHOLE, MAPPED, &errors[2]);
    json_t *root = json_pack("{s:s, s:s, s:s, s:I, s:o, s:f, s:o, s:f, s:o, s:f, s:o}", "target",
                             a->player.words[0], "source", a->source, "domain", r->domain, "at",
                             (json_int_t)r->cut, "fit", cli_real_to_json(r->fit), "loss", loss,
                             "loss_error", cli_real_to_json(errors[0]), "co_adaptation", back,
                             "co_adaptation_error", cli_real_to_json(errors[1]), "specificity",
                             rest, "specificity_error", cli_real_to_json(errors[2]));
    json_t *played = json_object();
    for (int way = 0; way < WAYS; way++)
        json_object_set_new(played, names[way],
                            json_pack("{s:f, s:f, s:I}", "score", r->played[way].score, "deviation",
                                      r->played[way].deviation, "episodes",
                                      (json_int_t)r->played[way].episodes));
    if (!root) json_decref(played);
    if (root) json_object_set_new(root, "played", played);
    return cli_print_json(root);
}

/* "   12.34 +- 0.5     lost" */
static void print_value(double value, double error, const char *what)
{
    char reach[32] = "?"; /* of a single episode nothing is known */
    if (!isnan(error)) snprintf(reach, sizeof reach, "%.3g", error);
    printf("%8.4g +- %-7s %s", value, reach, what);
}

static void print_score(const stitch_results *r, int way, const char *what)
{
    const qg_evaluation *e = &r->played[way];
    print_value(e->score, sqrt(square_of_error(e)), what);
    putchar('\n');
}

static void print(const stitch_results *r)
{
    double error;
    char fit[32] = "nothing"; /* where the target's layer is the same in all states */
    if (!isnan(r->fit)) snprintf(fit, sizeof fit, "%.3g %%", 100 * r->fit);
    printf("%s, the source's first %lld layers; the map explains %s of the target's variance\n",
           r->domain, (long long)r->cut, fit);
    print_score(r, WHOLE, "the target as it is");
    print_score(r, DIRECT, "with the source's layers");
    print_score(r, MAPPED, "with a linear map between");
    const struct {
        int a, b;
        const char *name;
    } parts[] = {{WHOLE, DIRECT, "lost"},
                 {MAPPED, DIRECT, "of it co-adaptation: the map brings it back"},
                 {WHOLE, MAPPED, "of it specificity: what stays lost"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const double value = difference(r, parts[i].a, parts[i].b, &error);
        print_value(value, error, parts[i].name);
        puts(isnan(error)               ? " (too few episodes to tell: more --steps)"
             : fabs(value) <= 2 * error ? " (within two standard errors of 0)"
                                        : "");
    }
}

int cmd_stitch(int argc, char **argv)
{
    stitch_arguments a = {0};
    const struct argp argp = {
        argp_options, parse_option, "TARGET [DOMAIN]", documentation, children, NULL, NULL};
    stitch_results results = {.fit = NAN};
    qg_network source = {.parameters = NULL};
    qg_network_info info;
    qg_error error;
    cli_parse(&argp, argc, argv, &a);
    cli_catch_interrupt();
    qg_status status = qg_parse_count("--at", a.at, 1, QG_MAX_LAYERS - 1, &results.cut, &error);
    if (!status) status = cli_spare(a.source, a.out, &error);
    if (!status) status = cli_spare(a.player.words[0], a.out, &error);
    if (!status) status = qg_network_load(a.source, &source, &info, &error);
    for (int way = WAYS; way-- > 0 && !status;) /* what can be refused first */
        status = play(&a, way, &source, &info, &results, &error);
    if (isatty(STDERR_FILENO) == 1) fputs("\r\033[K", stderr);
    qg_network_free(&source);
    if (status) return cli_fail(&error);
    if (a.json) return print_json(&a, &results);
    print(&results);
    return 0;
}
