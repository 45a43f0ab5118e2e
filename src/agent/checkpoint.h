/* Checkpoints: the two files checkpoint-A and checkpoint-B of a run folder, written in turns.
 *
 * Each is a header of 48 bytes (magic, format version, byte order, step, size and CRC-32 of the
 * rest, CRC-32 of the header) and a tape. A new one is written beside the older of the two, synced
 * and renamed over it, so that the last one is there whatever happens. Parameters are in PyTorch's
 * layout and every instruction set gives the same bits, so a checkpoint belongs to none. */
#ifndef QG_CHECKPOINT_H
#define QG_CHECKPOINT_H

#include <qgraft/domain.h>
#include <qgraft/engine.h>

#include "agent/tape.h"
#include "base/random.h"

enum { QG_CHECKPOINTS = 2 };

typedef struct qg_checkpoints {
    const char *folder;
    int next; /* the file that is written next: 0 is A, 1 is B */
} qg_checkpoints;

/* Steps of the checkpoints in `folder`, -1 where there is none, by their headers alone; returns the
 * newest step. */
int64_t qg_checkpoints_look(const char *folder, int64_t steps[QG_CHECKPOINTS]);

/* There is certainly none; false, too, where that cannot be told. */
bool qg_checkpoints_absent(const char *folder);

/* Writes the tape. QG_ERROR_MEMORY when it failed, QG_ERROR_IO. */
qg_status qg_checkpoint_write(qg_checkpoints *checkpoints, const qg_tape *tape, int64_t step,
                              qg_error *error);

/* Restores the state that a tape holds into what `context` is. */
typedef qg_status qg_checkpoint_restore(void *context, qg_tape *tape, qg_error *error);

/* Restores from the newest checkpoint, from the other one where that is damaged (QG_ERROR_DATA or
 * QG_ERROR_IO); then `warning` says so in one line, else it is empty. *found: there was one. */
qg_status qg_checkpoints_resume(qg_checkpoints *checkpoints, qg_checkpoint_restore *restore,
                                void *context, bool *found, char *warning, size_t warning_size,
                                qg_error *error);

/* Parts of a state: a random stream; all that an engine says it holds. `room` has the engine's
 * architecture; its parameters are overwritten. QG_ERROR_DATA: the tape is of another precision. */
void qg_tape_pass_random(qg_tape *tape, qg_random *random);
qg_status qg_tape_pass_engine(qg_tape *tape, qg_engine *engine, qg_network *room, qg_error *error);

/* QG_ERROR_USAGE: the domain cannot be saved. */
qg_status qg_tape_pass_domain(qg_tape *tape, qg_domain *domain, qg_error *error);

#endif
