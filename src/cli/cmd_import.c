/* qgraft import: makes a network file of a DQN that was trained with CleanRL, Stable-Baselines3 or
 * DQN 3.0 (Torch7). */
#include "cli/cli.h"

#include <qgraft/agent.h>
#include <qgraft/network.h>
#include <qgraft/settings.h>

#include "base/file.h"
#include "base/file_kind.h"
#include "base/text.h"
#include "network/foreign.h"
#include "network/torch7_network.h"

#include <math.h>
#include <string.h>

enum { OPTION_FORMAT = 256, OPTION_STEP, OPTION_SCORE };

typedef struct import_arguments {
    const char *path, *out, *domain, *seed, *step, *score;
    qg_foreign_format format;
    bool torch7; /* the format is that */
} import_arguments;

#define TORCH7 "torch7"

static const char documentation[] =
    "Makes a network file of a DQN state dict of CleanRL or Stable-Baselines3 (CnnPolicy), saved "
    "as "
    "safetensors, or of a binary file of Torch7, as DQN 3.0 saves; every bit of the parameters is "
    "kept: F16 and BF16 become the same values in "
    "float32, F64 is rounded to the nearest, which is said. With the game it was trained on, its "
    "outputs "
    "have names, so that a last layer can be copied by the meaning of the actions.\v"
    "The architecture is nature-pad0: 4 screens of 84x84, convolutions without padding. Those "
    "programs shrink the screen in another way; docs/transfer.md says what else differs. A network "
    "of Torch7 has the layers that its file says: nn.Sequential of SpatialConvolution, Linear, "
    "Rectifier or ReLU, Reshape or View; of a whole agent the best network is taken.\n"
    "What torch.compile (_orig_mod.) and DataParallel (module.) put before the tensors' names is "
    "passed over, and a Q-network saved alone (model.q_net.state_dict()) is read, too.\n"
    "In Python: safetensors.torch.save_file(model.policy.state_dict(), \"sb3.safetensors\")\n"
    "Examples:\n"
    "  qgraft import cleanrl.safetensors --domain breakout --out breakout.safetensors\n"
    "  qgraft import sb3.safetensors --domain pong --step 10M --score 20.5 --out pong.safetensors\n"
    "  qgraft import DQN3_0_1_breakout.t7 --domain breakout --out breakout.safetensors";

