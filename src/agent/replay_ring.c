#include "agent/replay_ring.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { VERSION = 1, BYTE_ORDER_MARK = 0x01020304 };

/* The head of the file. A checkpoint needs what is before `first`; the rest is known at the end. */
typedef struct ring_header {
    char magic[16];
    uint32_t version, byte_order;
    int32_t height, width, channels, max; /* of a screen */
    int32_t history;                      /* screens of a state */
    uint32_t compressed;
    int64_t capacity, slack;
    int64_t first, count; /* entries first ... count - 1 are there; count 0: not finished */
    uint64_t size;        /* of the file */
    uint32_t dictionary, dictionary_crc; /* bytes, and their sum */
    uint32_t blocks_crc;                 /* of the blocks' checksums in their column */
    uint32_t header_crc;                 /* of everything before it and of `about` */
    char about[QG_REPLAY_ABOUT];
} ring_header;

static const char magic[16] = "qgraft replay\n";

_Static_assert(sizeof(ring_header) == 104 + QG_REPLAY_ABOUT, "no padding in what files hold");

/* ---------------------------------------------------------------------------------- sizes */

/* One block more: the one in which the memory begins is kept whole. */
static int64_t places_of(const qg_replay_plan *plan)
{
    return ((plan->capacity + plan->slack + QG_REPLAY_BLOCK - 1) / QG_REPLAY_BLOCK + 1) *
           QG_REPLAY_BLOCK;
}

static qg_screen_plan store_plan(const qg_replay_plan *plan)
{
    const int64_t places = places_of(plan);
    const size_t blocks = (size_t)places / QG_REPLAY_BLOCK;
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
                            .n_step = settings->n_step,
                            .discount = settings->discount,
                            .prioritised = settings->prioritised,
                            .alpha = settings->priority_alpha,
                            .epsilon = settings->priority_epsilon,
                            .shape = *shape,
                            .compressed = true};
}

/* ------------------------------------------------------------------------- open and close */

static void use_store(qg_replay_ring *ring)
{
    const size_t places = (size_t)ring->places;
    ring->rewards = (float *)(void *)qg_screen_store_columns(ring->store);
    ring->actions = (uint8_t *)(ring->rewards + places);
    ring->ends = ring->actions + places;
}

static uint32_t *column_of_crcs(const qg_replay_ring *ring)
{
    return (uint32_t *)(void *)(ring->ends + ring->places); /* aligned: whole blocks */
}

static ring_header header_of(const qg_replay_ring *ring)
{
    const qg_replay_plan *p = &ring->plan;
    ring_header h = {.version = VERSION,
                     .byte_order = BYTE_ORDER_MARK,
                     .height = p->shape.height,
                     .width = p->shape.width,
                     .channels = p->shape.channels,
                     .max = p->shape.max,
                     .history = p->history,
                     .compressed = p->compressed,
                     .capacity = p->capacity,
                     .slack = p->slack};
    memcpy(h.magic, magic, sizeof magic);
    return h;
}

/* A ring without a file. */
static qg_status make(const char *path, const qg_replay_plan *plan, qg_replay_ring **result,
                      qg_error *error)
{
    qg_replay_ring *ring = calloc(1, sizeof *ring);
    if (!ring) return qg_fail_memory(error, "the replay memory", sizeof *ring);
    ring->plan = *plan;
    ring->places = places_of(plan);
    ring->path = strdup(path);
    const size_t blocks = (size_t)ring->places / QG_REPLAY_BLOCK;
    ring->crcs = calloc(blocks, sizeof *ring->crcs);
    if (!ring->path || !ring->crcs) {
        qg_replay_ring_close(ring);
        return qg_fail_memory(error, "the replay memory", blocks * sizeof *ring->crcs);
    }
    *result = ring;
    return QG_OK;
}

qg_status qg_replay_ring_create(const char *path, const qg_replay_plan *plan,
                                qg_replay_ring **result, qg_error *error)
{
    qg_replay_ring *ring = NULL;
    qg_status status = make(path, plan, &ring, error);
    if (status) return status;
    const qg_screen_plan store = store_plan(plan);
    status = qg_screen_store_create(path, &store, &ring->store, error);
    if (status) {
        qg_replay_ring_close(ring);
        return status;
    }
    const ring_header h = header_of(ring);
    memcpy(qg_screen_store_head(ring->store), &h, sizeof h);
    use_store(ring);
    *result = ring;
    return QG_OK;
}

