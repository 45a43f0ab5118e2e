#include "agent/replay.h"

#include <qgraft/settings.h>

#include "agent/screen_store.h"
#include "base/file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 256 }; /* entries with one checksum */

/* The minibatch that is drawn next, where that is known. */
typedef struct expected {
    qg_minibatch minibatch;
    bool made, drawn;
    qg_random before, after; /* of the draws */
    int64_t count;           /* entries when it is wanted */
} expected;

struct qg_replay {
    char *path;
    qg_screen_store *store;
    int64_t capacity; /* entries of the memory */
    int64_t places;   /* of the ring: capacity, slack, one block more; whole blocks */
    int64_t count;    /* entries added in all */
    int64_t sealed;   /* entries in the checksums */
    int history, channels;
    size_t pixels;    /* values of a screen */
    uint32_t *crcs;   /* [places / BLOCK], of block b at b % (places / BLOCK) */
    float *rewards;   /* [places], in the store's columns as all that follow */
    uint8_t *actions; /* [places] */
    uint8_t *ends;    /* [places], of qg_replay_end */
    bool is_mapped;   /* screens are used where they lie in the file */
    uint8_t *recent;  /* [history][pixels]: the newest screens */
    const uint8_t *newest[QG_MAX_HISTORY];
    expected next;
};

/* One block more: the one in which the memory begins is kept whole. */
static int64_t places_of(const qg_replay_plan *plan)
{
    return ((plan->capacity + plan->slack + BLOCK - 1) / BLOCK + 1) * BLOCK;
}

static qg_screen_plan store_plan(const qg_replay_plan *plan)
{
    const int64_t places = places_of(plan);
    const size_t blocks = (size_t)places / BLOCK;
    return (qg_screen_plan){.what = "the replay memory",
                            .mend = "set a smaller 'replay'",
                            .shape = plan->shape,
                            .compressed = plan->compressed,
                            .places = places,
                            .columns = (size_t)places * (sizeof(float) + 2) +
                                       (blocks + blocks % 2) * sizeof(uint32_t),
                            .threads = plan->threads};
}

size_t qg_replay_bytes(const qg_replay_plan *plan)
{
    const qg_screen_plan store = store_plan(plan);
    return qg_screen_store_bytes(&store);
}

double qg_replay_used(const qg_replay_plan *plan, double frame)
{
    const qg_screen_plan store = store_plan(plan);
    return qg_screen_store_used(&store, frame);
}

qg_replay_plan qg_replay_plan_for(const qg_settings *settings, int64_t steps,
                                  const qg_observation_shape *shape)
{
    /* A run shorter than the ring never fills it: its steps and the screen behind the last. */
    const int64_t least = settings->history + 1;
    const int64_t needed = steps + 1 > least ? steps + 1 : least;
    const int64_t capacity = settings->replay < needed ? settings->replay : needed;
    const size_t pixels = qg_observation_size(shape);
    const size_t entry = (qg_observation_is_grid(shape) ? (pixels + 7) / 8 : pixels) + 6;
    const int64_t eighth = settings->replay / 8, some = (16 << 20) / (int64_t)entry;
    const int64_t slack = eighth > some ? eighth : some;
    return (qg_replay_plan){.capacity = capacity,
                            .slack = slack < needed - capacity ? slack : needed - capacity,
                            .history = settings->history,
                            .shape = *shape,
                            .compressed = true};
}

static qg_status use_store(qg_replay *replay, qg_error *error)
{
    const size_t places = (size_t)replay->places;
    replay->rewards = (float *)(void *)qg_screen_store_columns(replay->store);
    replay->actions = (uint8_t *)(replay->rewards + places);
    replay->ends = replay->actions + places;
    replay->crcs = calloc(places / BLOCK, sizeof *replay->crcs);
    const size_t recent = (size_t)replay->history * qg_screen_store_room(replay->store);
    replay->recent = malloc(recent);
    return replay->crcs && replay->recent ? QG_OK
                                          : qg_fail_memory(error, "the replay memory", recent);
}

