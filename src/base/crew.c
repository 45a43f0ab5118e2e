#include "base/crew.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct qg_crew {
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t work_is_there, work_is_done;
    void (*work)(void *context, int member, int piece);
    void *context;
    int pieces, taken, done;
    bool quit;
    int started;
    pthread_t threads[]; /* [members - 1] */
};

/* Takes a piece, if there is one, and does it. The mutex is held but for the work. */
static bool do_piece(qg_crew *crew, int member)
{
    if (crew->taken == crew->pieces) return false;
    const int piece = crew->taken++;
    pthread_mutex_unlock(&crew->mutex);
    crew->work(crew->context, member, piece);
    pthread_mutex_lock(&crew->mutex);
    if (++crew->done == crew->pieces) pthread_cond_signal(&crew->work_is_done);
    return true;
}

typedef struct hand {
    qg_crew *crew;
    int member;
} hand;

static void *hand_main(void *argument)
{
    const hand self = *(hand *)argument;
    qg_crew *const crew = self.crew;
    free(argument);
    pthread_mutex_lock(&crew->mutex);
    while (!crew->quit)
        if (!do_piece(crew, self.member)) pthread_cond_wait(&crew->work_is_there, &crew->mutex);
    pthread_mutex_unlock(&crew->mutex);
    return NULL;
}

static bool start_hand(qg_crew *crew, int member)
{
    hand *argument = malloc(sizeof *argument);
    if (!argument) return false;
    *argument = (hand){crew, member};
    if (pthread_create(&crew->threads[member - 1], NULL, hand_main, argument) == 0) return true;
    free(argument);
    return false;
}

qg_status qg_crew_create(int members, qg_crew **result, qg_error *error)
{
    assert(members >= 1);
    const size_t size = sizeof(qg_crew) + (size_t)(members - 1) * sizeof(pthread_t);
    qg_crew *crew = calloc(1, size);
    if (!crew) return qg_fail_memory(error, "a crew of threads", size);
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->work_is_there, NULL);
    pthread_cond_init(&crew->work_is_done, NULL);
    while (crew->started < members - 1 && start_hand(crew, crew->started + 1))
        crew->started++;
    if (crew->started < members - 1) {
        qg_crew_destroy(crew);
        return qg_fail(error, QG_ERROR_MEMORY, "cannot start %d threads: use fewer `threads`",
                       members);
    }
    *result = crew;
    return QG_OK;
}

void qg_crew_destroy(qg_crew *crew)
{
    if (!crew) return;
    qg_crew_finish(crew);
    pthread_mutex_lock(&crew->mutex);
    crew->quit = true;
    pthread_cond_broadcast(&crew->work_is_there);
    pthread_mutex_unlock(&crew->mutex);
    for (int i = 0; i < crew->started; i++)
        pthread_join(crew->threads[i], NULL);
    pthread_cond_destroy(&crew->work_is_done);
    pthread_cond_destroy(&crew->work_is_there);
    pthread_mutex_destroy(&crew->mutex);
    free(crew);
}

void qg_crew_begin(qg_crew *crew, void (*work)(void *context, int member, int piece), void *context,
                   int pieces)
{
    pthread_mutex_lock(&crew->mutex);
    assert(crew->done == crew->pieces);
    crew->work = work;
    crew->context = context;
    crew->taken = crew->done = 0;
    crew->pieces = pieces;
    pthread_cond_broadcast(&crew->work_is_there);
    pthread_mutex_unlock(&crew->mutex);
}

void qg_crew_finish(qg_crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    while (do_piece(crew, 0)) {
    }
    while (crew->done < crew->pieces)
        pthread_cond_wait(&crew->work_is_done, &crew->mutex);
    pthread_mutex_unlock(&crew->mutex);
}