/* The header of a file; *size: that of the file. */
static qg_status read_header(const char *path, ring_header *h, uint64_t *size, qg_error *error)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return qg_fail_errno(error, "%s: cannot open the replay memory", path);
    ssize_t got;
    struct stat status = {0};
    memset(h, 0, sizeof *h);
    *size = 0;
    do
        got = pread(file, h, sizeof *h, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 || fstat(file, &status) != 0) {
        if (errno == EISDIR)
            qg_fail(error, QG_ERROR_DATA,
                    "%.200s: a folder; a run's replay memory is its replay.data", path);
        else
            qg_fail_errno(error, "%s: cannot read", path);
        close(file);
        return error->code;
    }
    close(file);
    *size = (uint64_t)status.st_size;
    if ((size_t)got < sizeof *h || memcmp(h->magic, magic, sizeof magic) != 0) {
        const qg_file_kind kind = qg_file_kind_of(h, (size_t)got);
        if (kind != QG_FILE_OTHER && kind != QG_FILE_REPLAY)
            return qg_fail_kind(error, QG_ERROR_DATA, path, "a replay memory", kind, NULL);
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: not a replay memory, or cut off", path);
    }
    if (h->version != VERSION || h->byte_order != BYTE_ORDER_MARK)
        return qg_fail(error, QG_ERROR_DATA, "%s: of another version of qgraft or kind of machine",
                       path);
    return QG_OK;
}

static qg_status open_store(const char *path, const qg_replay_plan *plan, bool writable,
                            qg_replay_ring **result, qg_error *error)
{
    qg_replay_ring *ring = NULL;
    qg_status status = make(path, plan, &ring, error);
    if (status) return status;
    const qg_screen_plan store = store_plan(plan);
    status = qg_screen_store_open(path, &store, writable, &ring->store, error);
    if (status) {
        qg_replay_ring_close(ring);
        return status;
    }
    use_store(ring);
    *result = ring;
    return QG_OK;
}

qg_status qg_replay_ring_open(const char *path, const qg_replay_plan *plan, qg_replay_ring **result,
                              qg_error *error)
{
    ring_header h;
    uint64_t size;
    qg_status status = read_header(path, &h, &size, error);
    if (status) return status;
    qg_replay_plan own = *plan;
    own.compressed = h.compressed;
    status = open_store(path, &own, true, result, error);
    if (status) return status;
    const ring_header expected = header_of(*result);
    if (h.compressed <= 1 && memcmp(&h, &expected, offsetof(ring_header, first)) == 0) return QG_OK;
    qg_replay_ring_close(*result);
    *result = NULL;
    return qg_fail(error, QG_ERROR_DATA, "%s: damaged: its header is that of another run", path);
}

void qg_replay_ring_close(qg_replay_ring *ring)
{
    if (!ring) return;
    qg_screen_store_close(ring->store);
    free(ring->path);
    free(ring->crcs);
    free(ring);
}

/* ------------------------------------------------------------------------------- entries */

size_t qg_replay_ring_slot(const qg_replay_ring *ring, int64_t entry)
{
    return (size_t)(entry % ring->places);
}

int64_t qg_replay_ring_oldest(const qg_replay_ring *ring)
{
    return ring->count > ring->plan.capacity ? ring->count - ring->plan.capacity : 0;
}

double qg_replay_ring_screen_bytes(const qg_replay_ring *ring)
{
    double sum = 0;
    const int64_t first = qg_replay_ring_oldest(ring);
    for (int64_t entry = first; entry < ring->count; entry++)
        sum += (double)qg_screen_store_entry_bytes(ring->store, entry);
    return ring->count > first ? sum / (double)(ring->count - first) : 0;
}

/* The checksum of an entry goes into its block's. */
static uint32_t add_to_crc(const qg_replay_ring *ring, int64_t entry, uint32_t crc)
{
    const size_t at = qg_replay_ring_slot(ring, entry);
    uint8_t rest[sizeof(float) + 2];
    memcpy(rest, &ring->rewards[at], sizeof(float));
    rest[sizeof(float)] = ring->actions[at];
    rest[sizeof(float) + 1] = ring->ends[at];
    crc = qg_screen_store_crc(ring->store, entry, crc);
    return (uint32_t)crc32_z(crc, rest, sizeof rest);
}

static uint32_t *crc_of(const qg_replay_ring *ring, int64_t block)
{
    return &ring->crcs[block % (ring->places / QG_REPLAY_BLOCK)];
}

/* All entries so far are as they will stay. A block that becomes complete is started on its way to
 * the disk, so that little is left to wait for at a checkpoint. */
static void seal(qg_replay_ring *ring)
{
    for (; ring->sealed < ring->count; ring->sealed++) {
        const int64_t entry = ring->sealed;
        uint32_t *crc = crc_of(ring, entry / QG_REPLAY_BLOCK);
        *crc = add_to_crc(ring, entry, entry % QG_REPLAY_BLOCK ? *crc : 0);
        if (entry % QG_REPLAY_BLOCK == QG_REPLAY_BLOCK - 1) qg_screen_store_write_back(ring->store);
    }
}

