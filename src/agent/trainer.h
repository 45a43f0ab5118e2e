/* A training in progress: what the loop (trainer.c), the checkpoints (trainer_state.c) and the
 * beginning and end of a run (train.c) share. */
#ifndef QG_TRAINER_H
#define QG_TRAINER_H

#include <qgraft/agent.h>

#include "agent/checkpoint.h"
#include "agent/replay.h"
#include "agent/run_folder.h"

/* Sums since the last row of training.csv. */
typedef struct qg_interval {
    double return_sum, td_error_sum;
    int64_t episodes, updates;
} qg_interval;

typedef struct qg_trainer {
    const qg_train_options *options;
    const qg_settings *settings;
    qg_run_folder folder;
    qg_domain *domain;
    qg_replay *replay;
    qg_minibatch minibatch, validation; /* validation: drawn once, when learning starts */
    qg_network network;                 /* room for what goes into files */
    uint32_t initial_crc;               /* of the parameters that the run begins with */
    qg_td_learner learner;
    qg_random policy, sampling, noops, dropout;
    float *td_errors; /* [minibatch], of the last update */
    uint8_t *screen;  /* the newest */
    bool end;         /* ... ended the episode */
    int action;       /* chosen on it */
    double episode_return;
    int64_t step, episodes, updates;
    int64_t evaluated_step; /* of the last evaluation; -1: none yet */
    qg_interval since;
    qg_run_result result;
    double started, learning_started, evaluation_seconds; /* of the monotonic clock */
    int64_t learning_start_step;
    qg_progress progress;

    bool begun; /* the files of the folder are this run's */
    qg_checkpoints checkpoints;
    int64_t checkpoint_step;  /* of the last one; -1: none yet */
    int64_t checkpoint_span;  /* steps between two at most: what the ring's slack allows */
    double checkpoint_clock;  /* when the last one was written */
    bool without_checkpoints; /* the domain cannot be saved */
} qg_trainer;

/* Trains from where it is to the last step. QG_STOPPED leaves it between two steps. */
qg_status qg_trainer_run(qg_trainer *trainer, qg_error *error);

/* The first episode of a run that begins. */
qg_status qg_trainer_begin_episode(qg_trainer *trainer, qg_error *error);

/* Writes NAME.safetensors; score NaN: none. */
qg_status qg_trainer_save(qg_trainer *trainer, const char *name, double score, qg_error *error);

/* The networks that options->snapshots asks for. Saves the one of this step, if it is among them;
 * and looks whether those of earlier steps are there, QG_ERROR_USAGE when one is not. */
qg_status qg_trainer_save_snapshot(qg_trainer *trainer, qg_error *error);
qg_status qg_trainer_check_snapshots(const qg_trainer *trainer, int64_t step, qg_error *error);

/* Makes or (`existing`) opens the replay memory and what is drawn from it. */
qg_status qg_trainer_open_replay(qg_trainer *trainer, bool existing, qg_error *error);

/* Whether a checkpoint is due by the clock or by the ring's slack; writes one. */
bool qg_trainer_checkpoint_due(const qg_trainer *trainer);
qg_status qg_trainer_checkpoint(qg_trainer *trainer, qg_error *error);

/* Goes on from the newest checkpoint that can be used; *found: there was one. */
qg_status qg_trainer_resume(qg_trainer *trainer, bool *found, qg_error *error);

#endif
