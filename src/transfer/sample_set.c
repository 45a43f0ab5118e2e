#include "transfer/sample_set.h"

#include <qgraft/settings.h>

#include "agent/screen_store.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>

enum { VERSION = 4, BYTE_ORDER_MARK = 0x01020304 };
enum { WRITE_BACK = 1 << 10 }; /* samples that are started on their way to the disk at once */

/* The head of the file. Until the set is complete all behind `compressed` is zero. */
typedef struct samples_header {
    char magic[16];
    uint32_t version, byte_order;
    uint64_t compressed;
    qg_sample_source source;
    uint64_t size;                       /* of the file */
    uint32_t dictionary, dictionary_crc; /* its bytes and their sum */
    uint32_t data_crc;                   /* of each sample's Q-values, age and stored screen */
    uint32_t header_crc;                 /* of everything before it */
} samples_header;

static const char magic[16] = "qgraft samples\n";

_Static_assert(sizeof(qg_sample_source) == 256, "no padding in what files hold");
_Static_assert(sizeof(samples_header) == 312, "no padding in what files hold");

struct qg_sample_set {
    qg_sample_source source;
    char *path, *temporary; /* temporary: to be renamed to `path`; NULL: there is none */
    bool named;             /* is complete and has the name `path`, to stay */
    bool compressed;
    bool is_mapped; /* screens are used where they lie in the file */
    qg_screen_store *store;
    float *q_values; /* [count][actions], in the store's columns as: */
    uint8_t *ages;   /* [count] */
    int64_t added;
    int age;      /* of the sample added last */
    uint32_t crc; /* of the samples so far */
};

/* --------------------------------------------------------------------------------- sizes */

static qg_screen_plan plan_of(const qg_sample_source *s, bool compressed, int threads)
{
    const size_t count = (size_t)s->count;
    return (qg_screen_plan){.what = "the sample set",
                            .mend = "fewer `samples`",
                            .shape = {s->height, s->width, s->channels, s->max},
                            .compressed = compressed,
                            .places = s->count,
                            .columns =
                                (count * (size_t)s->actions * sizeof(float) + count + 7) / 8 * 8,
                            .threads = threads};
}

size_t qg_sample_set_bytes(const qg_sample_source *source, bool compressed)
{
    const qg_screen_plan plan = plan_of(source, compressed, 1);
    return qg_screen_store_bytes(&plan);
}

