/* A sample set: the states that a teacher saw, with its Q-values, in the file of a screen store
 * (screen_store.h), in the order of the play.
 *
 * The head holds what the set was made of. The columns are the Q-values, f32 [count][actions], and
 * the age of each sample, u8 [count]: the number of screens of the same episode before it, at most
 * history - 1. Every screen is stored once: a state is the screen of its sample and those of the
 * samples before it. */
#ifndef QG_SAMPLE_SET_H
#define QG_SAMPLE_SET_H

#include <qgraft/domain.h>
#include <qgraft/engine.h>

#include "agent/tape.h"

#include <signal.h>

/* What determines a set, byte for byte; it stands in the file and is compared before a set is used
 * again. Unused bytes of the strings are zeros. */
typedef struct qg_sample_source {
    char teacher[72]; /* qg_network_sha256 of it: the same for every file that holds it */
    char domain[96];
    char precision[16]; /* decides the last bits of the Q-values */
    uint64_t seed;
    int64_t count; /* samples */
    double epsilon, sticky;
    int64_t max_episode_frames; /* as in qg_domain_options */
    int32_t frame_skip, noop_max;
    int32_t history, actions;
    int32_t height, width, channels, max; /* of a screen */
} qg_sample_source;

typedef struct qg_sample_set qg_sample_set;

/* What no result depends on. */
typedef struct qg_sample_form {
    bool keep;       /* the file stays, to be used again */
    bool compressed; /* screens of bytes */
    int threads;     /* that decompress; 0: one */
} qg_sample_form;

/* Bytes of the file as it is made; where screens shrink less than is reserved for, it grows. */
size_t qg_sample_set_bytes(const qg_sample_source *source, bool compressed);

/* What of a compressed set is used when its screens have `frame` bytes in the mean. */
double qg_sample_set_used(const qg_sample_source *source, double frame);

/* QG_ERROR_IO when the disk that holds `path`, or would hold it, has less room than `bytes`. */
qg_status qg_sample_set_check_room(const char *path, size_t bytes, qg_error *error);

/* Begins a set of source->count samples; its space is reserved at once. One to be kept is
 * PATH.tmp-PID until qg_sample_set_finish. */
qg_status qg_sample_set_create(const char *path, const qg_sample_source *source,
                               const qg_sample_form *form, qg_sample_set **set, qg_error *error);

/* Passes a set over a checkpoint's tape. Writing waits until its samples are on the disk. Reading
 * opens it: the complete one at `path`, else the file that was being written, with the samples that
 * it had, compressed or not as it is; QG_ERROR_DATA when they do not match their checksum.
 * Otherwise as qg_sample_set_open. */
qg_status qg_sample_set_pass(qg_tape *tape, const char *path, const qg_sample_source *source,
                             const qg_sample_form *form, const volatile sig_atomic_t *stop,
                             qg_sample_set **set, qg_error *error);

int64_t qg_sample_set_added(const qg_sample_set *set); /* samples that it has */

/* Appends a sample: screen u8 [height][width][channels], q_values [actions]; `first`: of an
 * episode. QG_ERROR_IO: the file has to grow, and the disk is full; QG_ERROR_MEMORY. */
qg_status qg_sample_set_add(qg_sample_set *set, const uint8_t *screen, bool first,
                            const float *q_values, qg_error *error);

/* The set is complete: gives a kept one its header and its name. */
qg_status qg_sample_set_finish(qg_sample_set *set, qg_error *error);

/* Opens a kept set. QG_ERROR_USAGE when it was made of something else than `source` (the message
 * names the first difference), QG_ERROR_DATA when it is not a sample set, cut off or damaged: every
 * byte is checked. QG_STOPPED when `stop` (may be NULL) becomes non-zero. */
qg_status qg_sample_set_open(const char *path, const qg_sample_source *source, int threads,
                             const volatile sig_atomic_t *stop, qg_sample_set **set,
                             qg_error *error);

/* Releases it; the file stays. NULL is allowed. */
void qg_sample_set_close(qg_sample_set *set);

/* Removes the file, too, unless it is to be kept and finished. NULL is allowed. */
void qg_sample_set_discard(qg_sample_set *set);

const float *qg_sample_set_q_values(const qg_sample_set *set, uint32_t sample); /* [actions] */

/* Room for states outside the set. */
typedef struct qg_sample_states {
    qg_states states;        /* what an engine takes; points into the set and into the below */
    const uint8_t **screens; /* [size][history] */
    struct qg_sample_reading {
        int count;       /* states; of those that come next: 0 where none are expected */
        int64_t *wanted; /* [size][history]: samples whose screens they are; -1: zeros */
        uint8_t *room;   /* the same as bytes, where the file has them otherwise */
    } now, next;
} qg_sample_states;

qg_status qg_sample_states_create(const qg_sample_set *set, int size, qg_sample_states *states,
                                  qg_error *error);
void qg_sample_states_destroy(qg_sample_states *states);

/* Fills states->states with `count` samples, at most `size` of them. */
void qg_sample_set_gather(qg_sample_set *set, const uint32_t *samples, int count,
                          qg_sample_states *states);

/* Says which samples will be gathered next: with several threads others read them meanwhile. */
void qg_sample_set_expect(qg_sample_set *set, const uint32_t *samples, int count,
                          qg_sample_states *states);

#endif
