/* qgraft bench games: random play, and what the way from the emulator to the agent costs. */
#include "cli/bench.h"

#include "base/file.h"
#include "base/random.h"
#include "domain/atari/ale.h"
#include "domain/gym/gym.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Steps between two looks at the clock. */
enum { GRID_BLOCK = 4096, SLOW_BLOCK = 512, ATARI_BLOCK = 128, MAX_BLOCKS = 4096 };

static qg_status play_block(qg_domain *domain, qg_random *random, int steps, uint8_t *screen,
                            qg_error *error)
{
    const uint64_t actions = (uint64_t)domain->action_count;
    qg_status status = QG_OK;
    for (int i = 0; i < steps && !status; i++) {
        qg_step step;
        status =
            qg_domain_step(domain, (int)qg_random_below(random, actions), &step, screen, error);
        if (!status && qg_step_is_last(&step)) status = qg_domain_reset(domain, 0, screen, error);
    }
    return status;
}

/* Steps of an environment of Gymnasium's, resets included, and what of it is not its own. */
static qg_status measure_gym(bench_session *b, qg_domain *domain, uint8_t *screen, qg_error *error)
{
    qg_random random = qg_random_stream(1, "bench");
    const double begin = qg_clock_seconds();
    double now = begin, least = INFINITY, least_over = INFINITY, over = 0;
    int64_t steps = 0;
    qg_status status = QG_OK;
    while (!status && now < begin + b->seconds) {
        const double own = qg_gym_seconds(domain);
        status = play_block(domain, &random, SLOW_BLOCK, screen, error);
        const double after = qg_clock_seconds(), extra = after - now - qg_gym_seconds(domain) + own;
        least = fmin(least, after - now);
        least_over = fmin(least_over, extra);
        over += extra;
        steps += SLOW_BLOCK;
        now = after;
        if (!status) status = bench_check(error);
    }
    if (status) return status;
    bench_begin(b, "games", domain->name);
    bench_figure(b, "fastest step", least / SLOW_BLOCK * 1e6, "us");
    bench_figure(b, "mean", (now - begin) / (double)steps * 1e6, "us");
    bench_figure(b, "beyond the environment's own", least_over / SLOW_BLOCK * 1e6, "us");
    bench_figure(b, "mean", over / (double)steps * 1e6, "us");
    bench_end(b);
    return QG_OK;
}

/* Steps per second with observation, reset and the draw of the action, of the fastest block. */
static qg_status measure_fast(bench_session *b, qg_domain *domain, uint8_t *screen, qg_error *error)
{
    qg_random random = qg_random_stream(1, "bench");
    const double begin = qg_clock_seconds();
    double now = begin, least = INFINITY;
    int64_t steps = 0;
    qg_status status = QG_OK;
    while (!status && now < begin + b->seconds / 3) {
        status = play_block(domain, &random, GRID_BLOCK, screen, error);
        const double after = qg_clock_seconds();
        least = fmin(least, after - now);
        steps += GRID_BLOCK;
        now = after;
        if (!status) status = bench_check(error);
    }
    if (status) return status;
    bench_begin(b, "games", domain->name);
    bench_figure(b, "fastest", GRID_BLOCK / least * 1e-6, "M steps/s");
    bench_figure(b, "mean", (double)steps / (now - begin) * 1e-6, "M steps/s");
    bench_end(b);
    return QG_OK;
}

/* The emulator alone: the same frames, no screen fetched and nothing made of it. */
typedef struct bare_game {
    const qg_ale *ale;
    qg_emulator *emulator;
} bare_game;

static qg_status open_bare(const qg_game *game, bare_game *bare, qg_error *error)
{
    char *folder, name[64];
    qg_status status = qg_ale_folder(&folder, error);
    if (status) return status;
    status = qg_ale_open(folder, &bare->ale, error);
    snprintf(name, sizeof name, "roms/%s.bin", game->name);
    char *rom = qg_path_join(folder, name);
    if (!status && !rom) status = qg_fail_memory(error, "a path", sizeof name);
    const qg_emulator_start start = {
        .seed = 1, .mode = QG_ALE_DEFAULT, .difficulty = QG_ALE_DEFAULT};
    if (!status) status = bare->ale->create(rom, &start, &bare->emulator, error);
    free(rom);
    free(folder);
    return status;
}

