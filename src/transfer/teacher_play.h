/* The play of a teacher, in which its samples come about. */
#ifndef QG_TEACHER_PLAY_H
#define QG_TEACHER_PLAY_H

#include "agent/episode.h"
#include "agent/history.h"
#include "agent/tape.h"
#include "base/random.h"
#include "transfer/teacher.h"

typedef struct qg_play {
    qg_teacher *teacher;
    qg_domain *domain;
    qg_history history;
    qg_random policy;
    qg_episode episode;
} qg_play;

/* Begins the play of `teacher`, which outlives it. After a failure, too, qg_play_close releases
 * what was opened. */
qg_status qg_play_open(qg_teacher *teacher, qg_play *play, qg_error *error);
void qg_play_close(qg_play *play); /* one of zero bytes is allowed */

/* Plays a step; its state and Q-values go into teacher->samples. */
qg_status qg_play_step(qg_play *play, qg_error *error);

/* Passes it over a checkpoint's tape; reading continues an opened one there. */
qg_status qg_play_pass(qg_play *play, qg_tape *tape, qg_error *error);

#endif
