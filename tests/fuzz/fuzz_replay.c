/* Feeds the reader of kept replay memories, with checksums that fit: most of what it refuses would
 * otherwise be refused by them. An input has the parts of a file without what lies between them:
 * the header up to its lines and their first 16 bytes, of a compressed memory up to 8192 bytes
 * of dictionary, 64 bytes of columns and places of the last entries each, the screens. */
#include "fuzz.h"

#include "agent/replay_ring.h"
#include "agent/screen_codec.h"

#include <zlib.h>

/* Where things stand in the header (src/agent/replay_ring.c). */
enum { HEAD = 104, LINES = 16, PAGE = 4096, BLOCK = QG_REPLAY_BLOCK };
enum {
    HEIGHT = 24,
    WIDTH = 28,
    CHANNELS = 32,
    MAX = 36,
    COMPRESSED = 44,
    CAPACITY = 48,
    SLACK = 56
};
enum { FIRST = 64, COUNT = 72, SIZE = 80, DICTIONARY = 88, DICTIONARY_CRC = 92, BLOCKS_CRC = 96 };
enum { HEADER_CRC = 100 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    return 0;
}

static uint64_t number(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

static void put(uint8_t *at, uint64_t value, size_t bytes)
{
    memcpy(at, &value, bytes);
}

/* Takes the next bytes of the input, as many as there are. */
static void take(const uint8_t **data, size_t *size, uint8_t *to, size_t most)
{
    const size_t n = *size < most ? *size : most;
    memcpy(to, *data, n);
    *data += n;
    *size -= n;
}

/* A file of one size of ring, so that the columns are always at the same place. */
typedef struct parts {
    uint8_t *file;
    size_t size, rewards, actions, ends, crcs, places, screens; /* places: 0, none */
    size_t stride, pixels;
} parts;

enum { RING = 2 * BLOCK }; /* entries of the file */

static parts make_file(const uint8_t *data, size_t size)
{
    uint8_t head[HEAD + LINES] = {0};
    take(&data, &size, head, sizeof head);
    put(head + CAPACITY, 100 + head[CAPACITY] % 100, 8);
    put(head + SLACK, head[SLACK] % 50, 8);
    put(head + HEIGHT, head[HEIGHT] % 12, 4);
    put(head + WIDTH, head[WIDTH] % 12, 4);
    put(head + CHANNELS, head[CHANNELS] % 5, 4);
    const bool grid = head[MAX] == 1, frames = head[COMPRESSED] == 1 && !grid;
    const size_t columns = frames ? PAGE + QG_DICTIONARY_ROOM : PAGE;
    parts p = {.rewards = columns,
               .actions = columns + 4 * RING,
               .ends = columns + 5 * RING,
               .crcs = columns + 6 * RING,
               .pixels = (size_t)head[HEIGHT] * head[WIDTH] * head[CHANNELS]};
    const size_t index = p.crcs + 4 * (RING / BLOCK);
    p.places = frames ? index : 0;
    p.screens = (index + (frames ? 8 * RING : 0) + PAGE - 1) / PAGE * PAGE;
    const size_t bytes = head[MAX] == 0 ? 4 : 1; /* vectors are of floats */
    p.stride = grid ? (p.pixels + 7) / 8 : bytes * p.pixels;
    p.size = frames ? p.screens + size : p.screens + RING * p.stride;
    p.file = calloc(1, p.size + size + 1);
    CHECK(p.file);
    memcpy(p.file, head, sizeof head);
    if (frames) {
        const uint64_t dictionary = number(p.file + DICTIONARY, 4);
        take(&data, &size, p.file + PAGE, dictionary < 8192 ? dictionary : 8192);
    }
    const uint64_t count = number(p.file + COUNT, 8) % RING;
    const size_t begin = count > 16 ? count - 16 : 0;
    take(&data, &size, p.file + p.rewards + 4 * begin, 64);
    take(&data, &size, p.file + p.actions + begin, 16);
    take(&data, &size, p.file + p.ends + begin, 16);
    if (frames) take(&data, &size, p.file + p.places + 8 * begin, 128);
    for (size_t i = 0; frames && i < begin; i++) /* the others are as the first of these */
        memcpy(p.file + p.places + 8 * i, p.file + p.places + 8 * begin, 8);
    take(&data, &size, p.file + p.screens, frames ? size : p.size - p.screens);
    return p;
}

static uint32_t sum_entry(const parts *p, size_t at, uint32_t crc)
{
    uint8_t rest[6];
    size_t begin = at * p->stride, bytes = p->stride;
    if (p->places) {
        const uint64_t place = number(p->file + p->places + 8 * at, 8);
        begin = place >> 24;
        bytes = place & 0xffffff;
    }
    memcpy(rest, p->file + p->rewards + 4 * at, 4);
    rest[4] = p->file[p->actions + at];
    rest[5] = p->file[p->ends + at];
    const size_t room = p->size - p->screens;
    if (begin <= room && bytes <= room - begin)
        crc = (uint32_t)crc32_z(crc, p->file + p->screens + begin, bytes);
    return (uint32_t)crc32_z(crc, rest, sizeof rest);
}

static void make_fit(const parts *p)
{
    uint8_t *f = p->file;
    const uint64_t count = number(f + COUNT, 8) % (4 * RING), capacity = number(f + CAPACITY, 8);
    const uint64_t first = count > capacity ? count - capacity : 0;
    const uint64_t dictionary = number(f + DICTIONARY, 4);
    put(f + COUNT, count, 8);
    put(f + FIRST, first, 8);
    for (uint64_t block = first / BLOCK; block * BLOCK < count; block++) {
        uint32_t crc = 0;
        for (uint64_t e = block * BLOCK; e < count && e / BLOCK == block; e++)
            crc = sum_entry(p, e % RING, crc);
        put(f + p->crcs + 4 * (block % (RING / BLOCK)), crc, 4);
    }
    put(f + SIZE, p->size, 8);
    if (dictionary <= QG_DICTIONARY_ROOM && PAGE + dictionary <= p->size)
        put(f + DICTIONARY_CRC, crc32_z(0, f + PAGE, dictionary), 4);
    put(f + BLOCKS_CRC, crc32_z(0, f + p->crcs, 4 * (RING / BLOCK)), 4);
    uint32_t crc = (uint32_t)crc32_z(0, f, HEADER_CRC);
    crc = (uint32_t)crc32_z(crc, f + HEAD, QG_REPLAY_ABOUT);
    put(f + HEADER_CRC, crc, 4);
}

static volatile uint8_t seen; /* gets every value, so that the sanitizer sees it being read */

static void use(const qg_replay_ring *ring)
{
    uint8_t *room = malloc(qg_screen_store_room(ring->store));
    CHECK(room);
    for (int64_t entry = qg_replay_ring_oldest(ring); entry < ring->count; entry++) {
        const uint8_t *screen = qg_screen_store_get(ring->store, entry, room);
        CHECK(screen && ring->ends[qg_replay_ring_slot(ring, entry)] <= QG_REPLAY_TRUNCATED);
        for (size_t k = 0; k < qg_observation_size(&ring->plan.shape); k++)
            seen = screen[k];
    }
    CHECK(qg_replay_ring_screen_bytes(ring) >= 0);
    free(room);
}

static void read_file(const uint8_t *data, size_t size, bool fits)
{
    const char *path = scratch_path("replay.data");
    parts p = make_file(data, size);
    if (fits) make_fit(&p);
    scratch_write(path, p.file, size < HEAD ? size : p.size);
    free(p.file);
    qg_replay_ring *ring = NULL;
    char about[QG_REPLAY_ABOUT];
    qg_error error;
    const qg_status status = qg_replay_ring_read(path, NULL, &ring, about, &error);
    check_said(status, &error);
    CHECK(!status == (ring != NULL));
    if (ring) use(ring);
    qg_replay_ring_close(ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_file(data, size, false);
    read_file(data, size, true);
    return 0;
}