static qg_status play_bare_block(const bare_game *bare, qg_random *random, qg_error *error)
{
    const qg_emulator_facts *facts = bare->ale->facts(bare->emulator);
    qg_status status = QG_OK;
    for (int i = 0; i < ATARI_BLOCK && !status; i++) {
        const uint64_t action = qg_random_below(random, (uint64_t)facts->minimal_count);
        qg_emulator_frame frame = {.over = false};
        for (int k = 0; k < 4 && !frame.over && !status; k++)
            status = bare->ale->act(bare->emulator, facts->minimal[action], &frame, error);
        if (frame.over && !status) status = bare->ale->reset(bare->emulator, error);
    }
    return status;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Both play the same game in turns, so that a disturbance hits a block of one and not the sum of
 * the other; the ratio of every pair of blocks counts once. */
static qg_status measure_pair(bench_session *b, qg_domain *domain, const bare_game *bare,
                              uint8_t *screen, double ratios[MAX_BLOCKS], qg_error *error)
{
    qg_random mine = qg_random_stream(1, "bench"), theirs = mine;
    double full = 0, alone = 0, least = 0;
    int blocks = 0;
    qg_status status = qg_domain_reset(domain, 0, screen, error);
    const double begin = qg_clock_seconds();
    while (!status && blocks < MAX_BLOCKS &&
           (blocks < 3 || qg_clock_seconds() < begin + b->seconds)) {
        const double t0 = qg_clock_seconds();
        status = play_block(domain, &mine, ATARI_BLOCK, screen, error);
        const double t1 = qg_clock_seconds();
        if (!status) status = play_bare_block(bare, &theirs, error);
        const double t2 = qg_clock_seconds();
        if (blocks == 0 || t1 - t0 < least) least = t1 - t0;
        full += t1 - t0;
        alone += t2 - t1;
        ratios[blocks++] = (t1 - t0) / (t2 - t1);
        if (!status) status = bench_check(error);
    }
    if (status) return status;
    qsort(ratios, (size_t)blocks, sizeof *ratios, compare_doubles);
    const double steps = (double)blocks * ATARI_BLOCK;
    bench_begin(b, "games", domain->name);
    bench_figure(b, "fastest step", least / ATARI_BLOCK * 1e6, "us");
    bench_figure(b, "mean", full / steps * 1e6, "us");
    bench_figure(b, "emulator alone", alone / steps * 1e6, "us");
    bench_figure(b, "overhead (median)", 100 * (ratios[blocks / 2] - 1), "%");
    bench_end(b);
    return QG_OK;
}

static qg_status measure_atari(bench_session *b, qg_domain *domain, uint8_t *screen,
                               qg_error *error)
{
    bare_game bare = {0};
    double *ratios = malloc(MAX_BLOCKS * sizeof *ratios);
    qg_status status = ratios ? open_bare(domain->game, &bare, error)
                              : qg_fail_memory(error, "times", MAX_BLOCKS * sizeof *ratios);
    if (!status) status = measure_pair(b, domain, &bare, screen, ratios, error);
    if (bare.emulator) bare.ale->destroy(bare.emulator);
    free(ratios);
    return status;
}

/* A game of its own kind; one that cannot be opened is skipped, if it `may`. */
static qg_status measure_game(bench_session *b, const char *name, bool may, qg_error *error)
{
    const qg_domain_options options = {.seed = 1, .sticky = -1};
    qg_domain *domain;
    qg_status status = qg_domain_open(name, &options, &domain, error);
    if (status && !may) return status;
    if (status) {
        bench_skip(b, name, error);
        return QG_OK;
    }
    uint8_t *screen = malloc(qg_observation_size(&domain->shape));
    status = screen ? qg_domain_reset(domain, 0, screen, error)
                    : qg_fail_memory(error, "a screen", qg_observation_size(&domain->shape));
    if (!status)
        status = domain->game->emulator        ? measure_atari(b, domain, screen, error)
                 : qg_gym_seconds(domain) >= 0 ? measure_gym(b, domain, screen, error)
                                               : measure_fast(b, domain, screen, error);
    free(screen);
    qg_domain_close(domain);
    return status;
}

qg_status bench_games(bench_session *b, qg_error *error)
{
    static const char *const atari[] = {"breakout", "space_invaders", "qbert", "beam_rider"};
    const qg_game *game;
    qg_status status = QG_OK;
    if (b->domain) return measure_game(b, b->domain, false, error);
    for (size_t i = 0; (game = qg_game_at(i)) && !status; i++)
        if (strncmp(game->name, "minatar/", 8) == 0)
            status = measure_game(b, game->name, false, error);
    for (size_t i = 0; i < sizeof atari / sizeof *atari && !status; i++)
        status = measure_game(b, atari[i], true, error);
    return status;
}
