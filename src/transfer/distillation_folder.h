/* What a distillation writes: run.yaml, its tables and its networks' pedigree. */
#ifndef QG_DISTILLATION_FOLDER_H
#define QG_DISTILLATION_FOLDER_H

#include <qgraft/distillation.h>

#include "agent/run_folder.h"
#include "transfer/lesson.h"
#include "transfer/teacher.h"

typedef struct qg_distillation_folder {
    qg_run_folder run;
    qg_csv *lessons;                      /* distillation.csv */
    qg_csv *evaluations[QG_MAX_TEACHERS]; /* evaluations.csv, or evaluations-K.csv of several */
    int tasks;
    char *run_yaml;                         /* what run.yaml is to say; owned */
    qg_note notes[6 * QG_MAX_TEACHERS + 1]; /* for the networks; the strings are owned */
    size_t note_count;
} qg_distillation_folder;

/* The part of run.yaml, and of a run file, that only distillations have. */
void qg_distillation_write(FILE *out, const qg_distillation_options *options);

/* Creates and locks the folder, as qg_run_folder_create; no file yet. `settings`: the student's, as
 * they were resolved. */
qg_status qg_distillation_folder_create(qg_distillation_folder *folder,
                                        const qg_distillation_options *options,
                                        const qg_teacher *teachers, const qg_settings *settings,
                                        qg_error *error);

/* Writes run.yaml and begins the tables. */
qg_status qg_distillation_folder_begin(qg_distillation_folder *folder, qg_error *error);

/* Passes the tables and events over a checkpoint's tape, as qg_run_folder_pass_csv. */
qg_status qg_distillation_folder_pass(qg_distillation_folder *folder, qg_tape *tape,
                                      qg_error *error);

/* Waits until they are on the disk. */
qg_status qg_distillation_folder_sync(const qg_distillation_folder *folder, qg_error *error);

/* The result of a run that is complete, from its tables. */
qg_status qg_distillation_folder_read(const qg_distillation_folder *folder,
                                      const qg_temperatures *temperatures,
                                      qg_distillation_result *result, int64_t *updates,
                                      qg_error *error);
void qg_distillation_folder_close(qg_distillation_folder *folder);

/* Tasks count from 0 here, from 1 in the files. */
qg_status qg_distillation_folder_lesson(qg_distillation_folder *folder, int64_t samples,
                                        int64_t updates, int task, double temperature,
                                        const qg_lesson_sums *sums, qg_error *error);
qg_status qg_distillation_folder_evaluation(qg_distillation_folder *folder, int64_t samples,
                                            int task, const qg_evaluation *evaluation,
                                            qg_error *error);
qg_status qg_distillation_folder_teachers(const qg_distillation_folder *folder,
                                          const qg_teacher *teachers,
                                          const qg_evaluation *evaluations, qg_error *error);
qg_status qg_distillation_folder_held_out(const qg_distillation_folder *folder,
                                          const qg_temperatures *temperatures,
                                          const qg_distillation_result *result, qg_error *error);

#endif