qg_status qg_replay_ring_add(qg_replay_ring *ring, const uint8_t *screen, qg_replay_end end,
                             qg_error *error)
{
    seal(ring);
    const qg_status status = qg_screen_store_add(ring->store, ring->count, screen, error);
    if (status) return status;
    const size_t at = qg_replay_ring_slot(ring, ring->count);
    ring->ends[at] = (uint8_t)end;
    ring->actions[at] = 0; /* until it is set; an end has none */
    ring->rewards[at] = 0;
    ring->count++;
    return QG_OK;
}

void qg_replay_ring_set_action(qg_replay_ring *ring, int action, float reward)
{
    assert(ring->count > 0);
    const size_t at = qg_replay_ring_slot(ring, ring->count - 1);
    ring->actions[at] = (uint8_t)action;
    ring->rewards[at] = reward;
}

/* ------------------------------------------------------------------------------- going on */

/* What the file holds must be what the run wrote, and what it can have written. */
static qg_status check_block(const qg_replay_ring *ring, int64_t block, int actions, uint8_t *room,
                             qg_error *error)
{
    uint32_t crc = 0;
    bool possible = true;
    uint8_t before = QG_REPLAY_GOES_ON;
    for (int64_t entry = block * QG_REPLAY_BLOCK;
         entry < ring->count && entry / QG_REPLAY_BLOCK == block; entry++) {
        const size_t at = qg_replay_ring_slot(ring, entry);
        crc = add_to_crc(ring, entry, crc);
        possible = possible && ring->actions[at] < actions &&
                   ring->ends[at] <= (before ? QG_REPLAY_GOES_ON : QG_REPLAY_TRUNCATED) &&
                   qg_screen_store_get(ring->store, entry, room);
        before = ring->ends[at];
    }
    if (crc == *crc_of(ring, block) && possible) return QG_OK;
    return qg_fail(error, QG_ERROR_DATA,
                   "%s: damaged: its entries from %lld on do not match their checksum", ring->path,
                   (long long)(block * QG_REPLAY_BLOCK));
}

static qg_status check_blocks(qg_replay_ring *ring, int64_t first, int actions,
                              const volatile sig_atomic_t *stop, qg_error *error)
{
    qg_status status = QG_OK;
    uint8_t *room = malloc(qg_screen_store_room(ring->store));
    if (!room) return qg_fail_memory(error, "a screen", qg_screen_store_room(ring->store));
    for (int64_t block = first; block * QG_REPLAY_BLOCK < ring->count && !status; block++)
        status = stop && *stop ? qg_fail(error, QG_STOPPED, "stopped while going on")
                               : check_block(ring, block, actions, room, error);
    free(room);
    return status;
}

qg_status qg_replay_ring_pass(qg_replay_ring *ring, qg_tape *tape, int64_t count, int actions,
                              const volatile sig_atomic_t *stop, qg_error *error)
{
    if (tape->reading)
        ring->count = ring->sealed = count;
    else
        seal(ring);
    assert(count == ring->count);
    const int64_t first = qg_replay_ring_oldest(ring) / QG_REPLAY_BLOCK;
    qg_status status =
        qg_screen_store_pass(ring->store, tape, first * QG_REPLAY_BLOCK, count, error);
    for (int64_t block = first; block * QG_REPLAY_BLOCK < count && tape->good && !status; block++)
        QG_TAPE_PASS(tape, *crc_of(ring, block));
    if (status || !tape->reading || !tape->good) return status;
    return check_blocks(ring, first, actions, stop, error);
}

/* -------------------------------------------------------------------------------- data sets */

static uint32_t crc_of_header(const ring_header *h)
{
    const uint32_t crc =
        (uint32_t)crc32_z(0, (const uint8_t *)h, offsetof(ring_header, header_crc));
    return (uint32_t)crc32_z(crc, (const uint8_t *)h->about, sizeof h->about);
}

static uint32_t crc_of_blocks(const qg_replay_ring *ring)
{
    const size_t blocks = (size_t)ring->places / QG_REPLAY_BLOCK;
    return (uint32_t)crc32_z(0, (const uint8_t *)column_of_crcs(ring), blocks * sizeof(uint32_t));
}

/* The sums of blocks that the ring has left behind, which a run that went on from a checkpoint does
 * not know: the file would tell whether it did. */
static void forget_blocks(qg_replay_ring *ring)
{
    const int64_t first = qg_replay_ring_oldest(ring) / QG_REPLAY_BLOCK;
    const int64_t end = (ring->count + QG_REPLAY_BLOCK - 1) / QG_REPLAY_BLOCK;
    for (int64_t block = end; block < first + ring->places / QG_REPLAY_BLOCK; block++)
        *crc_of(ring, block) = 0;
}

