/* CSV files that grow with a run: evaluations.csv, training.csv.
 *
 * The first column is the step, ascending. Each row is appended with one write, whole or not at
 * all, so a reader sees only whole rows (but the last line of a killed process). */
#ifndef QG_CSV_H
#define QG_CSV_H

#include <qgraft/error.h>

#include <stdint.h>

typedef struct qg_csv qg_csv; /* an open file */

/* Opens `path` to append rows: a new file begins with the line `header` ("step,score"). From a file
 * that is there the rows up to `last_step` (the step of the checkpoint from which the run goes on;
 * -1: none) are kept and all later ones cut off. QG_ERROR_DATA when its header is another. */
qg_status qg_csv_open(const char *path, const char *header, int64_t last_step, qg_csv **csv,
                      qg_error *error);

/* Appends one row; the format has no newline: qg_csv_row(csv, error, "%lld,%.9g", step, score). */
qg_status qg_csv_row(qg_csv *csv, qg_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Waits until the rows are on the disk; before a checkpoint that counts on them. */
qg_status qg_csv_sync(qg_csv *csv, qg_error *error);

void qg_csv_close(qg_csv *csv); /* NULL is allowed */

#endif
