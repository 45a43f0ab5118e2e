/* qgraft bench update, act: the network, on random screens of which half the values are zero and no
 * cell is empty ("dense"), and the update on screens of a game too, whose empty cells cost nothing;
 * layer by layer. */
#include "cli/bench.h"

#include "base/random.h"
#include "network/stopwatch.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 32 };

typedef struct network_bench {
    qg_architecture architecture;
    qg_td_learner learner;
    qg_batch batch;
    uint8_t *memory;         /* of all screens */
    const uint8_t **screens; /* [2][BATCH][parts]: states, then next states */
    int32_t actions[BATCH];
    float rewards[BATCH];
    uint8_t terminals[BATCH];
    float q_values[QG_MAX_ACTIONS];
} network_bench;

/* Breakout for Atari's networks; for the grid's, Seaquest, which fills all its channels. */
static qg_status open_architecture(const char *preset, qg_architecture *architecture,
                                   qg_error *error)
{
    return strncmp(preset, "grid", 4) == 0
               ? qg_architecture_make(preset, 10, 10, 10, 1, 6, architecture, error)
               : qg_architecture_make(preset, 4, 84, 84, 255, 4, architecture, error);
}

static void fill_batch(network_bench *n, int parts, size_t screen)
{
    const qg_architecture *a = &n->architecture;
    qg_random random = qg_random_stream(1, "bench");
    const size_t screens = 2 * BATCH * (size_t)parts;
    for (size_t i = 0; i < screens * screen; i++) {
        const uint64_t draw = qg_random_u64(&random);
        const uint64_t value = a->input_max == 1 ? 1 : draw >> 8;
        n->memory[i] = draw & 1 ? (uint8_t)value : 0;
    }
    for (size_t i = 0; i < screens; i++)
        n->screens[i] = n->memory + i * screen;
    for (int i = 0; i < BATCH; i++) {
        n->actions[i] = (int32_t)qg_random_below(&random, (uint64_t)a->actions);
        n->rewards[i] = (float)qg_random_below(&random, 3) - 1;
        n->terminals[i] = qg_random_below(&random, 20) == 0;
    }
    const int channels = a->channels / parts;
    n->batch = (qg_batch){
        .states = {BATCH, parts, channels, n->screens},
        .next_states = {BATCH, parts, channels, n->screens + screens / 2},
        .actions = n->actions,
        .rewards = n->rewards,
        .terminals = n->terminals,
    };
}

/* Screens of random play instead: every state is the screens of some steps in a row, its next state
 * one step later. Breakout for Atari's networks, Seaquest for the grid's. */
static qg_status fill_from_game(network_bench *n, qg_error *error)
{
    enum { STEPS_APART = 7 };
    const bool grid = n->architecture.input_max == 1;
    const qg_domain_options options = {.seed = 1, .sticky = -1};
    qg_domain *domain;
    qg_status status =
        qg_domain_open(grid ? "minatar/seaquest" : "breakout", &options, &domain, error);
    if (status) return status;
    const int parts = n->batch.states.parts, each = parts + 1;
    const size_t screen = qg_observation_size(&domain->shape);
    uint8_t *memory = malloc((size_t)(BATCH * each) * screen);
    status = memory ? qg_domain_reset(domain, 0, memory, error)
                    : qg_fail_memory(error, "screens", (size_t)(BATCH * each) * screen);
    qg_random random = qg_random_stream(1, "bench");
    const uint64_t actions = (uint64_t)domain->action_count;
    for (int i = 0; i < BATCH && !status; i++)
        for (int step = 0; step < STEPS_APART + each && !status; step++) {
            const int at = step < STEPS_APART ? 0 : step - STEPS_APART;
            uint8_t *observation = memory + (size_t)(i * each + at) * screen;
            qg_step result;
            status = qg_domain_step(domain, (int)qg_random_below(&random, actions), &result,
                                    observation, error);
            if (!status && qg_step_is_last(&result))
                status = qg_domain_reset(domain, 0, observation, error);
        }
    for (int i = 0; i < BATCH * parts && !status; i++) {
        n->screens[i] = memory + (size_t)(i / parts * each + i % parts) * screen;
        n->screens[BATCH * parts + i] = n->screens[i] + screen;
    }
    qg_domain_close(domain);
    if (status)
        free(memory);
    else {
        free(n->memory);
        n->memory = memory;
    }
    return status;
}

