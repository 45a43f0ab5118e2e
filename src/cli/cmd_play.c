/* qgraft play: watch a network play, in the terminal or as a GIF. */
#include "cli/draw.h"
#include "cli/gif.h"
#include "cli/player.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { OPTION_EPISODES = 256, OPTION_FPS, OPTION_GIF, OPTION_RANDOM, OPTION_NO_DRAW };

/* Steps of an episode, on average, after which it is enough: half an hour of Atari, where the
 * literature cuts episodes. */
enum { LONGEST = 27000, MOST_EPISODES = 1000000 };

static const char documentation[] =
    "Plays a network's game (or DOMAIN, which must have as many actions) and draws it in the "
    "terminal; elsewhere it prints a line for each episode. It ends after one episode (or "
    "--episodes), after --steps (or 27k steps an episode) or with Ctrl-C.\v"
    "Examples:\n"
    "  qgraft play runs/breakout-s1/best.safetensors\n"
    "  qgraft play best.safetensors breakout:mode=12 --epsilon 0.01 --seed 3\n"
    "  qgraft play best.safetensors --steps 500 --gif play.gif --no-draw\n"
    "  qgraft play --random minatar/seaquest --fps 5";

static const struct argp_option argp_options[] = {
    {"episodes", OPTION_EPISODES, "N", 0, "episodes (default 1; with --steps any number)", 0},
    {"fps", OPTION_FPS, "F", 0,
     "steps shown in a second (default 15, grids 10, of Gymnasium so that it has the environment's "
     "speed)",
     0},
    {"gif", OPTION_GIF, "FILE", 0, "write a video, at most 50 pictures a second", 0},
    {"random", OPTION_RANDOM, NULL, 0, "play at random instead of with a network", 0},
    {"no-draw", OPTION_NO_DRAW, NULL, 0, "as if this were no terminal", 0},
    {0}};

typedef struct play_arguments {
    cli_player_arguments player;
    const char *episodes, *fps, *gif;
    bool no_draw;
} play_arguments;

