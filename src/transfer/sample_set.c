#include "transfer/sample_set.h"

#include <qgraft/settings.h>

#include "agent/bits.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

enum { WRITE_BACK = 4 << 20 }; /* bytes that are started on their way to the disk at once */

enum { HEADER = 512, VERSION = 2, BYTE_ORDER_MARK = 0x01020304 };

typedef struct samples_header {
    char magic[16];
    uint32_t version, byte_order;
    uint64_t record; /* bytes of a sample */
    qg_sample_source source;
    uint32_t data_crc;   /* of all records */
    uint32_t header_crc; /* of everything before it */
} samples_header;

static const char magic[16] = "qgraft samples\n";

_Static_assert(sizeof(qg_sample_source) == 248, "no padding in what files hold");
_Static_assert(sizeof(samples_header) == 288, "no padding in what files hold");

struct qg_sample_set {
    qg_sample_source source;
    char *path, *temporary; /* temporary: to be renamed to `path`; NULL: there is none */
    bool named;             /* is complete and has the name `path`, to stay */
    int file;               /* being written; -1: not */
    int64_t added;
    int age;                       /* of the sample added last */
    size_t pixels, stored, record; /* values of a screen; bytes of a stored one; of a sample */
    bool packed;
    uint32_t crc; /* of the records so far */
    size_t bytes;
    uint8_t *map;
};

/* --------------------------------------------------------------------------------- sizes */

static void measure(qg_sample_set *set)
{
    const qg_sample_source *s = &set->source;
    set->pixels = (size_t)s->height * (size_t)s->width * (size_t)s->channels;
    set->packed = s->max == 1;
    set->stored = set->packed ? (set->pixels + 7) / 8 : set->pixels;
    const size_t plain = (size_t)s->actions * sizeof(float) + 1 + set->stored;
    set->record = (plain + sizeof(float) - 1) / sizeof(float) * sizeof(float);
    set->bytes = HEADER + (size_t)s->count * set->record;
}

size_t qg_sample_set_bytes(const qg_sample_source *source)
{
    qg_sample_set set = {.source = *source};
    measure(&set);
    return set.bytes;
}

/* The folder of `path`, or the nearest one above it that is there. */
static void find_folder(char *path)
{
    struct stat status;
    for (;;) {
        char *slash = strrchr(path, '/');
        strcpy(slash ? (slash == path ? slash + 1 : slash) : path, slash ? "" : ".");
        if (!slash || slash == path || stat(path, &status) == 0) return;
    }
}

qg_status qg_sample_set_check_room(const char *path, size_t bytes, qg_error *error)
{
    char *folder = malloc(strlen(path) + 2);
    if (!folder) return qg_fail_memory(error, "a path", strlen(path));
    strcpy(folder, path);
    find_folder(folder);
    struct statvfs disk;
    const bool known = statvfs(folder, &disk) == 0;
    free(folder);
    if (!known) return QG_OK; /* what cannot be written is found when it is created */
    const double room = (double)disk.f_bavail * (double)disk.f_frsize;
    if ((double)bytes <= room) return QG_OK;
    char needed[32], free_bytes[32];
    return qg_fail(error, QG_ERROR_IO,
                   "%s: the samples need %s, the disk has %s free (fewer `samples`, or another "
                   "disk)",
                   path, qg_text_from_bytes((double)bytes, needed),
                   qg_text_from_bytes(room, free_bytes));
}

static uint8_t *record_of(const qg_sample_set *set, size_t sample)
{
    return set->map + HEADER + sample * set->record;
}

/* -------------------------------------------------------------------------------- making */

static qg_status map_file(qg_sample_set *set, int protection, int file, qg_error *error)
{
    void *map = mmap(NULL, set->bytes, protection, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) return qg_fail_errno(error, "%s: cannot map", set->path);
    set->map = map;
    return QG_OK;
}

