/* The parts of qgraft bench. Each measures one subject and hands in figures; a figure is printed
 * when it comes and kept for the JSON. Every part looks at cli_interrupted() now and then and ends
 * early with QG_STOPPED. */
#ifndef QG_CLI_BENCH_H
#define QG_CLI_BENCH_H

#include "cli/cli.h"

#include <qgraft/agent.h>
#include <qgraft/td_learner.h>

#include "base/clock.h"

#include <stdint.h>

typedef struct bench_session {
    const char *preset;      /* of the network; NULL: all that matter */
    const char *domain;      /* whose steps are measured; NULL: some of all games */
    int threads;             /* the most that are used */
    bool threads_given;      /* ... and no other number */
    double seconds;          /* for one measurement */
    int screens;             /* that the replay memory holds */
    const char *isa;         /* instruction set of the network's kernels */
    const char *precision;   /* of networks */
    const char *const *sets; /* [set_count] KEY=VALUE that change what learns */
    int set_count;
    bool json;
    json_t *figures;            /* [{subject, what, name, value, unit}] */
    json_t *skipped;            /* [text] what could not be measured, and why */
    const char *subject, *what; /* of the figures that come next */
} bench_session;

qg_status bench_update(bench_session *bench, qg_error *error);
qg_status bench_act(bench_session *bench, qg_error *error);
qg_status bench_games(bench_session *bench, qg_error *error);
qg_status bench_replay(bench_session *bench, qg_error *error);
qg_status bench_train(bench_session *bench, qg_error *error);
qg_status bench_study(bench_session *bench, qg_error *error);

/* Begins a line of figures; both strings live until the next begin. */
void bench_begin(bench_session *bench, const char *subject, const char *what);
void bench_figure(bench_session *bench, const char *name, double value, const char *unit);
void bench_end(bench_session *bench);
void bench_skip(bench_session *bench, const char *what, const qg_error *reason);

/* Changes `settings` as the session says. */
qg_status bench_set(const bench_session *bench, qg_settings *settings, qg_error *error);

/* QG_STOPPED after Ctrl-C. */
qg_status bench_check(qg_error *error);

/* Times of one piece of work that is repeated for bench->seconds, in seconds. */
typedef struct bench_times {
    double minimum, median, mean;
} bench_times;

/* Runs `work` once to warm up, then at least 5 times; its failure ends it. */
typedef qg_status bench_work(void *context, qg_error *error);
qg_status bench_repeat(const bench_session *bench, bench_work *work, void *context,
                       bench_times *times, qg_error *error);

/* What the machine can do at most, measured with `threads` threads: the fused multiply-adds of
 * independent chains, of AVX-512 where `isa` is that, else of AVX2 (0 where there is none), and
 * STREAM's triad in main memory. */
qg_status bench_fma_peak(const char *isa, int threads, double *flops, qg_error *error);
qg_status bench_bandwidth(int threads, double *bytes, qg_error *error);

/* A folder of its own under $TMPDIR or /tmp, and its end with all in it. */
qg_status bench_folder_create(char path[512], qg_error *error);
void bench_folder_remove(const char *path);

#endif
