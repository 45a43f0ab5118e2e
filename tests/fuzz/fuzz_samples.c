/* Feeds the reader of distillation sets, with checksums that fit: most of what it refuses would
 * otherwise be refused by them. An input has the parts of a file without what lies between them:
 * the header, the columns, of a compressed set the places and up to 64 bytes of dictionary, the
 * screens. */
#include "fuzz.h"

#include "agent/screen_codec.h"
#include "base/file.h"
#include "transfer/sample_set.h"

#include <zlib.h>

/* Where things stand in the file and its header (src/transfer/sample_set.c). */
enum { SAMPLES = 6, HEAD = 312, COLUMNS = 80, PLACES = 8 * SAMPLES, PAGE = 4096 };
enum { COMPRESSED = 24, SIZE = 288, DICTIONARY = 296, DICTIONARY_CRC = 300 };
enum { DATA_CRC = 304, HEADER_CRC = 308 };

typedef struct parts {
    uint8_t *file;
    size_t size, columns, places, dictionary, screens; /* where they begin; places: 0, none */
} parts;

static uint64_t number(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    return value;
}

/* Takes the next bytes of the input, as many as there are. */
static void take(const uint8_t **data, size_t *size, uint8_t *to, size_t most)
{
    const size_t n = *size < most ? *size : most;
    memcpy(to, *data, n);
    *data += n;
    *size -= n;
}

static parts make_file(const uint8_t *data, size_t size)
{
    const bool compressed = size > HEAD && data[COMPRESSED] == 1 && size % 2 == 1;
    parts p = {.dictionary = PAGE, .columns = compressed ? PAGE + QG_DICTIONARY_ROOM : PAGE};
    p.places = compressed ? p.columns + COLUMNS : 0;
    p.screens = p.columns + PAGE;
    p.file = calloc(1, p.screens + size);
    CHECK(p.file);
    take(&data, &size, p.file, HEAD);
    take(&data, &size, p.file + p.columns, COLUMNS);
    if (compressed) {
        take(&data, &size, p.file + p.places, PLACES);
        const uint64_t dictionary = number(p.file + DICTIONARY, 4);
        take(&data, &size, p.file + p.dictionary, dictionary < 64 ? dictionary : 64);
    }
    p.size = p.screens + size;
    take(&data, &size, p.file + p.screens, size);
    return p;
}

static void put(uint8_t *at, uint64_t value, size_t bytes)
{
    memcpy(at, &value, bytes);
}

/* The sum over a sample as the reader makes it; a place outside the file has none. */
static uint32_t sum_sample(const parts *p, size_t i, size_t stride, uint32_t crc)
{
    size_t begin = i * stride, bytes = stride;
    if (p->places) {
        const uint64_t place = number(p->file + p->places + 8 * i, 8);
        begin = place >> 24;
        bytes = place & 0xffffff;
    }
    const size_t room = p->size - p->screens;
    crc = (uint32_t)crc32_z(crc, p->file + p->columns + 12 * i, 12);
    crc = (uint32_t)crc32_z(crc, p->file + p->columns + 72 + i, 1);
    if (begin > room || bytes > room - begin) return crc;
    return (uint32_t)crc32_z(crc, p->file + p->screens + begin, bytes);
}

static void make_fit(const parts *p, size_t stride)
{
    uint32_t crc = 0;
    const uint64_t dictionary = number(p->file + DICTIONARY, 4);
    for (size_t i = 0; i < SAMPLES; i++)
        crc = sum_sample(p, i, stride, crc);
    put(p->file + SIZE, p->size, 8);
    if (dictionary <= QG_DICTIONARY_ROOM && p->dictionary + dictionary <= p->size)
        put(p->file + DICTIONARY_CRC, crc32_z(0, p->file + p->dictionary, dictionary), 4);
    put(p->file + DATA_CRC, crc, 4);
    put(p->file + HEADER_CRC, crc32_z(0, p->file, HEADER_CRC), 4);
}

