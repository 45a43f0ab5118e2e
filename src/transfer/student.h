/* The student of a distillation: one network for all teachers, and what of it plays each game.
 *
 * It has one output for every action name that a teacher knows, in the order in which they come.
 * For playing, the rows of a game's own actions are cut out into a network of that game. */
#ifndef QG_STUDENT_H
#define QG_STUDENT_H

#include <qgraft/distillation.h>

#include "transfer/teacher.h"

typedef struct qg_cut_out {
    qg_network network;
    qg_engine *engine; /* for one state at a time */
} qg_cut_out;

typedef struct qg_student {
    const char *actions[QG_MAX_ACTIONS]; /* names of the outputs; not owned */
    int action_count;
    qg_network network; /* for files, as qg_student_read left it */
    qg_engine *engine;  /* learns */
    qg_cut_out players[QG_MAX_TEACHERS];
    int tasks;
} qg_student;

/* Makes the fresh student, its settings' `network` seeing what all teachers see, and fills the
 * teachers' `outputs`. Its initial weights are not those from which a training under the same seed
 * starts: a student that begins where its teacher began would be no fresh one. After a failure,
 * too, qg_student_close releases what was opened. */
qg_status qg_student_open(const qg_distillation_options *options, qg_teacher *teachers,
                          qg_student *student, qg_error *error);
void qg_student_close(qg_student *student);

/* All players play `network`, which has the student's architecture. */
qg_status qg_student_cast(qg_student *student, const qg_network *network,
                          const qg_teacher *teachers, qg_error *error);

/* What has been learned goes into student->network and all players. */
qg_status qg_student_read(qg_student *student, const qg_teacher *teachers, qg_error *error);

#endif
