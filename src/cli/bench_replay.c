/* qgraft bench replay, train: the memory, and all parts together. */
#include "cli/bench.h"

#include "agent/replay.h"

#include <stdlib.h>
#include <string.h>

enum { SCREENS = 100000, BATCH = 32 };

typedef struct replay_bench {
    qg_replay *replay;
    qg_minibatch minibatch;
    qg_random random;
    size_t screen; /* bytes of one */
    uint64_t sum;  /* of what was read, so that it is read */
} replay_bench;

static void sample(void *context)
{
    replay_bench *r = context;
    qg_replay_sample(r->replay, &r->random, &r->minibatch);
}

/* A minibatch of Atari points into the ring: only who reads it pays for the way to memory. */
static void sample_and_read(void *context)
{
    replay_bench *r = context;
    sample(r);
    const qg_batch *batch = &r->minibatch.batch;
    const qg_states *both[] = {&batch->states, &batch->next_states};
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < both[s]->size * both[s]->parts; i++)
            for (size_t at = 0; both[s]->screens[i] && at < r->screen; at += 64)
                r->sum += both[s]->screens[i][at];
}

/* Fills the ring with screens whose values are half zero; episodes have 1000 steps. */
static qg_status fill(replay_bench *r, const qg_observation_shape *shape, double *seconds,
                      qg_error *error)
{
    uint8_t *screens = malloc(16 * r->screen);
    if (!screens) return qg_fail_memory(error, "screens", 16 * r->screen);
    for (size_t i = 0; i < 16 * r->screen; i++) {
        const uint64_t draw = qg_random_u64(&r->random);
        screens[i] = draw & 1 ? (uint8_t)(shape->max == 1 ? 1 : draw >> 8) : 0;
    }
    qg_status status = QG_OK;
    /* The first round meets pages that the system has not given yet; the second is the rule. */
    for (int round = 0; round < 2 && !status; round++) {
        const double begin = bench_clock();
        for (int i = 0; i < SCREENS && !status; i++) {
            const bool end = i % 1000 == 999;
            qg_replay_add_screen(r->replay, screens + (size_t)(i % 16) * r->screen, end);
            qg_replay_set_action(r->replay, i % 3, (float)(i % 7 == 0));
            if (i % 1000 == 0) status = bench_check(error);
        }
        *seconds = (bench_clock() - begin) / SCREENS;
    }
    free(screens);
    return status;
}

static qg_status measure(bench_session *b, replay_bench *r, const char *what,
                         const qg_observation_shape *shape, qg_error *error)
{
    double add = 0;
    bench_times drawn, read;
    qg_status status = fill(r, shape, &add, error);
    if (!status) status = qg_minibatch_create(r->replay, BATCH, &r->minibatch, error);
    if (!status) status = bench_repeat(b, sample, r, &drawn, error);
    if (!status) status = bench_repeat(b, sample_and_read, r, &read, error);
    if (status) return status;
    bench_begin(b, "replay", what);
    bench_figure(b, "memory", (double)qg_replay_bytes(r->replay) / SCREENS, "bytes/step");
    bench_figure(b, "add", add * 1e6, "us");
    bench_figure(b, "sample 32", drawn.median * 1e6, "us");
    bench_figure(b, "sample and read 32", read.median * 1e6, "us");
    bench_end(b);
    return QG_OK;
}

static qg_status measure_shape(bench_session *b, const char *folder, const char *what, int history,
                               const qg_observation_shape *shape, qg_error *error)
{
    char path[600];
    snprintf(path, sizeof path, "%s/replay.bin", folder);
    replay_bench r = {.random = qg_random_stream(1, "bench"), .screen = qg_observation_size(shape)};
    const qg_replay_plan plan = {.capacity = SCREENS, .history = history, .shape = *shape};
    qg_status status = qg_replay_create(path, &plan, &r.replay, error);
    if (!status) status = measure(b, &r, what, shape, error);
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
    status = measure_shape(b, folder, "Atari, 100k screens", 4, &atari, error);
    if (!status)
        status = measure_shape(b, folder, "grid of 10 channels, 100k screens", 1, &grid, error);
    bench_folder_remove(folder);
    return status;
}

/* -------------------------------------------------------------------------------- train */

typedef struct train_bench {
    double end; /* by bench_clock; 0: learning has not begun */
    double seconds;
    int64_t learn_start;
    volatile sig_atomic_t stop;
} train_bench;

static void look(void *context, const qg_progress *progress)
{
    train_bench *t = context;
    if (t->end == 0 && progress->step > t->learn_start) t->end = bench_clock() + t->seconds;
    t->stop = cli_interrupted() || (t->end > 0 && bench_clock() > t->end);
}

/* The preset's settings but for: learning begins at once, the policy is as it is for most of a run
 * (epsilon at its end, so that the network is asked), the memory is small, one short evaluation. */
static qg_status settle(const char *domain, qg_settings *settings, qg_error *error)
{
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    qg_status status = qg_domain_resolve(domain, &game, name, error);
    if (!status) status = qg_settings_preset(settings, qg_settings_preset_for(game), error);
    if (status) return status;
    settings->learn_start = 600;
    settings->replay = 20000;
    settings->validation_size = 32;
    settings->eval_steps = 1;
    settings->eval_every = 1000000000;
    settings->epsilon_start = settings->epsilon_end;
    return QG_OK;
}

static qg_status measure_training(bench_session *b, const char *domain, int threads,
                                  qg_error *error)
{
    char folder[512], run[600], what[96];
    train_bench t = {.seconds = 4 * b->seconds};
    qg_train_options options = {.domain = domain,
                                .seed = 1,
                                .steps = 1000000000,
                                .threads = threads,
                                .progress = look,
                                .context = &t,
                                .stop = &t.stop};
    qg_status status = settle(domain, &options.settings, error);
    if (!status) status = bench_folder_create(folder, error);
    if (status) return status;
    t.learn_start = options.settings.learn_start;
    snprintf(run, sizeof run, "%s/run", folder);
    options.folder = run;
    qg_train_result result;
    status = qg_train(&options, &result, error);
    bench_folder_remove(folder);
    if (status == QG_STOPPED) status = bench_check(error); /* by the clock: that was the plan */
    if (status) return status;
    snprintf(what, sizeof what, "%s, threads %d", domain, threads);
    bench_begin(b, "train", what);
    bench_figure(b, "speed", result.learning_steps_per_second, "steps/s");
    bench_end(b);
    return QG_OK;
}

qg_status bench_train(bench_session *b, qg_error *error)
{
    static const char *const domains[] = {"minatar/breakout", "breakout"};
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
        qg_domain *domain;
        const qg_domain_options options = {0};
        if (qg_domain_open(domains[i], &options, &domain, error)) {
            bench_skip(b, domains[i], error);
            continue;
        }
        const bool grid = domain->shape.max == 1;
        qg_domain_close(domain);
        /* A grid's network is too small to be shared, unless someone insists. */
        const int threads = grid && !b->threads_given ? 1 : b->threads;
        const qg_status status = measure_training(b, domains[i], threads, error);
        if (status) return status;
    }
    return QG_OK;
}
