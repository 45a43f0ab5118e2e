#include "agent/replay.h"

#include <qgraft/settings.h>

#include "agent/bits.h"
#include "base/file.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 256 }; /* entries with one checksum */

struct qg_replay {
    char *path;
    int file;
    int64_t capacity; /* entries of the memory */
    int64_t places;   /* of the ring: capacity, slack, one block more; whole blocks */
    int64_t count;    /* entries added in all */
    int64_t sealed;   /* entries in the checksums */
    uint32_t *crcs;   /* [places / BLOCK], of block b at b % (places / BLOCK) */
    int history, channels;
    size_t pixels;    /* values of a screen */
    size_t stride;    /* bytes of a stored screen */
    bool packed;      /* as bits */
    size_t bytes;     /* of the mapping */
    uint8_t *map;     /* [places][stride], then: */
    float *rewards;   /* [places] */
    uint8_t *actions; /* [places] */
    uint8_t *ends;    /* [places], of qg_replay_end */
    const uint8_t *newest[QG_MAX_HISTORY];
    uint8_t *unpacked; /* [history][pixels], for acting */
};

static size_t stride_of(const qg_observation_shape *shape)
{
    const size_t pixels = qg_observation_size(shape);
    return qg_observation_is_grid(shape) ? (pixels + 7) / 8 : pixels;
}

/* With action, reward and end. */
static size_t entry_bytes(const qg_observation_shape *shape)
{
    return stride_of(shape) + sizeof(float) + 2;
}

/* One block more: the one in which the memory begins is kept whole. */
static int64_t places_of(const qg_replay_plan *plan)
{
    return ((plan->capacity + plan->slack + BLOCK - 1) / BLOCK + 1) * BLOCK;
}

size_t qg_replay_bytes(const qg_replay_plan *plan)
{
    return (size_t)places_of(plan) * entry_bytes(&plan->shape);
}

qg_replay_plan qg_replay_plan_for(const qg_settings *settings, int64_t steps,
                                  const qg_observation_shape *shape)
{
    /* A run shorter than the ring never fills it: its steps and the screen behind the last. */
    const int64_t least = settings->history + 1;
    const int64_t needed = steps + 1 > least ? steps + 1 : least;
    const int64_t capacity = settings->replay < needed ? settings->replay : needed;
    const int64_t eighth = settings->replay / 8, some = (16 << 20) / (int64_t)entry_bytes(shape);
    const int64_t slack = eighth > some ? eighth : some;
    return (qg_replay_plan){.capacity = capacity,
                            .slack = slack < needed - capacity ? slack : needed - capacity,
                            .history = settings->history,
                            .shape = *shape};
}

static qg_status map_file(qg_replay *replay, qg_error *error)
{
    void *map = mmap(NULL, replay->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, replay->file, 0);
    if (map == MAP_FAILED)
        return qg_fail_errno(error, "%s: cannot map the replay memory", replay->path);
    replay->map = map;
    const size_t places = (size_t)replay->places;
    replay->rewards = (float *)(void *)(replay->map + places * replay->stride); /* aligned: BLOCK */
    replay->actions = (uint8_t *)(replay->rewards + places);
    replay->ends = replay->actions + places;
    return QG_OK;
}

