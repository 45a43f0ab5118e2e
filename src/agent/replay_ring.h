/* The file of a replay memory: a ring of entries in a screen store, and blocks of them with
 * checksums, which a checkpoint holds.
 *
 * Entry i holds screen i, how screen i ended its episode, and (once known) the action taken on it
 * and the reward that followed. Entries are numbered from the beginning of the run, never reused.
 * The store's columns hold rewards f32, actions u8 and ends u8, entry i at i % places, then the
 * checksums of the blocks u32, block b at b % (places / QG_REPLAY_BLOCK), as a finished file has
 * them.
 *
 * The ring is larger than the memory by a slack, so that a run that goes back to a checkpoint still
 * finds what the memory held then. Blocks of entries are started to be written to the disk when
 * they are complete. */
#ifndef QG_REPLAY_RING_H
#define QG_REPLAY_RING_H

#include <qgraft/domain.h>
#include <qgraft/settings.h>

#include "agent/screen_store.h"
#include "agent/tape.h"

#include <signal.h>

enum { QG_REPLAY_BLOCK = 256 }; /* entries with one checksum */

/* What a ring is made for. */
typedef struct qg_replay_plan {
    int64_t capacity; /* entries that the memory holds */
    int64_t slack;    /* entries that may be added until those before them are overwritten */
    int history;      /* screens per state, less than `capacity` */
    int n_step;       /* steps of a transition (of what is drawn; in no file); 0: one */
    double discount;  /* of a step's reward behind the first */
    bool prioritised; /* can transitions be drawn by priority, of alpha and epsilon? In no file */
    double alpha, epsilon;
    qg_observation_shape shape;
    bool compressed; /* screens of bytes: no result depends on it */
    int threads;     /* that decompress; 0: one */
} qg_replay_plan;

/* The ring of a training of `steps` steps, compressed: the memory of the settings, with a slack of
 * an eighth of it, at least 16 MB of screens, into which two checkpoints fit, so that the older one
 * of the two can be gone back to. What a short run never fills is left out. */
qg_replay_plan qg_replay_plan_for(const qg_settings *settings, int64_t steps,
                                  const qg_observation_shape *shape);

size_t qg_replay_bytes(const qg_replay_plan *plan); /* of the file as it is made */

/* What of the file is used when compressed screens have `frame` bytes in the mean. */
double qg_replay_used(const qg_replay_plan *plan, double frame);

/* What a screen is to its episode. */
typedef enum qg_replay_end {
    QG_REPLAY_GOES_ON,   /* an action follows */
    QG_REPLAY_TERMINAL,  /* the last one: nothing can be gained any more */
    QG_REPLAY_TRUNCATED, /* the last one that was played: its state still has a value */
} qg_replay_end;

/* A ring; to be read, not written, by its user. */
typedef struct qg_replay_ring {
    char *path;
    qg_replay_plan plan;
    qg_screen_store *store;
    int64_t places;   /* capacity, slack, one block more; whole blocks */
    int64_t count;    /* entries added in all */
    int64_t sealed;   /* entries in the checksums */
    uint32_t *crcs;   /* [places / QG_REPLAY_BLOCK] */
    float *rewards;   /* [places], in the store's columns as all that follow */
    uint8_t *actions; /* [places] */
    uint8_t *ends;    /* [places], of qg_replay_end */
} qg_replay_ring;

/* A ring in the new file `path`, whose space is reserved on the disk at once. */
qg_status qg_replay_ring_create(const char *path, const qg_replay_plan *plan, qg_replay_ring **ring,
                                qg_error *error);

/* The ring in a file that an earlier process left, made by the same plan, compressed or not as it
 * is; empty until qg_replay_ring_pass restores it. QG_ERROR_DATA: it is another file. */
qg_status qg_replay_ring_open(const char *path, const qg_replay_plan *plan, qg_replay_ring **ring,
                              qg_error *error);

void qg_replay_ring_close(qg_replay_ring *ring); /* the file stays; NULL is allowed */

/* As qg_replay_add_screen, qg_replay_set_action, qg_replay_pass (replay.h). */
qg_status qg_replay_ring_add(qg_replay_ring *ring, const uint8_t *screen, qg_replay_end end,
                             qg_error *error);
void qg_replay_ring_set_action(qg_replay_ring *ring, int action, float reward);
qg_status qg_replay_ring_pass(qg_replay_ring *ring, qg_tape *tape, int64_t count, int actions,
                              const volatile sig_atomic_t *stop, qg_error *error);

int64_t qg_replay_ring_oldest(const qg_replay_ring *ring); /* entry in the memory */
size_t qg_replay_ring_slot(const qg_replay_ring *ring, int64_t entry);

/* Mean bytes of a stored screen, of those in the memory. */
double qg_replay_ring_screen_bytes(const qg_replay_ring *ring);

/* ---- A file that is kept as a data set ---- */

enum { QG_REPLAY_ABOUT = 2048 };

/* Finishes the file: head and checksums are written, so that it can be read without a checkpoint;
 * nothing can be added any more. `about`: lines "key: value", less than QG_REPLAY_ABOUT bytes. */
qg_status qg_replay_ring_finish(qg_replay_ring *ring, const char *about, qg_error *error);

/* Opens a finished file for reading, and its lines; every entry is checked. QG_ERROR_DATA: it is
 * none, of a run that has not ended, cut off or damaged; QG_STOPPED when `stop` becomes non-zero.
 */
qg_status qg_replay_ring_read(const char *path, const volatile sig_atomic_t *stop,
                              qg_replay_ring **ring, char about[QG_REPLAY_ABOUT], qg_error *error);

#endif