static qg_status reserve(qg_sample_set *set, qg_error *error)
{
    const char *path = set->temporary ? set->temporary : set->path;
    qg_status status = qg_sample_set_check_room(path, set->bytes, error);
    if (status) return status;
    set->file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (set->file < 0) return qg_fail_errno(error, "%s: cannot create the sample set", path);
    int problem;
    do
        problem = posix_fallocate(set->file, 0, (off_t)set->bytes);
    while (problem == EINTR);
    if (problem) {
        char bytes[32];
        errno = problem;
        status = qg_fail_errno(error, "%s: the samples need %s on the disk", path,
                               qg_text_from_bytes((double)set->bytes, bytes));
    }
    if (!status) status = map_file(set, PROT_READ | PROT_WRITE, set->file, error);
    if (status) unlink(path);
    return status;
}

/* A set without a file. `temporary` is copied and may be NULL. */
static qg_status make(const char *path, const char *temporary, const qg_sample_source *source,
                      qg_sample_set **result, qg_error *error)
{
    qg_sample_set *set = calloc(1, sizeof *set);
    if (!set) return qg_fail_memory(error, "a sample set", sizeof *set);
    set->file = -1;
    set->source = *source;
    measure(set);
    set->path = strdup(path);
    set->temporary = temporary ? strdup(temporary) : NULL;
    if (!set->path || (temporary && !set->temporary)) {
        qg_sample_set_close(set);
        return qg_fail_memory(error, path, strlen(path));
    }
    *result = set;
    return QG_OK;
}

qg_status qg_sample_set_create(const char *path, const qg_sample_source *source, bool keep,
                               qg_sample_set **result, qg_error *error)
{
    assert(source->history >= 1 && source->history <= QG_MAX_HISTORY && source->count >= 1);
    char *temporary = NULL;
    if (keep && asprintf(&temporary, "%s.tmp-%ld", path, (long)getpid()) < 0)
        return qg_fail_memory(error, path, strlen(path));
    qg_sample_set *set = NULL;
    qg_status status = make(path, temporary, source, &set, error);
    free(temporary);
    if (status) return status;
    status = reserve(set, error);
    if (status)
        qg_sample_set_close(set);
    else
        *result = set;
    return status;
}

void qg_sample_set_add(qg_sample_set *set, const uint8_t *screen, bool first, const float *q_values)
{
    assert(set->added < set->source.count);
    uint8_t *record = record_of(set, (size_t)set->added);
    const size_t q_bytes = (size_t)set->source.actions * sizeof(float);
    if (first || set->added == 0)
        set->age = 0;
    else if (set->age < set->source.history - 1)
        set->age++;
    memcpy(record, q_values, q_bytes);
    record[q_bytes] = (uint8_t)set->age;
    if (set->packed)
        qg_bits_pack(screen, set->pixels, record + q_bytes + 1);
    else
        memcpy(record + q_bytes + 1, screen, set->pixels);
    set->crc = (uint32_t)crc32_z(set->crc, record, set->record); /* the file's rest is zeros */
    set->added++;
    const size_t end = HEADER + (size_t)set->added * set->record;
    if (end / WRITE_BACK > (end - set->record) / WRITE_BACK) /* little is left to wait for later */
        sync_file_range(set->file, (off_t)(end / WRITE_BACK - 1) * WRITE_BACK, WRITE_BACK,
                        SYNC_FILE_RANGE_WRITE);
}

int64_t qg_sample_set_added(const qg_sample_set *set)
{
    return set->added;
}

static uint32_t crc_of_header(const samples_header *h)
{
    return (uint32_t)crc32_z(0, (const uint8_t *)h, offsetof(samples_header, header_crc));
}

qg_status qg_sample_set_finish(qg_sample_set *set, qg_error *error)
{
    assert(set->added == set->source.count);
    if (!set->temporary) return QG_OK; /* needed by this run only */
    samples_header h = {.version = VERSION,
                        .byte_order = BYTE_ORDER_MARK,
                        .record = set->record,
                        .source = set->source,
                        .data_crc = set->crc};
    memcpy(h.magic, magic, sizeof magic);
    h.header_crc = crc_of_header(&h);
    memcpy(set->map, &h, sizeof h);
    if (msync(set->map, set->bytes, MS_SYNC) != 0 || rename(set->temporary, set->path) != 0)
        return qg_fail_errno(error, "%s: cannot write the sample set", set->path);
    set->named = true;
    return QG_OK;
}

