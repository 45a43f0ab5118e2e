/* A training in progress: what its steps (trainer.c), its state for checkpoints (trainer_state.c)
 * and its beginning and end (train.c) share. */
#ifndef QG_TRAINER_H
#define QG_TRAINER_H

#include <qgraft/agent.h>
#include <qgraft/td_learner.h>

#include "agent/episode.h"
#include "agent/layer_probe.h"
#include "agent/other_games.h"
#include "agent/replay.h"
#include "agent/reuse.h"
#include "agent/run.h"

/* The tables of its folder, in this order. */
enum { QG_TRAINER_EVALUATIONS, QG_TRAINER_TRAINING };

/* Sums since the last row of training.csv. */
typedef struct qg_interval {
    double return_sum, td_error_sum;
    int64_t episodes, updates;
} qg_interval;

typedef struct qg_trainer {
    qg_run run;
    const qg_train_options *options;
    const qg_settings *settings;
    qg_domain *domain;
    qg_other_games others; /* that are evaluated too */
    qg_layer_probe probe;  /* its states come with the first evaluation */
    int layers_table;      /* of the run's folder; -1: the layers are not looked at */
    qg_replay *replay;
    qg_minibatch minibatch, validation; /* validation: drawn once, when learning starts */
    qg_network network;                 /* room for what goes into files */
    uint32_t initial_crc;               /* of the parameters that the run begins with */
    qg_td_learner learner;
    qg_random policy, sampling, dropout, reuse;
    int64_t learn_start;     /* the last step that does not learn */
    int64_t offline_updates; /* made so far */
    float *td_errors;        /* [minibatch], of the last update */
    qg_episode episode;      /* whether it is over says whether `screen` ended it */
    uint8_t *screen;         /* the newest */
    int action;              /* chosen on it */
    int64_t episodes, updates;
    qg_interval since;
    qg_progress progress;
    double told; /* of it, to who watches (base/clock.h) */
} qg_trainer;

/* For the table of the run; `self` is a qg_trainer. */
qg_status qg_trainer_step(void *self, qg_error *error);
qg_status qg_trainer_evaluate(void *self, double *score, qg_error *error);
qg_status qg_trainer_confirm(void *self, const qg_network *network, const char *purpose,
                             double *score, qg_error *error);
void qg_trainer_evaluating(void *self, int64_t step);
void qg_trainer_report(qg_trainer *trainer); /* to options->progress */
qg_status qg_trainer_pass(void *self, qg_tape *tape, qg_error *error);

/* The parameters that the run begins with, into a network of its architecture. */
void qg_trainer_fill_initial(const qg_train_options *options, qg_network *network);

/* Draws a minibatch as the training does. */
void qg_trainer_draw(const qg_trainer *trainer, qg_random *random, qg_minibatch *minibatch);
/* Before an update of `learner` from these states: whether its loss has more than the TD error's.
 */
qg_status qg_trainer_study(const qg_trainer *trainer, qg_td_learner *learner,
                           const qg_states *states, qg_error *error);

/* Adds layers.csv to the tables; its number. */
int qg_trainer_add_layers_table(qg_run_folder *folder);

/* Looks at the layers as they are, which changes nothing; rows [layers]. And appends what was seen
 * to layers.csv and the scalars. */
qg_status qg_trainer_look(qg_trainer *trainer, qg_layer_row rows[QG_MAX_LAYERS], qg_error *error);
qg_status qg_trainer_write_layers(const qg_trainer *trainer, const qg_layer_row *rows,
                                  qg_error *error);

/* Makes or (`existing`) opens the replay memory and what is drawn from it. */
qg_status qg_trainer_open_replay(qg_trainer *trainer, bool existing, qg_error *error);

/* What is to be said of it at the end; one that is to be kept is finished. */
qg_status qg_trainer_close_replay(qg_trainer *trainer, qg_error *error);

#endif