static qg_status make(const char *path, const qg_replay_plan *plan, bool new, qg_replay **result,
                      qg_error *error)
{
    assert(plan->history >= 1 && plan->history <= QG_MAX_HISTORY &&
           plan->capacity > plan->history && plan->slack >= 0);
    qg_replay *replay = calloc(1, sizeof *replay);
    if (!replay) return qg_fail_memory(error, "the replay memory", sizeof *replay);
    const qg_screen_plan store = store_plan(plan);
    replay->capacity = plan->capacity;
    replay->places = store.places;
    replay->history = plan->history;
    replay->channels = plan->shape.channels;
    replay->pixels = qg_observation_size(&plan->shape);
    replay->is_mapped = !qg_observation_is_grid(&plan->shape) && !plan->compressed;
    replay->path = strdup(path);
    qg_status status = QG_OK;
    if (!replay->path) status = qg_fail_memory(error, "the replay memory", strlen(path));
    if (!status)
        status = new ? qg_screen_store_create(path, &store, &replay->store, error)
                     : qg_screen_store_open(path, &store, true, &replay->store, error);
    if (!status) {
        status = use_store(replay, error);
        if (status && new) unlink(path);
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
    if (replay->store) qg_screen_store_finish_reading(replay->store);
    qg_minibatch_destroy(&replay->next.minibatch);
    qg_screen_store_close(replay->store);
    free(replay->path);
    free(replay->crcs);
    free(replay->recent);
    free(replay);
}

void qg_replay_destroy(qg_replay *replay)
{
    if (replay) unlink(replay->path);
    qg_replay_close(replay);
}

size_t qg_replay_growth(const qg_replay *replay)
{
    return qg_screen_store_growth(replay->store);
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

double qg_replay_screen_bytes(const qg_replay *replay)
{
    double sum = 0;
    const int64_t first = oldest(replay);
    for (int64_t entry = first; entry < replay->count; entry++)
        sum += (double)qg_screen_store_entry_bytes(replay->store, entry);
    return replay->count > first ? sum / (double)(replay->count - first) : 0;
}

/* The checksum of an entry goes into its block's. */
static uint32_t add_to_crc(const qg_replay *replay, int64_t entry, uint32_t crc)
{
    const size_t at = slot(replay, entry);
    uint8_t rest[sizeof(float) + 2];
    memcpy(rest, &replay->rewards[at], sizeof(float));
    rest[sizeof(float)] = replay->actions[at];
    rest[sizeof(float) + 1] = replay->ends[at];
    crc = qg_screen_store_crc(replay->store, entry, crc);
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
        if (entry % BLOCK == BLOCK - 1) qg_screen_store_write_back(replay->store);
    }
}

qg_status qg_replay_sync(qg_replay *replay, qg_error *error)
{
    return qg_screen_store_sync(replay->store, error);
}

static uint8_t *recent(const qg_replay *replay, int64_t entry)
{
    return replay->recent + (size_t)(entry % replay->history) * qg_screen_store_room(replay->store);
}

qg_status qg_replay_add_screen(qg_replay *replay, const uint8_t *screen, qg_replay_end end,
                               qg_error *error)
{
    seal(replay);
    const qg_status status = qg_screen_store_add(replay->store, replay->count, screen, error);
    if (status) return status;
    const size_t at = slot(replay, replay->count);
    memcpy(recent(replay, replay->count), screen, replay->pixels);
    replay->ends[at] = (uint8_t)end;
    replay->actions[at] = 0; /* until it is set; an end has none */
    replay->rewards[at] = 0;
    replay->count++;
    return QG_OK;
}

void qg_replay_set_action(qg_replay *replay, int action, float reward)
{
    assert(replay->count > 0);
    const size_t at = slot(replay, replay->count - 1);
    replay->actions[at] = (uint8_t)action;
    replay->rewards[at] = reward;
}

/* What the file holds must be what the run wrote, and what it can have written. */
static qg_status check_block(const qg_replay *replay, int64_t block, int actions, uint8_t *room,
                             qg_error *error)
{
    uint32_t crc = 0;
    bool possible = true;
    uint8_t before = QG_REPLAY_GOES_ON;
    for (int64_t entry = block * BLOCK; entry < replay->count && entry / BLOCK == block; entry++) {
        const size_t at = slot(replay, entry);
        crc = add_to_crc(replay, entry, crc);
        possible = possible && replay->actions[at] < actions &&
                   replay->ends[at] <= (before ? QG_REPLAY_GOES_ON : QG_REPLAY_TRUNCATED) &&
                   qg_screen_store_get(replay->store, entry, room);
        before = replay->ends[at];
    }
    if (crc == *crc_of(replay, block) && possible) return QG_OK;
    return qg_fail(error, QG_ERROR_DATA,
                   "%s: damaged: its entries from %lld on do not match their checksum",
                   replay->path, (long long)(block * BLOCK));
}

static qg_status check_blocks(qg_replay *replay, int64_t first, int actions,
                              const volatile sig_atomic_t *stop, qg_error *error)
{
    qg_status status = QG_OK;
    uint8_t *room = malloc(qg_screen_store_room(replay->store));
    if (!room) return qg_fail_memory(error, "a screen", replay->pixels);
    for (int64_t block = first; block * BLOCK < replay->count && !status; block++)
        status = stop && *stop ? qg_fail(error, QG_STOPPED, "stopped while going on")
                               : check_block(replay, block, actions, room, error);
    free(room);
    return status;
}

/* The newest screens, as they were added. */
static void read_recent(const qg_replay *replay)
{
    const int64_t first = replay->count > replay->history ? replay->count - replay->history : 0;
    for (int64_t entry = first; entry < replay->count; entry++) {
        const uint8_t *screen = qg_screen_store_get(replay->store, entry, recent(replay, entry));
        if (screen != recent(replay, entry)) memcpy(recent(replay, entry), screen, replay->pixels);
    }
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
    qg_status status = qg_screen_store_pass(replay->store, tape, first * BLOCK, count, error);
    for (int64_t block = first; block * BLOCK < count && tape->good && !status; block++)
        QG_TAPE_PASS(tape, *crc_of(replay, block));
    if (status || !tape->reading || !tape->good) return status;
    replay->next.drawn = false;
    status = check_blocks(replay, first, actions, stop, error);
    if (!status) read_recent(replay);
    return status;
}

/* The entries whose screens are those of state `entry`, oldest first; -1: zeros. */
static void list_state(const qg_replay *replay, int64_t entry, int64_t *wanted)
{
    bool cut = false; /* an end or the beginning of the run has been met */
    for (int h = replay->history - 1; h >= 0; h--, entry--) {
        if (h < replay->history - 1)
            cut = cut || entry < oldest(replay) || replay->ends[slot(replay, entry)];
        wanted[h] = cut ? -1 : entry;
    }
}

qg_states qg_replay_state(qg_replay *replay)
{
    assert(replay->count > 0);
    int64_t wanted[QG_MAX_HISTORY];
    list_state(replay, replay->count - 1, wanted);
    for (int h = 0; h < replay->history; h++)
        replay->newest[h] = wanted[h] < 0 ? NULL : recent(replay, wanted[h]);
    return (qg_states){1, replay->history, replay->channels, replay->newest};
}

/* ----------------------------------------------------------------------------- minibatches */

qg_status qg_minibatch_create(const qg_replay *replay, int size, qg_minibatch *minibatch,
                              qg_error *error)
{
    const size_t n = (size_t)size, pointers = 2 * n * (size_t)replay->history;
    const size_t screens = n * (size_t)(replay->history + 1);
    const size_t bytes = replay->is_mapped ? 1 : screens * qg_screen_store_room(replay->store);
    *minibatch = (qg_minibatch){.screens = calloc(pointers, sizeof *minibatch->screens),
                                .actions = calloc(n, sizeof *minibatch->actions),
                                .rewards = calloc(n, sizeof *minibatch->rewards),
                                .terminals = calloc(n, 1),
                                .drawn = calloc(n, sizeof *minibatch->drawn),
                                .wanted = calloc(screens, sizeof *minibatch->wanted),
                                .room = malloc(bytes)};
    if (!minibatch->screens || !minibatch->actions || !minibatch->rewards ||
        !minibatch->terminals || !minibatch->drawn || !minibatch->wanted || !minibatch->room) {
        qg_minibatch_destroy(minibatch);
        return qg_fail_memory(error, "a minibatch", bytes);
    }
    const qg_states half = {size, replay->history, replay->channels, minibatch->screens};
    minibatch->batch =
        (qg_batch){half, half, minibatch->actions, minibatch->rewards, minibatch->terminals};
    minibatch->batch.next_states.screens += pointers / 2;
    return QG_OK;
}

void qg_minibatch_destroy(qg_minibatch *minibatch)
{
    free(minibatch->screens);
    free(minibatch->actions);
    free(minibatch->rewards);
    free(minibatch->terminals);
    free(minibatch->drawn);
    free(minibatch->wanted);
    free(minibatch->room);
    *minibatch = (qg_minibatch){0};
}

/* Of `count` entries the first one whose whole history is known: before the run's first screen
 * there is none to know, behind the ring's seam it has been overwritten. */
static int64_t first_state(const qg_replay *replay, int64_t count)
{
    return count > replay->capacity ? count - replay->capacity + replay->history - 1 : 0;
}

bool qg_replay_can_sample(const qg_replay *replay)
{
    /* Two ends never follow each other, so this looks at one or two entries. */
    for (int64_t entry = first_state(replay, replay->count); entry < replay->count - 1; entry++)
        if (!replay->ends[slot(replay, entry)]) return true;
    return false;
}

/* Draws for when there are `count` entries. False: it takes one that is not there yet. */
static bool draw(const qg_replay *replay, int64_t count, qg_random *random, qg_minibatch *minibatch)
{
    const int64_t first = first_state(replay, count);
    const uint64_t choices = (uint64_t)(count - 1 - first);
    for (int i = 0; i < minibatch->batch.states.size; i++) {
        int64_t entry;
        do {
            entry = first + (int64_t)qg_random_below(random, choices);
            if (entry >= replay->count - 1) return false;
        } while (replay->ends[slot(replay, entry)]);
        minibatch->drawn[i] = entry;
    }
    return true;
}

/* The screens of state and next state: those of the state, and one more. */
static void begin_reading(const qg_replay *replay, qg_minibatch *minibatch)
{
    const int size = minibatch->batch.states.size, screens = replay->history + 1;
    for (int i = 0; i < size; i++) {
        int64_t *wanted = minibatch->wanted + (size_t)i * (size_t)screens;
        list_state(replay, minibatch->drawn[i], wanted);
        wanted[replay->history] = minibatch->drawn[i] + 1;
    }
    if (!replay->is_mapped)
        qg_screen_store_begin_reading(replay->store, minibatch->wanted, size * screens,
                                      minibatch->room);
}

/* What the learner takes, of a minibatch whose screens have been read. */
static void fill(const qg_replay *replay, qg_minibatch *minibatch)
{
    const size_t size = (size_t)minibatch->batch.states.size, history = (size_t)replay->history;
    const size_t room = qg_screen_store_room(replay->store);
    for (size_t i = 0; i < size; i++) {
        const size_t at = slot(replay, minibatch->drawn[i]);
        minibatch->actions[i] = replay->actions[at];
        minibatch->rewards[i] = replay->rewards[at];
        minibatch->terminals[i] =
            replay->ends[slot(replay, minibatch->drawn[i] + 1)] == QG_REPLAY_TERMINAL;
        for (size_t h = 0; h <= history; h++) {
            const size_t k = i * (history + 1) + h;
            const int64_t entry = minibatch->wanted[k];
            const uint8_t *screen = entry < 0 ? NULL : minibatch->room + k * room;
            if (screen && replay->is_mapped)
                screen = qg_screen_store_get(replay->store, entry, NULL);
            if (h < history) minibatch->screens[i * history + h] = screen;
            if (h > 0) minibatch->screens[(size + i) * history + h - 1] = screen;
        }
    }
}

void qg_replay_expect(qg_replay *replay, const qg_random *random, int64_t steps, int size)
{
    expected *next = &replay->next;
    const int64_t count = replay->count + steps;
    next->drawn = false;
    if (!qg_screen_store_reads_ahead(replay->store) || count - 1 <= first_state(replay, count))
        return;
    qg_screen_store_finish_reading(replay->store);
    qg_error ignored; /* without memory nothing is read ahead */
    if (next->minibatch.batch.states.size != size) {
        qg_minibatch_destroy(&next->minibatch);
        if (qg_minibatch_create(replay, size, &next->minibatch, &ignored)) return;
    }
    next->before = next->after = *random;
    next->count = count;
    next->drawn = draw(replay, count, &next->after, &next->minibatch);
    if (next->drawn) begin_reading(replay, &next->minibatch);
}

/* Whether it is what was expected; then it is taken over. */
static bool take_expected(qg_replay *replay, qg_random *random, qg_minibatch *minibatch)
{
    expected *next = &replay->next;
    const bool is_it = next->drawn && next->count == replay->count &&
                       next->minibatch.batch.states.size == minibatch->batch.states.size &&
                       memcmp(&next->before, random, sizeof *random) == 0;
    next->drawn = false;
    if (!is_it) return false;
    const qg_minibatch read = next->minibatch;
    next->minibatch = *minibatch;
    *minibatch = read;
    *random = next->after;
    return true;
}

void qg_replay_sample(qg_replay *replay, qg_random *random, qg_minibatch *minibatch)
{
    assert(qg_replay_can_sample(replay));
    qg_screen_store_finish_reading(replay->store);
    if (!take_expected(replay, random, minibatch)) {
        const bool drawn = draw(replay, replay->count, random, minibatch);
        assert(drawn);
        (void)drawn;
        begin_reading(replay, minibatch);
        qg_screen_store_finish_reading(replay->store);
    }
    fill(replay, minibatch);
}

qg_status qg_minibatch_detach(const qg_replay *replay, qg_minibatch *minibatch, qg_error *error)
{
    if (!replay->is_mapped) return QG_OK; /* the screens were read into its own memory */
    const size_t count = 2 * (size_t)minibatch->batch.states.size * (size_t)replay->history;
    uint8_t *copy = malloc(count * replay->pixels);
    if (!copy) return qg_fail_memory(error, "validation transitions", count * replay->pixels);
    for (size_t i = 0; i < count; i++)
        if (minibatch->screens[i])
            minibatch->screens[i] =
                memcpy(copy + i * replay->pixels, minibatch->screens[i], replay->pixels);
    free(minibatch->room);
    minibatch->room = copy;
    return QG_OK;
}

qg_status qg_minibatch_pass(const qg_replay *replay, qg_tape *tape, int size, int actions,
                            qg_minibatch *minibatch, qg_error *error)
{
    const size_t n = (size_t)size, count = 2 * n * (size_t)replay->history;
    if (tape->reading) {
        const qg_status status = qg_minibatch_create(replay, size, minibatch, error);
        if (status) return status;
        free(minibatch->room);
        minibatch->room = malloc(count * replay->pixels);
        if (!minibatch->room)
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
                memcpy(minibatch->room + i * replay->pixels, screen, replay->pixels);
    }
    return QG_OK;
}
