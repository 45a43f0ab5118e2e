/* qgraft bench replay: the replay memory, for screens of each game as they are and compressed. */
#include "cli/bench.h"

#include "agent/replay.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 32, PLAYED = 10240 };

/* Screens of random play, and a replay memory that is filled with them over and over. */
typedef struct replay_bench {
    const qg_game *game;
    uint8_t *played;     /* [PLAYED][screen] */
    qg_replay_end *ends; /* [PLAYED] */
    size_t screen;       /* bytes of one */
    qg_replay *replay;
    qg_minibatch minibatch;
    qg_random random;
    uint64_t sum; /* of what was read, so that it is read */
} replay_bench;

static qg_status sample(void *context, qg_error *error)
{
    (void)error;
    replay_bench *r = context;
    qg_replay_sample(r->replay, &r->random, &r->minibatch);
    return QG_OK;
}

/* A minibatch may point into the file: only who reads it pays for the way to memory. */
static qg_status sample_and_read(void *context, qg_error *error)
{
    replay_bench *r = context;
    sample(r, error);
    const qg_batch *batch = &r->minibatch.batch;
    const qg_states *both[] = {&batch->states, &batch->next_states};
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < both[s]->size * both[s]->parts; i++)
            for (size_t at = 0; both[s]->screens[i] && at < r->screen; at += 64)
                r->sum += both[s]->screens[i][at];
    return QG_OK;
}

static qg_status play(replay_bench *r, qg_domain *domain, qg_error *error)
{
    qg_step step = {.end = true};
    qg_status status = QG_OK;
    for (int i = 0; i < PLAYED && !status; i++) {
        uint8_t *screen = r->played + (size_t)i * r->screen;
        if (step.end) {
            step.end = false;
            status = qg_domain_reset(domain, 0, screen, error);
        } else {
            const uint64_t actions = (uint64_t)r->game->action_count;
            const int action = (int)qg_random_below(&r->random, actions);
            status = qg_domain_step(domain, action, &step, screen, error);
        }
        r->ends[i] = step.end ? QG_REPLAY_TERMINAL : QG_REPLAY_GOES_ON;
        if (!status && i % 256 == 0) status = bench_check(error);
    }
    return status;
}

/* The first round meets pages that the system has not given yet; the second is the rule. */
static qg_status fill(replay_bench *r, int screens, double *seconds, qg_error *error)
{
    qg_status status = QG_OK;
    for (int round = 0; round < 2 && !status; round++) {
        const double begin = qg_clock_seconds();
        for (int i = 0; i < screens && !status; i++) {
            const int k = i % PLAYED;
            status = qg_replay_add_screen(r->replay, r->played + (size_t)k * r->screen, r->ends[k],
                                          error);
            if (!status) qg_replay_set_action(r->replay, i % 3, (float)(i % 7 == 0));
            if (!status && i % 1000 == 0) status = bench_check(error);
        }
        *seconds = (qg_clock_seconds() - begin) / screens;
    }
    return status;
}

static qg_status measure(bench_session *b, replay_bench *r, const qg_replay_plan *plan,
                         qg_error *error)
{
    char what[80];
    const char *form = qg_observation_is_grid(&plan->shape) ? "bits"
                       : plan->compressed                   ? "zstd"
                                                            : "as they are";
    snprintf(what, sizeof what, "%s, %d screens, %s", r->game->name, b->screens, form);
    double add = 0;
    bench_times drawn, read;
    qg_status status = fill(r, b->screens, &add, error);
    if (!status)
        status = qg_minibatch_create(qg_replay_form(r->replay), BATCH, &r->minibatch, error);
    if (!status) status = bench_repeat(b, sample, r, &drawn, error);
    if (!status) status = bench_repeat(b, sample_and_read, r, &read, error);
    if (status) return status;
    const double bytes = qg_replay_ring_screen_bytes(qg_replay_file(r->replay));
    bench_begin(b, "replay", what);
    bench_figure(b, "screen", bytes, "bytes");
    bench_figure(b, "ratio", (double)r->screen / bytes, "");
    bench_figure(b, "memory", qg_replay_used(plan, bytes) / b->screens, "bytes/step");
    bench_figure(b, "add", add * 1e6, "us");
    bench_figure(b, "sample 32", drawn.median * 1e6, "us");
    bench_figure(b, "sample and read 32", read.median * 1e6, "us");
    bench_figure(b, "at least", read.minimum * 1e6, "us");
    bench_end(b);
    return QG_OK;
}

/* As they are only where `plain`: that is the same for every game of one shape. */
static qg_status measure_forms(bench_session *b, replay_bench *r, const qg_observation_shape *shape,
                               bool plain, qg_error *error)
{
    char folder[512], path[600];
    qg_status status = bench_folder_create(folder, error);
    if (status) return status;
    snprintf(path, sizeof path, "%s/replay.bin", folder);
    for (int compressed = !plain; compressed < 2 && !status; compressed++) {
        const qg_replay_plan plan = {.capacity = b->screens,
                                     .history = qg_observation_is_grid(shape) ? 1 : 4,
                                     .shape = *shape,
                                     .compressed = compressed,
                                     .threads = b->threads};
        status = qg_replay_create(path, &plan, &r->replay, error);
        if (!status) status = measure(b, r, &plan, error);
        qg_minibatch_destroy(&r->minibatch);
        qg_replay_destroy(r->replay);
        r->replay = NULL;
    }
    bench_folder_remove(folder);
    return status;
}

static qg_status measure_game(bench_session *b, const char *name, bool plain, qg_error *error)
{
    qg_domain *domain;
    const qg_domain_options options = {.seed = 1, .sticky = -1};
    qg_status status = qg_domain_open(name, &options, &domain, error);
    if (status) { /* no emulator, or not this game's ROM */
        bench_skip(b, name, error);
        return QG_OK;
    }
    replay_bench r = {.game = domain->game,
                      .random = qg_random_stream(1, "bench"),
                      .screen = qg_observation_size(&domain->shape)};
    r.played = malloc(PLAYED * r.screen);
    r.ends = malloc(PLAYED * sizeof *r.ends);
    if (!r.played || !r.ends) status = qg_fail_memory(error, "screens", PLAYED * r.screen);
    if (!status) status = play(&r, domain, error);
    if (!status) status = measure_forms(b, &r, &domain->shape, plain, error);
    free(r.played);
    free(r.ends);
    qg_domain_close(domain);
    return status;
}

qg_status bench_replay(bench_session *b, qg_error *error)
{
    static const char *const games[] = {"breakout",       "qbert",        "beam_rider",
                                        "space_invaders", "demon_attack", "pong"};
    qg_status status = QG_OK;
    for (size_t i = 0; i < sizeof games / sizeof *games && !status; i++)
        status = measure_game(b, games[i], i == 0, error);
    return status ? status : measure_game(b, "minatar/seaquest", false, error);
}
