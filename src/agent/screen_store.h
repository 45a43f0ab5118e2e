/* A store of screens in a memory-mapped file: the replay memory and the sample sets lie in one.
 * Vectors of floats are screens too.
 *
 * Entry i is screen i of a play, kept until entry i + places is added. Screens of bytes are zstd
 * frames, each readable alone, with a dictionary that is trained on the store's first screens; one
 * that does not shrink is kept as it is. Grids are bits.
 *
 * The file, each part at a multiple of 4096 bytes:
 *   head        4096 bytes, the user's
 *   dictionary  QG_DICTIONARY_ROOM bytes; only with frames
 *   columns     the user's, then, only with frames, the place of entry i at i % places: u64, the
 *               offset in the part below << 24 | the size of the frame
 *   screens     frames, or screen i at i % places. Frames lie in segments, in which they follow
 * each other; a segment is used again when all that lies in it has been overwritten. Where none is,
 * the file grows. */
#ifndef QG_SCREEN_STORE_H
#define QG_SCREEN_STORE_H

#include <qgraft/domain.h>

#include "agent/tape.h"

enum { QG_SCREEN_STORE_HEAD = 4096 };

typedef struct qg_screen_store qg_screen_store;

typedef struct qg_screen_plan {
    const char *what; /* the file is to its user, for messages: "the replay memory" */
    const char *mend; /* what makes it smaller: "set a smaller 'replay'" */
    qg_observation_shape shape;
    bool compressed; /* as frames, where screens are bytes */
    int64_t places;
    size_t columns; /* bytes of the user's, a multiple of 8 */
    int threads;    /* that decode; 0: one */
} qg_screen_plan;

/* Whether the screens are frames. */
bool qg_screen_plan_has_frames(const qg_screen_plan *plan);

/* Bytes of the file as it is made: with frames, with room for those of a 20th of the screens'
 * size. */
size_t qg_screen_store_bytes(const qg_screen_plan *plan);

/* The same with frames of `frame` bytes in the mean: what of it is used. */
double qg_screen_store_used(const qg_screen_plan *plan, double frame);

/* A store in the new file `path`, whose space is reserved on the disk at once: a disk that is too
 * small is an error here and not a crash later. */
qg_status qg_screen_store_create(const char *path, const qg_screen_plan *plan,
                                 qg_screen_store **store, qg_error *error);

/* The store in a file that is there; nothing can be read before qg_screen_store_pass or
 * qg_screen_store_trust. QG_ERROR_DATA when it has not the size of one. */
qg_status qg_screen_store_open(const char *path, const qg_screen_plan *plan, bool writable,
                               qg_screen_store **store, qg_error *error);

/* Closes it; the file stays. NULL is allowed. */
void qg_screen_store_close(qg_screen_store *store);

uint8_t *qg_screen_store_head(const qg_screen_store *store);
uint8_t *qg_screen_store_columns(const qg_screen_store *store);

/* Adds entry `entry`, the one after that added last. QG_ERROR_IO: the file cannot grow;
 * QG_ERROR_MEMORY; it can be tried again. */
qg_status qg_screen_store_add(qg_screen_store *store, int64_t entry, const uint8_t *screen,
                              qg_error *error);

/* Starts what was added since the last call on its way to the disk. */
void qg_screen_store_write_back(qg_screen_store *store);

/* Waits until all is on the disk. */
qg_status qg_screen_store_sync(qg_screen_store *store, qg_error *error);

/* Cuts off what behind the screens was never used. */
qg_status qg_screen_store_trim(qg_screen_store *store, qg_error *error);

/* Bytes of the file by which it grew beyond what was reserved. */
size_t qg_screen_store_growth(const qg_screen_store *store);

/* Passes what a checkpoint knows of it: the dictionary, and where the next frames go. Reading: the
 * entries before `count` have been added, of which those from `first` on must be there.
 * QG_ERROR_DATA: they cannot be. */
qg_status qg_screen_store_pass(qg_screen_store *store, qg_tape *tape, int64_t first, int64_t count,
                               qg_error *error);

void qg_screen_store_skip(qg_tape *tape); /* reads past it */

/* The same with the dictionary that stands in the file, of `dictionary` bytes. */
qg_status qg_screen_store_trust(qg_screen_store *store, size_t dictionary, int64_t first,
                                int64_t count, qg_error *error);

/* Bytes of the dictionary, 0: none so far; *crc: its CRC-32 as it stands in the file. */
size_t qg_screen_store_dictionary(const qg_screen_store *store, uint32_t *crc);

/* Continues a CRC-32 with what is stored of an entry. */
uint32_t qg_screen_store_crc(const qg_screen_store *store, int64_t entry, uint32_t crc);

/* Bytes that are stored of it. */
size_t qg_screen_store_entry_bytes(const qg_screen_store *store, int64_t entry);

/* Bytes that a user's room for a screen needs. */
size_t qg_screen_store_room(const qg_screen_store *store);

/* Screen `entry`, u8 [height][width][channels]: in `room`, or, of bytes that are not frames, in the
 * file until it is overwritten. NULL: a frame is none, which an entry that was added is never. */
const uint8_t *qg_screen_store_get(const qg_screen_store *store, int64_t entry, uint8_t *room);

/* Reads screens to `room`, u8 [count][qg_screen_store_room]; -1 among the entries: none. With
 * several threads others do it, until qg_screen_store_finish_reading. Both lists stay as they are
 * meanwhile. The entries are there (checked, or added), and stay there. */
void qg_screen_store_begin_reading(qg_screen_store *store, const int64_t *entries, int count,
                                   uint8_t *room);
void qg_screen_store_finish_reading(qg_screen_store *store);
bool qg_screen_store_reads_ahead(const qg_screen_store *store); /* whether others do it */

#endif
