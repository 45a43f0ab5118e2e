/* TensorBoard event files: scalars over steps that TensorBoard shows while a run goes on.
 *
 * Each record is appended with one write, so what has been written can be read at once, there is
 * nothing to flush, and a killed process leaves at most one incomplete record at the end, which
 * readers skip. */
#ifndef QG_TENSORBOARD_H
#define QG_TENSORBOARD_H

#include <qgraft/error.h>

#include <stdint.h>

typedef struct qg_events qg_events; /* an open event file */

#define QG_EVENTS_PREFIX "events.out.tfevents."

/* Creates events.out.tfevents.<time>.<host> in `folder`. `wall_time` is in seconds since 1970.
 * `step` is where the run starts: readers drop the scalars of this step and later ones from older
 * files of the folder. */
qg_status qg_events_open(const char *folder, double wall_time, int64_t step, qg_events **events,
                         qg_error *error);

/* Goes on in the file `name` of `folder` behind its first `size` bytes (qg_events_size at a
 * checkpoint); later records are cut off. QG_ERROR_DATA when it is not there or shorter. */
qg_status qg_events_resume(const char *folder, const char *name, int64_t size, qg_events **events,
                           qg_error *error);

const char *qg_events_name(const qg_events *events); /* of the file, without its folder */
int64_t qg_events_size(const qg_events *events);     /* bytes of it */

/* Waits until the records are on the disk. */
qg_status qg_events_sync(qg_events *events, qg_error *error);

/* Appends one scalar. `tag` is a UTF-8 name such as "evaluation/score", of at most 200 bytes (more
 * is an assert). */
qg_status qg_events_scalar(qg_events *events, int64_t step, double wall_time, const char *tag,
                           float value, qg_error *error);

void qg_events_close(qg_events *events); /* NULL is allowed */

#endif
