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

/* The line that begins at *next, NULL: it has no end; *next is then behind it. */
static char *take_line(char **next)
{
    char *const line = *next, *const end = strchr(line, '\n');
    if (!end) return NULL;
    *end = '\0';
    *next = end + 1;
    return line;
}

static qg_status parse(const char *path, char *text, qg_student_row **rows, size_t *count,
                       qg_error *error)
{
    size_t room = 0;
    for (const char *c = text; *c; c++)
        room += *c == '\n';
    *rows = calloc(room + 1, sizeof **rows);
    if (!*rows) return qg_fail_memory(error, file_name, room * sizeof **rows);
    const char *const header = take_line(&text);
    if (!header || strcmp(header, columns) != 0)
        return qg_fail(error, QG_ERROR_DATA, "%s:1: the columns are not '%s'", path, columns);
    for (char *line; (line = take_line(&text)) != NULL; ++*count)
        if (!parse_row(line, &(*rows)[*count]))
            return qg_fail(error, QG_ERROR_DATA, "%s:%zu: is not what a run writes", path,
                           *count + 2);
    return QG_OK;
}

qg_status qg_student_table_read(const char *folder, qg_student_row **rows, size_t *count,
                                qg_error *error)
{
    uint8_t *data = NULL;
    size_t size;
    *rows = NULL;
    *count = 0;
    char *const path = qg_path_join(folder, file_name);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    qg_status status = qg_file_read(path, LARGEST_FILE, &data, &size, error);
    if (!status) status = parse(path, (char *)data, rows, count, error);
    if (status) {
        free(*rows);
        *rows = NULL;
        *count = 0;
    }
    free(data);
    free(path);
    return status;
}

/* ---------------------------------------------------------------------------------- writing */

int qg_student_table_add(qg_run_folder *folder)
{
    const int table = qg_run_folder_add_table(folder, file_name, columns);
    folder->tables[table].late = true;
    return table;
}

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

qg_status qg_student_table_write(const qg_run_folder *folder, int table, const qg_student_row *rows,
                                 int count, qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0; i < count && !status; i++)
        status = write_row(folder->tables[table].csv, &rows[i], error);
    for (int i = 0; i < count && !status; i++)
        status = write_scalars(folder, &rows[i], count == 1 ? 0 : i + 1, error);
    return status;
}
