#include "agent/screen_store.h"

#include "agent/bits.h"
#include "agent/screen_codec.h"
#include "base/crew.h"
#include "base/file.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    PAGE = 4096,
    SEGMENT = 1 << 18, /* bytes, at least */
    GROW = 16,         /* segments by which a file grows */
    SHARE = 20,        /* of the screens' size is reserved */
    LESSONS = 8192,    /* entries from which the dictionary's samples are taken, at most */
    SAMPLES = 512,     /* of them, at most */
    SAMPLE_BYTES = 1 << 24,
    PIECE = 8, /* screens that a thread reads at once */
    MOST_READERS = 8,
    SIZE_BITS = 24, /* of a place */
};

struct qg_screen_store {
    qg_screen_plan plan;
    char *path;
    int file;
    bool writable;
    size_t pixels;
    size_t stride;            /* bytes of a screen that is no frame */
    size_t screens_at, room;  /* of the part of screens, in the file; its bytes */
    uint8_t *fixed, *screens; /* mapped: what is before it; it */

    /* With frames: */
    uint64_t *places;
    int64_t lessons;   /* entries before the first one that has the dictionary */
    size_t dictionary; /* bytes */
    qg_screen_encoder *encoder;
    qg_screen_decoder *decoder;
    size_t segment;      /* bytes of one */
    int64_t *last;       /* [room / segment]: the newest entry in each; -1: none */
    size_t at, end;      /* where the next frame goes, and where its segment ends */
    size_t written_back; /* frames before it are on their way to the disk */

    qg_crew *crew;         /* NULL: the user reads alone */
    const int64_t *wanted; /* what is being read */
    int wanted_count;
    uint8_t *wanted_room;
};

/* ---------------------------------------------------------------------------------- sizes */

bool qg_screen_plan_has_frames(const qg_screen_plan *plan)
{
    return plan->compressed && plan->shape.max > 1;
}

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static size_t segment_of(const qg_screen_plan *plan)
{
    const size_t pixels = qg_observation_size(&plan->shape);
    return pixels < SEGMENT ? SEGMENT : round_up(pixels, PAGE);
}

static size_t dictionary_room(const qg_screen_plan *plan)
{
    return qg_screen_plan_has_frames(plan) ? QG_DICTIONARY_ROOM : 0;
}

/* Where the part of screens begins. */
static size_t screens_at(const qg_screen_plan *plan)
{
    const size_t index =
        qg_screen_plan_has_frames(plan) ? (size_t)plan->places * sizeof(uint64_t) : 0;
    return round_up(QG_SCREEN_STORE_HEAD + dictionary_room(plan) + plan->columns + index, PAGE);
}

static size_t stride_of(const qg_screen_plan *plan)
{
    const size_t pixels = qg_observation_size(&plan->shape);
    return qg_observation_is_grid(&plan->shape) ? (pixels + 7) / 8 : pixels;
}

/* Bytes of the part of screens that are reserved. */
static size_t reserved(const qg_screen_plan *plan)
{
    const size_t bytes = (size_t)plan->places * stride_of(plan);
    return qg_screen_plan_has_frames(plan) ? round_up(bytes / SHARE + 1, segment_of(plan)) : bytes;
}

size_t qg_screen_store_bytes(const qg_screen_plan *plan)
{
    return screens_at(plan) + reserved(plan);
}

double qg_screen_store_used(const qg_screen_plan *plan, double frame)
{
    return qg_screen_plan_has_frames(plan)
               ? (double)screens_at(plan) + (double)plan->places * frame + (double)segment_of(plan)
               : (double)qg_screen_store_bytes(plan);
}

/* Entries before the first one with a dictionary, all of which are still there then; one at least,
 * which is too few for one. */
static int64_t lessons_of(const qg_screen_plan *plan)
{
    return plan->places / 4 < LESSONS ? plan->places / 4 + 1 : LESSONS;
}

/* ------------------------------------------------------------------------------- the file */

static qg_status fail_room(const qg_screen_store *s, int problem, size_t bytes, qg_error *error)
{
    char text[32];
    errno = problem;
    return qg_fail_errno(error, "%s: %s needs %s on the disk (make room or %s)", s->path,
                         s->plan.what, qg_text_from_bytes((double)bytes, text), s->plan.mend);
}