static qg_status open_network(const bench_session *b, const char *preset, int threads,
                              network_bench *n, qg_error *error)
{
    *n = (network_bench){0};
    qg_settings settings;
    qg_status status = qg_settings_preset(&settings, "dqn3", error);
    if (!status) status = bench_set(b, &settings, error);
    if (!status) status = open_architecture(preset, &n->architecture, error);
    if (status) return status;
    const qg_architecture *a = &n->architecture;
    const int parts = a->input_max == 1 ? 1 : a->channels;
    const size_t screen = (size_t)(a->channels / parts) * (size_t)a->height * (size_t)a->width;
    const size_t screens = 2 * BATCH * (size_t)parts;
    n->memory = malloc(screens * screen);
    n->screens = malloc(screens * sizeof *n->screens);
    if (!n->memory || !n->screens) return qg_fail_memory(error, "a minibatch", screens * screen);
    fill_batch(n, parts, screen);
    settings.minibatch = BATCH;
    snprintf(settings.precision, sizeof settings.precision, "%s", b->precision);
    status = qg_td_learner_create(a, &settings, false, &(qg_machine){threads, b->isa}, &n->learner,
                                  error);
    qg_network network = {0};
    if (!status) status = qg_network_create(a, &network, error);
    if (status) return status;
    qg_network_initialise(&network, 1);
    status = qg_engine_write(n->learner.engine, QG_ONLINE, &network, error);
    if (!status) status = qg_engine_copy_to_target(n->learner.engine, error);
    qg_network_free(&network);
    return status;
}

static void close_network(network_bench *n)
{
    qg_td_learner_free(&n->learner);
    free(n->screens);
    free(n->memory);
}

/* Multiplications of one state's way through layer `l`. */
static double layer_products(const qg_architecture *a, int l)
{
    const qg_layer *layer = &a->layers[l];
    return (double)qg_layer_weights(layer) * layer->out_height * layer->out_width;
}

/* The target network on the next states, the online network on the states; of double DQN also on
 * the next ones. */
static int forward_passes(const network_bench *n)
{
    return n->learner.double_q ? 3 : 2;
}

/* An update is these, the gradients of all weights and of all inputs but the first layer's: a
 * product and a sum for each. */
static double update_flops(const network_bench *n)
{
    double products = 0;
    for (int l = 0; l < n->architecture.layer_count; l++)
        products += (forward_passes(n) + (l ? 2 : 1)) * layer_products(&n->architecture, l);
    return 2 * BATCH * products;
}

static qg_status do_update(void *context, qg_error *error)
{
    network_bench *n = context;
    return qg_td_learner_update(&n->learner, &n->batch, 0, NULL, error);
}

static qg_status do_act(void *context, qg_error *error)
{
    network_bench *n = context;
    qg_states state = n->batch.states;
    state.size = 1;
    return qg_engine_forward(n->learner.engine, QG_ONLINE, &state, n->q_values, error);
}

/* What the machine can do with the threads that are measured; flops 0: not known. */
typedef struct machine {
    double flops, bytes; /* a second */
} machine;

static void report_flops(bench_session *b, double flops, double seconds, const machine *m)
{
    bench_figure(b, "speed", flops / seconds * 1e-9, "GFLOP/s");
    if (m->flops > 0) bench_figure(b, "of the FMA peak", 100 * flops / seconds / m->flops, "%");
}

static void report_work(bench_session *b, const char *name, double flops, double seconds,
                        const machine *m)
{
    char share[48];
    snprintf(share, sizeof share, "%s / FMA peak", name);
    bench_figure(b, name, seconds * 1e3, "ms");
    if (m->flops > 0) bench_figure(b, share, 100 * flops / seconds / m->flops, "%");
}

/* One line a layer, then what is no layer's; forward and conversion are those of both networks.
 * RMSProp reads and writes the weights and both moments; what lies in the caches can be faster than
 * the memory. Where the thread that is watched has no step of its own, or none apart from the
 * gradient, it has no line. */
static void report_layers(bench_session *b, const network_bench *n, const char *preset,
                          const char *screens, const qg_stopwatch *stopwatch, const machine *m)
{
    const qg_architecture *a = &n->architecture;
    char what[96];
    double convert = 0, loss = 0;
    for (int l = 0; l < a->layer_count; l++) {
        const double flops = 2 * BATCH * layer_products(a, l);
        const double bytes = 24.0 * (double)qg_layer_weights(&a->layers[l]);
        const double optimiser = stopwatch->seconds[QG_WORK_OPTIMISER][l];
        snprintf(what, sizeof what, "%s, %s, layer %d (%s %d)", preset, screens, l + 1,
                 a->layers[l].kind == QG_CONV ? "conv" : "linear", a->layers[l].outputs);
        bench_begin(b, "update", what);
        report_work(b, "forward", forward_passes(n) * flops, stopwatch->seconds[QG_WORK_FORWARD][l],
                    m);
        if (l > 0)
            report_work(b, "to the inputs", flops, stopwatch->seconds[QG_WORK_INPUT_GRADIENT][l],
                        m);
        report_work(b, "to the weights", flops, stopwatch->seconds[QG_WORK_WEIGHT_GRADIENT][l], m);
        if (optimiser > 0) {
            bench_figure(b, "optimiser", optimiser * 1e3, "ms");
            bench_figure(b, "optimiser / memory", 100 * bytes / optimiser / m->bytes, "%");
        }
        bench_end(b);
        convert += stopwatch->seconds[QG_WORK_CONVERT][l];
        loss += stopwatch->seconds[QG_WORK_LOSS][l];
    }
    snprintf(what, sizeof what, "%s, %s, the rest", preset, screens);
    bench_begin(b, "update", what);
    bench_figure(b, "conversion", convert * 1e3, "ms");
    bench_figure(b, "TD errors", loss * 1e3, "ms");
    bench_end(b);
}