static qg_status create_file(qg_replay *replay, qg_error *error)
{
    replay->file = open(replay->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (replay->file < 0)
        return qg_fail_errno(error, "%s: cannot create the replay memory", replay->path);
    int problem;
    do
        problem = posix_fallocate(replay->file, 0, (off_t)replay->bytes);
    while (problem == EINTR);
    qg_status status = QG_OK;
    if (problem) {
        char bytes[32];
        errno = problem;
        status = qg_fail_errno(error,
                               "%s: the replay memory needs %s on the disk (make room or set a "
                               "smaller 'replay')",
                               replay->path, qg_text_from_bytes((double)replay->bytes, bytes));
    }
    if (!status) status = map_file(replay, error);
    if (status) unlink(replay->path);
    return status;
}

static qg_status open_file(qg_replay *replay, qg_error *error)
{
    replay->file = open(replay->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (replay->file < 0)
        return qg_fail_errno(error, "%s: cannot open the replay memory", replay->path);
    struct stat status;
    if (fstat(replay->file, &status) != 0)
        return qg_fail_errno(error, "%s: cannot examine", replay->path);
    if (!S_ISREG(status.st_mode) || (size_t)status.st_size != replay->bytes)
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: has %lld bytes, should have %zu",
                       replay->path, (long long)status.st_size, replay->bytes);
    return map_file(replay, error);
}

static qg_status make(const char *path, const qg_replay_plan *plan, bool new, qg_replay **result,
                      qg_error *error)
{
    assert(plan->history >= 1 && plan->history <= QG_MAX_HISTORY &&
           plan->capacity > plan->history && plan->slack >= 0);
    qg_replay *replay = calloc(1, sizeof *replay);
    if (!replay) return qg_fail_memory(error, "the replay memory", sizeof *replay);
    replay->file = -1;
    replay->capacity = plan->capacity;
    replay->places = places_of(plan);
    replay->history = plan->history;
    replay->channels = plan->shape.channels;
    replay->pixels = qg_observation_size(&plan->shape);
    replay->packed = qg_observation_is_grid(&plan->shape);
    replay->stride = stride_of(&plan->shape);
    replay->bytes = qg_replay_bytes(plan);
    replay->path = strdup(path);
    /* A lookup of 8 bits writes whole groups of 8. */
    replay->unpacked = malloc((size_t)plan->history * (replay->pixels + 8));
    qg_status status = replay->path && replay->unpacked
                           ? QG_OK
                           : qg_fail_memory(error, "the replay memory", replay->pixels);
    if (!status) status = new ? create_file(replay, error) : open_file(replay, error);
    if (!status &&
        !(replay->crcs = calloc((size_t)(replay->places / BLOCK), sizeof *replay->crcs))) {
        status = qg_fail_memory(error, "checksums",
                                (size_t)(replay->places / BLOCK) * sizeof *replay->crcs);
        if (new) unlink(path);
    }
    if (status)
        qg_replay_close(replay);
    else
        *result = replay;
    return status;
}

qg_status qg_replay_create(const char *path, const qg_replay_plan *plan, qg_replay **replay,
                           qg_error *error)
{
    return make(path, plan, true, replay, error);
}

qg_status qg_replay_open(const char *path, const qg_replay_plan *plan, qg_replay **replay,
                         qg_error *error)
{
    return make(path, plan, false, replay, error);
}

void qg_replay_close(qg_replay *replay)
{
    if (!replay) return;
    if (replay->map) munmap(replay->map, replay->bytes);
    if (replay->file >= 0) close(replay->file);
    free(replay->path);
    free(replay->crcs);
    free(replay->unpacked);
    free(replay);
}

void qg_replay_destroy(qg_replay *replay)
{
    if (replay) unlink(replay->path);
    qg_replay_close(replay);
}

/* ------------------------------------------------------------------------------- screens */

static size_t slot(const qg_replay *replay, int64_t entry)
{
    return (size_t)(entry % replay->places);
}

static int64_t oldest(const qg_replay *replay)
{
    return replay->count > replay->capacity ? replay->count - replay->capacity : 0;
}

/* The checksum of an entry goes into its block's. */
static uint32_t add_to_crc(const qg_replay *replay, int64_t entry, uint32_t crc)
{
    const size_t at = slot(replay, entry);
    uint8_t rest[sizeof(float) + 2];
    memcpy(rest, &replay->rewards[at], sizeof(float));
    rest[sizeof(float)] = replay->actions[at];
    rest[sizeof(float) + 1] = replay->ends[at];
    crc = (uint32_t)crc32_z(crc, replay->map + at * replay->stride, replay->stride);
    return (uint32_t)crc32_z(crc, rest, sizeof rest);
}

static uint32_t *crc_of(const qg_replay *replay, int64_t block)
{
    return &replay->crcs[block % (replay->places / BLOCK)];
}

/* All entries so far are as they will stay. A block that becomes complete is started on its way to
 * the disk, so that little is left to wait for at a checkpoint. */
static void seal(qg_replay *replay)
{
    for (; replay->sealed < replay->count; replay->sealed++) {
        const int64_t entry = replay->sealed;
        uint32_t *crc = crc_of(replay, entry / BLOCK);
        *crc = add_to_crc(replay, entry, entry % BLOCK ? *crc : 0);
        if (entry % BLOCK < BLOCK - 1) continue;
        const size_t first = slot(replay, entry - (BLOCK - 1));
        sync_file_range(replay->file, (off_t)(first * replay->stride),
                        (off_t)(BLOCK * replay->stride), SYNC_FILE_RANGE_WRITE);
    }
}

qg_status qg_replay_sync(qg_replay *replay, qg_error *error)
{
    if (qg_file_sync(replay->file, false) != 0)
        return qg_fail_errno(error, "%s: cannot write the replay memory", replay->path);
    return QG_OK;
}

void qg_replay_add_screen(qg_replay *replay, const uint8_t *screen, qg_replay_end end)
{
    seal(replay);
    const size_t at = slot(replay, replay->count);
    if (replay->packed)
        qg_bits_pack(screen, replay->pixels, replay->map + at * replay->stride);
    else
        memcpy(replay->map + at * replay->stride, screen, replay->pixels);
    replay->ends[at] = (uint8_t)end;
    replay->actions[at] = 0; /* until it is set; an end has none */
    replay->rewards[at] = 0;
    replay->count++;
}

void qg_replay_set_action(qg_replay *replay, int action, float reward)
{
    assert(replay->count > 0);
    const size_t at = slot(replay, replay->count - 1);
    replay->actions[at] = (uint8_t)action;
    replay->rewards[at] = reward;
}

/* What the file holds must be what the run wrote, and what it can have written. */
static qg_status check_block(const qg_replay *replay, int64_t block, int actions, qg_error *error)
{
    uint32_t crc = 0;
    bool possible = true;
    uint8_t before = QG_REPLAY_GOES_ON;
    for (int64_t entry = block * BLOCK; entry < replay->count && entry / BLOCK == block; entry++) {
        const size_t at = slot(replay, entry);
        crc = add_to_crc(replay, entry, crc);
        possible &= replay->actions[at] < actions &&
                    replay->ends[at] <= (before ? QG_REPLAY_GOES_ON : QG_REPLAY_TRUNCATED);
        before = replay->ends[at];
    }
    if (crc == *crc_of(replay, block) && possible) return QG_OK;
    return qg_fail(error, QG_ERROR_DATA,
                   "%s: damaged: its entries from %lld on do not match their checksum",
                   replay->path, (long long)(block * BLOCK));
}

qg_status qg_replay_pass(qg_replay *replay, qg_tape *tape, int64_t count, int actions,
                         const volatile sig_atomic_t *stop, qg_error *error)
{
    if (tape->reading)
        replay->count = replay->sealed = count;
    else
        seal(replay);
    assert(count == replay->count);
    const int64_t first = oldest(replay) / BLOCK;
    for (int64_t block = first; block * BLOCK < count && tape->good; block++)
        QG_TAPE_PASS(tape, *crc_of(replay, block));
    for (int64_t block = first; block * BLOCK < count && tape->reading && tape->good; block++) {
        if (stop && *stop) return qg_fail(error, QG_STOPPED, "stopped while going on");
        const qg_status status = check_block(replay, block, actions, error);
        if (status) return status;
    }
    return QG_OK;
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
        minibatch->terminals[i] = replay->ends[slot(replay, entry + 1)] == QG_REPLAY_TERMINAL;
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

qg_status qg_minibatch_pass(const qg_replay *replay, qg_tape *tape, int size, int actions,
                            qg_minibatch *minibatch, qg_error *error)
{
    const size_t n = (size_t)size, count = 2 * n * (size_t)replay->history;
    if (tape->reading) {
        const qg_status status = qg_minibatch_create(replay, size, minibatch, error);
        if (status) return status;
        free(minibatch->unpacked);
        minibatch->unpacked = malloc(count * replay->pixels);
        if (!minibatch->unpacked)
            return qg_fail_memory(error, "validation transitions", count * replay->pixels);
    }
    qg_tape_pass(tape, minibatch->actions, n * sizeof *minibatch->actions);
    qg_tape_pass(tape, minibatch->rewards, n * sizeof *minibatch->rewards);
    qg_tape_pass(tape, minibatch->terminals, n);
    for (size_t i = 0; i < n; i++)
        qg_tape_require(tape, minibatch->actions[i] >= 0 && minibatch->actions[i] < actions);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = minibatch->screens[i] ? replay->pixels : 0; /* none: a screen of zeros */
        const uint8_t *screen = qg_tape_pass_blob(tape, minibatch->screens[i], &bytes);
        if (!tape->reading) continue;
        qg_tape_require(tape, screen && (bytes == 0 || bytes == replay->pixels));
        if (tape->good && screen && bytes > 0)
            minibatch->screens[i] =
                memcpy(minibatch->unpacked + i * replay->pixels, screen, replay->pixels);
    }
    return QG_OK;
}
