#include "study/measure.h"

#include <qgraft/td_learner.h>

#include "agent/screen_codec.h"
#include "base/clock.h"
#include "base/random.h"
#include "domain/gym/gym_name.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SHARE = 14,    /* of its size a screen shrinks to at least, where nothing was measured */
    SAMPLES = 512, /* screens that are compressed, at most */
    SAMPLE_BYTES = 1 << 25,
};

/* Seconds for a game to be opened and measured. Python may take long until it is there, and is
 * looked after by itself (gym_worker.h). */
enum { PATIENCE = 10, PATIENCE_GYM = 600 };

#define BYTES_GYM 40e6 /* of a process with numpy and gymnasium (docs/domains.md) */

static bool is_gym(const qg_study_run *run)
{
    return strncmp(run->game, QG_GYM_PREFIX, strlen(QG_GYM_PREFIX)) == 0;
}

/* A minibatch of random screens of which half the values are zero. */
typedef struct random_batch {
    uint8_t *memory;
    const uint8_t **screens;
    int32_t *actions;
    float *rewards;
    uint8_t *terminals;
    qg_batch batch;
} random_batch;

static qg_status make_batch(const qg_observation_shape *shape, const qg_settings *settings,
                            random_batch *b, qg_error *error)
{
    const size_t size = (size_t)settings->minibatch, history = (size_t)settings->history;
    const size_t screen = qg_observation_size(shape), count = 2 * size * history;
    *b = (random_batch){.memory = malloc(count * screen),
                        .screens = malloc(count * sizeof *b->screens),
                        .actions = calloc(size, sizeof *b->actions),
                        .rewards = calloc(size, sizeof *b->rewards),
                        .terminals = calloc(size, sizeof *b->terminals)};
    if (!b->memory || !b->screens || !b->actions || !b->rewards || !b->terminals)
        return qg_fail_memory(error, "a minibatch", count * screen);
    qg_random random = qg_random_stream(1, "estimate");
    for (size_t i = 0; qg_observation_is_vector(shape) && i < count * screen / sizeof(float); i++)
        ((float *)(void *)b->memory)[i] = (float)qg_random_uniform(&random);
    for (size_t i = 0; !qg_observation_is_vector(shape) && i < count * screen; i++) {
        const uint64_t draw = qg_random_u64(&random);
        b->memory[i] = draw & 1 ? (uint8_t)(qg_observation_is_grid(shape) ? 1 : draw >> 8) : 0;
    }
    for (size_t i = 0; i < count; i++)
        b->screens[i] = b->memory + i * screen;
    b->batch = (qg_batch){
        .states = {(int)size, (int)history, shape->channels, b->screens},
        .next_states = {(int)size, (int)history, shape->channels, b->screens + count / 2},
        .actions = b->actions,
        .rewards = b->rewards,
        .terminals = b->terminals};
    return QG_OK;
}

static void free_batch(random_batch *b)
{
    free(b->memory);
    free(b->screens);
    free(b->actions);
    free(b->rewards);
    free(b->terminals);
}

/* One random step, of a new episode where the last one has ended. */
static qg_status play_step(qg_domain *domain, qg_random *random, qg_step *step, uint8_t *screen,
                           qg_error *error)
{
    const qg_status status =
        qg_step_is_last(step) ? qg_domain_reset(domain, 0, screen, error) : QG_OK;
    const uint64_t action = qg_random_below(random, (uint64_t)domain->action_count);
    return status ? status : qg_domain_step(domain, (int)action, step, screen, error);
}

static qg_status measure_steps(qg_domain *domain, double budget, double *seconds, qg_error *error)
{
    uint8_t *screen = malloc(qg_observation_size(&domain->shape));
    if (!screen) return qg_fail_memory(error, "a screen", qg_observation_size(&domain->shape));
    qg_random random = qg_random_stream(1, "estimate");
    qg_step step = {.end = true};
    int steps = 0;
    qg_status status = QG_OK;
    const double begin = qg_clock_seconds();
    do
        for (int i = 0; i < 16 && !status; i++, steps++)
            status = play_step(domain, &random, &step, screen, error);
    while (!status && qg_clock_seconds() - begin < budget);
    *seconds = (qg_clock_seconds() - begin) / fmax(1, steps);
    free(screen);
    return status;
}

/* Screens of random play at the beginning of a game; later ones were up to 1.4 times as large
 * (docs/performance.md), those of a trained player may be larger still: twice as much is taken. */
static qg_status measure_frame(qg_domain *domain, double *frame, qg_error *error)
{
    const size_t pixels = qg_observation_size(&domain->shape);
    const size_t fit = SAMPLE_BYTES / pixels, count = fit < SAMPLES ? fit : SAMPLES;
    uint8_t *screens = malloc(count * pixels);
    if (!screens) return qg_fail_memory(error, "screens", count * pixels);
    qg_random random = qg_random_stream(1, "estimate");
    qg_step step = {.end = true};
    qg_status status = QG_OK;
    for (size_t i = 0; i < count && !status; i++)
        status = play_step(domain, &random, &step, screens + i * pixels, error);
    if (!status) status = qg_screen_codec_measure(screens, (int)count, pixels, frame, error);
    free(screens);
    *frame = fmin(2 * *frame, (double)pixels);
    return status;
}

static qg_status look_at_picture(qg_domain *domain, double *bytes, qg_error *error)
{
    qg_picture picture;
    uint8_t *screen = malloc(qg_observation_size(&domain->shape));
    if (!screen) return qg_fail_memory(error, "a screen", qg_observation_size(&domain->shape));
    const qg_status status = qg_domain_reset(domain, 0, screen, error);
    if (!status) {
        qg_domain_picture(domain, &picture);
        *bytes = (double)picture.height * picture.width;
    }
    free(screen);
    return status;
}

