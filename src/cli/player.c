#include "cli/player.h"

#include <qgraft/settings.h>

#include "base/random.h"
#include "base/text.h"

enum {
    OPTION_NOOPS = 'P' << 8,
    OPTION_STICKY,
    OPTION_FRAMES,
    OPTION_SKIP,
    OPTION_PRESET,
    OPTION_ISA
}; /* apart from the commands' own */

static const struct argp_option argp_options[] = {
    {"steps", 'n', "N", 0, "agent steps", 0},
    {"epsilon", 'e', "E", 0, "share of random actions (default 0.05, vectors 0)", 0},
    {"seed", 's', "S", 0, "seed of policy, starts and game (default 1)", 0},
    {"noop-max", OPTION_NOOPS, "N", 0,
     "at most N no-ops begin an episode (default: screens 30, grids and vectors 0)", 0},
    {"sticky", OPTION_STICKY, "P", 0, "probability of a repeated action (default 0, grids 0.1)", 0},
    {"max-episode-frames", OPTION_FRAMES, "N", 0,
     "frames after which a game is cut off; 0: none (default: screens 8 hours, Pong 65000, "
     "grids and vectors 0)",
     0},
    {"frame-skip", OPTION_SKIP, "N", 0, "frames that an action lasts (default: the preset's)", 0},
    {"preset", OPTION_PRESET, "NAME", 0,
     "play by the rules of a preset: dqn3, machado, grid, cleanrl, sb3 or vector (default: the "
     "game's)",
     0},
    {"isa", OPTION_ISA, "NAME", 0,
     "instruction set: amx (bf16), avx512, avx2 or portable (default: the best)", 0},
    {0}};

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    cli_player_arguments *a = state->input;
    switch (key) {
    case 'n':
        a->steps = text;
        break;
    case 'e':
        a->epsilon = text;
        break;
    case 's':
        a->seed = text;
        break;
    case OPTION_NOOPS:
        a->noop_max = text;
        break;
    case OPTION_STICKY:
        a->sticky = text;
        break;
    case OPTION_FRAMES:
        a->max_episode_frames = text;
        break;
    case OPTION_SKIP:
        a->frame_skip = text;
        break;
    case OPTION_PRESET:
        a->preset = text;
        break;
    case OPTION_ISA:
        a->isa = text;
        break;
    case ARGP_KEY_ARG:
        if (a->word_count == 2) cli_bad_arguments(state, "one network and at most one domain");
        a->words[a->word_count++] = text;
        break;
    case ARGP_KEY_END:
        if (a->random && a->word_count != 1)
            cli_bad_arguments(state, "--random goes with a domain and no network");
        if (a->word_count == 0) cli_bad_arguments(state, "name a network (a .safetensors file)");
        if (a->random && a->epsilon)
            cli_bad_arguments(state, "--random is --epsilon 1: give one of them");
        if (a->random && a->isa)
            cli_bad_arguments(state, "--isa is for networks: leave it out with --random");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const struct argp cli_player_argp = {argp_options, parse_option, 0, 0, 0, 0, 0};

static qg_status resolve(const cli_player_arguments *a, const char *domain, cli_player *player,
                         qg_error *error)
{
    const struct {
        const char *key, *option, *value;
    } given[] = {{"eval_steps", "steps", a->steps},
                 {"eval_epsilon", "epsilon", a->random ? "1" : a->epsilon},
                 {"noop_max", "noop-max", a->noop_max},
                 {"sticky", "sticky", a->sticky},
                 {"frame_skip", "frame-skip", a->frame_skip},
                 {"max_episode_frames", "max-episode-frames", a->max_episode_frames}};
    qg_settings *settings = &player->settings;
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    qg_status status = qg_domain_resolve(domain, &game, name, error);
    const char *const preset = a->preset ? a->preset : status ? NULL : game->defaults->preset;
    if (!status) status = qg_settings_preset(settings, preset, error);
    for (size_t i = 0; i < sizeof given / sizeof *given && !status; i++)
        if (given[i].value)
            status = cli_set(settings, given[i].key, given[i].option, given[i].value, error);
    player->seed = 1;
    if (!status && a->seed)
        status = qg_parse_count("--seed", a->seed, 0, INT64_MAX, &player->seed, error);
    return status;
}

/* The domain, and what of the options follows from it. */
static qg_status open_domain(const char *name, cli_player *player, qg_error *error)
{
    const qg_settings *settings = &player->settings;
    qg_random random = qg_random_stream((uint64_t)player->seed, "evaluate");
    qg_domain_options options = qg_domain_options_of(settings);
    const qg_game *game;
    char normalised[QG_DOMAIN_NAME];
    qg_status status = qg_domain_resolve(name, &game, normalised, error);
    if (status) return status;
    options.seed = (uint32_t)qg_random_u64(&random);
    if (player->network_name)
        options.actions = qg_network_action_set(&player->info, &player->network.architecture, game);
    status = qg_domain_open(name, &options, &player->domain, error);
    if (status) return status;
    player->options = (qg_evaluation_options){.steps = settings->eval_steps,
                                              .epsilon = settings->eval_epsilon,
                                              .noop_max = settings->noop_max,
                                              .history = 1,
                                              .seed = qg_random_u64(&random),
                                              .stop = cli_interrupt_flag()};
    return QG_OK;
}

static void pair_outputs(cli_player *player)
{
    const qg_outputs found = qg_network_outputs(&player->info, player->domain, player->outputs);
    if (found == QG_OUTPUTS_MOVED) player->options.outputs = player->outputs;
    player->by_place = found == QG_OUTPUTS_OTHER;
}

static qg_status open_engine(cli_player *player, const char *isa, qg_error *error)
{
    const qg_domain *domain = player->domain;
    const qg_architecture *architecture = &player->network.architecture;
    const int history = qg_network_history(&player->info, architecture, domain);
    player->options.history = history;
    qg_status status = qg_network_fits(architecture, domain, history, error);
    const qg_engine_options one = {.architecture = architecture,
                                   .precision = player->info.precision,
                                   .max_batch = 1,
                                   .machine = {1, isa}};
    if (!status) pair_outputs(player);
    if (!status) status = qg_engine_create(&one, &player->engine, error);
    if (!status) status = qg_engine_write(player->engine, QG_ONLINE, &player->network, error);
    return status;
}

qg_status cli_player_open(const cli_player_arguments *a, cli_player *player, qg_error *error)
{
    *player = (cli_player){.network_name = a->random ? NULL : a->words[0]};
    const char *domain = a->words[a->random ? 0 : 1];
    qg_status status = QG_OK;
    if (!a->random) status = qg_network_load(a->words[0], &player->network, &player->info, error);
    if (status) return status;
    if (!domain) domain = player->info.domain;
    if (!domain[0])
        return qg_fail(error, QG_ERROR_USAGE, "%s: does not say its game: name a domain behind it",
                       a->words[0]);
    status = resolve(a, domain, player, error);
    if (!status) status = open_domain(domain, player, error);
    if (!status && !a->random) status = open_engine(player, a->isa, error);
    return status;
}

void cli_player_introduce(const cli_player *player)
{
    const qg_domain *const domain = player->domain;
    if (player->network_name) cli_warn_of_network(&player->info);
    if (player->by_place) {
        char actions[sizeof player->info.actions];
        qg_text_join(domain->actions, domain->action_count, actions, sizeof actions);
        fprintf(stderr,
                "qgraft: warning: the network's actions are '%.80s', those of %s '%.80s': each "
                "output plays the action in its place\n",
                player->info.actions, domain->name, actions);
    }
    cli_show_note(domain->name);
}

void cli_player_close(cli_player *player)
{
    qg_engine_destroy(player->engine);
    qg_domain_close(player->domain);
    qg_network_free(&player->network);
}