void qg_sample_set_discard(qg_sample_set *set)
{
    if (set && !set->named) unlink(set->temporary ? set->temporary : set->path);
    qg_sample_set_close(set);
}

void qg_sample_set_close(qg_sample_set *set)
{
    if (!set) return;
    if (set->map) munmap(set->map, set->bytes);
    if (set->file >= 0) close(set->file);
    free(set->temporary);
    free(set->path);
    free(set);
}

/* ----------------------------------------------------------------------------- using again */

static qg_status fail_other(const char *path, const char *what, qg_error *error)
{
    return qg_fail(error, QG_ERROR_USAGE,
                   "%s: these samples are of another kind (%s): name another file, or the options "
                   "they were made with",
                   path, what);
}

static qg_status compare(const char *path, const qg_sample_source *has,
                         const qg_sample_source *wanted, qg_error *error)
{
    const struct {
        const char *name;
        double has, wanted;
    } numbers[] = {
        {"seed", (double)has->seed, (double)wanted->seed},
        {"samples with those held out", (double)has->count, (double)wanted->count},
        {"epsilon", has->epsilon, wanted->epsilon},
        {"sticky", has->sticky, wanted->sticky},
        {"frame_skip", has->frame_skip, wanted->frame_skip},
        {"noop_max", has->noop_max, wanted->noop_max},
        {"history", has->history, wanted->history},
        {"actions", has->actions, wanted->actions},
        {"height", has->height, wanted->height},
        {"width", has->width, wanted->width},
        {"channels", has->channels, wanted->channels},
        {"max", has->max, wanted->max},
    };
    char what[200];
    if (memcmp(has->teacher, wanted->teacher, sizeof has->teacher) != 0)
        return fail_other(path, "of another teacher", error);
    if (memcmp(has->domain, wanted->domain, sizeof has->domain) != 0) {
        snprintf(what, sizeof what, "of %.90s, not %.90s", has->domain, wanted->domain);
        return fail_other(path, what, error);
    }
    if (memcmp(has->precision, wanted->precision, sizeof has->precision) != 0) {
        snprintf(what, sizeof what, "made with precision %.15s, not %.15s", has->precision,
                 wanted->precision);
        return fail_other(path, what, error);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(numbers[i].has == numbers[i].wanted)) {
            snprintf(what, sizeof what, "%s %.12g, not %.12g", numbers[i].name, numbers[i].has,
                     numbers[i].wanted);
            return fail_other(path, what, error);
        }
    /* Beyond 2^53 a double cannot tell them apart. */
    if (has->seed != wanted->seed || has->count != wanted->count)
        return fail_other(path, "of another seed or count", error);
    return QG_OK;
}

/* The header, checked against itself: the sum over it makes sure that it is one of ours. */
static qg_status read_header(const char *path, int file, samples_header *h, qg_error *error)
{
    ssize_t got;
    do
        got = pread(file, h, sizeof *h, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) return qg_fail_errno(error, "%s: cannot read", path);
    if ((size_t)got < sizeof *h || memcmp(h->magic, magic, sizeof magic) != 0) {
        const qg_file_kind kind = qg_file_kind_of(h, (size_t)got);
        if (kind != QG_FILE_OTHER)
            return qg_fail_kind(error, QG_ERROR_DATA, path, "a sample set", kind, NULL);
        return qg_fail(error, QG_ERROR_DATA, "%s: not a sample set", path);
    }
    if (h->byte_order != BYTE_ORDER_MARK || h->version != VERSION)
        return qg_fail(error, QG_ERROR_DATA, "%s: a sample set of another version or machine",
                       path);
    if (h->header_crc != crc_of_header(h))
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: its header does not match its checksum",
                       path);
    return QG_OK;
}