double qg_sample_set_used(const qg_sample_source *source, double frame)
{
    const qg_screen_plan plan = plan_of(source, true, 1);
    return qg_screen_store_used(&plan, frame);
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

/* -------------------------------------------------------------------------------- making */

/* A set without a file. `temporary` is copied and may be NULL. */
static qg_status make(const char *path, const char *temporary, const qg_sample_source *source,
                      qg_sample_set **result, qg_error *error)
{
    qg_sample_set *set = calloc(1, sizeof *set);
    if (!set) return qg_fail_memory(error, "a sample set", sizeof *set);
    set->source = *source;
    set->path = strdup(path);
    set->temporary = temporary ? strdup(temporary) : NULL;
    if (!set->path || (temporary && !set->temporary)) {
        qg_sample_set_close(set);
        return qg_fail_memory(error, path, strlen(path));
    }
    *result = set;
    return QG_OK;
}

static const char *file_of(const qg_sample_set *set)
{
    return set->temporary ? set->temporary : set->path;
}

/* Where things lie in the store that has been opened. */
static void use_store(qg_sample_set *set)
{
    set->q_values = (float *)(void *)qg_screen_store_columns(set->store);
    set->ages = (uint8_t *)(set->q_values + set->source.count * set->source.actions);
    set->is_mapped = set->source.max == 0 || (!set->compressed && set->source.max != 1);
}

static qg_status create_store(qg_sample_set *set, int threads, qg_error *error)
{
    const qg_screen_plan plan = plan_of(&set->source, set->compressed, threads);
    qg_status status = qg_sample_set_check_room(file_of(set), qg_screen_store_bytes(&plan), error);
    if (!status) status = qg_screen_store_create(file_of(set), &plan, &set->store, error);
    if (status) return status;
    samples_header h = {
        .version = VERSION, .byte_order = BYTE_ORDER_MARK, .compressed = set->compressed};
    memcpy(h.magic, magic, sizeof magic);
    memcpy(qg_screen_store_head(set->store), &h, sizeof h);
    use_store(set);
    return QG_OK;
}

qg_status qg_sample_set_create(const char *path, const qg_sample_source *source,
                               const qg_sample_form *form, qg_sample_set **result, qg_error *error)
{
    assert(source->history >= 1 && source->history <= QG_MAX_HISTORY && source->count >= 1);
    char *temporary = NULL;
    if (form->keep && asprintf(&temporary, "%s.tmp-%ld", path, (long)getpid()) < 0)
        return qg_fail_memory(error, path, strlen(path));
    qg_sample_set *set = NULL;
    qg_status status = make(path, temporary, source, &set, error);
    free(temporary);
    if (status) return status;
    set->compressed = form->compressed;
    status = create_store(set, form->threads, error);
    if (status)
        qg_sample_set_close(set);
    else
        *result = set;
    return status;
}

static float *q_values_of(const qg_sample_set *set, size_t sample)
{
    return set->q_values + sample * (size_t)set->source.actions;
}

static uint32_t add_to_crc(const qg_sample_set *set, int64_t sample, uint32_t crc)
{
    const size_t i = (size_t)sample, q_bytes = (size_t)set->source.actions * sizeof(float);
    crc = (uint32_t)crc32_z(crc, (const uint8_t *)q_values_of(set, i), q_bytes);
    crc = (uint32_t)crc32_z(crc, &set->ages[i], 1);
    return qg_screen_store_crc(set->store, sample, crc);
}

qg_status qg_sample_set_add(qg_sample_set *set, const uint8_t *screen, bool first,
                            const float *q_values, qg_error *error)
{
    assert(set->added < set->source.count);
    const qg_status status = qg_screen_store_add(set->store, set->added, screen, error);
    if (status) return status;
    const size_t i = (size_t)set->added;
    if (first || set->added == 0)
        set->age = 0;
    else if (set->age < set->source.history - 1)
        set->age++;
    memcpy(q_values_of(set, i), q_values, (size_t)set->source.actions * sizeof(float));
    set->ages[i] = (uint8_t)set->age;
    set->crc = add_to_crc(set, set->added, set->crc);
    set->added++;
    /* Little is left to wait for later. */
    if (set->added % WRITE_BACK == 0) qg_screen_store_write_back(set->store);
    return QG_OK;
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
    qg_status status = qg_screen_store_trim(set->store, error);
    if (status) return status;
    struct stat file;
    if (stat(set->temporary, &file) != 0)
        return qg_fail_errno(error, "%s: cannot examine", set->temporary);
    uint32_t crc;
    const size_t dictionary = qg_screen_store_dictionary(set->store, &crc);
    samples_header h = {.version = VERSION,
                        .byte_order = BYTE_ORDER_MARK,
                        .compressed = set->compressed,
                        .source = set->source,
                        .size = (uint64_t)file.st_size,
                        .dictionary = (uint32_t)dictionary,
                        .dictionary_crc = crc,
                        .data_crc = set->crc};
    memcpy(h.magic, magic, sizeof magic);
    h.header_crc = crc_of_header(&h);
    memcpy(qg_screen_store_head(set->store), &h, sizeof h);
    status = qg_screen_store_sync(set->store, error);
    if (!status && rename(set->temporary, set->path) != 0)
        status = qg_fail_errno(error, "%s: cannot write the sample set", set->path);
    set->named = !status;
    return status;
}

void qg_sample_set_discard(qg_sample_set *set)
{
    if (set && !set->named) unlink(file_of(set));
    qg_sample_set_close(set);
}

void qg_sample_set_close(qg_sample_set *set)
{
    if (!set) return;
    qg_screen_store_close(set->store);
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
        {"max_episode_frames", (double)has->max_episode_frames, (double)wanted->max_episode_frames},
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

/* The header of a file; `complete`: the sum over it makes sure that it is one of ours. */
static qg_status read_header(const char *path, bool complete, samples_header *h, qg_error *error)
{
    memset(h, 0, sizeof *h);
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return qg_fail_errno(error, "%s: cannot open", path);
    ssize_t got;
    struct stat status;
    do
        got = pread(file, h, sizeof *h, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 || fstat(file, &status) != 0) qg_fail_errno(error, "%s: cannot read", path);
    close(file);
    if (got < 0) return error->code;
    if ((size_t)got < sizeof *h || memcmp(h->magic, magic, sizeof magic) != 0) {
        const qg_file_kind kind = qg_file_kind_of(h, (size_t)got);
        if (kind != QG_FILE_OTHER && kind != QG_FILE_SAMPLES)
            return qg_fail_kind(error, QG_ERROR_DATA, path, "a sample set", kind, NULL);
        return qg_fail(error, QG_ERROR_DATA, "%s: not a sample set", path);
    }
    if (h->byte_order != BYTE_ORDER_MARK || h->version != VERSION)
        return qg_fail(error, QG_ERROR_DATA, "%s: a sample set of another version or machine",
                       path);
    if (h->compressed > 1 || (complete && h->header_crc != crc_of_header(h)))
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: its header does not match its checksum",
                       path);
    if (complete && (uint64_t)status.st_size != h->size)
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: has %lld bytes, should have %llu", path,
                       (long long)status.st_size, (unsigned long long)h->size);
    return QG_OK;
}

