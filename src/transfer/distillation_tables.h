/* The tables of a distillation, and its result read back from them. Tasks count from 0 here, from 1
 * in the files. */
#ifndef QG_DISTILLATION_TABLES_H
#define QG_DISTILLATION_TABLES_H

#include <qgraft/distillation.h>

#include "agent/run_folder.h"
#include "transfer/lesson.h"
#include "transfer/teacher.h"

/* Adds the tables that grow to the folder: distillation.csv, evaluations.csv, or of several tasks
 * evaluations-K.csv, and student.csv, whose number it returns. */
int qg_distillation_tables_add(qg_run_folder *folder, int tasks);

/* Appends a row, and its scalars, after `samples` samples. */
qg_status qg_distillation_write_lesson(const qg_run_folder *folder, int64_t samples,
                                       int64_t updates, int task, double temperature,
                                       const qg_agreement *means, qg_error *error);
qg_status qg_distillation_write_evaluation(const qg_run_folder *folder, int64_t samples, int task,
                                           const qg_evaluation *evaluation, qg_error *error);

/* Write teachers.csv and held_out.csv. */
qg_status qg_distillation_write_teachers(const qg_run_folder *folder, const qg_teacher *teachers,
                                         const qg_evaluation *evaluations, int tasks,
                                         qg_error *error);
qg_status qg_distillation_write_held_out(const qg_run_folder *folder,
                                         const qg_temperatures *temperatures, int tasks,
                                         const qg_distillation_result *result, qg_error *error);

/* The part of a student of several teachers' grade that one of them gives: score / teacher; of a
 * teacher below 0, 1 where both score the same, and more where the student is better; of one of 0
 * the score. */
double qg_share_of_teacher(double score, double teacher);

/* What a run that is complete has found out of each task. QG_ERROR_DATA, QG_ERROR_IO,
 * QG_ERROR_MEMORY. */
qg_status qg_distillation_tables_read(const char *folder, const qg_temperatures *temperatures,
                                      int tasks, qg_distillation_result *result, qg_error *error);

#endif