/* The samples that the set has, against their checksum. */
static qg_status check_data(const qg_sample_set *set, const volatile sig_atomic_t *stop,
                            qg_error *error)
{
    const size_t piece = (size_t)64 << 20, end = HEADER + (size_t)set->added * set->record;
    uint32_t crc = 0;
    for (size_t at = HEADER; at < end; at += piece) {
        const size_t rest = end - at;
        crc = (uint32_t)crc32_z(crc, set->map + at, rest < piece ? rest : piece);
        if (stop && *stop) return qg_fail(error, QG_STOPPED, "stopped while reading samples");
    }
    if (crc != set->crc)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: damaged: its samples do not match their checksum; remove it",
                       set->path);
    const size_t age_at = (size_t)set->source.actions * sizeof(float);
    for (size_t i = 0; i < (size_t)set->added; i++) {
        const size_t age = record_of(set, i)[age_at];
        if (age > i || age >= (size_t)set->source.history) /* cannot be, if it is ours */
            return qg_fail(error, QG_ERROR_DATA, "%s: damaged: sample %zu", set->path, i);
    }
    return QG_OK;
}

static qg_status check_size(const qg_sample_set *set, int file, qg_error *error)
{
    struct stat status;
    if (fstat(file, &status) != 0) return qg_fail_errno(error, "%s: cannot examine", set->path);
    if (!S_ISREG(status.st_mode))
        return qg_fail(error, QG_ERROR_IO, "%s: not a regular file", set->path);
    if ((size_t)status.st_size != set->bytes)
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: has %lld bytes, should have %zu",
                       set->path, (long long)status.st_size, set->bytes);
    return QG_OK;
}

static qg_status open_complete(qg_sample_set *set, int file, const volatile sig_atomic_t *stop,
                               qg_error *error)
{
    samples_header h;
    qg_status status = read_header(set->path, file, &h, error);
    if (!status) status = compare(set->path, &h.source, &set->source, error);
    if (!status) status = check_size(set, file, error);
    if (status) return status;
    if (h.record != set->record)
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: samples of %llu bytes, not %zu",
                       set->path, (unsigned long long)h.record, set->record);
    set->added = set->source.count;
    set->crc = h.data_crc;
    set->named = true;
    status = map_file(set, PROT_READ, file, error);
    return status ? status : check_data(set, stop, error);
}

qg_status qg_sample_set_open(const char *path, const qg_sample_source *source,
                             const volatile sig_atomic_t *stop, qg_sample_set **result,
                             qg_error *error)
{
    qg_sample_set *set = NULL;
    qg_status status = make(path, NULL, source, &set, error);
    if (status) return status;
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    status = file < 0 ? qg_fail_errno(error, "%s: cannot open", path)
                      : open_complete(set, file, stop, error);
    if (file >= 0) close(file);
    if (status)
        qg_sample_set_close(set);
    else
        *result = set;
    return status;
}

/* -------------------------------------------------------------------------------- going on */

static qg_status open_begun(qg_sample_set *set, const volatile sig_atomic_t *stop, qg_error *error)
{
    const char *path = set->temporary ? set->temporary : set->path;
    set->file = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (set->file < 0) return qg_fail_errno(error, "%s: cannot open", path);
    qg_status status = check_size(set, set->file, error);
    if (!status) status = map_file(set, PROT_READ | PROT_WRITE, set->file, error);
    if (!status) status = check_data(set, stop, error);
    if (!status && set->added > 0)
        set->age =
            record_of(set, (size_t)set->added - 1)[(size_t)set->source.actions * sizeof(float)];
    return status;
}

static qg_status reopen(const char *path, const char *temporary, const qg_sample_source *source,
                        int64_t added, uint32_t crc, const volatile sig_atomic_t *stop,
                        qg_sample_set **result, qg_error *error)
{
    qg_sample_set *set = NULL;
    qg_status status = make(path, *temporary ? temporary : NULL, source, &set, error);
    if (status) return status;
    set->added = added;
    set->crc = crc;
    status = open_begun(set, stop, error);
    if (status)
        qg_sample_set_close(set);
    else
        *result = set;
    return status;
}

