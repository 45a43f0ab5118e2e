/* Run folders for the targets that feed checkpoints: one that is remembered as a stopped run left
 * it, and put back before every input. */
#ifndef QG_FUZZ_CHECKPOINT_H
#define QG_FUZZ_CHECKPOINT_H

#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <zlib.h>

typedef struct saved_file {
    char name[256];
    uint8_t *data;
    size_t size;
} saved_file;

static saved_file saved[32];
static size_t saved_count;

#define EVENTS "events.out.tfevents."

static inline void remember_file(const char *name)
{
    CHECK(saved_count < sizeof saved / sizeof *saved);
    saved_file *file = &saved[saved_count++];
    snprintf(file->name, sizeof file->name, "%s", name);
    FILE *stream = fopen(scratch_path(name), "rb");
    CHECK(stream && fseek(stream, 0, SEEK_END) == 0);
    file->size = (size_t)ftell(stream);
    rewind(stream);
    file->data = malloc(file->size + 1);
    CHECK(file->data && fread(file->data, 1, file->size, stream) == file->size);
    fclose(stream);
}

/* All files of the scratch folder; the one of events under a name that is no run's. */
static inline void remember_folder(void)
{
    DIR *folder = opendir(scratch);
    CHECK(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_type == DT_REG && strcmp(entry->d_name, "lock") != 0)
            remember_file(entry->d_name);
    closedir(folder);
}

static inline void empty_folder(void)
{
    DIR *folder = opendir(scratch);
    CHECK(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.') unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
}

/* The name of the file of events that the checkpoint speaks of: it is made to be there. */
static inline void name_events(const uint8_t *data, size_t size, char name[200])
{
    const uint8_t *found = memmem(data, size, EVENTS, strlen(EVENTS));
    size_t length = 0;
    for (; found && found + length < data + size && length < 150; length++)
        if (!memchr("0123456789abcdefghijklmnopqrstuvwxyz-._", found[length], 39)) break;
    snprintf(name, 200, "%.*s", (int)length, found ? (const char *)found : "");
}

static inline void put_back(const uint8_t *data, size_t size)
{
    char events[200];
    empty_folder();
    name_events(data, size, events);
    for (size_t i = 0; i < saved_count; i++) {
        const bool is_events = strncmp(saved[i].name, EVENTS, strlen(EVENTS)) == 0;
        if (strncmp(saved[i].name, "checkpoint-", 11) == 0 || (is_events && !*events)) continue;
        scratch_write(scratch_path(is_events ? events : saved[i].name), saved[i].data,
                      saved[i].size);
    }
}

/* The input as the file checkpoint-A; `fits`: with the size and checksums that belong to it, where
 * they stand in its header (src/agent/checkpoint.c). */
static inline void write_checkpoint(const uint8_t *data, size_t size, bool fits)
{
    enum { HEADER = 48, SIZE = 32, TAPE_CRC = 40, HEADER_CRC = 44 };
    uint8_t *copy = malloc(size ? size : 1);
    CHECK(copy);
    memcpy(copy, data, size);
    if (fits && size >= HEADER) {
        const uint64_t rest = size - HEADER;
        uint32_t crc = (uint32_t)crc32_z(0, copy + HEADER, rest);
        memcpy(copy + SIZE, &rest, sizeof rest);
        memcpy(copy + TAPE_CRC, &crc, sizeof crc);
        crc = (uint32_t)crc32_z(0, copy, HEADER_CRC);
        memcpy(copy + HEADER_CRC, &crc, sizeof crc);
    }
    scratch_write(scratch_path("checkpoint-A"), copy, size);
    free(copy);
}

#endif
