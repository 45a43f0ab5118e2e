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

enum { QG_RUN_TABLES = 16 };

/* A table that grows with the run. */
typedef struct qg_run_table {
    char name[32];
    const char *header;
    qg_csv *csv; /* NULL: not open */
    bool late;   /* checkpoints of before may end in front of it: it then begins anew */
} qg_run_table;

typedef struct qg_run_folder {
    const char *path;
    qg_lock lock;
    qg_found found;
    qg_run_table tables[QG_RUN_TABLES];
    int table_count;
    qg_events *events;
    double started; /* seconds since 1970 */
} qg_run_folder;

/* One more table, before the folder is created; its number. The header outlives the folder. */
int qg_run_folder_add_table(qg_run_folder *folder, const char *name, const char *header);

/* One row of evaluations.csv. */
typedef struct qg_evaluation_row {
    int64_t step;
    qg_evaluation evaluation;
    double validation_q, validation_td_error; /* NaN: learning has not started */
} qg_evaluation_row;

#define QG_EVALUATION_COLUMNS                                                                      \
    "step,score,episodes,deviation,minimum,maximum,validation_q,validation_td_error"

/* Who wants a folder, and for what. */
typedef struct qg_run_claim {
    const char *path; /* outlives the folder */
    const char *run;  /* what its run.yaml is to say */
    bool overwrite, resume;
} qg_run_claim;

/* Creates and locks a folder for a run of any kind, without files; folder->found says what is in
 * it. `folder` is zero but for its tables. QG_ERROR_USAGE when it holds a run and the claim is
 * neither to overwrite nor to resume it, or to resume another one than `run` describes. */
qg_status qg_run_folder_create(qg_run_folder *folder, const qg_run_claim *claim, qg_error *error);

/* QG_ERROR_USAGE where `file`, which a run in `folder` reads or is to keep, has the name of one
 * that it overwrites or removes. QG_ERROR_MEMORY. */
qg_status qg_run_folder_spare(const char *folder, const char *file, qg_error *error);

/* Removes the files of a run that was found. */
void qg_run_folder_clear(qg_run_folder *folder);

/* Begins the run: removes the files of the one that was found, but for replay.bin and samples-*
 * where it was complete, which are the new one's; writes run.yaml. */
qg_status qg_run_folder_begin(qg_run_folder *folder, const char *run, qg_error *error);

/* Begins the tables and the events. */
qg_status qg_run_folder_open_tables(qg_run_folder *folder, qg_error *error);

void qg_run_folder_close(qg_run_folder *folder);

/* Passes the tables and events over a checkpoint's tape. Writing waits until they are on the disk;
 * reading opens them and cuts off what came after the checkpoint. */
qg_status qg_run_folder_pass(qg_run_folder *folder, qg_tape *tape, qg_error *error);

/* Waits until the tables and events are on the disk. */
qg_status qg_run_folder_sync(const qg_run_folder *folder, qg_error *error);

/* Removes what only serves to go on with the run; `keep_replay`: but for the replay memory, which
 * becomes replay.data; false: it could not be renamed, and is still replay.bin. */
bool qg_run_folder_remove_state(const qg_run_folder *folder, bool keep_replay);
bool qg_run_folder_has_replay(const qg_run_folder *folder); /* that was kept, replay.data */

/* Writes a short text as FOLDER/NAME. */
qg_status qg_run_folder_text(const qg_run_folder *folder, const char *name, const char *text,
                             qg_error *error);

/* Opens FOLDER/NAME, as qg_csv_open. */
qg_status qg_run_folder_csv(const qg_run_folder *folder, const char *name, const char *header,
                            int64_t kept, qg_csv **csv, qg_error *error);

/* A scalar for TensorBoard, "GROUP/name"; of task K of several (task > 0) "GROUP-K/name". NaN is
 * left out. */
qg_status qg_run_folder_scalar(const qg_run_folder *folder, int64_t step, const char *group,
                               int task, const char *name, double value, qg_error *error);

/* Appends a row to a table of evaluations, and its scalars. */
qg_status qg_run_folder_evaluation(const qg_run_folder *folder, int table, int task,
                                   const qg_evaluation_row *row, qg_error *error);

/* FOLDER/NAME.safetensors; the caller frees it, NULL: no memory. And writes it. */
char *qg_run_folder_network_path(const qg_run_folder *folder, const char *name);
qg_status qg_run_folder_network(const qg_run_folder *folder, const char *name,
                                const qg_network *network, const qg_network_info *info,
                                qg_error *error);

/* Writes process.yaml: how the run went on this machine, which does not change its result (isa
 * NULL: it asked no network). The state "finished", written when all else is on the disk, is the
 * mark of a complete run. */
qg_status qg_run_folder_process(const qg_run_folder *folder, const qg_machine *machine,
                                const qg_run_result *result, const char *state, qg_error *error);

#endif
