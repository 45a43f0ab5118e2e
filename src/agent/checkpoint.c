#include "agent/checkpoint.h"

#include "base/file.h"
#include "base/file_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { VERSION = 4, BYTE_ORDER_MARK = 0x01020304 };

typedef struct header {
    char magic[16];
    uint32_t version, byte_order;
    int64_t step;
    uint64_t size; /* of the tape */
    uint32_t tape_crc;
    uint32_t header_crc; /* of everything before it */
} header;

static const char magic[16] = "qgraft state\n";

_Static_assert(sizeof(header) == 48, "no padding in what files hold");

static uint32_t crc_of_header(const header *h)
{
    return (uint32_t)crc32_z(0, (const uint8_t *)h, offsetof(header, header_crc));
}

static char *path_of(const char *folder, int which)
{
    return qg_path_join(folder, which == 0 ? "checkpoint-A" : "checkpoint-B");
}

static bool is_ours(const header *h)
{
    return memcmp(h->magic, magic, sizeof magic) == 0 && h->header_crc == crc_of_header(h) &&
           h->step >= 0;
}

/* The step in the header; -1: there is no header. */
static int64_t look_at(const char *path)
{
    header h;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return -1;
    const bool whole = pread(file, &h, sizeof h, 0) == (ssize_t)sizeof h;
    close(file);
    return whole && is_ours(&h) ? h.step : -1;
}

int64_t qg_checkpoints_look(const char *folder, int64_t steps[QG_CHECKPOINTS])
{
    int64_t newest = -1;
    for (int i = 0; i < QG_CHECKPOINTS; i++) {
        char *path = path_of(folder, i);
        steps[i] = path ? look_at(path) : -1;
        free(path);
        if (steps[i] > newest) newest = steps[i];
    }
    return newest;
}

bool qg_checkpoints_absent(const char *folder)
{
    bool absent = true;
    for (int i = 0; i < QG_CHECKPOINTS && absent; i++) {
        char *path = path_of(folder, i);
        absent = path && access(path, F_OK) != 0 && errno == ENOENT;
        free(path);
    }
    return absent;
}

qg_status qg_checkpoint_write(qg_checkpoints *checkpoints, const qg_tape *tape, int64_t step,
                              qg_error *error)
{
    char *path = path_of(checkpoints->folder, checkpoints->next);
    if (!path || !tape->good) {
        free(path);
        return qg_fail_memory(error, "a checkpoint", tape->size);
    }
    header h = {.version = VERSION,
                .byte_order = BYTE_ORDER_MARK,
                .step = step,
                .size = tape->size,
                .tape_crc = (uint32_t)crc32_z(0, tape->bytes, tape->size)};
    memcpy(h.magic, magic, sizeof magic);
    h.header_crc = crc_of_header(&h);
    const qg_piece pieces[] = {{&h, sizeof h}, {tape->bytes, tape->size}};
    const qg_status status = qg_file_replace(path, pieces, 2, error);
    free(path);
    if (!status) checkpoints->next = 1 - checkpoints->next;
    return status;
}

/* Checks the bytes of a file and leaves the tape in them. */
static qg_status check(const char *path, uint8_t *data, size_t *size, qg_error *error)
{
    header h;
    if (*size < sizeof h || (memcpy(&h, data, sizeof h), !is_ours(&h))) {
        const qg_file_kind kind = qg_file_kind_of(data, *size);
        if (kind != QG_FILE_OTHER && kind != QG_FILE_CHECKPOINT)
            return qg_fail_kind(error, QG_ERROR_DATA, path, "a checkpoint", kind, NULL);
        return qg_fail(error, QG_ERROR_DATA, "%s: not a checkpoint, or damaged", path);
    }
    if (h.version != VERSION || h.byte_order != BYTE_ORDER_MARK)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: of another version of qgraft or kind of machine: go on there", path);
    *size -= sizeof h;
    memmove(data, data + sizeof h, *size);
    if (h.size != *size || h.tape_crc != (uint32_t)crc32_z(0, data, *size))
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: does not match its checksum", path);
    return QG_OK;
}

/* Reads one into *tape, to be freed; checked by its checksum. QG_ERROR_IO, QG_ERROR_DATA. */
static qg_status read_checkpoint(const qg_checkpoints *checkpoints, int which, qg_tape *tape,
                                 qg_error *error)
{
    char *path = path_of(checkpoints->folder, which);
    if (!path) return qg_fail_memory(error, "a path", strlen(checkpoints->folder));
    uint8_t *data = NULL;
    size_t size;
    qg_status status = qg_file_read(path, SIZE_MAX / 4, &data, &size, error);
    if (!status) status = check(path, data, &size, error);
    free(path);
    if (status)
        free(data);
    else
        *tape = qg_tape_to_read(data, size);
    return status;
}