static volatile uint8_t seen; /* gets every value, so that the sanitizer sees it being read */

static void use(qg_sample_set *set, const qg_sample_source *source)
{
    qg_sample_states states;
    qg_error error;
    CHECK(qg_sample_states_create(set, 1, &states, &error) == QG_OK);
    for (uint32_t i = 0; i < source->count; i++) {
        seen = *(const uint8_t *)&qg_sample_set_q_values(set, i)[source->actions - 1];
        qg_sample_set_gather(set, &i, 1, &states);
        for (int h = 0; h < source->history; h++)
            for (int p = 0; states.screens[h] && p < source->height * source->width; p++)
                seen = states.screens[h][p];
    }
    qg_sample_states_destroy(&states);
}

static qg_sample_source source_of(int max)
{
    return (qg_sample_source){.teacher = "0123456789abcdef",
                              .domain = "minatar/breakout",
                              .precision = "float32",
                              .seed = 1,
                              .count = SAMPLES,
                              .epsilon = 0.05,
                              .frame_skip = 1,
                              .history = 2,
                              .actions = 3,
                              .height = 10,
                              .width = 10,
                              .channels = 1,
                              .max = max};
}

static qg_status read_set(const uint8_t *data, size_t size, bool fits)
{
    const qg_sample_source source = source_of(size % 4 == 2 ? 1 : 255);
    const parts p = make_file(data, size);
    if (fits) make_fit(&p, source.max == 1 ? 13 : 100);
    const char *path = scratch_path("samples");
    scratch_write(path, p.file, size < HEAD ? size : p.size);
    free(p.file);
    qg_sample_set *set = NULL;
    qg_error error;
    const qg_status status = qg_sample_set_open(path, &source, 1, NULL, &set, &error);
    check_said(status, &error);
    if (status == QG_OK) use(set, &source);
    qg_sample_set_close(set);
    return status;
}

/* A set as it is written, as an input: what make_file makes of it has to be taken. */
static void check_example(bool compressed, int max)
{
    const qg_sample_source source = source_of(max);
    const qg_sample_form form = {.keep = true, .compressed = compressed};
    const char *path = scratch_path("example");
    const float q_values[] = {1, 2, 3};
    uint8_t screen[100] = {0};
    qg_sample_set *set = NULL;
    qg_error error;
    CHECK(qg_sample_set_create(path, &source, &form, &set, &error) == QG_OK);
    for (int i = 0; i < SAMPLES; i++) {
        screen[i] = 1;
        CHECK(qg_sample_set_add(set, screen, i % 4 == 0, q_values, &error) == QG_OK);
    }
    CHECK(qg_sample_set_finish(set, &error) == QG_OK);
    qg_sample_set_close(set);
    uint8_t *file;
    size_t size;
    CHECK(qg_file_read(path, 1 << 24, &file, &size, &error) == QG_OK);
    const size_t columns = compressed ? PAGE + QG_DICTIONARY_ROOM : PAGE, screens = columns + PAGE;
    CHECK(number(file + DICTIONARY, 4) == 0 && size > screens);
    uint8_t *input = calloc(1, size);
    CHECK(input);
    size_t used = HEAD + COLUMNS;
    memcpy(input, file, HEAD);
    memcpy(input + HEAD, file + columns, COLUMNS);
    if (compressed) memcpy(input + used, file + columns + COLUMNS, PLACES);
    used += compressed ? PLACES : 0;
    memcpy(input + used, file + screens, size - screens);
    used += size - screens;
    while (used % 4 != (compressed ? 1u : max == 1 ? 2u : 0u))
        used++;
    CHECK(read_set(input, used, true) == QG_OK);
    free(input);
    free(file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    check_example(false, 1);
    check_example(false, 255);
    check_example(true, 255);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_set(data, size, false);
    read_set(data, size, true);
    return 0;
}