/* The shortest of many, as other work on the machine only ever lengthens them. */
static qg_status measure_learning(qg_td_learner *learner, const random_batch *b, double budget,
                                  qg_run_times *t, qg_error *error)
{
    float q_values[QG_MAX_ACTIONS];
    qg_states state = b->batch.states;
    state.size = 1;
    t->update = t->act = INFINITY;
    qg_status status = QG_OK;
    for (double begin = qg_clock_seconds(), now = begin; !status && now - begin < budget;) {
        status = qg_td_learner_update(learner, &b->batch, 0, NULL, error);
        const double updated = qg_clock_seconds();
        if (!status)
            status = qg_engine_forward(learner->engine, QG_ONLINE, &state, q_values, error);
        const double acted = qg_clock_seconds();
        t->update = fmin(t->update, updated - now);
        t->act = fmin(t->act, acted - updated);
        now = acted;
    }
    return status;
}

static qg_status measure_engine(const qg_study_run *run, int threads, double budget,
                                qg_run_times *t, qg_error *error)
{
    random_batch b = {0};
    qg_network network = {0};
    qg_td_learner learner = {0};
    qg_status status = make_batch(&t->shape, &run->settings, &b, error);
    if (!status) status = qg_network_create(&t->architecture, &network, error);
    const qg_machine machine = {.threads = threads};
    if (!status)
        status = qg_td_learner_create(&t->architecture, &run->settings, false, &machine, &learner,
                                      error);
    if (!status) {
        qg_network_initialise(&network, 1);
        status = qg_engine_write(learner.engine, QG_ONLINE, &network, error);
    }
    if (!status) status = qg_engine_copy_to_target(learner.engine, error);
    if (!status) status = measure_learning(&learner, &b, budget, t, error);
    qg_td_learner_free(&learner);
    qg_network_free(&network);
    free_batch(&b);
    return status;
}

static qg_status examine(const qg_study_run *run, int threads, bool measure, qg_run_times *t,
                         qg_error *error)
{
    qg_domain_options options = qg_domain_options_of(&run->settings);
    options.seed = 1;
    qg_domain *domain;
    *t = (qg_run_times){.step = 1};
    qg_status status = qg_domain_open(run->game, &options, &domain, error);
    if (status) return status;
    t->shape = domain->shape;
    status = qg_architecture_for(&run->settings, domain, &t->architecture, error);
    if (!status)
        status = qg_td_learner_bytes(&t->architecture, &run->settings, false,
                                     &(qg_machine){.threads = threads}, &t->learner, error);
    t->frame = (double)qg_observation_size(&t->shape) / (t->shape.max > 1 ? SHARE : 1);
    t->beside = is_gym(run) ? BYTES_GYM : 0;
    if (!status && measure) status = measure_steps(domain, 0.1, &t->step, error);
    if (!status && measure && t->shape.max > 1) status = measure_frame(domain, &t->frame, error);
    if (!status && qg_domain_has_picture(domain))
        status = look_at_picture(domain, &t->picture, error);
    if (status == QG_ERROR_IO) { /* the process that plays has died or hangs */
        t->step = 0;
        status = QG_OK;
    }
    qg_domain_close(domain);
    if (!status && measure) status = measure_engine(run, threads, 0.2, t, error);
    return status;
}

/* ------------------------------------------------------------------- in a process of its own */

/* What the child tells. */
typedef struct finding {
    qg_run_times times;
    qg_status status;
    qg_error error;
} finding;

static _Noreturn void find(const qg_study_run *run, int threads, bool measure, int out)
{
    static finding f; /* static: no bytes of the stack go through the pipe */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nothing = open("/dev/null", O_RDWR); /* an emulator may be talkative */
    if (nothing >= 0) {
        dup2(nothing, STDOUT_FILENO);
        dup2(nothing, STDERR_FILENO);
    }
    f.status = examine(run, threads, measure, &f.times, &f.error);
    _exit(write(out, &f, sizeof f) == sizeof f ? 0 : 1);
}

/* All of what comes within `patience` seconds; false: it crashed or hangs. */
static bool receive(int in, double patience, finding *f)
{
    const double begin = qg_clock_seconds();
    size_t done = 0;
    while (done < sizeof *f) {
        struct pollfd wait = {.fd = in, .events = POLLIN};
        const double left = patience - (qg_clock_seconds() - begin);
        if (left <= 0) return false;
        if (poll(&wait, 1, (int)ceil(left * 1000)) <= 0) continue;
        const ssize_t n = read(in, (uint8_t *)f + done, sizeof *f - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

qg_status qg_measure_run(const qg_study_run *run, int threads, bool measure, qg_run_times *times,
                         qg_error *error)
{
    int ends[2];
    finding f = {0};
    *times = (qg_run_times){0};
    if (pipe2(ends, O_CLOEXEC) != 0) return qg_fail_errno(error, "a pipe");
    const pid_t child = fork();
    if (child == 0) find(run, threads, measure, ends[1]);
    close(ends[1]);
    const bool told = child > 0 && receive(ends[0], is_gym(run) ? PATIENCE_GYM : PATIENCE, &f);
    close(ends[0]);
    if (child < 0) return qg_fail_errno(error, "%s: cannot be measured", run->game);
    if (!told) kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    if (!told) return QG_OK;
    *times = f.times;
    if (f.status) *error = f.error;
    return f.status;
}
