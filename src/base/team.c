#include "base/team.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define relax() _mm_pause()
#else
#define relax() ((void)0)
#endif

enum { SPINS = 2000 }; /* about 20 us of waiting before the core is given up */

struct qg_team {
    int size;
    pid_t process;      /* that made it: a forked child has no members */
    pthread_t *threads; /* members 1 ... size - 1 */
    void (*work)(void *context, int member);
    void *context;
    atomic_int arrived;
    atomic_uint phase; /* barriers passed so far */
    bool quit;
    /* Between runs the members sleep, but for the first microseconds: an update is two runs. A run
     * is announced under the mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_uint runs;
};

typedef struct member {
    qg_team *team;
    int index;
} member;

void qg_team_barrier(qg_team *team)
{
    if (team->size == 1) return;
    const unsigned phase = atomic_load_explicit(&team->phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) == team->size - 1) {
        atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&team->phase, phase + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&team->phase, memory_order_acquire) == phase;
         spins++) {
        if (spins < SPINS)
            relax();
        else
            sched_yield();
    }
}

static bool wait_for_run(qg_team *team, unsigned seen)
{
    for (int spins = 0; spins < SPINS; spins++) {
        if (atomic_load_explicit(&team->runs, memory_order_acquire) != seen) return true;
        relax();
    }
    pthread_mutex_lock(&team->mutex);
    while (atomic_load_explicit(&team->runs, memory_order_relaxed) == seen && !team->quit)
        pthread_cond_wait(&team->wake, &team->mutex);
    const bool quit = team->quit;
    pthread_mutex_unlock(&team->mutex);
    return !quit;
}

static void *member_main(void *argument)
{
    const member self = *(member *)argument;
    free(argument);
    for (unsigned seen = 0; wait_for_run(self.team, seen); seen++) {
        self.team->work(self.team->context, self.index);
        qg_team_barrier(self.team);
    }
    return NULL;
}

void qg_team_run(qg_team *team, void (*work)(void *context, int member), void *context)
{
    if (team->size > 1) {
        pthread_mutex_lock(&team->mutex);
        team->work = work;
        team->context = context;
        atomic_fetch_add_explicit(&team->runs, 1, memory_order_release);
        pthread_cond_broadcast(&team->wake);
        pthread_mutex_unlock(&team->mutex);
    }
    work(context, 0);
    qg_team_barrier(team);
}

static bool start_member(qg_team *team, int index)
{
    member *argument = malloc(sizeof *argument);
    if (!argument) return false;
    *argument = (member){team, index};
    if (pthread_create(&team->threads[index], NULL, member_main, argument) == 0) return true;
    free(argument);
    return false;
}

qg_status qg_team_create(int threads, qg_team **result, qg_error *error)
{
    assert(threads >= 1 && threads <= QG_MAX_THREADS);
    qg_team *team = calloc(1, sizeof *team);
    if (!team) return qg_fail_memory(error, "a team of threads", sizeof *team);
    team->size = 1;
    team->process = getpid();
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->wake, NULL);
    team->threads = calloc((size_t)threads, sizeof *team->threads);
    int started = 1;
    while (team->threads && started < threads && start_member(team, started))
        started++;
    team->size = started;
    if (started < threads || !team->threads) {
        qg_team_destroy(team);
        return qg_fail(error, QG_ERROR_MEMORY, "cannot start %d threads: use fewer `threads`",
                       threads);
    }
    *result = team;
    return QG_OK;
}

static void dismiss(qg_team *team)
{
    pthread_mutex_lock(&team->mutex);
    team->quit = true;
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->mutex);
    for (int i = 1; i < team->size; i++)
        pthread_join(team->threads[i], NULL);
    pthread_cond_destroy(&team->wake);
    pthread_mutex_destroy(&team->mutex);
}

void qg_team_destroy(qg_team *team)
{
    if (!team) return;
    if (team->process == getpid()) dismiss(team); /* else it would wait for threads that are not */
    free(team->threads);
    free(team);
}

int qg_team_size(const qg_team *team)
{
    return team->size;
}

void qg_team_share(int count, int who, int size, int *begin, int *end)
{
    *begin = (int)((int64_t)count * who / size);
    *end = (int)((int64_t)count * (who + 1) / size);
}