static qg_status map_part(const qg_screen_store *s, size_t begin, size_t bytes, uint8_t **part,
                          qg_error *error)
{
    const int access = s->writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *map = bytes > 0 ? mmap(NULL, bytes, access, MAP_SHARED, s->file, (off_t)begin) : NULL;
    if (map == MAP_FAILED) return qg_fail_errno(error, "%s: cannot map %s", s->path, s->plan.what);
    *part = map;
    return QG_OK;
}

/* Room for one thing more of each segment, and the maps. */
static qg_status use_file(qg_screen_store *s, qg_error *error)
{
    qg_status status = map_part(s, 0, s->screens_at, &s->fixed, error);
    if (!status) status = map_part(s, s->screens_at, s->room, &s->screens, error);
    if (status || !qg_screen_plan_has_frames(&s->plan)) return status;
    s->places = (uint64_t *)(void *)(qg_screen_store_columns(s) + s->plan.columns);
    const size_t segments = s->room / s->segment;
    s->last = malloc((segments + 1) * sizeof *s->last);
    if (!s->last) return qg_fail_memory(error, s->plan.what, segments * sizeof *s->last);
    for (size_t i = 0; i < segments; i++)
        s->last[i] = -1;
    return QG_OK;
}

static qg_status create_file(qg_screen_store *s, qg_error *error)
{
    s->file = open(s->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (s->file < 0) return qg_fail_errno(error, "%s: cannot create %s", s->path, s->plan.what);
    const size_t bytes = qg_screen_store_bytes(&s->plan);
    s->room = bytes - s->screens_at;
    const bool beyond = qg_screen_plan_has_frames(&s->plan) && s->room >> (64 - SIZE_BITS);
    const int problem = beyond ? EFBIG : qg_file_reserve(s->file, 0, bytes);
    qg_status status = problem ? fail_room(s, problem, bytes, error) : use_file(s, error);
    if (status) unlink(s->path);
    return status;
}

static qg_status open_file(qg_screen_store *s, qg_error *error)
{
    struct stat status;
    s->file = open(s->path, (s->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (s->file < 0) return qg_fail_errno(error, "%s: cannot open %s", s->path, s->plan.what);
    if (fstat(s->file, &status) != 0) return qg_fail_errno(error, "%s: cannot examine", s->path);
    const size_t bytes = (size_t)status.st_size, whole = qg_screen_store_bytes(&s->plan);
    const bool frames = qg_screen_plan_has_frames(&s->plan);
    if (!S_ISREG(status.st_mode) || (frames ? bytes < s->screens_at : bytes != whole))
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: has %zu bytes, should have %s%zu",
                       s->path, bytes, frames ? "at least " : "", frames ? s->screens_at : whole);
    s->room = bytes - s->screens_at;
    if (frames && s->writable) s->room = s->room / s->segment * s->segment;
    return use_file(s, error);
}

/* The file's new bytes are mapped where there is room for all. */
static qg_status grow(qg_screen_store *s, qg_error *error)
{
    const size_t more = GROW * s->segment, room = s->room + more;
    const size_t segments = s->room / s->segment;
    int64_t *last = realloc(s->last, (room / s->segment) * sizeof *last);
    if (!last) return qg_fail_memory(error, s->plan.what, room / s->segment * sizeof *last);
    s->last = last;
    if (room >> (64 - SIZE_BITS)) return fail_room(s, EFBIG, room, error);
    const int problem = qg_file_reserve(s->file, s->screens_at + s->room, more);
    if (problem) return fail_room(s, problem, s->screens_at + room, error);
    qg_screen_store_finish_reading(s);
    uint8_t *screens = NULL;
    qg_status status = QG_OK;
    if (s->room == 0)
        status = map_part(s, s->screens_at, room, &screens, error);
    else if ((screens = mremap(s->screens, s->room, room, MREMAP_MAYMOVE)) == MAP_FAILED)
        status = qg_fail_errno(error, "%s: cannot map %s", s->path, s->plan.what);
    if (status) return status;
    for (size_t i = segments; i < room / s->segment; i++)
        s->last[i] = -1;
    s->screens = screens;
    s->room = room;
    return QG_OK;
}

/* ------------------------------------------------------------------------ open and close */

static qg_status set_dictionary(qg_screen_store *s, const uint8_t *bytes, size_t size,
                                qg_error *error)
{
    const int readers = s->plan.threads < 1              ? 1
                        : s->plan.threads > MOST_READERS ? MOST_READERS
                                                         : s->plan.threads;
    qg_screen_encoder *encoder = NULL;
    qg_screen_decoder *decoder = NULL;
    qg_status status = qg_screen_decoder_create(bytes, size, readers, &decoder, error);
    if (status == QG_ERROR_DATA)
        status = qg_fail(error, status, "%s: damaged: its dictionary is none", s->path);
    if (!status && s->writable)
        status = qg_screen_encoder_create(bytes, size, s->pixels, &encoder, error);
    if (!status && readers > 1 && !s->crew) status = qg_crew_create(readers, &s->crew, error);
    if (status) {
        qg_screen_encoder_free(encoder);
        qg_screen_decoder_free(decoder);
        return status;
    }
    qg_screen_store_finish_reading(s);
    qg_screen_encoder_free(s->encoder);
    qg_screen_decoder_free(s->decoder);
    s->encoder = encoder;
    s->decoder = decoder;
    s->dictionary = size;
    uint8_t *const own = s->fixed + QG_SCREEN_STORE_HEAD;
    if (s->writable && size > 0 && bytes != own) memcpy(own, bytes, size);
    return QG_OK;
}

static qg_status make(const char *path, const qg_screen_plan *plan, bool new, bool writable,
                      qg_screen_store **result, qg_error *error)
{
    qg_screen_store *s = calloc(1, sizeof *s);
    if (!s) return qg_fail_memory(error, plan->what, sizeof *s);
    s->file = -1;
    s->plan = *plan;
    s->writable = writable;
    s->pixels = qg_observation_size(&plan->shape);
    s->stride = stride_of(plan);
    s->segment = segment_of(plan);
    s->screens_at = screens_at(plan);
    s->lessons = lessons_of(plan);
    s->path = strdup(path);
    qg_status status = s->path ? QG_OK : qg_fail_memory(error, plan->what, strlen(path));
    if (!status) status = new ? create_file(s, error) : open_file(s, error);
    if (!status && qg_screen_plan_has_frames(plan)) {
        status = set_dictionary(s, NULL, 0, error);
        if (status && new) unlink(path);
    }
    if (status)
        qg_screen_store_close(s);
    else
        *result = s;
    return status;
}

qg_status qg_screen_store_create(const char *path, const qg_screen_plan *plan,
                                 qg_screen_store **store, qg_error *error)
{
    return make(path, plan, true, true, store, error);
}

qg_status qg_screen_store_open(const char *path, const qg_screen_plan *plan, bool writable,
                               qg_screen_store **store, qg_error *error)
{
    return make(path, plan, false, writable, store, error);
}

void qg_screen_store_close(qg_screen_store *s)
{
    if (!s) return;
    qg_crew_destroy(s->crew);
    qg_screen_encoder_free(s->encoder);
    qg_screen_decoder_free(s->decoder);
    if (s->fixed) munmap(s->fixed, s->screens_at);
    if (s->screens) munmap(s->screens, s->room);
    if (s->file >= 0) close(s->file);
    free(s->last);
    free(s->path);
    free(s);
}

uint8_t *qg_screen_store_head(const qg_screen_store *s)
{
    return s->fixed;
}

uint8_t *qg_screen_store_columns(const qg_screen_store *s)
{
    return s->fixed + QG_SCREEN_STORE_HEAD + dictionary_room(&s->plan);
}

size_t qg_screen_store_dictionary(const qg_screen_store *s, uint32_t *crc)
{
    *crc = (uint32_t)crc32_z(0, s->fixed + QG_SCREEN_STORE_HEAD, s->dictionary);
    return s->dictionary;
}

size_t qg_screen_store_growth(const qg_screen_store *s)
{
    return s->room > reserved(&s->plan) ? s->room - reserved(&s->plan) : 0;
}

/* -------------------------------------------------------------------------------- entries */

static size_t slot(const qg_screen_store *s, int64_t entry)
{
    return (size_t)(entry % s->plan.places);
}

/* Where an entry is stored, and how many bytes. */
static uint8_t *find(const qg_screen_store *s, int64_t entry, size_t *size)
{
    if (!s->places) {
        *size = s->stride;
        return s->screens + slot(s, entry) * s->stride;
    }
    const uint64_t place = s->places[slot(s, entry)];
    *size = place & ((UINT64_C(1) << SIZE_BITS) - 1);
    return s->screens + (place >> SIZE_BITS);
}

/* Whether its place lies in a segment. */
static bool is_possible(const qg_screen_store *s, int64_t entry)
{
    const uint64_t place = s->places[slot(s, entry)], offset = place >> SIZE_BITS;
    const size_t size = place & ((UINT64_C(1) << SIZE_BITS) - 1);
    return size > 0 && size <= s->pixels && offset < s->room && size <= s->room - offset &&
           offset % s->segment + size <= s->segment;
}

size_t qg_screen_store_entry_bytes(const qg_screen_store *s, int64_t entry)
{
    size_t size;
    find(s, entry, &size);
    return size;
}

uint32_t qg_screen_store_crc(const qg_screen_store *s, int64_t entry, uint32_t crc)
{
    size_t size;
    const uint8_t *stored = find(s, entry, &size);
    return (uint32_t)crc32_z(crc, stored, size);
}

/* --------------------------------------------------------------------------------- adding */

/* Samples of the first entries, evenly. */
static qg_status train(qg_screen_store *s, qg_error *error)
{
    int64_t every = (s->lessons + SAMPLES - 1) / SAMPLES;
    const int64_t fit = SAMPLE_BYTES / (int64_t)s->pixels;
    while (s->lessons / every > (fit > 0 ? fit : 1))
        every++;
    const int count = (int)(s->lessons / every);
    uint8_t *samples = malloc((size_t)count * s->pixels + QG_DICTIONARY_ROOM);
    if (!samples) return qg_fail_memory(error, "a dictionary", (size_t)count * s->pixels);
    uint8_t *dictionary = samples + (size_t)count * s->pixels;
    for (int i = 0; i < count; i++)
        qg_screen_store_get(s, i * every, samples + (size_t)i * s->pixels);
    size_t size;
    qg_status status = qg_dictionary_train(samples, count, s->pixels, dictionary, &size, error);
    if (!status) status = set_dictionary(s, dictionary, size, error);
    free(samples);
    return status;
}

/* The segment for a frame of `entry`: one of which all has been overwritten, or a new one. */
static qg_status next_segment(qg_screen_store *s, int64_t entry, qg_error *error)
{
    size_t oldest = 0;
    const size_t segments = s->room / s->segment;
    for (size_t i = 1; i < segments; i++)
        if (s->last[i] < s->last[oldest]) oldest = i;
    if (segments == 0 || (s->last[oldest] >= 0 && s->last[oldest] > entry - s->plan.places)) {
        oldest = segments;
        const qg_status status = grow(s, error);
        if (status) return status;
    }
    qg_screen_store_write_back(s);
    s->at = s->written_back = oldest * s->segment;
    s->end = s->at + s->segment;
    return QG_OK;
}

static qg_status add_frame(qg_screen_store *s, int64_t entry, const uint8_t *screen,
                           qg_error *error)
{
    qg_status status = QG_OK;
    const uint8_t *frame = NULL;
    size_t size = 0;
    if (entry == s->lessons && s->dictionary == 0) status = train(s, error);
    if (!status) status = qg_screen_encode(s->encoder, screen, &frame, &size, error);
    if (!status && size > s->end - s->at) status = next_segment(s, entry, error);
    if (status) return status;
    memcpy(s->screens + s->at, frame, size);
    s->places[slot(s, entry)] = (uint64_t)s->at << SIZE_BITS | size;
    s->last[s->at / s->segment] = entry;
    s->at += size;
    return QG_OK;
}

qg_status qg_screen_store_add(qg_screen_store *s, int64_t entry, const uint8_t *screen,
                              qg_error *error)
{
    if (s->places) return add_frame(s, entry, screen, error);
    uint8_t *to = s->screens + slot(s, entry) * s->stride;
    if (qg_observation_is_grid(&s->plan.shape))
        qg_bits_pack(screen, s->pixels, to);
    else
        memcpy(to, screen, s->pixels);
    s->at = slot(s, entry) * s->stride + s->stride;
    if (s->at == s->stride) s->written_back = 0; /* the ring has come round */
    return QG_OK;
}

void qg_screen_store_write_back(qg_screen_store *s)
{
    if (s->at > s->written_back)
        sync_file_range(s->file, (off_t)(s->screens_at + s->written_back),
                        (off_t)(s->at - s->written_back), SYNC_FILE_RANGE_WRITE);
    s->written_back = s->at;
}

qg_status qg_screen_store_sync(qg_screen_store *s, qg_error *error)
{
    if (qg_file_sync(s->file, false) != 0)
        return qg_fail_errno(error, "%s: cannot write %s", s->path, s->plan.what);
    return QG_OK;
}

qg_status qg_screen_store_trim(qg_screen_store *s, qg_error *error)
{
    if (!s->places) return QG_OK;
    size_t used = s->room / s->segment;
    while (used > 0 && s->last[used - 1] < 0)
        used--;
    if (ftruncate(s->file, (off_t)(s->screens_at + used * s->segment)) != 0)
        return qg_fail_errno(error, "%s: cannot write %s", s->path, s->plan.what);
    return QG_OK;
}

/* -------------------------------------------------------------------------------- going on */

/* What lies in the segments, and where the next frame goes. Entries before `first` are needed by
 * an older checkpoint at most, and may have been overwritten by a run that came further. */
static qg_status restore(qg_screen_store *s, int64_t first, int64_t count, qg_error *error)
{
    if (!s->places) return QG_OK;
    const size_t segments = s->room / s->segment;
    s->at = s->end = s->written_back = 0;
    for (size_t i = 0; i < segments; i++)
        s->last[i] = -1;
    for (int64_t entry = count > s->plan.places ? count - s->plan.places : 0; entry < count;
         entry++) {
        if (!is_possible(s, entry)) {
            if (entry < first) continue;
            return qg_fail(error, QG_ERROR_DATA, "%s: damaged: entry %lld lies nowhere in it",
                           s->path, (long long)entry);
        }
        size_t size;
        const size_t offset = (size_t)(find(s, entry, &size) - s->screens);
        if (entry >= first && offset / s->segment < segments) s->last[offset / s->segment] = entry;
        s->at = s->written_back = offset + size;
        s->end = offset / s->segment * s->segment + s->segment;
    }
    return QG_OK;
}

/* The segments as they were at the checkpoint, [bytes / 8] of which entry each had got last: from
 * the entries alone it cannot be told which were used before, and the next frame would lie
 * elsewhere than without the interruption. */
static qg_status take_segments(qg_screen_store *s, const uint8_t *saved, size_t bytes,
                               int64_t count, qg_error *error)
{
    const size_t segments = bytes / sizeof *s->last, there = s->room / s->segment;
    /* Frames lie in one segment each, and fill few of them well if they are large. */
    const size_t most = (size_t)s->plan.places + reserved(&s->plan) / s->segment;
    bool good = bytes % sizeof *s->last == 0 && (segments <= there || segments <= most + 2 * GROW);
    for (size_t i = 0; (i < there || i < segments) && good; i++) {
        int64_t entry = -1;
        if (i < segments) memcpy(&entry, saved + i * sizeof entry, sizeof entry);
        /* No entry that is there is written over, and what is not there was never used. */
        good = i < there ? entry >= s->last[i] && entry < count : entry == -1;
        if (i < there) s->last[i] = entry;
    }
    if (!good) return qg_fail(error, QG_ERROR_DATA, "%s: damaged: its segments", s->path);
    while (s->room / s->segment < segments) { /* they were cut off at the end of the run */
        const qg_status status = grow(s, error);
        if (status) return status;
    }
    const size_t room = segments * s->segment;
    if (s->room > room)
        munmap(s->screens + room, s->room - room); /* as long as the file was then */
    if (room == 0) s->screens = NULL;
    s->room = room;
    return QG_OK;
}

qg_status qg_screen_store_pass(qg_screen_store *s, qg_tape *tape, int64_t first, int64_t count,
                               qg_error *error)
{
    size_t size = s->dictionary, bytes = s->places ? s->room / s->segment * sizeof *s->last : 0;
    const uint8_t *dictionary = qg_tape_pass_blob(tape, s->fixed + QG_SCREEN_STORE_HEAD, &size);
    const uint8_t *segments = qg_tape_pass_blob(tape, (const uint8_t *)s->last, &bytes);
    qg_tape_require(tape, size <= dictionary_room(&s->plan));
    if (!tape->reading || !tape->good || !s->places) return QG_OK;
    qg_status status = set_dictionary(s, dictionary, size, error);
    if (!status) status = restore(s, first, count, error);
    return status ? status : take_segments(s, segments, bytes, count, error);
}

void qg_screen_store_skip(qg_tape *tape)
{
    size_t size = 0;
    qg_tape_pass_blob(tape, NULL, &size);
    qg_tape_pass_blob(tape, NULL, &size);
}

qg_status qg_screen_store_trust(qg_screen_store *s, size_t dictionary, int64_t first, int64_t count,
                                qg_error *error)
{
    if (dictionary > dictionary_room(&s->plan))
        return qg_fail(error, QG_ERROR_DATA, "%s: damaged: a dictionary of %zu bytes", s->path,
                       dictionary);
    qg_status status = QG_OK;
    if (s->places) status = set_dictionary(s, s->fixed + QG_SCREEN_STORE_HEAD, dictionary, error);
    return status ? status : restore(s, first, count, error);
}

/* -------------------------------------------------------------------------------- reading */

size_t qg_screen_store_room(const qg_screen_store *s)
{
    return s->pixels + 8; /* a lookup of 8 bits writes whole groups of 8 */
}

static const uint8_t *get(const qg_screen_store *s, int thread, int64_t entry, uint8_t *room)
{
    size_t size;
    const uint8_t *stored = find(s, entry, &size);
    if (s->places)
        return qg_screen_decode(s->decoder, thread, entry < s->lessons, stored, size, room,
                                s->pixels)
                   ? room
                   : NULL;
    if (!qg_observation_is_grid(&s->plan.shape)) return stored;
    qg_bits_unpack(stored, s->pixels, room);
    return room;
}

const uint8_t *qg_screen_store_get(const qg_screen_store *s, int64_t entry, uint8_t *room)
{
    return get(s, 0, entry, room);
}

/* The frames of a piece come from all over the memory: they are asked for before the first is
 * decoded. */
static void read_piece(void *context, int thread, int piece)
{
    qg_screen_store *s = context;
    const int begin = piece * PIECE;
    const int end = begin + PIECE < s->wanted_count ? begin + PIECE : s->wanted_count;
    for (int i = begin; i < end && s->places; i++) {
        if (s->wanted[i] < 0) continue;
        size_t size;
        const uint8_t *stored = find(s, s->wanted[i], &size);
        for (size_t at = 0; at < size && at < 512; at += 64)
            __builtin_prefetch(stored + at);
    }
    for (int i = begin; i < end; i++) {
        if (s->wanted[i] < 0) continue;
        const uint8_t *screen =
            get(s, thread, s->wanted[i], s->wanted_room + (size_t)i * qg_screen_store_room(s));
        assert(screen);
        (void)screen;
    }
}

void qg_screen_store_begin_reading(qg_screen_store *s, const int64_t *entries, int count,
                                   uint8_t *room)
{
    const int pieces = (count + PIECE - 1) / PIECE;
    s->wanted = entries;
    s->wanted_count = count;
    s->wanted_room = room;
    if (s->crew)
        qg_crew_begin(s->crew, read_piece, s, pieces);
    else
        for (int piece = 0; piece < pieces; piece++)
            read_piece(s, 0, piece);
}

void qg_screen_store_finish_reading(qg_screen_store *s)
{
    if (s->crew) qg_crew_finish(s->crew);
}

bool qg_screen_store_reads_ahead(const qg_screen_store *s)
{
    return s->crew;
}