static qg_status check_sample(const qg_sample_set *set, int64_t i, uint8_t *room, qg_error *error)
{
    const int age = set->ages[i];
    if (age <= i && age < set->source.history && qg_screen_store_get(set->store, i, room))
        return QG_OK;
    return qg_fail(error, QG_ERROR_DATA, "%s: damaged: sample %lld", set->path, (long long)i);
}

/* The samples that the set has, against their checksum, and what they cannot be if they are ours.
 */
static qg_status check_data(const qg_sample_set *set, const volatile sig_atomic_t *stop,
                            qg_error *error)
{
    uint32_t crc = 0;
    for (int64_t i = 0; i < set->added; i++) {
        crc = add_to_crc(set, i, crc);
        if (stop && *stop) return qg_fail(error, QG_STOPPED, "stopped while reading samples");
    }
    if (crc != set->crc)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: damaged: its samples do not match their checksum; remove it",
                       set->path);
    qg_status status = QG_OK;
    uint8_t *room = malloc(qg_screen_store_room(set->store));
    if (!room) return qg_fail_memory(error, "a screen", qg_screen_store_room(set->store));
    for (int64_t i = 0; i < set->added && !status; i++)
        status = check_sample(set, i, room, error);
    free(room);
    return status;
}

static qg_status open_store(qg_sample_set *set, const samples_header *h, bool writable, int threads,
                            qg_error *error)
{
    set->compressed = h->compressed;
    const qg_screen_plan plan = plan_of(&set->source, set->compressed, threads);
    const qg_status status =
        qg_screen_store_open(file_of(set), &plan, writable, &set->store, error);
    if (!status) use_store(set);
    return status;
}

static qg_status open_complete(qg_sample_set *set, int threads, const volatile sig_atomic_t *stop,
                               qg_error *error)
{
    samples_header h;
    qg_status status = read_header(set->path, true, &h, error);
    if (!status) status = compare(set->path, &h.source, &set->source, error);
    if (!status) status = open_store(set, &h, false, threads, error);
    if (status) return status;
    set->added = set->source.count;
    set->crc = h.data_crc;
    set->named = true;
    status = qg_screen_store_trust(set->store, h.dictionary, 0, set->added, error);
    if (status) return status;
    uint32_t crc;
    qg_screen_store_dictionary(set->store, &crc);
    if (crc != h.dictionary_crc)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: damaged: its dictionary does not match its checksum; remove it",
                       set->path);
    return check_data(set, stop, error);
}

