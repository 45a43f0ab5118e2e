/* qgraft similarity: how alike games are, and the networks that play them. */
#include "cli/similarity_results.h"

#include <qgraft/settings.h>

#include "report/gnuplot.h"

#include <string.h>
#include <unistd.h>

enum { OPTION_JSON = 256, OPTION_NETWORKS, OPTION_FIGURE };

static const char documentation[] =
    "Compares games by their actions, their objective and their looks in random play, and says "
    "whether they are in-domain (the same game), close (same family, at least half of the actions "
    "shared) or far. Two networks are compared layer by layer (debiased linear CKA) on states of "
    "both games.\v"
    "Examples:\n"
    "  qgraft similarity space_invaders demon_attack\n"
    "  qgraft similarity breakout qbert pong space_invaders --figure grades.svg\n"
    "  qgraft similarity minatar/breakout minatar/freeway --networks a.safetensors b.safetensors\n"
    "\n1 means alike, a distance of 0 means the same; docs/similarity.md has the formulas.";

static const struct argp_option argp_options[] = {
    {"networks", OPTION_NETWORKS, "NET_A NET_B", 0,
     "compare two networks, too: files for the first and the second game", 0},
    {"frames", 'n', "N", 0, "frames of random play to look at, 2 to 10000 (default 2000)", 0},
    {"seed", 's', "S", 0, "seed of the games and of the random actions (default 1)", 0},
    {"json", OPTION_JSON, NULL, 0, "print JSON, with all distributions", 0},
    {"figure", OPTION_FIGURE, "FILE", 0,
     "draw bars (two games) or a heat map (more), as .png or .svg", 0},
    {0}};

typedef struct similarity_arguments {
    const char *games[MAX_COMPARED];
    int count;
    const char *networks[2], *frames, *seed, *figure;
    bool json;
} similarity_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    similarity_arguments *a = state->input;
    switch (key) {
    case OPTION_NETWORKS: /* the second file is the word behind it */
        if (state->next >= state->argc) cli_bad_arguments(state, "--networks takes two files");
        a->networks[0] = text;
        a->networks[1] = state->argv[state->next++];
        break;
    case 'n':
        a->frames = text;
        break;
    case 's':
        a->seed = text;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    case OPTION_FIGURE:
        a->figure = text;
        break;
    case ARGP_KEY_ARG:
        if (a->count == MAX_COMPARED) cli_bad_arguments(state, "at most %d games", MAX_COMPARED);
        a->games[a->count++] = text;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void show(const char *what)
{
    if (isatty(STDERR_FILENO) != 1) return;
    fprintf(stderr, "\r\033[K%s", what);
}

/* What can be seen to be wrong without playing. */
static qg_status check(const similarity_arguments *a, int64_t *frames, int64_t *seed,
                       qg_error *error)
{
    qg_status status = QG_OK;
    *frames = QG_SIMILARITY_FRAMES;
    *seed = 1;
    if (a->count < 2)
        return qg_fail(error, QG_ERROR_USAGE, "name two games or more ('qgraft games' lists all)");
    if (a->networks[0] && a->count != 2)
        return qg_fail(error, QG_ERROR_USAGE, "--networks goes with two games, not with %d",
                       a->count);
    if (a->frames)
        status = qg_parse_count("--frames", a->frames, 2, QG_SIMILARITY_MOST_FRAMES, frames, error);
    if (!status && a->seed) status = qg_parse_count("--seed", a->seed, 0, UINT32_MAX, seed, error);
    if (!status && a->figure) status = qg_gnuplot_check(a->figure, error);
    for (int i = 0; i < a->count && !status; i++) {
        const qg_game *game;
        char name[QG_DOMAIN_NAME];
        status = qg_domain_resolve(a->games[i], &game, name, error);
    }
    return status;
}

static qg_status compare_networks(const similarity_arguments *a, int64_t frames,
                                  similarity_results *results, qg_error *error)
{
    qg_network networks[2] = {0};
    qg_network_info info[2];
    qg_status status = QG_OK;
    for (int i = 0; i < 2 && !status; i++)
        status = qg_network_load(a->networks[i], &networks[i], &info[i], error);
    if (!status) {
        show("playing for the networks");
        results->has_networks = true;
        memcpy(results->networks, a->networks, sizeof results->networks);
        status = qg_representation_compare(
            (const char *const[]){results->profiles[0].domain, results->profiles[1].domain},
            (const qg_network *const[]){&networks[0], &networks[1]},
            (const qg_network_info *const[]){&info[0], &info[1]}, frames, results->seed,
            &results->representation, error);
    }
    qg_network_free(&networks[0]);
    qg_network_free(&networks[1]);
    return status;
}

static qg_status compare(const similarity_arguments *a, similarity_results *results,
                         qg_error *error)
{
    int64_t frames, seed;
    qg_status status = check(a, &frames, &seed, error);
    if (status) return status;
    results->seed = (uint32_t)seed;
    while (results->count < a->count && !status) {
        char text[QG_DOMAIN_NAME + 16];
        snprintf(text, sizeof text, "playing %s", a->games[results->count]);
        show(text);
        status = qg_profile_create(a->games[results->count], frames, results->seed,
                                   &results->profiles[results->count], error);
        results->count++;
    }
    for (int i = 0; i < a->count && !status; i++)
        for (int j = 0; j < a->count; j++)
            qg_similarity_compare(&results->profiles[i], &results->profiles[j],
                                  &results->pairs[i][j]);
    if (!status && a->networks[0]) status = compare_networks(a, frames, results, error);
    show("");
    return status;
}

int cmd_similarity(int argc, char **argv)
{
    similarity_arguments arguments = {0};
    const struct argp argp = {
        argp_options, parse_option, "GAME GAME [GAME...]", documentation, 0, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    static similarity_results results; /* too large for the stack */
    qg_error error;
    qg_status status = compare(&arguments, &results, &error);
    int code = 0;
    if (!status) {
        if (arguments.json)
            code = similarity_print_json(&results);
        else
            similarity_print(&results);
        if (arguments.figure) status = similarity_draw(&results, arguments.figure, &error);
    }
    for (int i = 0; i < results.count; i++)
        qg_profile_free(&results.profiles[i]);
    return status ? cli_fail(&error) : code;
}
