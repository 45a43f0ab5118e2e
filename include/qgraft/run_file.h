/* Run files: all that determines the result of a run, as text, so that it can be done again.
 *
 *     kind: graft                    # or another of qg_run_kind
 *     domain: "minatar/asterix"
 *     seed: 1
 *     steps: 1000000
 *     choice: first 2 frozen         # as qg_graft_choice_format writes it
 *     parent_file: "breakout.safetensors"
 *     settings:
 *       preset: grid                 # what is not set after it is the preset's
 *       ...
 *
 * A study writes one for each of its tasks, and every run.yaml is one, with facts beside that are
 * passed over (versions, what was copied). File names in it are as they were typed: they start from
 * the folder in which the run was begun. */
#ifndef QGRAFT_RUN_FILE_H
#define QGRAFT_RUN_FILE_H

#include <qgraft/distillation.h>
#include <qgraft/graft.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum qg_run_kind {
    QG_RUN_TRAIN,
    QG_RUN_GRAFT,
    QG_RUN_DISTILL,
    QG_RUN_RANDOM_SCORE, /* measurements of games, see measurement.h */
    QG_RUN_SIMILARITY,
} qg_run_kind;

/* "train", "graft", "distill", "random-score", "similarity". */
const char *qg_run_kind_name(qg_run_kind kind);

/* Strings and arrays belong to the struct; qg_run_file_free frees them. */
typedef struct qg_run_file {
    qg_run_kind kind;
    uint64_t seed;
    qg_settings settings; /* but of similarities */

    /* What the run begins from: of a graft one network, or "random" for fresh layers; of a
     * distillation its teachers. */
    char *parents[QG_MAX_TEACHERS];                  /* files, [parent_count] */
    char parent_sha256[QG_MAX_TEACHERS][65];         /* of the file; "": any network of that name */
    char parent_network_sha256[QG_MAX_TEACHERS][65]; /* of the network in it; "": not known */
    int parent_count;

    /* All but distillations. */
    char domain[QG_DOMAIN_NAME];
    int64_t steps;                     /* of a similarity: frames of each game */
    char other_domain[QG_DOMAIN_NAME]; /* similarities */

    /* Trainings and grafts. */
    int64_t *snapshots; /* [snapshot_count] */
    size_t snapshot_count;
    char *also_evaluate[QG_MAX_OTHER_GAMES];
    int also_evaluate_count;
    char initial_network_sha256[65]; /* trainings that began from a network in memory; "": others */

    /* Grafts. */
    qg_graft_choice choice;
    int64_t reinit_seed; /* of the fresh layers; -1: `seed` */

    /* Distillations. */
    qg_temperatures temperatures;
    qg_distillation_order order;
    qg_distillation_loss loss;
    int64_t samples;
    double epsilon;
} qg_run_file;

/* Reads a run file; `name` stands for the file in messages, which begin with NAME:LINE.
 * QG_ERROR_USAGE: it is none, QG_ERROR_IO, QG_ERROR_MEMORY; *file is then empty. */
qg_status qg_run_file_parse(const char *name, const void *data, size_t size, qg_run_file *file,
                            qg_error *error);
qg_status qg_run_file_load(const char *path, qg_run_file *file, qg_error *error);

/* The text of a run file in *text, which the caller frees. QG_ERROR_MEMORY. */
qg_status qg_run_file_format(const qg_run_file *file, char **text, qg_error *error);

void qg_run_file_free(qg_run_file *file);

/* Whether the run can be done again: every parent with a SHA-256 is still the file that it was, or
 * another one of the same network, and it began from none in memory. QG_ERROR_USAGE names the one
 * that is not. QG_ERROR_IO. */
qg_status qg_run_file_check(const qg_run_file *file, qg_error *error);

/* The same for the run.yaml of the run in `folder`, wherever it is looked at from: a parent whose
 * relative name is not here, or is that of another network, is looked for from the folder of the
 * study, if the run is in one, and its name becomes the path where it was found. All parents are
 * looked for; the error is of the first of a known SHA-256 that was not found. */
qg_status qg_run_file_find(qg_run_file *file, const char *folder, qg_error *error);

/* The options that do the run; they borrow from the file. What a file does not say (the folder,
 * threads, who watches) stays as it was. */
void qg_run_file_train(const qg_run_file *file, qg_train_options *options);
void qg_run_file_graft(const qg_run_file *file, qg_graft_options *options);
void qg_run_file_distill(const qg_run_file *file, qg_distillation_options *options);

#ifdef __cplusplus
}
#endif
#endif