qg_status qg_sample_set_open(const char *path, const qg_sample_source *source, int threads,
                             const volatile sig_atomic_t *stop, qg_sample_set **result,
                             qg_error *error)
{
    qg_sample_set *set = NULL;
    qg_status status = make(path, NULL, source, &set, error);
    if (status) return status;
    status = open_complete(set, threads, stop, error);
    if (status)
        qg_sample_set_close(set);
    else
        *result = set;
    return status;
}

/* -------------------------------------------------------------------------------- going on */

static qg_status reopen(const char *path, const char *temporary, const qg_sample_source *source,
                        int threads, qg_sample_set **result, qg_error *error)
{
    qg_sample_set *set = NULL;
    samples_header h;
    qg_status status = make(path, *temporary ? temporary : NULL, source, &set, error);
    if (status) return status;
    status = read_header(file_of(set), false, &h, error);
    if (!status) status = open_store(set, &h, true, threads, error);
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

/* A run that goes on has to be told where its sample set lies: a checkpoint may lead to no other
 * file. */
static qg_status check_place(const char *temporary, const char *path, bool keep, qg_error *error)
{
    const char *const mark = strstr(temporary, ".tmp-");
    if (mark && !is_temporary(temporary, path, keep))
        return qg_fail(error, QG_ERROR_USAGE,
                       "the run was begun with the sample set %.*s: say so again (`set_file`)",
                       (int)(mark - temporary), temporary);
    if (!*temporary && !keep && access(path, F_OK) != 0)
        return qg_fail(
            error, QG_ERROR_USAGE,
            "%s: is not there; if the run was begun with a sample set of its own, say so "
            "again (`set_file`)",
            path);
    return QG_OK;
}

/* What is known of the samples: of a set that is being written, and of one in `*set` to be filled.
 */
static qg_status pass_samples(qg_sample_set *set, qg_tape *tape, int64_t added, uint32_t crc,
                              const volatile sig_atomic_t *stop, qg_error *error)
{
    qg_status status = qg_screen_store_pass(set->store, tape, 0, added, error);
    if (status || !tape->reading || !tape->good) return status;
    set->added = added;
    set->crc = crc;
    status = check_data(set, stop, error);
    if (!status && added > 0) set->age = set->ages[added - 1];
    return status;
}

/* Instead of a set that was being written the complete one is there. */
static qg_status open_instead(qg_tape *tape, const char *path, const qg_sample_source *source,
                              const qg_sample_form *form, const volatile sig_atomic_t *stop,
                              qg_sample_set **set, qg_error *error)
{
    qg_status status = qg_sample_set_open(path, source, form->threads, stop, set, error);
    if (!status) qg_screen_store_skip(tape); /* its dictionary stands in the file, too */
    return status;
}

qg_status qg_sample_set_pass(qg_tape *tape, const char *path, const qg_sample_source *source,
                             const qg_sample_form *form, const volatile sig_atomic_t *stop,
                             qg_sample_set **set, qg_error *error)
{
    char temporary[4096] = ""; /* stays known when the set is complete: the rename may be lost */
    int64_t added = 0;
    uint32_t crc = 0;
    qg_status status = QG_OK;
    if (!tape->reading) {
        if ((*set)->temporary) snprintf(temporary, sizeof temporary, "%s", (*set)->temporary);
        added = (*set)->added;
        crc = (*set)->crc;
        status = qg_screen_store_sync((*set)->store, error);
    }
    qg_tape_pass_text(tape, temporary, sizeof temporary);
    QG_TAPE_PASS(tape, added);
    QG_TAPE_PASS(tape, crc);
    qg_tape_require(tape,
                    added >= 0 && added <= source->count &&
                        (is_temporary(temporary, path, form->keep) || strstr(temporary, ".tmp-")));
    if (tape->reading && tape->good) status = check_place(temporary, path, form->keep, error);
    if (status || !tape->good) return status;
    if (tape->reading && form->keep && access(path, F_OK) == 0)
        return open_instead(tape, path, source, form, stop, set, error);
    if (tape->reading) status = reopen(path, temporary, source, form->threads, set, error);
    if (!status) status = pass_samples(*set, tape, added, crc, stop, error);
    if (status && tape->reading) {
        qg_sample_set_close(*set);
        *set = NULL;
    }
    return status;
}

/* --------------------------------------------------------------------------------- states */

const float *qg_sample_set_q_values(const qg_sample_set *set, uint32_t sample)
{
    assert(sample < set->source.count);
    return q_values_of(set, sample);
}

static qg_status create_reading(const qg_sample_set *set, size_t screens,
                                struct qg_sample_reading *reading, qg_error *error)
{
    const size_t bytes = set->is_mapped ? 1 : screens * qg_screen_store_room(set->store);
    reading->wanted = calloc(screens, sizeof *reading->wanted);
    reading->room = malloc(bytes);
    return reading->wanted && reading->room ? QG_OK : qg_fail_memory(error, "a minibatch", bytes);
}

qg_status qg_sample_states_create(const qg_sample_set *set, int size, qg_sample_states *states,
                                  qg_error *error)
{
    const size_t count = (size_t)size * (size_t)set->source.history;
    *states = (qg_sample_states){.screens = calloc(count, sizeof *states->screens)};
    qg_status status = states->screens ? create_reading(set, count, &states->now, error)
                                       : qg_fail_memory(error, "a minibatch", count);
    if (!status && qg_screen_store_reads_ahead(set->store))
        status = create_reading(set, count, &states->next, error);
    if (status) {
        qg_sample_states_destroy(states);
        return status;
    }
    states->states = (qg_states){size, set->source.history, set->source.channels, states->screens};
    return QG_OK;
}

void qg_sample_states_destroy(qg_sample_states *states)
{
    free(states->screens);
    free(states->now.wanted);
    free(states->now.room);
    free(states->next.wanted);
    free(states->next.room);
    *states = (qg_sample_states){0};
}

/* The samples whose screens are those of state `sample`, oldest first. */
static void list_state(const qg_sample_set *set, uint32_t sample, int64_t *wanted)
{
    const int history = set->source.history, known = set->ages[sample];
    for (int back = 0; back < history; back++)
        wanted[history - 1 - back] = back > known ? -1 : (int64_t)sample - back;
}

static void begin_reading(qg_sample_set *set, const uint32_t *samples, int count,
                          struct qg_sample_reading *reading)
{
    const int history = set->source.history;
    reading->count = count;
    for (int i = 0; i < count; i++)
        list_state(set, samples[i], reading->wanted + (size_t)i * (size_t)history);
    if (!set->is_mapped)
        qg_screen_store_begin_reading(set->store, reading->wanted, count * history, reading->room);
}

/* Whether they are those that were expected. */
static bool is_expected(const qg_sample_set *set, const uint32_t *samples, int count,
                        const struct qg_sample_reading *next)
{
    const size_t history = (size_t)set->source.history;
    for (int i = 0; i < count; i++)
        if (count != next->count || next->wanted[(size_t)(i + 1) * history - 1] != samples[i])
            return false;
    return count > 0;
}

void qg_sample_set_expect(qg_sample_set *set, const uint32_t *samples, int count,
                          qg_sample_states *states)
{
    if (states->next.wanted) begin_reading(set, samples, count, &states->next);
}

void qg_sample_set_gather(qg_sample_set *set, const uint32_t *samples, int count,
                          qg_sample_states *states)
{
    const size_t screens = (size_t)count * (size_t)set->source.history;
    qg_screen_store_finish_reading(set->store);
    if (is_expected(set, samples, count, &states->next)) {
        const struct qg_sample_reading read = states->next;
        states->next = states->now;
        states->now = read;
    } else {
        begin_reading(set, samples, count, &states->now);
        qg_screen_store_finish_reading(set->store);
    }
    states->next.count = 0;
    states->states.size = count;
    for (size_t i = 0; i < screens; i++) {
        const int64_t entry = states->now.wanted[i];
        uint8_t *room = states->now.room + i * qg_screen_store_room(set->store);
        states->screens[i] = entry < 0        ? NULL
                             : set->is_mapped ? qg_screen_store_get(set->store, entry, NULL)
                                              : room;
    }
}
