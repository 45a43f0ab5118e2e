/* The replay memory: the newest screens of a play (replay_ring.h), and the minibatches that are
 * drawn from them.
 *
 * A state is the last `history` screens up to one; screens at or before an earlier end are zeros.
 * Transition i goes from state i to state i + 1; with n steps to state i + n or, where one comes
 * before, to the end, with the discounted sum of the rewards on the way. */
#ifndef QG_REPLAY_H
#define QG_REPLAY_H

#include "agent/minibatch.h"
#include "agent/replay_ring.h"
#include "base/random.h"

typedef struct qg_replay qg_replay;

/* A ring in the new file `path`, whose space is reserved on the disk at once: a disk that is too
 * small is an error here and not a crash later. Where screens shrink less than is reserved for, the
 * file grows. */
qg_status qg_replay_create(const char *path, const qg_replay_plan *plan, qg_replay **replay,
                           qg_error *error);

/* The ring in a file that an earlier process left, made by the same plan; empty until
 * qg_replay_pass restores it. QG_ERROR_DATA: it is another file. */
qg_status qg_replay_open(const char *path, const qg_replay_plan *plan, qg_replay **replay,
                         qg_error *error);

/* Closes it; the file stays. NULL is allowed. */
void qg_replay_close(qg_replay *replay);

/* Removes the file too. NULL is allowed. */
void qg_replay_destroy(qg_replay *replay);

/* Waits until all entries are on the disk: a short rest, as complete blocks are on their way. */
qg_status qg_replay_sync(qg_replay *replay, qg_error *error);

/* Passes what a checkpoint knows of the ring: checksums of the blocks of the `count` entries that
 * are in the memory. The newest entry's action is known. Reading: compares them with the file,
 * QG_ERROR_DATA when a block differs or holds an action that is none of `actions`; QG_STOPPED when
 * `stop` (may be NULL) becomes non-zero. */
qg_status qg_replay_pass(qg_replay *replay, qg_tape *tape, int64_t count, int actions,
                         const volatile sig_atomic_t *stop, qg_error *error);

/* Appends a screen; the oldest is overwritten when the ring is full. Behind an end comes the first
 * screen of an episode. QG_ERROR_IO: the file has to grow, and the disk is full; QG_ERROR_MEMORY.
 */
qg_status qg_replay_add_screen(qg_replay *replay, const uint8_t *screen, qg_replay_end end,
                               qg_error *error);

const qg_replay_ring *qg_replay_file(const qg_replay *replay);

/* Of the minibatches that are drawn from it. */
const qg_transition_form *qg_replay_form(const qg_replay *replay);

/* Finishes the file as qg_replay_ring_finish does. */
qg_status qg_replay_finish(qg_replay *replay, const char *about, qg_error *error);

/* Whether the next screen is an episode's first: the newest one is an end, or there is none. */
bool qg_replay_at_end(const qg_replay *replay);

/* The action taken on the newest screen and the reward (as it is to be learned) that followed. It
 * makes the newest screen's transition complete when the next screen is added. */
void qg_replay_set_action(qg_replay *replay, int action, float reward);

/* Draws transitions uniformly with replacement among those that are complete, whose whole history
 * is in the ring and whose state is not an episode's end (such a draw is repeated). Valid until the
 * next screen is added. */
void qg_replay_sample(qg_replay *replay, qg_random *random, qg_minibatch *minibatch);

/* Draws one of each of as many equal parts of the sum of all priorities (Schaul et al. 2016,
 * appendix B.2.1), of the same transitions, and their weights of importance: (least /
 * priority)^beta where `least` is the least priority in the minibatch, so that none is above 1
 * (section 3.4). Of a plan that is `prioritised`. */
void qg_replay_sample_by_priority(qg_replay *replay, qg_random *random, double beta,
                                  qg_minibatch *minibatch);

/* The TD errors [size] that were found on it, before the next screen is added. */
void qg_replay_set_priorities(qg_replay *replay, const qg_minibatch *minibatch,
                              const float *td_errors);

/* Says that the next minibatch of this size will be drawn with `random` when `steps` screens more
 * have been added: with several threads others read its screens meanwhile. What is drawn stays the
 * same. */
void qg_replay_expect(qg_replay *replay, const qg_random *random, int64_t steps, int size);

/* Whether there is a transition to draw. */
bool qg_replay_can_sample(const qg_replay *replay);

/* The newest state, for acting: pointers valid until the next screen. */
qg_states qg_replay_state(qg_replay *replay);

#endif
