/* qgraft bench train, study: all parts together, alone and beside others like it. */
#include "cli/bench.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct train_bench {
    double end; /* by qg_clock_seconds; 0: learning has not begun */
    double seconds;
    int64_t learn_start;
    volatile sig_atomic_t stop;
} train_bench;

static void look(void *context, const qg_progress *progress)
{
    train_bench *t = context;
    if (t->end == 0 && progress->step > t->learn_start) t->end = qg_clock_seconds() + t->seconds;
    t->stop = cli_interrupted() || (t->end > 0 && qg_clock_seconds() > t->end);
}

/* The preset's settings but for: learning begins at once, the policy is as it is for most of a run
 * (epsilon at its end, so that the network is asked), the memory is small, one short evaluation. */
static qg_status settle(const bench_session *b, const char *domain, qg_settings *settings,
                        qg_error *error)
{
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    qg_status status = qg_domain_resolve(domain, &game, name, error);
    if (!status) status = qg_settings_preset(settings, game->defaults->preset, error);
    if (status) return status;
    snprintf(settings->precision, sizeof settings->precision, "%s", b->precision);
    settings->learn_start = 600;
    settings->replay = 20000;
    settings->validation_size = 32;
    settings->eval_steps = 1;
    settings->eval_every = 1000000000;
    settings->epsilon_start = settings->epsilon_end;
    return bench_set(b, settings, error);
}

/* Steps per second of a training in a folder of its own, once learning has begun. */
static qg_status measure(const bench_session *b, const char *domain, int threads, double *speed,
                         qg_error *error)
{
    char folder[512], run[600];
    train_bench t = {.seconds = 4 * b->seconds};
    qg_train_options options = {
        .run = {.seed = 1, .machine = {threads, b->isa}, .folder = run, .stop = &t.stop},
        .domain = domain,
        .steps = 1000000000,
        .progress = look,
        .context = &t};
    qg_status status = settle(b, domain, &options.settings, error);
    if (!status) status = bench_folder_create(folder, error);
    if (status) return status;
    t.learn_start = options.settings.learn_start;
    snprintf(run, sizeof run, "%s/run", folder);
    qg_run_result result;
    status = qg_train(&options, &result, error);
    bench_folder_remove(folder);
    if (status == QG_STOPPED) status = bench_check(error); /* by the clock: that was the plan */
    *speed = result.steps_per_second;
    return status;
}

/* Whether the domain can be played here, and by how many threads usually (0: all); what cannot is
 * left out. */
static bool can_play(bench_session *b, const char *name, int *threads)
{
    const qg_domain_options options = {0};
    qg_domain *domain;
    qg_error error;
    if (qg_domain_open(name, &options, &domain, &error)) {
        bench_skip(b, name, &error);
        return false;
    }
    *threads = domain->game->defaults->threads;
    qg_domain_close(domain);
    return true;
}

static const char *const domains[] = {"minatar/breakout", "breakout"};
enum { DOMAINS = sizeof domains / sizeof *domains };

qg_status bench_train(bench_session *b, qg_error *error)
{
    for (int i = 0; i < DOMAINS; i++) {
        char what[96];
        double speed;
        int threads;
        if (!can_play(b, domains[i], &threads)) continue;
        if (b->threads_given || threads == 0) threads = b->threads;
        const qg_status status = measure(b, domains[i], threads, &speed, error);
        if (status) return status;
        snprintf(what, sizeof what, "%s, threads %d", domains[i], threads);
        bench_begin(b, "train", what);
        bench_figure(b, "speed", speed, "steps/s");
        bench_end(b);
    }
    return QG_OK;
}

/* -------------------------------------------------------------------------------- study */

/* A training in a process of its own, as in a study; its speed comes through the pipe. */
static pid_t start_measure(const bench_session *b, const char *domain, int pipe_end)
{
    const pid_t child = fork();
    if (child) return child;
    double speed = 0;
    qg_error error;
    const bool good = !measure(b, domain, 1, &speed, &error) &&
                      write(pipe_end, &speed, sizeof speed) == (ssize_t)sizeof speed;
    _exit(good ? 0 : 1);
}

/* Steps per second of `runs` trainings at once, one thread each. */
static qg_status measure_beside(const bench_session *b, const char *domain, int runs, double *sum,
                                qg_error *error)
{
    int ends[2], started = 0;
    *sum = 0;
    if (pipe(ends) != 0) return qg_fail_errno(error, "a pipe");
    while (started < runs && start_measure(b, domain, ends[1]) > 0)
        started++;
    close(ends[1]);
    double speed;
    int told = 0;
    for (; read(ends[0], &speed, sizeof speed) == (ssize_t)sizeof speed; told++)
        *sum += speed;
    close(ends[0]);
    for (int i = 0; i < started; i++)
        wait(NULL);
    const qg_status status = bench_check(error);
    if (status || told == runs) return status;
    return qg_fail(error, QG_ERROR_IO, "%d of %d trainings of %s failed", runs - told, runs,
                   domain);
}

/* As many runs as there are cores, against one. */
qg_status bench_study(bench_session *b, qg_error *error)
{
    for (int i = 0; i < DOMAINS; i++) {
        char what[96];
        double one, all;
        int threads;
        if (!can_play(b, domains[i], &threads)) continue;
        qg_status status = measure_beside(b, domains[i], 1, &one, error);
        if (!status) status = measure_beside(b, domains[i], b->threads, &all, error);
        if (status) return status;
        snprintf(what, sizeof what, "%s, %d runs of one thread", domains[i], b->threads);
        bench_begin(b, "study", what);
        bench_figure(b, "speed", all, "steps/s");
        bench_figure(b, "one run", one, "steps/s");
        bench_figure(b, "ratio", all / one, "");
        bench_end(b);
    }
    return QG_OK;
}
