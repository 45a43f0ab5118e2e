/* The files of a run, and its lock. */
#ifndef QG_RUN_FOLDER_H
#define QG_RUN_FOLDER_H

#include <qgraft/agent.h>

#include "agent/csv.h"
#include "agent/tensorboard.h"
#include "base/file.h"

#include <stdio.h>

typedef struct qg_run_folder {
    const char *path;
    qg_lock lock;
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

/* Creates and locks the folder `path` (which outlives it) for a run of any kind, without files; the
 * networks of a run that is overwritten are removed. A folder that holds a run (run.yaml) is
 * refused unless `overwrite`. */
qg_status qg_run_folder_create(qg_run_folder *folder, const char *path, bool overwrite,
                               qg_error *error);

/* Writes a short text as FOLDER/NAME. */
qg_status qg_run_folder_text(const qg_run_folder *folder, const char *name, const char *text,
                             qg_error *error);

/* Begins FOLDER/NAME anew. */
qg_status qg_run_folder_csv(const qg_run_folder *folder, const char *name, const char *header,
                            qg_csv **csv, qg_error *error);

/* A scalar for TensorBoard; NaN is left out. */
qg_status qg_run_folder_scalar(const qg_run_folder *folder, int64_t step, const char *tag,
                               double value, qg_error *error);

/* "text" between quotes, as YAML reads it. */
void qg_yaml_string(FILE *out, const char *text);

/* The folder of a training: creates it and begins its files. `options` outlive the folder. */
qg_status qg_run_folder_open(qg_run_folder *folder, const qg_train_options *options,
                             const qg_domain *domain, const qg_engine *engine, qg_error *error);
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

/* Writes into run.yaml that the frozen layers equal what the run began with. */
qg_status qg_run_folder_frozen(const qg_run_folder *folder, const qg_train_options *options,
                               const qg_domain *domain, const qg_engine *engine, qg_error *error);

/* Writes process.yaml: how the run went on this machine, which does not change its result. */
qg_status qg_run_folder_process(const qg_run_folder *folder, const qg_train_options *options,
                                const qg_train_result *result, const char *state, qg_error *error);

#endif