static const struct argp_option argp_options[] = {
    {"out", 'o', "NET", 0, "the network file to be written", 0},
    {"format", OPTION_FORMAT, "NAME", 0, "cleanrl, sb3 or torch7 (default: by what is in the file)",
     0},
    {"domain", 'd', "GAME", 0, "what it was trained on; names the actions", 0},
    {"seed", 's', "S", 0, "the seed it was trained with (default 0)", 0},
    {"step", OPTION_STEP, "N", 0, "agent steps it was trained for, as 10M (default 0)", 0},
    {"score", OPTION_SCORE, "X", 0, "its score (default: not evaluated)", 0},
    {0},
};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    import_arguments *a = state->input;
    switch (key) {
    case 'o':
        a->out = text;
        break;
    case 'd':
        a->domain = text;
        break;
    case 's':
        a->seed = text;
        break;
    case OPTION_FORMAT:
        a->format = qg_foreign_find(text);
        a->torch7 = strcmp(text, TORCH7) == 0;
        if (!a->format && !a->torch7)
            cli_bad_arguments(state, "--format is 'cleanrl', 'sb3' or '" TORCH7 "', not '%.60s'",
                              text);
        break;
    case OPTION_STEP:
        a->step = text;
        break;
    case OPTION_SCORE:
        a->score = text;
        break;
    case ARGP_KEY_ARG:
        if (a->path) cli_bad_arguments(state, "one FILE only");
        a->path = text;
        break;
    case ARGP_KEY_END:
        if (!a->path) cli_bad_arguments(state, "FILE is missing");
        if (!a->out) cli_bad_arguments(state, "--out is missing: the network file to be written");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* The domain's name and its actions: the set that has as many as the network. */
static qg_status describe_domain(const import_arguments *a, const qg_network *network,
                                 qg_network_info *info, qg_error *error)
{
    const qg_game *game;
    qg_status status = qg_domain_resolve(a->domain, &game, info->domain, error);
    if (status) return status;
    const qg_architecture *takes = &network->architecture;
    const qg_observation_shape *shows = &game->shape;
    if (takes->height != shows->height || takes->width != shows->width ||
        takes->input_max != shows->max || takes->channels % shows->channels)
        return qg_fail(error, QG_ERROR_USAGE,
                       "--domain %.60s: the network takes %d x %d x %d grey values, not the %s of "
                       "this game (%d x %d x %d)",
                       a->domain, takes->channels, takes->height, takes->width,
                       qg_observation_is_grid(shows) ? "grids" : "screens", shows->channels,
                       shows->height, shows->width);
    int count;
    const char *const *const actions =
        qg_game_actions(game, qg_network_action_set(NULL, takes, game), &count);
    if (count != takes->actions)
        return qg_fail(error, QG_ERROR_USAGE, "--domain %.60s has %d actions, the network %d",
                       a->domain, count, takes->actions);
    qg_text_join(actions, count, info->actions, sizeof info->actions);
    snprintf(info->emulator, sizeof info->emulator, "%s", qg_game_emulator(info->domain));
    return QG_OK;
}

static qg_status describe(const import_arguments *a, const qg_network *network,
                          qg_network_info *info, qg_error *error)
{
    int64_t seed = 0;
    qg_status status = QG_OK;
    if (a->domain) status = describe_domain(a, network, info, error);
    if (!status && a->seed) status = qg_parse_count("--seed", a->seed, 0, INT64_MAX, &seed, error);
    if (!status && a->step)
        status = qg_parse_count("--step", a->step, 0, INT64_MAX, &info->step, error);
    if (!status && a->score && !qg_text_to_real(a->score, &info->score))
        status = qg_fail(error, QG_ERROR_USAGE, "--score: '%.60s' is not a number", a->score);
    info->seed = (uint64_t)seed;
    return status;
}

static void warn_of_rounding(const qg_rounding *rounding)
{
    if (rounding->values > 0)
        fprintf(stderr,
                "qgraft: F64 values were rounded to the nearest float32: %zu of %zu changed\n",
                rounding->changed, rounding->values);
}

/* Weights of 1e-40 are what memory looks like that holds something else: initial weights, learning
 * and halves are far from them. Whoever saves a view with numpy may get such bytes into the file.
 */
static void warn_of_subnormals(const qg_network *network)
{
    const qg_architecture *a = &network->architecture;
    for (int l = 0; l < a->layer_count; l++) {
        const size_t count = qg_layer_weights(&a->layers[l]) + (size_t)a->layers[l].outputs;
        for (size_t i = 0; i < count; i++) { /* the biases follow the weights */
            if (fpclassify(network->weights[l][i]) != FP_SUBNORMAL) continue;
            fprintf(stderr,
                    "qgraft: warning: %s has the value %g, which no training leaves: was an array "
                    "saved that is not contiguous (docs/files.md)?\n",
                    a->layers[l].name, (double)network->weights[l][i]);
            return;
        }
    }
}

static bool is_torch7(const char *path)
{
    uint8_t begin[QG_FILE_KIND_BYTES];
    return qg_file_kind_of(begin, qg_file_begin(path, begin, sizeof begin)) == QG_FILE_TORCH7;
}

/* *format: its name; *part: of Torch7, where in the file the network stood, otherwise "". */
static qg_status load(const import_arguments *a, qg_network *network, const char **format,
                      const char **part, qg_rounding *rounding, qg_error *error)
{
    *format = TORCH7;
    if (a->torch7 || (!a->format && is_torch7(a->path)))
        return qg_torch7_network_load(a->path, network, part, rounding, error);
    qg_foreign_format found = a->format;
    const qg_status status = qg_foreign_load(a->path, &found, network, rounding, error);
    *part = "";
    if (!status) *format = qg_foreign_name(found);
    return status;
}

static qg_status import(const import_arguments *a, qg_network *network, qg_error *error)
{
    qg_rounding rounding;
    qg_network_info info = {.score = NAN, .confirmed_score = NAN};
    const char *format, *part;
    char sha256[65];
    qg_status status = cli_spare(a->path, a->out, error);
    if (!status) status = load(a, network, &format, &part, &rounding, error);
    if (!status) status = qg_sha256_file(a->path, sha256, error);
    if (!status) status = describe(a, network, &info, error);
    if (status) return status;
    const qg_note notes[] = {{"imported_format", format},
                             {"imported_file", a->path},
                             {"imported_sha256", sha256},
                             {"imported_part", part}};
    info.notes = notes;
    info.note_count = sizeof notes / sizeof *notes - !*part;
    status = qg_network_save(a->out, network, &info, error);
    if (status) return status;
    warn_of_rounding(&rounding);
    warn_of_subnormals(network);
    return QG_OK;
}

int cmd_import(int argc, char **argv)
{
    import_arguments arguments = {0};
    const struct argp argp = {argp_options, parse_option, "FILE", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    qg_network network = {0};
    qg_error error;
    const qg_status status = import(&arguments, &network, &error);
    qg_network_free(&network);
    return status ? cli_fail(&error) : 0;
}
