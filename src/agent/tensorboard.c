/* A record is: u64 length, u32 checksum of the length, a protobuf message `Event`, u32 checksum of
 * the message, all little-endian. The few fields that we write (tensorflow/core/util/event.proto):
 *
 *   Event       wall_time = 1: double, step = 2: int64, file_version = 3: string,
 *               summary = 5: Summary, session_log = 7: SessionLog
 *   SessionLog  status = 1: enum, 1 is START
 *   Summary     value = 1: Value, repeated
 *   Value       tag = 1: string, simple_value = 2: float
 */
#include "agent/tensorboard.h"

#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie");

enum { TAG_LIMIT = 200, MESSAGE_LIMIT = 512 };

/* The kinds of field; a field's key is its number times 8 plus its kind. */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct qg_events {
    int descriptor;
    char *path;
    int64_t size;
};

/* ---- Protobuf ---- */

typedef struct message {
    uint8_t bytes[MESSAGE_LIMIT];
    size_t size;
} message;

static void put_bytes(message *m, const void *data, size_t size)
{
    assert(size <= sizeof m->bytes - m->size);
    memcpy(m->bytes + m->size, data, size);
    m->size += size;
}

/* Seven bits a byte, the lowest first; the top bit says that more follow. */
static void put_varint(message *m, uint64_t value)
{
    do {
        const uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        put_bytes(m, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void put_key(message *m, unsigned field, unsigned kind)
{
    put_varint(m, field << 3 | kind);
}

static void put_field(message *m, unsigned field, const void *data, size_t size)
{
    put_key(m, field, BYTES);
    put_varint(m, size);
    put_bytes(m, data, size);
}

static message begin_event(double wall_time, int64_t step)
{
    message event = {.size = 0};
    put_key(&event, 1, FIXED64);
    put_bytes(&event, &wall_time, sizeof wall_time);
    put_key(&event, 2, VARINT);
    put_varint(&event, (uint64_t)step);
    return event;
}

/* ---- Records ---- */

/* CRC-32C (Castagnoli), bit by bit: records are short and few. Masked as TensorFlow does, so that
 * the checksum of data that holds checksums stays meaningful. */
static uint32_t masked_crc32c(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static qg_status write_record(qg_events *events, const message *event, qg_error *error)
{
    uint8_t record[MESSAGE_LIMIT + 16];
    const uint64_t size = event->size;
    const uint32_t size_crc = masked_crc32c(&size, sizeof size);
    const uint32_t data_crc = masked_crc32c(event->bytes, event->size);
    memcpy(record, &size, 8);
    memcpy(record + 8, &size_crc, 4);
    memcpy(record + 12, event->bytes, size);
    memcpy(record + 12 + size, &data_crc, 4);
    const qg_status status =
        qg_file_append(events->descriptor, record, 16 + size, events->path, error);
    if (!status) events->size += (int64_t)(16 + size);
    return status;
}

/* ---- The file ---- */

/* A new file, never an old one: that may end in half a record. A second file of the same second
 * gets a number behind its name. */
static qg_status create_file(qg_events *events, const char *folder, int64_t seconds,
                             qg_error *error)
{
    char host[65] = "";
    gethostname(host, sizeof host - 1);
    for (int n = 0; n < 1000; n++) {
        char number[16] = "";
        if (n > 0) snprintf(number, sizeof number, ".%d", n);
        free(events->path);
        if (asprintf(&events->path, "%s/" QG_EVENTS_PREFIX "%010lld.%s%s", folder,
                     (long long)seconds, host, number) < 0) {
            events->path = NULL;
            return qg_fail_memory(error, folder, strlen(folder) + 128);
        }
        events->descriptor =
            open(events->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
        if (events->descriptor >= 0) return QG_OK;
        if (errno != EEXIST && errno != EINTR) break;
    }
    return qg_fail_errno(error, "%s: cannot create", events->path);
}

static qg_status write_start(qg_events *events, double wall_time, int64_t step, qg_error *error)
{
    message version = begin_event(wall_time, 0);
    put_field(&version, 3, "brain.Event:2", 13);
    if (write_record(events, &version, error) != QG_OK) return error->code;
    message log = {.size = 0};
    put_key(&log, 1, VARINT);
    put_varint(&log, 1);
    message start = begin_event(wall_time, step);
    put_field(&start, 7, log.bytes, log.size);
    return write_record(events, &start, error);
}

qg_status qg_events_open(const char *folder, double wall_time, int64_t step, qg_events **events,
                         qg_error *error)
{
    assert(folder && events && wall_time >= 0 && wall_time < 1e15);
    *events = calloc(1, sizeof **events);
    if (!*events) return qg_fail_memory(error, folder, sizeof **events);
    (*events)->descriptor = -1;
    qg_status status = create_file(*events, folder, (int64_t)wall_time, error);
    if (status == QG_OK) status = write_start(*events, wall_time, step, error);
    if (status != QG_OK) {
        qg_events_close(*events);
        *events = NULL;
    }
    return status;
}

static qg_status reopen(qg_events *events, int64_t size, qg_error *error)
{
    events->descriptor = open(events->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (events->descriptor < 0 && errno != ENOENT)
        return qg_fail_errno(error, "%s: cannot open", events->path);
    if (events->descriptor < 0 || fstat(events->descriptor, &status) != 0 ||
        !S_ISREG(status.st_mode) || status.st_size < size)
        return qg_fail(error, QG_ERROR_DATA, "%s: lacks records that the run has written",
                       events->path);
    if (ftruncate(events->descriptor, (off_t)size) != 0)
        return qg_fail_errno(error, "%s: cannot cut off old records", events->path);
    events->size = size;
    return QG_OK;
}

qg_status qg_events_resume(const char *folder, const char *name, int64_t size, qg_events **events,
                           qg_error *error)
{
    *events = NULL;
    if (strncmp(name, QG_EVENTS_PREFIX, strlen(QG_EVENTS_PREFIX)) != 0 || strchr(name, '/') ||
        size < 0)
        return qg_fail(error, QG_ERROR_DATA, "%s: '%.100s' is no event file", folder, name);
    qg_events *opened = calloc(1, sizeof *opened);
    if (!opened) return qg_fail_memory(error, folder, sizeof *opened);
    opened->descriptor = -1;
    opened->path = qg_path_join(folder, name);
    const qg_status status =
        opened->path ? reopen(opened, size, error) : qg_fail_memory(error, folder, strlen(folder));
    if (status)
        qg_events_close(opened);
    else
        *events = opened;
    return status;
}

const char *qg_events_name(const qg_events *events)
{
    return strrchr(events->path, '/') + 1;
}

int64_t qg_events_size(const qg_events *events)
{
    return events->size;
}

qg_status qg_events_sync(qg_events *events, qg_error *error)
{
    if (qg_file_sync(events->descriptor, false) != 0)
        return qg_fail_errno(error, "%s: cannot sync", events->path);
    return QG_OK;
}

qg_status qg_events_scalar(qg_events *events, int64_t step, double wall_time, const char *tag,
                           float value, qg_error *error)
{
    assert(events && tag && strlen(tag) <= TAG_LIMIT);
    message v = {.size = 0}, summary = {.size = 0};
    put_field(&v, 1, tag, strlen(tag));
    put_key(&v, 2, FIXED32);
    put_bytes(&v, &value, sizeof value);
    put_field(&summary, 1, v.bytes, v.size);
    message event = begin_event(wall_time, step);
    put_field(&event, 5, summary.bytes, summary.size);
    return write_record(events, &event, error);
}

void qg_events_close(qg_events *events)
{
    if (!events) return;
    if (events->descriptor >= 0) close(events->descriptor);
    free(events->path);
    free(events);
}
