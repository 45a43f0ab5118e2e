#include "transfer/student_table.h"

#include "base/file.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char file_name[] = "student.csv";
static const char columns[] =
    "samples,task,temperature,loss,kl,teacher_entropy,agreement,advantage_scale,"
    "value_correlation,score,teacher_score";

enum { COLUMNS = 11 };

#define LARGEST_FILE ((size_t)64 << 20)

/* ---------------------------------------------------------------------------------- reading */

static bool is_count(double value, double most)
{
    return value >= 0 && value <= most && value == floor(value);
}

/* Takes the line apart in place. */
static bool parse_row(char *line, qg_student_row *row)
{
    double values[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        char *end = line ? strchr(line, ',') : NULL;
        if (!line || (end != NULL) != (c < COLUMNS - 1)) return false;
        if (end) *end = '\0';
        values[c] = NAN;
        if (*line && !qg_text_to_real(line, &values[c])) return false;
        line = end ? end + 1 : NULL;
    }
    if (!is_count(values[0], 0x1p53) || !is_count(values[1], QG_MAX_TEACHERS) || values[1] < 1)
        return false;
    *row = (qg_student_row){
        (int64_t)values[0], (int)values[1] - 1,
        values[2],          {values[3], {values[4], values[5], values[6]}, values[7], values[8]},
        values[9],          values[10]};
    return true;
}

/* A table that is gone over line by line. */
typedef struct table {
    char *path;
    uint8_t *data;
    char *next; /* line; NULL: there is none */
    int line;
} table;

static char *next_line(table *t)
{
    char *const line = t->next, *const end = line ? strchr(line, '\n') : NULL;
    t->next = end ? end + 1 : NULL;
    if (!end) return NULL;
    *end = '\0';
    t->line++;
    return line;
}

/* close_table in any case. */
static qg_status open_table(table *t, const char *folder, qg_error *error)
{
    size_t size;
    *t = (table){.path = qg_path_join(folder, file_name)};
    if (!t->path) return qg_fail_memory(error, "a path", strlen(folder));
    const qg_status status = qg_file_read(t->path, LARGEST_FILE, &t->data, &size, error);
    if (status) return status;
    t->next = (char *)t->data;
    const char *const header = next_line(t);
    return header && strcmp(header, columns) == 0
               ? QG_OK
               : qg_fail(error, QG_ERROR_DATA, "%s:1: the columns are not '%s'", t->path, columns);
}

static void close_table(table *t)
{
    free(t->path);
    free(t->data);
}

static qg_status read_rows(table *t, qg_student_row **rows, size_t *count, qg_error *error)
{
    size_t room = 0;
    for (const char *c = t->next; c && *c; c++)
        room += *c == '\n';
    *rows = calloc(room + 1, sizeof **rows);
    if (!*rows) return qg_fail_memory(error, file_name, room * sizeof **rows);
    for (char *line; (line = next_line(t)) != NULL; ++*count)
        if (!parse_row(line, &(*rows)[*count]))
            return qg_fail(error, QG_ERROR_DATA, "%s:%d: is not what a run writes", t->path,
                           t->line);
    return QG_OK;
}

qg_status qg_student_table_read(const char *folder, qg_student_row **rows, size_t *count,
                                qg_error *error)
{
    table t;
    *rows = NULL;
    *count = 0;
    qg_status status = open_table(&t, folder, error);
    if (!status) status = read_rows(&t, rows, count, error);
    if (status) {
        free(*rows);
        *rows = NULL;
        *count = 0;
    }
    close_table(&t);
    return status;
}

/* ---------------------------------------------------------------------------------- writing */

/* For TensorBoard; of several tasks (`task` from 1) each has its own. */
static qg_status write_scalars(const qg_run_folder *folder, const qg_student_row *row, int task,
                               qg_error *error)
{
    const qg_likeness *l = &row->likeness;
    const struct {
        const char *name;
        double value;
    } scalars[] = {{"loss", l->loss},
                   {"kl", l->agreement.kl},
                   {"agreement", l->agreement.agreement},
                   {"advantage_scale", l->advantage_scale},
                   {"value_correlation", l->value_correlation}};
    qg_status status = QG_OK;
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars && !status; i++)
        status = qg_run_folder_scalar(folder, row->samples, "student", task, scalars[i].name,
                                      scalars[i].value, error);
    return status;
}

/* Bytes of the file before the rows of `samples`; 0: it begins anew. */
static int64_t bytes_before(const char *folder, int64_t samples)
{
    table t;
    qg_error ignored;
    qg_student_row row;
    int64_t bytes = 0;
    if (open_table(&t, folder, &ignored) == QG_OK) {
        bytes = t.next - (char *)t.data;
        for (char *line; (line = next_line(&t)) && parse_row(line, &row) && row.samples < samples;)
            bytes = t.next - (char *)t.data;
    }
    close_table(&t);
    return bytes;
}

static qg_status write_row(qg_csv *csv, const qg_student_row *row, qg_error *error)
{
    const qg_likeness *l = &row->likeness;
    const double values[] = {l->loss,
                             l->agreement.kl,
                             l->agreement.teacher_entropy,
                             l->agreement.agreement,
                             l->advantage_scale,
                             l->value_correlation,
                             row->score,
                             row->teacher_score};
    char text[8 * 33] = "", number[32];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        strcat(strcat(text, ","), qg_csv_real(values[i], number));
    return qg_csv_row(csv, error, "%" PRId64 ",%d,%.12g%s", row->samples, row->task + 1,
                      row->temperature, text);
}

qg_status qg_student_table_write(const qg_run_folder *folder, const qg_student_row *rows, int count,
                                 qg_error *error)
{
    qg_csv *csv = NULL;
    qg_status status = qg_run_folder_csv(folder, file_name, columns,
                                         bytes_before(folder->path, rows[0].samples), &csv, error);
    for (int i = 0; i < count && !status; i++)
        status = write_row(csv, &rows[i], error);
    for (int i = 0; i < count && !status; i++)
        status = write_scalars(folder, &rows[i], count == 1 ? 0 : i + 1, error);
    if (!status) status = qg_csv_sync(csv, error);
    qg_csv_close(csv);
    return status;
}
