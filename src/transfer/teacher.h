/* A teacher of a distillation: a network at its own domain, and the samples of its play. */
#ifndef QG_TEACHER_H
#define QG_TEACHER_H

#include <qgraft/distillation.h>

#include "transfer/sample_set.h"

typedef struct qg_teacher {
    const char *path;
    char sha256[65];
    qg_network_info info;
    qg_network network;
    qg_engine *engine;           /* for one state at a time */
    char domain[QG_DOMAIN_NAME]; /* normalised */
    qg_observation_shape shape;
    int history;
    qg_action_set action_set;
    const char *const *actions; /* names, architecture.actions of them */
    qg_sample_source source;
    qg_sample_set *samples;
    bool reused;
    int outputs[QG_MAX_ACTIONS]; /* of the student, for each of the actions */
} qg_teacher;

/* Reads and checks the network options->teachers[index] and makes it ready to play. After a
 * failure, too, qg_teacher_close releases what was opened. */
qg_status qg_teacher_open(const qg_distillation_options *options, int index, qg_teacher *teacher,
                          qg_error *error);
void qg_teacher_close(qg_teacher *teacher);

#endif
