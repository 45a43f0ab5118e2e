/* The tasks of a study as a table, as one line of totals and as JSON. */
#ifndef QG_STUDY_TABLE_H
#define QG_STUDY_TABLE_H

#include "cli/cli.h"

#include <qgraft/study.h>

enum { STUDY_COLUMNS = 8 };

/* Rows of the table: all tasks, or some of them. */
typedef struct study_rows {
    const qg_study *study;
    const qg_task_status *statuses; /* [task_count] */
    int *tasks;                     /* [count], in the order of the rows */
    size_t count;
} study_rows;

/* Sorts the tasks: running ones first, then what needs a look, what waits, what is finished. */
void study_sort_rows(study_rows *rows);

extern const cli_column study_columns[STUDY_COLUMNS];
void study_cell(const void *rows, size_t row, size_t column, char *text, size_t size);

/* Over all tasks. */
typedef struct study_totals {
    int tasks[QG_TASK_BLOCKED + 1]; /* by state */
    double rate;                    /* steps per second of all that run */
} study_totals;

void study_count(const qg_study *study, const qg_task_status *statuses, study_totals *totals);

/* "3 finished, 2 running, 4 waiting"; states without tasks are left out. */
void study_format_totals(const study_totals *totals, char *text, size_t size);

/* NULL: no memory. */
json_t *study_to_json(const qg_study *study, const char *folder, const qg_task_status *statuses);

#endif
