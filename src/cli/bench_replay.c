/* qgraft bench replay: the replay memory. */
#include "cli/bench.h"

#include "agent/replay.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 32 };

typedef struct replay_bench {
    qg_replay *replay;
    qg_minibatch minibatch;
    qg_random random;
    int screens;   /* the ring holds */
    size_t screen; /* bytes of one */
    uint64_t sum;  /* of what was read, so that it is read */
} replay_bench;

static qg_status sample(void *context, qg_error *error)
{
    (void)error;
    replay_bench *r = context;
    qg_replay_sample(r->replay, &r->random, &r->minibatch);
    return QG_OK;
}

/* A minibatch of Atari points into the ring: only who reads it pays for the way to memory. */
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

/* Fills the ring with screens whose values are half zero; episodes have 1000 steps. */
static qg_status fill(replay_bench *r, const qg_observation_shape *shape, double *seconds,
                      qg_error *error)
{
    uint8_t *screens = malloc(16 * r->screen);
    if (!screens) return qg_fail_memory(error, "screens", 16 * r->screen);
    for (size_t i = 0; i < 16 * r->screen; i++) {
        const uint64_t draw = qg_random_u64(&r->random);
        screens[i] = draw & 1 ? (uint8_t)(qg_observation_is_grid(shape) ? 1 : draw >> 8) : 0;
    }
    qg_status status = QG_OK;
    /* The first round meets pages that the system has not given yet; the second is the rule. */
    for (int round = 0; round < 2 && !status; round++) {
        const double begin = qg_clock_seconds();
        for (int i = 0; i < r->screens && !status; i++) {
            const qg_replay_end end = i % 1000 == 999 ? QG_REPLAY_TERMINAL : QG_REPLAY_GOES_ON;
            qg_replay_add_screen(r->replay, screens + (size_t)(i % 16) * r->screen, end);
            qg_replay_set_action(r->replay, i % 3, (float)(i % 7 == 0));
            if (i % 1000 == 0) status = bench_check(error);
        }
        *seconds = (qg_clock_seconds() - begin) / r->screens;
    }
    free(screens);
    return status;
}

static qg_status measure(bench_session *b, replay_bench *r, const char *what,
                         const qg_replay_plan *plan, qg_error *error)
{
    double add = 0;
    bench_times drawn, read;
    qg_status status = fill(r, &plan->shape, &add, error);
    if (!status) status = qg_minibatch_create(r->replay, BATCH, &r->minibatch, error);
    if (!status) status = bench_repeat(b, sample, r, &drawn, error);
    if (!status) status = bench_repeat(b, sample_and_read, r, &read, error);
    if (status) return status;
    bench_begin(b, "replay", what);
    bench_figure(b, "memory", (double)qg_replay_bytes(plan) / r->screens, "bytes/step");
    bench_figure(b, "add", add * 1e6, "us");
    bench_figure(b, "sample 32", drawn.median * 1e6, "us");
    bench_figure(b, "sample and read 32", read.median * 1e6, "us");
    bench_end(b);
    return QG_OK;
}

static qg_status measure_shape(bench_session *b, const char *folder, const char *game, int history,
                               const qg_observation_shape *shape, qg_error *error)
{
    char path[600], what[80];
    snprintf(path, sizeof path, "%s/replay.bin", folder);
    snprintf(what, sizeof what, "%s, %d screens", game, b->screens);
    replay_bench r = {.random = qg_random_stream(1, "bench"),
                      .screens = b->screens,
                      .screen = qg_observation_size(shape)};
    const qg_replay_plan plan = {.capacity = b->screens, .history = history, .shape = *shape};
    qg_status status = qg_replay_create(path, &plan, &r.replay, error);
    if (!status) status = measure(b, &r, what, &plan, error);
    qg_minibatch_destroy(&r.minibatch);
    qg_replay_destroy(r.replay);
    return status;
}

qg_status bench_replay(bench_session *b, qg_error *error)
{
    const qg_observation_shape atari = {84, 84, 1, 255}, grid = {10, 10, 10, 1};
    char folder[512];
    qg_status status = bench_folder_create(folder, error);
    if (status) return status;
    status = measure_shape(b, folder, "Atari", 4, &atari, error);
    if (!status) status = measure_shape(b, folder, "grid of 10 channels", 1, &grid, error);
    bench_folder_remove(folder);
    return status;
}
