/* Feeds the reader of distillation sets, with checksums that fit: most of what it refuses would
 * otherwise be refused by them. */
#include "fuzz.h"

#include "transfer/sample_set.h"

#include <zlib.h>

/* Where they stand in the file (src/transfer/sample_set.c). */
enum { DATA = 512, DATA_CRC = 280, HEADER_CRC = 284 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_scratch();
    return 0;
}

static volatile uint8_t seen; /* gets every value, so that the sanitizer sees it being read */

static void use(const qg_sample_set *set, const qg_sample_source *source)
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

static void read_set(const uint8_t *data, size_t size, bool fits)
{
    const qg_sample_source source = {.teacher = "0123456789abcdef",
                                     .domain = "minatar/breakout",
                                     .precision = "float32",
                                     .seed = 1,
                                     .count = 6,
                                     .epsilon = 0.05,
                                     .frame_skip = 1,
                                     .history = 2,
                                     .actions = 3,
                                     .height = 10,
                                     .width = 10,
                                     .channels = 1,
                                     .max = size % 2 ? 255 : 1};
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) return;
    memcpy(copy, data, size);
    if (fits && size > DATA) {
        uint32_t crc = (uint32_t)crc32_z(0, copy + DATA, size - DATA);
        memcpy(copy + DATA_CRC, &crc, sizeof crc);
        crc = (uint32_t)crc32_z(0, copy, HEADER_CRC);
        memcpy(copy + HEADER_CRC, &crc, sizeof crc);
    }
    const char *path = scratch_path("samples");
    scratch_write(path, copy, size);
    free(copy);
    qg_sample_set *set = NULL;
    qg_error error;
    const qg_status status = qg_sample_set_open(path, &source, NULL, &set, &error);
    check_said(status, &error);
    if (status == QG_OK) use(set, &source);
    qg_sample_set_close(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_set(data, size, false);
    read_set(data, size, true);
    return 0;
}
