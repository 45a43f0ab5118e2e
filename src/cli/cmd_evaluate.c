/* qgraft evaluate: how well a network plays. */
#include "cli/player.h"

#include <inttypes.h>
#include <math.h>
#include <unistd.h>

enum { OPTION_JSON = 256 };

static const char documentation[] =
    "Plays a network's game (or DOMAIN, which must have as many actions) and prints the mean "
    "return of the complete episodes; a lost life does not end one. Without --steps it plays 125k "
    "steps, of a grid game 20k, of vectors 5k.\v"
    "Examples:\n"
    "  qgraft evaluate runs/breakout-s1/best.safetensors --steps 125k\n"
    "  qgraft evaluate best.safetensors breakout:mode=12 --json";

static const struct argp_option argp_options[] = {
    {"json", OPTION_JSON, NULL, 0, "print the result as JSON", 0}, {0}};

typedef struct evaluate_arguments {
    cli_player_arguments player;
    bool json;
} evaluate_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    (void)text;
    evaluate_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->player;
        break;
    case OPTION_JSON:
        a->json = true;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void show(void *context, int64_t step)
{
    const cli_player *player = context;
    if (isatty(STDERR_FILENO) != 1) return;
    fprintf(stderr, "\r\033[Kevaluating %.0f %%",
            100 * (double)step / (double)player->options.steps);
}

static qg_status play(const cli_player_arguments *arguments, cli_player *player,
                      qg_evaluation *evaluation, qg_error *error)
{
    qg_status status = cli_player_open(arguments, player, error);
    if (status) return status;
    cli_player_introduce(player);
    player->options.progress = show;
    player->options.context = player;
    status = qg_evaluate(player->engine, player->domain, &player->options, evaluation, error);
    if (isatty(STDERR_FILENO) == 1) fputs("\r\033[K", stderr);
    return status;
}

static double normalise(double score, const qg_human_scores *s, double human)
{
    return qg_human_normalised(score, s->random, human);
}

static json_t *normalised_to_json(const qg_human_scores *s, double score)
{
    return json_pack("{s:o, s:o, s:f, s:s, s:o, s:f}", "mnih_2015",
                     cli_real_to_json(normalise(score, s, s->human_2015)), "wang_2016",
                     cli_real_to_json(normalise(score, s, s->human_2016)), "random", s->random,
                     "random_source", qg_random_score_source(s), "human_mnih_2015",
                     cli_real_to_json(s->human_2015), "human_wang_2016", s->human_2016);
}

static void print_normalised(const qg_human_scores *s, double score)
{
    printf("human-normalised: ");
    if (!isnan(s->human_2015))
        printf("%.1f %% of " QG_MNIH_2015 " (%g), ", 100 * normalise(score, s, s->human_2015),
               s->human_2015);
    printf("%.1f %% of " QG_WANG_2016 " (%g); random %g (%s)\n",
           100 * normalise(score, s, s->human_2016), s->human_2016, s->random,
           qg_random_score_source(s));
}

static int print_result(const cli_player *player, const qg_evaluation *e, bool json)
{
    const char *domain = player->domain->name;
    if (e->episodes == 0)
        fprintf(stderr, "qgraft: warning: no episode ended: give more --steps, or a limit by "
                        "--max-episode-frames\n");
    const qg_human_scores *const human = qg_human_scores_of(domain);
    if (json) {
        json_t *const root = json_pack(
            "{s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "network", player->network_name,
            "domain", domain, "seed", (json_int_t)player->seed, "steps", (json_int_t)e->steps,
            "episodes", (json_int_t)e->episodes, "score", e->score, "deviation", e->deviation,
            "minimum", e->minimum, "maximum", e->maximum);
        if (human && e->episodes > 0)
            json_object_set_new(root, "human_normalised", normalised_to_json(human, e->score));
        return cli_print_json(root);
    }
    if (e->episodes == 0)
        printf("%.4g so far, after %" PRId64 " steps of %s\n", e->score, e->steps, domain);
    else
        printf("%.4g +- %.3g over %" PRId64 " episodes (%.4g to %.4g), %" PRId64 " steps of %s\n",
               e->score, e->deviation, e->episodes, e->minimum, e->maximum, e->steps, domain);
    if (human && e->episodes > 0) print_normalised(human, e->score);
    return 0;
}

int cmd_evaluate(int argc, char **argv)
{
    evaluate_arguments arguments = {0};
    const struct argp_child children[] = {{&cli_player_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        argp_options, parse_option, "NETWORK [DOMAIN]", documentation, children, 0, 0};
    cli_parse(&argp, argc, argv, &arguments);
    cli_catch_interrupt();
    cli_player player;
    qg_evaluation evaluation;
    qg_error error;
    const qg_status status = play(&arguments.player, &player, &evaluation, &error);
    int code = status == QG_STOPPED ? 130 : 0;
    if (status && status != QG_STOPPED) code = cli_fail(&error);
    if (!status) code = print_result(&player, &evaluation, arguments.json);
    cli_player_close(&player);
    return code;
}
