/* CSV files that grow with a run: evaluations.csv, training.csv.
 *
 * Each row is appended with one write, whole or not at
 * all, so a reader sees only whole rows (but the last line of a killed process). */
#ifndef QG_CSV_H
#define QG_CSV_H

#include <qgraft/error.h>

#include <stddef.h>
#include <stdint.h>

typedef struct qg_csv qg_csv; /* an open file */

/* Opens `path` to append rows. With `kept` 0 it begins anew with the line `header` ("step,score");
 * else the first `kept` bytes (qg_csv_size at a checkpoint) stay and what is behind them is cut
 * off: QG_ERROR_DATA when the file does not hold whole rows of that size under that header. */
qg_status qg_csv_open(const char *path, const char *header, int64_t kept, qg_csv **csv,
                      qg_error *error);

/* Appends one row; the format has no newline: qg_csv_row(csv, error, "%lld,%.9g", step, score). */
qg_status qg_csv_row(qg_csv *csv, qg_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A number for a cell: enough digits to read it back, nothing for one that is not finite; `text` or
 * a literal. */
const char *qg_csv_real(double value, char text[32]);

/* A text for a cell: in quotes, its own ones doubled (RFC 4180); `cell` has 2 strlen(text) + 3
 * bytes and is returned. */
const char *qg_csv_text(const char *text, char *cell);

/* Undoes that into `text`, `size` bytes: what stands behind the cell; NULL: it is none, or longer.
 */
const char *qg_csv_read_text(const char *cell, char *text, size_t size);

int64_t qg_csv_size(const qg_csv *csv); /* bytes of the file */

/* Waits until the rows are on the disk; before a checkpoint that counts on them. */
qg_status qg_csv_sync(qg_csv *csv, qg_error *error);

void qg_csv_close(qg_csv *csv); /* NULL is allowed */

#endif