/* The least time of every piece of work: another update's for each. */
static qg_status time_update(const bench_session *b, network_bench *n, qg_stopwatch *least,
                             qg_error *error)
{
    qg_status status = QG_OK;
    const double end = qg_clock_seconds() + b->seconds;
    for (int round = 0; !status && (round < 5 || qg_clock_seconds() < end); round++) {
        qg_stopwatch stopwatch = {0};
        qg_engine_time(n->learner.engine, &stopwatch);
        status = do_update(n, error);
        qg_engine_time(n->learner.engine, NULL);
        for (int work = 0; work < QG_WORKS; work++)
            for (int l = 0; l < QG_MAX_LAYERS; l++)
                if (round == 0 || stopwatch.seconds[work][l] < least->seconds[work][l])
                    least->seconds[work][l] = stopwatch.seconds[work][l];
        if (!status) status = bench_check(error);
    }
    return status;
}

/* On the screens that `n` has, called `screens`. */
static qg_status measure_screens(bench_session *b, network_bench *n, const char *preset,
                                 const char *screens, int threads, const machine *m,
                                 qg_error *error)
{
    char what[64];
    bench_times times = {0};
    qg_stopwatch stopwatch = {0};
    qg_status status = bench_repeat(b, do_update, n, &times, error);
    if (!status) status = time_update(b, n, &stopwatch, error);
    if (status) return status;
    snprintf(what, sizeof what, "%s, %s, batch %d, threads %d", preset, screens, BATCH, threads);
    bench_begin(b, "update", what);
    bench_figure(b, "minimum", times.minimum * 1e3, "ms");
    bench_figure(b, "median", times.median * 1e3, "ms");
    report_flops(b, update_flops(n), times.minimum, m);
    bench_end(b);
    report_layers(b, n, preset, screens, &stopwatch, m);
    return QG_OK;
}

static qg_status measure_update(bench_session *b, const char *preset, int threads, const machine *m,
                                qg_error *error)
{
    network_bench n;
    qg_status status = open_network(b, preset, threads, &n, error);
    if (!status) status = measure_screens(b, &n, preset, "dense", threads, m, error);
    if (!status) {
        if (fill_from_game(&n, error))
            bench_skip(b, "the update on screens of a game", error);
        else
            status = measure_screens(b, &n, preset, "real screens", threads, m, error);
    }
    close_network(&n);
    return status;
}

static qg_status measure_act(bench_session *b, const char *preset, int threads, const machine *m,
                             qg_error *error)
{
    char what[64];
    network_bench n;
    bench_times times = {0};
    qg_status status = open_network(b, preset, threads, &n, error);
    if (!status) status = bench_repeat(b, do_act, &n, &times, error);
    if (!status) {
        double products = 0;
        for (int l = 0; l < n.architecture.layer_count; l++)
            products += layer_products(&n.architecture, l);
        snprintf(what, sizeof what, "%s, batch 1, threads %d", preset, threads);
        bench_begin(b, "act", what);
        bench_figure(b, "minimum", times.minimum * 1e6, "us");
        bench_figure(b, "median", times.median * 1e6, "us");
        report_flops(b, 2 * products, times.minimum, m);
        bench_end(b);
    }
    close_network(&n);
    return status;
}

typedef qg_status measurement(bench_session *b, const char *preset, int threads, const machine *m,
                              qg_error *error);

static qg_status measure_machine(bench_session *b, int threads, machine *m, qg_error *error)
{
    char what[64];
    qg_status status = bench_fma_peak(b->isa, threads, &m->flops, error);
    if (!status) status = bench_bandwidth(threads, &m->bytes, error);
    if (status) return status;
    snprintf(what, sizeof what, "threads %d", threads);
    bench_begin(b, "machine", what);
    if (m->flops > 0) bench_figure(b, "FMA peak", m->flops * 1e-9, "GFLOP/s");
    bench_figure(b, "memory", m->bytes * 1e-9, "GB/s");
    bench_end(b);
    return QG_OK;
}

/* For 1 thread and for all, the machine's peak just before. */
static qg_status measure_all(bench_session *b, measurement *measure, qg_error *error)
{
    static const char *const presets[] = {"nature", "grid"};
    qg_status status = QG_OK;
    for (int threads = b->threads_given ? b->threads : 1; threads <= b->threads && !status;
         threads = threads < b->threads ? b->threads : threads + 1) {
        machine m;
        status = measure_machine(b, threads, &m, error);
        if (b->preset && !status) status = measure(b, b->preset, threads, &m, error);
        for (size_t i = 0; i < 2 && !b->preset && !status; i++)
            status = measure(b, presets[i], threads, &m, error);
    }
    return status;
}

qg_status bench_update(bench_session *b, qg_error *error)
{
    return measure_all(b, measure_update, error);
}

qg_status bench_act(bench_session *b, qg_error *error)
{
    return measure_all(b, measure_act, error);
}