static qg_status restore_from(const qg_checkpoints *checkpoints, int which,
                              qg_checkpoint_restore *restore, void *context, qg_error *error)
{
    qg_tape tape;
    qg_status status = read_checkpoint(checkpoints, which, &tape, error);
    if (status) return status;
    status = restore(context, &tape, error);
    if (!status && !qg_tape_complete(&tape))
        status = qg_fail(error, QG_ERROR_DATA, "%s/checkpoint-%c: does not hold what it should",
                         checkpoints->folder, 'A' + which);
    qg_tape_free(&tape);
    return status;
}

static bool exists(const char *folder, int which)
{
    char *path = path_of(folder, which);
    const bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

qg_status qg_checkpoints_resume(qg_checkpoints *checkpoints, qg_checkpoint_restore *restore,
                                void *context, bool *found, char *warning, size_t warning_size,
                                qg_error *error)
{
    const char *folder = checkpoints->folder;
    int64_t steps[QG_CHECKPOINTS];
    qg_checkpoints_look(folder, steps);
    for (int i = 0; i < QG_CHECKPOINTS; i++) /* a damaged header is to be reported, too */
        if (steps[i] < 0 && exists(folder, i)) steps[i] = INT64_MAX;
    const int newest = steps[1] > steps[0];
    *found = steps[newest] >= 0;
    *warning = 0;
    if (!*found) return QG_OK;
    qg_error inner = {0};
    for (int i = 0; i < QG_CHECKPOINTS; i++) {
        const int which = i == 0 ? newest : 1 - newest;
        if (!exists(folder, which)) continue;
        const qg_status status = restore_from(checkpoints, which, restore, context, error);
        if (status && status != QG_ERROR_DATA && status != QG_ERROR_IO) return status;
        if (!status) {
            checkpoints->next = 1 - which;
            if (inner.code) /* beside what restoring it has said */
                snprintf(warning + strlen(warning), warning_size - strlen(warning),
                         "%s%.300s; went on from the one before, step %lld", *warning ? "; " : "",
                         inner.message, (long long)steps[which]);
            return QG_OK;
        }
        if (!inner.code) inner = *error; /* the newest one's is the better message */
        *warning = 0;
    }
    return qg_fail(error, inner.code,
                   "%.400s; no checkpoint can be used: begin anew with `overwrite`", inner.message);
}

void qg_tape_pass_random(qg_tape *tape, qg_random *random)
{
    QG_TAPE_PASS(tape, random->state);
}

static qg_status pass_parameters(qg_tape *tape, qg_engine *engine, qg_parameter_set set,
                                 qg_network *room, qg_error *error)
{
    const qg_status status = tape->reading ? QG_OK : qg_engine_read(engine, set, room, error);
    if (status) return status;
    qg_tape_pass(tape, room->parameters,
                 qg_architecture_parameters(&room->architecture) * sizeof *room->parameters);
    return tape->reading && tape->good ? qg_engine_write(engine, set, room, error) : QG_OK;
}

/* The precision that the tape's next item names; where it names none the state is of the first, as
 * all were before there were others. */
static const char *named_precision(const qg_tape *tape, char item[16])
{
    size_t count, size = 0;
    qg_tape ahead = *tape;
    const uint8_t *name = qg_tape_pass_blob(&ahead, NULL, &size);
    const qg_engine_class *const *classes = qg_engine_classes(&count);
    memset(item, 0, 16);
    for (size_t i = 1; i < count && name && size == 16; i++) {
        snprintf(item, 16, "%s", classes[i]->name);
        if (memcmp(name, item, 16) == 0) return classes[i]->name;
    }
    return classes[0]->name;
}

static qg_status pass_precision(qg_tape *tape, const qg_engine *engine, qg_error *error)
{
    char item[16] = "";
    const char *own = engine->methods->name;
    const char *there = tape->reading ? named_precision(tape, item) : own;
    if (strcmp(own, there) != 0)
        return qg_fail(error, QG_ERROR_DATA, "a checkpoint of precision %s, not of %s", there, own);
    size_t count;
    if (strcmp(own, qg_engine_classes(&count)[0]->name) == 0) return QG_OK;
    snprintf(item, sizeof item, "%s", own);
    qg_tape_pass(tape, item, sizeof item);
    return QG_OK;
}

qg_status qg_tape_pass_engine(qg_tape *tape, qg_engine *engine, qg_network *room, qg_error *error)
{
    qg_status status = pass_precision(tape, engine, error);
    for (size_t i = 0; i < engine->slot_count && !status; i++) {
        const qg_slot *slot = &engine->slots[i];
        if (slot->counter)
            qg_tape_pass(tape, slot->counter, sizeof *slot->counter);
        else
            status = pass_parameters(tape, engine, slot->set, room, error);
    }
    return status;
}

qg_status qg_tape_pass_domain(qg_tape *tape, qg_domain *domain, qg_error *error)
{
    uint8_t *saved = NULL;
    size_t size = 0;
    qg_status status = tape->reading ? QG_OK : qg_domain_save(domain, &saved, &size, error);
    if (status) return status;
    const uint8_t *state = qg_tape_pass_blob(tape, saved, &size);
    if (tape->reading && state) status = qg_domain_restore(domain, state, size, error);
    free(saved);
    return status;
}
