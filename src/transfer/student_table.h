/* student.csv: what was found of a student at its evaluations, a row for each of its teachers. */
#ifndef QG_STUDENT_TABLE_H
#define QG_STUDENT_TABLE_H

#include <qgraft/distillation.h>

#include "agent/run_folder.h"

typedef struct qg_student_row {
    int64_t samples; /* learned from so far */
    int task;        /* from 0, in the file from 1 */
    double temperature;
    qg_likeness likeness;
    double score, teacher_score;
} qg_student_row;

/* Adds the table to a folder, which is to be created; its number. */
int qg_student_table_add(qg_run_folder *folder);

/* Appends the rows of an evaluation, `count` of the same number of samples, and their scalars. */
qg_status qg_student_table_write(const qg_run_folder *folder, int table, const qg_student_row *rows,
                                 int count, qg_error *error);

/* The rows of FOLDER/student.csv, which the caller frees. A last line without its end is left out.
 * QG_ERROR_IO: there is no file, as in runs of before there was one; QG_ERROR_DATA names file and
 * line, QG_ERROR_MEMORY. */
qg_status qg_student_table_read(const char *folder, qg_student_row **rows, size_t *count,
                                qg_error *error);

#endif