qg_status qg_replay_ring_finish(qg_replay_ring *ring, const char *about, qg_error *error)
{
    seal(ring);
    forget_blocks(ring);
    memcpy(column_of_crcs(ring), ring->crcs,
           (size_t)ring->places / QG_REPLAY_BLOCK * sizeof *ring->crcs);
    qg_status status = qg_screen_store_trim(ring->store, error);
    if (status) return status;
    struct stat file;
    if (stat(ring->path, &file) != 0) return qg_fail_errno(error, "%s: cannot examine", ring->path);
    ring_header h = header_of(ring);
    h.first = qg_replay_ring_oldest(ring);
    h.count = ring->count;
    h.size = (uint64_t)file.st_size;
    h.dictionary = (uint32_t)qg_screen_store_dictionary(ring->store, &h.dictionary_crc);
    h.blocks_crc = crc_of_blocks(ring);
    snprintf(h.about, sizeof h.about, "%s", about);
    h.header_crc = crc_of_header(&h);
    memcpy(qg_screen_store_head(ring->store), &h, sizeof h);
    return qg_screen_store_sync(ring->store, error);
}

/* What sizes are computed from must not be more than they can be. */
static qg_status check_header(const char *path, const ring_header *h, uint64_t size,
                              qg_error *error)
{
    if (h->count == 0)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: the replay memory of a run that has not ended, or was not kept", path);
    if (h->header_crc != crc_of_header(h))
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: its header does not match its checksum",
                       path);
    if (h->size != size)
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: has %llu bytes, should have %llu", path,
                       (unsigned long long)size, (unsigned long long)h->size);
    const int64_t most = INT64_C(1) << 40, side = 1024;
    const bool row = h->height == 1 && h->width == 1; /* of floats, bits or bytes */
    const bool possible =
        h->height >= 1 && h->height <= side && h->width >= 1 && h->width <= side &&
        h->channels >= 1 && h->channels <= (row ? 8 * side : side) &&
        (row ? h->max == 0 || h->max == 1 || h->max == 255 : h->max == 1 || h->max == 255) &&
        (int64_t)h->height * h->width * h->channels <= 1 << 22 && h->history >= 1 &&
        h->history <= QG_MAX_HISTORY && h->compressed <= 1 && h->capacity > h->history &&
        h->capacity <= most && h->slack >= 0 && h->slack <= most && h->count > 0 &&
        h->count <= INT64_C(1) << 50 && /* steps that no run takes */
        h->first == (h->count > h->capacity ? h->count - h->capacity : 0) &&
        memchr(h->about, 0, sizeof h->about) && strspn(h->about, "\n") == 0;
    /* What is there must lie in the file: an entry has six bytes at least. */
    if (possible && (uint64_t)(h->capacity + h->slack) <= size / 6) return QG_OK;
    return qg_fail(error, QG_ERROR_DATA, "%s: damaged: its header cannot be", path);
}

static qg_status check_all(qg_replay_ring *ring, const ring_header *h,
                           const volatile sig_atomic_t *stop, qg_error *error)
{
    uint32_t crc;
    const int64_t first = h->first / QG_REPLAY_BLOCK;
    qg_status status =
        qg_screen_store_trust(ring->store, h->dictionary, first * QG_REPLAY_BLOCK, h->count, error);
    if (status) return status;
    qg_screen_store_dictionary(ring->store, &crc);
    if (crc != h->dictionary_crc || crc_of_blocks(ring) != h->blocks_crc)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: damaged: its dictionary or its index does not match its checksum",
                       ring->path);
    memcpy(ring->crcs, column_of_crcs(ring),
           (size_t)ring->places / QG_REPLAY_BLOCK * sizeof *ring->crcs);
    ring->count = ring->sealed = h->count;
    return check_blocks(ring, first, QG_MAX_ACTIONS, stop, error);
}

qg_status qg_replay_ring_read(const char *path, const volatile sig_atomic_t *stop,
                              qg_replay_ring **result, char about[QG_REPLAY_ABOUT], qg_error *error)
{
    ring_header h;
    uint64_t size;
    qg_replay_ring *ring = NULL;
    qg_status status = read_header(path, &h, &size, error);
    if (!status) status = check_header(path, &h, size, error);
    if (status) return status;
    const qg_replay_plan plan = {.capacity = h.capacity,
                                 .slack = h.slack,
                                 .history = h.history,
                                 .shape = {h.height, h.width, h.channels, h.max},
                                 .compressed = h.compressed};
    status = open_store(path, &plan, false, &ring, error);
    if (status) return status;
    status = check_all(ring, &h, stop, error);
    if (status) {
        qg_replay_ring_close(ring);
        return status;
    }
    memcpy(about, h.about, sizeof h.about);
    *result = ring;
    return QG_OK;
}