static error_t parse_option(int key, char *text, struct argp_state *state)
{
    play_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->player;
        break;
    case OPTION_EPISODES:
        a->episodes = text;
        break;
    case OPTION_FPS:
        a->fps = text;
        break;
    case OPTION_GIF:
        a->gif = text;
        break;
    case OPTION_RANDOM:
        a->player.random = true;
        break;
    case OPTION_NO_DRAW:
        a->no_draw = true;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* What watches the game. */
typedef struct play_watcher {
    double fps;
    bool draws;
    cli_canvas canvas;
    const char *gif_path; /* NULL: none */
    cli_gif *gif;         /* NULL: not begun */
    double next;          /* when the next picture is due */
    qg_moment last;
} play_watcher;

static void draw(play_watcher *w, const qg_domain *domain, const qg_picture *picture,
                 const qg_moment *m)
{
    char where[160], what[96], score[96];
    snprintf(where, sizeof where, "%s  episode %" PRId64 "  step %" PRId64, domain->name,
             m->episode, m->episode_steps);
    snprintf(what, sizeof what, "action %-14s  reward %g%s",
             m->action < 0 ? "-" : domain->actions[m->action], (double)m->result.reward,
             m->result.end         ? "  game over"
             : m->result.truncated ? "  cut off"
             : m->result.life_lost ? "  life lost"
                                   : "");
    snprintf(score, sizeof score, "score %g", m->episode_return);
    const char *const lines[] = {where, what, score};
    cli_canvas_draw(&w->canvas, picture, lines, sizeof lines / sizeof *lines);
}

/* Until the next picture is due; Ctrl-C ends it. Time that was lost is not made up for. */
static void keep_time(play_watcher *w)
{
    const double now = qg_clock_seconds();
    if (w->next < now)
        w->next = now;
    else
        qg_clock_sleep_until(w->next);
    w->next += 1 / w->fps;
}

static void print_episode(const qg_moment *m)
{
    printf("episode %" PRId64 ": score %g, %" PRId64 " steps%s\n", m->episode, m->episode_return,
           m->episode_steps,
           m->result.end         ? ""
           : m->result.truncated ? ", cut off"
                                 : ", not ended");
    fflush(stdout);
}

static qg_status watch(void *context, qg_domain *domain, const qg_moment *m, qg_error *error)
{
    play_watcher *w = context;
    w->last = *m;
    if (!w->draws && qg_step_is_last(&m->result)) print_episode(m);
    if (!w->draws && !w->gif_path) return QG_OK;
    qg_picture picture;
    qg_domain_picture(domain, &picture);
    qg_status status = QG_OK;
    if (w->gif_path && !w->gif) /* a game has pictures when it has begun */
        status = cli_gif_open(w->gif_path, &picture, w->canvas.wide, w->fps, &w->gif, error);
    if (w->gif) status = cli_gif_add(w->gif, &picture, error);
    if (status) return status;
    if (w->draws) {
        keep_time(w);
        draw(w, domain, &picture, m);
    }
    return QG_OK;
}

static qg_status resolve(const play_arguments *a, cli_player *player, double *fps, qg_error *error)
{
    qg_evaluation_options *options = &player->options;
    *fps = player->domain->game->defaults->fps;
    /* Gymnasium's are frames, of which the last of each step is shown. */
    if (strncmp(player->domain->name, "gym:", 4) == 0)
        *fps = fmax(0.01, *fps / player->settings.frame_skip);
    if (a->fps && !(qg_text_to_real(a->fps, fps) && *fps >= 0.01 && *fps <= 1000))
        return qg_fail(error, QG_ERROR_USAGE, "--fps: '%.40s' is not a number from 0.01 to 1000",
                       a->fps);
    options->episodes = a->player.steps ? 0 : 1;
    const qg_status status = a->episodes ? qg_parse_count("--episodes", a->episodes, 1,
                                                          MOST_EPISODES, &options->episodes, error)
                                         : QG_OK;
    if (!a->player.steps) options->steps = LONGEST * options->episodes;
    return status;
}

static qg_status play(const play_arguments *a, cli_player *player, qg_error *error)
{
    play_watcher watcher = {.draws = !a->no_draw && cli_canvas_possible() &&
                                     qg_domain_has_picture(player->domain),
                            .canvas.wide = player->domain->game->emulator != NULL,
                            .gif_path = a->gif};
    qg_status status = resolve(a, player, &watcher.fps, error);
    if (!status && a->gif && !qg_domain_has_picture(player->domain))
        status = qg_fail(error, QG_ERROR_USAGE, "--gif: %s has no pictures of itself",
                         player->domain->name);
    if (!status && player->network_name) status = cli_spare(player->network_name, a->gif, error);
    if (status) return status;
    player->options.watch = watch;
    player->options.context = &watcher;
    qg_evaluation ignored;
    status = qg_evaluate(player->engine, player->domain, &player->options, &ignored, error);
    cli_canvas_close(&watcher.canvas);
    if (!status && watcher.gif) status = cli_check_picture(player->domain, error);
    if (status && status != QG_STOPPED) {
        cli_gif_discard(watcher.gif);
        return status;
    }
    if (!watcher.draws && watcher.last.episode > 0 && !qg_step_is_last(&watcher.last.result))
        print_episode(&watcher.last);
    if (!watcher.gif) return status;
    const qg_status saved = cli_gif_save(watcher.gif, error);
    return saved ? saved : status;
}

int cmd_play(int argc, char **argv)
{
    play_arguments arguments = {0};
    const struct argp_child children[] = {{&cli_player_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {argp_options,
                              parse_option,
                              "NETWORK [DOMAIN]\n--random DOMAIN",
                              documentation,
                              children,
                              0,
                              0};
    cli_parse(&argp, argc, argv, &arguments);
    cli_catch_interrupt();
    cli_player player;
    qg_error error;
    qg_status status = cli_player_open(&arguments.player, &player, &error);
    if (!status) cli_player_introduce(&player);
    if (!status) status = play(&arguments, &player, &error);
    cli_player_close(&player);
    if (status == QG_STOPPED) return 130;
    return status ? cli_fail(&error) : 0;
}
