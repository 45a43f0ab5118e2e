#include "agent/replay.h"

#include <qgraft/settings.h>

#include "agent/bits.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct qg_replay {
    char *path;
    int64_t capacity, count; /* entries of the ring; entries added in all */
    int history, channels;
    size_t pixels;    /* values of a screen */
    size_t stride;    /* bytes of a stored screen */
    bool packed;      /* as bits */
    size_t bytes;     /* of the mapping */
    uint8_t *map;     /* [capacity][stride], then: */
    float *rewards;   /* [capacity] */
    uint8_t *actions; /* [capacity] */
    uint8_t *ends;    /* [capacity] */
    const uint8_t *newest[QG_MAX_HISTORY];
    uint8_t *unpacked; /* [history][pixels], for acting */
};

size_t qg_replay_bytes(const qg_replay *replay)
{
    return replay->bytes;
}

static qg_status map_file(qg_replay *replay, qg_error *error)
{
    const int file = open(replay->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0) return qg_fail_errno(error, "%s: cannot create the replay memory", replay->path);
    int problem;
    do
        problem = posix_fallocate(file, 0, (off_t)replay->bytes);
    while (problem == EINTR);
    void *map = MAP_FAILED;
    if (problem == 0) {
        map = mmap(NULL, replay->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        problem = errno;
    }
    close(file);
    if (map != MAP_FAILED) {
        replay->map = map;
        return QG_OK;
    }
    unlink(replay->path);
    errno = problem;
    return qg_fail_errno(error,
                         "%s: the replay memory needs %.2f GB on the disk (make room or set a "
                         "smaller 'replay')",
                         replay->path, (double)replay->bytes * 1e-9);
}

qg_status qg_replay_create(const char *path, int64_t capacity, int history,
                           const qg_observation_shape *shape, qg_replay **result, qg_error *error)
{
    assert(history >= 1 && history <= QG_MAX_HISTORY && capacity > history);
    qg_replay *replay = calloc(1, sizeof *replay);
    if (!replay) return qg_fail_memory(error, "the replay memory", sizeof *replay);
    replay->capacity = capacity;
    replay->history = history;
    replay->channels = shape->channels;
    replay->pixels = qg_observation_size(shape);
    replay->packed = shape->max == 1;
    replay->stride = replay->packed ? (replay->pixels + 7) / 8 : replay->pixels;
    const size_t entries = (size_t)capacity, screens = (entries * replay->stride + 63) / 64 * 64;
    replay->bytes = screens + entries * (sizeof(float) + 2);
    replay->path = strdup(path);
    /* A lookup of 8 bits writes whole groups of 8. */
    replay->unpacked = malloc((size_t)history * (replay->pixels + 8));
    qg_status status = replay->path && replay->unpacked
                           ? map_file(replay, error)
                           : qg_fail_memory(error, "the replay memory", replay->pixels);
    if (status) {
        qg_replay_destroy(replay);
        return status;
    }
    replay->rewards = (float *)(void *)(replay->map + screens);
    replay->actions = (uint8_t *)(replay->rewards + entries);
    replay->ends = replay->actions + entries;
    *result = replay;
    return QG_OK;
}

void qg_replay_destroy(qg_replay *replay)
{
    if (!replay) return;
    if (replay->map) {
        munmap(replay->map, replay->bytes);
        unlink(replay->path);
    }
    free(replay->path);
    free(replay->unpacked);
    free(replay);
}

/* ------------------------------------------------------------------------------- screens */

static size_t slot(const qg_replay *replay, int64_t entry)
{
    return (size_t)(entry % replay->capacity);
}

static int64_t oldest(const qg_replay *replay)
{
    return replay->count > replay->capacity ? replay->count - replay->capacity : 0;
}

int64_t qg_replay_newest(const qg_replay *replay)
{
    return replay->count - 1;
}

void qg_replay_add_screen(qg_replay *replay, const uint8_t *screen, bool end)
{
    const size_t at = slot(replay, replay->count);
    if (replay->packed)
        qg_bits_pack(screen, replay->pixels, replay->map + at * replay->stride);
    else
        memcpy(replay->map + at * replay->stride, screen, replay->pixels);
    replay->ends[at] = end;
    replay->count++;
}

void qg_replay_set_action(qg_replay *replay, int action, float reward)
{
    assert(replay->count > 0);
    const size_t at = slot(replay, replay->count - 1);
    replay->actions[at] = (uint8_t)action;
    replay->rewards[at] = reward;
}

/* The screens of state `entry`, oldest first. A grid is unpacked to `unpacked`. */
static void gather_state(const qg_replay *replay, int64_t entry, uint8_t *unpacked,
                         const uint8_t **screens)
{
    bool cut = false; /* an end or the beginning of the run has been met */
    for (int h = replay->history - 1; h >= 0; h--, entry--) {
        if (h < replay->history - 1)
            cut = cut || entry < oldest(replay) || replay->ends[slot(replay, entry)];
        screens[h] = NULL;
        if (cut) continue;
        const uint8_t *stored = replay->map + slot(replay, entry) * replay->stride;
        if (replay->packed) {
            uint8_t *values = unpacked + (size_t)h * (replay->pixels + 8);
            qg_bits_unpack(stored, replay->pixels, values);
            stored = values;
        }
        screens[h] = stored;
    }
}

qg_states qg_replay_state(qg_replay *replay)
{
    assert(replay->count > 0);
    gather_state(replay, replay->count - 1, replay->unpacked, replay->newest);
    return (qg_states){1, replay->history, replay->channels, replay->newest};
}

/* ----------------------------------------------------------------------------- minibatches */

qg_status qg_minibatch_create(const qg_replay *replay, int size, qg_minibatch *minibatch,
                              qg_error *error)
{
    const size_t states = 2 * (size_t)size, count = states * (size_t)replay->history;
    *minibatch = (qg_minibatch){0};
    minibatch->screens = calloc(count, sizeof *minibatch->screens);
    minibatch->actions = calloc((size_t)size, sizeof *minibatch->actions);
    minibatch->rewards = calloc((size_t)size, sizeof *minibatch->rewards);
    minibatch->terminals = calloc((size_t)size, 1);
    minibatch->unpacked = calloc(replay->packed ? count * (replay->pixels + 8) : 1, 1);
    if (!minibatch->screens || !minibatch->actions || !minibatch->rewards ||
        !minibatch->terminals || !minibatch->unpacked) {
        qg_minibatch_destroy(minibatch);
        return qg_fail_memory(error, "a minibatch", count * (replay->pixels + 8));
    }
    const qg_states half = {size, replay->history, replay->channels, minibatch->screens};
    minibatch->batch =
        (qg_batch){half, half, minibatch->actions, minibatch->rewards, minibatch->terminals};
    minibatch->batch.next_states.screens += count / 2;
    return QG_OK;
}

void qg_minibatch_destroy(qg_minibatch *minibatch)
{
    free(minibatch->screens);
    free(minibatch->actions);
    free(minibatch->rewards);
    free(minibatch->terminals);
    free(minibatch->unpacked);
    *minibatch = (qg_minibatch){0};
}

/* The first entry whose whole history is known: before the run's first screen there is none to
 * know, behind the ring's seam it has been overwritten. */
static int64_t first_state(const qg_replay *replay)
{
    return replay->count > replay->capacity ? oldest(replay) + replay->history - 1 : 0;
}

bool qg_replay_can_sample(const qg_replay *replay)
{
    /* Two ends never follow each other, so this looks at one or two entries. */
    for (int64_t entry = first_state(replay); entry < replay->count - 1; entry++)
        if (!replay->ends[slot(replay, entry)]) return true;
    return false;
}

void qg_replay_sample(qg_replay *replay, qg_random *random, qg_minibatch *minibatch)
{
    assert(qg_replay_can_sample(replay));
    const int size = minibatch->batch.states.size;
    const int64_t first = first_state(replay);
    const uint64_t choices = (uint64_t)(replay->count - 1 - first);
    const size_t per_state = (size_t)replay->history * (replay->pixels + 8);
    for (int i = 0; i < size; i++) {
        int64_t entry;
        do
            entry = first + (int64_t)qg_random_below(random, choices);
        while (replay->ends[slot(replay, entry)]);
        const size_t at = slot(replay, entry);
        minibatch->actions[i] = replay->actions[at];
        minibatch->rewards[i] = replay->rewards[at];
        minibatch->terminals[i] = replay->ends[slot(replay, entry + 1)];
        for (int next = 0; next < 2; next++) {
            const size_t state = (size_t)(i + next * size);
            gather_state(replay, entry + next,
                         minibatch->unpacked + (replay->packed ? state * per_state : 0),
                         minibatch->screens + state * (size_t)replay->history);
        }
    }
}

qg_status qg_minibatch_detach(const qg_replay *replay, qg_minibatch *minibatch, qg_error *error)
{
    if (replay->packed) return QG_OK; /* the screens were unpacked into its own memory */
    const size_t count = 2 * (size_t)minibatch->batch.states.size * (size_t)replay->history;
    uint8_t *copy = malloc(count * replay->pixels);
    if (!copy) return qg_fail_memory(error, "validation transitions", count * replay->pixels);
    for (size_t i = 0; i < count; i++)
        if (minibatch->screens[i])
            minibatch->screens[i] =
                memcpy(copy + i * replay->pixels, minibatch->screens[i], replay->pixels);
    free(minibatch->unpacked);
    minibatch->unpacked = copy;
    return QG_OK;
}