/* Whether a checkpoint may name the file: none, or as qg_sample_set_create named it. */
static bool is_temporary(const char *name, const char *path, bool keep)
{
    static const char mark[] = ".tmp-";
    const size_t length = strlen(path);
    if (!*name || !keep) return !*name;
    if (strncmp(name, path, length) != 0 || strncmp(name + length, mark, sizeof mark - 1) != 0)
        return false;
    const char *number = name + length + sizeof mark - 1;
    return *number && strspn(number, "0123456789") == strlen(number);
}

qg_status qg_sample_set_pass(qg_tape *tape, const char *path, const qg_sample_source *source,
                             bool keep, const volatile sig_atomic_t *stop, qg_sample_set **set,
                             qg_error *error)
{
    char temporary[4096] = ""; /* stays known when the set is complete: the rename may be lost */
    int64_t added = 0;
    uint32_t crc = 0;
    if (!tape->reading) {
        if ((*set)->temporary) snprintf(temporary, sizeof temporary, "%s", (*set)->temporary);
        added = (*set)->added;
        crc = (*set)->crc;
        if ((*set)->file >= 0 && qg_file_sync((*set)->file, false) != 0)
            return qg_fail_errno(error, "%s: cannot write the sample set", path);
    }
    qg_tape_pass_text(tape, temporary, sizeof temporary);
    QG_TAPE_PASS(tape, added);
    QG_TAPE_PASS(tape, crc);
    qg_tape_require(tape,
                    added >= 0 && added <= source->count && is_temporary(temporary, path, keep));
    if (!tape->reading || !tape->good) return QG_OK;
    if (keep && access(path, F_OK) == 0) return qg_sample_set_open(path, source, stop, set, error);
    return reopen(path, temporary, source, added, crc, stop, set, error);
}

/* --------------------------------------------------------------------------------- states */

const float *qg_sample_set_q_values(const qg_sample_set *set, uint32_t sample)
{
    assert(sample < set->source.count);
    return (const float *)(const void *)record_of(set, sample);
}

qg_status qg_sample_states_create(const qg_sample_set *set, int size, qg_sample_states *states,
                                  qg_error *error)
{
    const size_t count = (size_t)size * (size_t)set->source.history;
    *states = (qg_sample_states){0};
    states->screens = calloc(count, sizeof *states->screens);
    states->unpacked = calloc(set->packed ? count * (set->pixels + 8) : 1, 1);
    if (!states->screens || !states->unpacked) {
        qg_sample_states_destroy(states);
        return qg_fail_memory(error, "a minibatch", count * (set->pixels + 8));
    }
    states->states = (qg_states){size, set->source.history, set->source.channels, states->screens};
    return QG_OK;
}

void qg_sample_states_destroy(qg_sample_states *states)
{
    free(states->screens);
    free(states->unpacked);
    *states = (qg_sample_states){0};
}

void qg_sample_set_gather(const qg_sample_set *set, const uint32_t *samples, int count,
                          qg_sample_states *states)
{
    const int history = set->source.history;
    const size_t screen_at = (size_t)set->source.actions * sizeof(float) + 1;
    states->states.size = count;
    for (int i = 0; i < count; i++) {
        const int known = record_of(set, samples[i])[screen_at - 1];
        for (int back = 0; back < history; back++) {
            const size_t place = (size_t)i * (size_t)history + (size_t)(history - 1 - back);
            states->screens[place] = NULL;
            if (back > known) continue;
            const uint8_t *stored = record_of(set, samples[i] - (size_t)back) + screen_at;
            if (set->packed) {
                uint8_t *values = states->unpacked + place * (set->pixels + 8);
                qg_bits_unpack(stored, set->pixels, values);
                stored = values;
            }
            states->screens[place] = stored;
        }
    }
}
