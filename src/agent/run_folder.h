/* The files of a run, and its lock. */
#ifndef QG_RUN_FOLDER_H
#define QG_RUN_FOLDER_H

#include <qgraft/agent.h>

#include "agent/csv.h"
#include "agent/tape.h"
#include "agent/tensorboard.h"
#include "base/file.h"

#include <stdio.h>

typedef enum qg_found {
    QG_FOUND_NOTHING,
    QG_FOUND_UNFINISHED, /* a run that goes on if it has a checkpoint */
    QG_FOUND_COMPLETE,
} qg_found;

typedef struct qg_run_folder {
    const char *path;
    qg_lock lock;
    qg_found found;
    char isa[16]; /* that run.yaml names: of the process that began the run */
    qg_csv *evaluations, *training;
    qg_events *events;
    double started; /* seconds since 1970 */
} qg_run_folder;

/* One row of evaluations.csv. */
typedef struct qg_evaluation_row {
    int64_t step;
    qg_evaluation evaluation;
    double validation_q, validation_td_error; /* NaN: learning has not started */
} qg_evaluation_row;

#define QG_EVALUATION_COLUMNS                                                                      \
    "step,score,episodes,deviation,minimum,maximum,validation_q,validation_td_error"

/* One row of training.csv: means since the row before. */
typedef struct qg_training_row {
    int64_t step, episodes, updates; /* so far */
    double epsilon;
    double mean_return, td_error; /* NaN: no episode ended, no update */
} qg_training_row;

/* Who wants a folder, and for what. */
typedef struct qg_run_claim {
    const char *path; /* outlives the folder */
    const char *run;  /* what its run.yaml is to say */
    bool overwrite, resume;
} qg_run_claim;

/* Creates and locks a folder for a run of any kind, without files; folder->found says what is in
 * it. QG_ERROR_USAGE when it holds a run and the claim is neither to overwrite nor to resume it, or
 * to resume another one than `run` describes. */
qg_status qg_run_folder_create(qg_run_folder *folder, const qg_run_claim *claim, qg_error *error);

/* Removes the files of a run that was found. */
void qg_run_folder_clear(qg_run_folder *folder);

/* Begins the run: clears the folder, writes run.yaml. */
qg_status qg_run_folder_begin(qg_run_folder *folder, const char *run, qg_error *error);

/* Writes a short text as FOLDER/NAME. */
qg_status qg_run_folder_text(const qg_run_folder *folder, const char *name, const char *text,
                             qg_error *error);

/* Opens FOLDER/NAME, as qg_csv_open. */
qg_status qg_run_folder_csv(const qg_run_folder *folder, const char *name, const char *header,
                            int64_t kept, qg_csv **csv, qg_error *error);

/* Passes a table, or the event file, over a checkpoint's tape. Writing waits until it is on the
 * disk; reading opens it and cuts off what came after the checkpoint. */
qg_status qg_run_folder_pass_csv(const qg_run_folder *folder, qg_tape *tape, const char *name,
                                 const char *header, qg_csv **csv, qg_error *error);
qg_status qg_run_folder_pass_events(qg_run_folder *folder, qg_tape *tape, qg_error *error);

qg_status qg_run_folder_begin_events(qg_run_folder *folder, qg_error *error);

/* A scalar for TensorBoard; NaN is left out. */
qg_status qg_run_folder_scalar(const qg_run_folder *folder, int64_t step, const char *tag,
                               double value, qg_error *error);

/* A training's folder: qg_run_folder_begin and its tables and events; and the same, but for
 * run.yaml, over a checkpoint's tape. */
qg_status qg_run_folder_begin_training(qg_run_folder *folder, const char *run, qg_error *error);
qg_status qg_run_folder_pass_training(qg_run_folder *folder, qg_tape *tape, qg_error *error);

void qg_run_folder_close(qg_run_folder *folder);

qg_status qg_evaluation_write(qg_csv *csv, const qg_evaluation_row *row, qg_error *error);
qg_status qg_run_folder_evaluation(qg_run_folder *folder, const qg_evaluation_row *row,
                                   qg_error *error);
qg_status qg_run_folder_training(qg_run_folder *folder, const qg_training_row *row,
                                 qg_error *error);

/* Writes NAME.safetensors. */
qg_status qg_run_folder_network(const qg_run_folder *folder, const char *name,
                                const qg_network *network, const qg_network_info *info,
                                qg_error *error);

/* Waits until the tables and events are on the disk. */
qg_status qg_run_folder_sync(const qg_run_folder *folder, qg_error *error);

/* Removes what only serves to go on with the run. */
void qg_run_folder_remove_state(const qg_run_folder *folder);

/* Writes process.yaml: how the run went on this machine, which does not change its result. The
 * state "finished", written when all else is on the disk, is the mark of a complete run. */
qg_status qg_run_folder_process(const qg_run_folder *folder, const qg_train_options *options,
                                const qg_run_result *result, const char *state, qg_error *error);

#endif
