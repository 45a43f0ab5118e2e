/* The files come from other processes, which may have been killed in the middle of a line, and from
 * people, who may have touched them: nothing in them is believed before it was looked at. */
#include "report/run_history.h"

#include "agent/csv.h"
#include "agent/layer_measures.h"
#include "agent/other_games.h"
#include "agent/run_folder.h"
#include "base/file.h"
#include "base/file_kind.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_FILE ((size_t)64 << 20)

#define LESSON_COLUMNS   "samples,updates,task,temperature,kl,teacher_entropy,agreement"
#define TRAINING_COLUMNS "step,epsilon,episodes,mean_return,updates,td_error"

enum { MOST_COLUMNS = 8, OTHER_SCORE = 2 };

/* -------------------------------------------------------------------------------- warnings */

qg_status qg_warn(qg_warnings *warnings, qg_error *error, const char *format, ...)
{
    char *line = NULL;
    va_list arguments;
    va_start(arguments, format);
    const int length = vasprintf(&line, format, arguments);
    va_end(arguments);
    if (length < 0) return qg_fail_memory(error, "a warning", strlen(format));
    for (size_t i = 0; i < warnings->count; i++)
        if (strcmp(warnings->lines[i], line) == 0) {
            free(line);
            return QG_OK;
        }
    char **lines = realloc(warnings->lines, (warnings->count + 1) * sizeof *lines);
    if (!lines) {
        free(line);
        return qg_fail_memory(error, "a warning", strlen(format));
    }
    warnings->lines = lines;
    lines[warnings->count++] = line;
    return QG_OK;
}

void qg_warnings_free(qg_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++)
        free(warnings->lines[i]);
    free(warnings->lines);
    *warnings = (qg_warnings){0};
}

/* ------------------------------------------------------------------------------- CSV files */

/* A file that is read line by line; the lines are cut out of `data` in place. */
typedef struct csv_reader {
    char *path;
    uint8_t *data;
    char *next; /* the beginning of the next line; NULL: no more */
    int64_t line;
    double last_step;
} csv_reader;

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
        lines++;
    return lines;
}

/* The next whole line, NULL at the end. */
static char *next_line(csv_reader *reader)
{
    char *line = reader->next, *end = strchr(line, '\n');
    if (!end) return NULL;
    *end = '\0';
    if (end > line && end[-1] == '\r') end[-1] = '\0';
    reader->next = end + 1;
    reader->line++;
    return line;
}

static void close_csv(csv_reader *reader)
{
    free(reader->path);
    free(reader->data);
}

static qg_status begin_csv(csv_reader *reader, const char *columns, size_t size, size_t *rows,
                           qg_warnings *warnings, qg_error *error)
{
    const qg_file_kind kind = qg_file_kind_of(reader->data, size);
    if (!qg_file_kind_is_plain(kind))
        return qg_fail_kind(error, QG_ERROR_DATA, reader->path, "a table of a run", kind, NULL);
    if (strlen((char *)reader->data) != size)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s:%zu: holds a NUL byte, as a crash leaves them: damaged", reader->path,
                       count_lines((char *)reader->data) + 1);
    reader->next = (char *)reader->data;
    const size_t lines = count_lines(reader->next);
    *rows = lines > 0 ? lines - 1 : 0;
    if (size > 0 && reader->data[size - 1] != '\n') {
        const qg_status status = qg_warn(
            warnings, error, "%s: line %zu is cut off and was left out", reader->path, lines + 1);
        if (status) return status;
    }
    const char *header = next_line(reader);
    if (header && strcmp(header, columns) != 0)
        return qg_fail(error, QG_ERROR_DATA, "%s:1: the columns are not '%s'", reader->path,
                       columns);
    return QG_OK;
}

/* Opens FOLDER/NAME and reads its header; at most *rows rows follow. close_csv in any case. */
static qg_status open_csv(csv_reader *reader, const char *folder, const char *name,
                          const char *columns, size_t *rows, qg_warnings *warnings, qg_error *error)
{
    size_t size = 0;
    *reader = (csv_reader){.path = qg_path_join(folder, name), .last_step = -1};
    if (!reader->path) return qg_fail_memory(error, "a path", strlen(folder));
    const qg_status status = qg_file_read(reader->path, LARGEST_FILE, &reader->data, &size, error);
    return status ? status : begin_csv(reader, columns, size, rows, warnings, error);
}

/* Takes the line apart into exactly `columns` numbers; an empty cell gives NaN. */
static qg_status parse_row(csv_reader *reader, char *line, int columns, double *values,
                           qg_error *error)
{
    for (int c = 0; c < columns; c++) {
        char *end = line ? strchr(line, ',') : NULL;
        if (!line || (end != NULL) != (c < columns - 1))
            return qg_fail(error, QG_ERROR_DATA, "%s:%lld: the row has not %d cells", reader->path,
                           (long long)reader->line, columns);
        if (end) *end = '\0';
        values[c] = NAN;
        if (*line && !qg_text_to_real(line, &values[c]))
            return qg_fail(error, QG_ERROR_DATA, "%s:%lld: '%.40s' is not a number", reader->path,
                           (long long)reader->line, line);
        line = end ? end + 1 : NULL;
    }
    return QG_OK;
}

static bool is_count(double value)
{
    return value >= 0 && value <= 0x1p53 && value == floor(value);
}

/* The next row; *more is false behind the last one. The first cell is the step. */
static qg_status read_row(csv_reader *reader, int columns, double *values, bool *more,
                          qg_error *error)
{
    char *line = next_line(reader);
    *more = line != NULL;
    if (!line) return QG_OK;
    const qg_status status = parse_row(reader, line, columns, values, error);
    if (status) return status;
    if (!(values[0] > reader->last_step) || !is_count(values[0]))
        return qg_fail(error, QG_ERROR_DATA, "%s:%lld: the step does not follow the one before",
                       reader->path, (long long)reader->line);
    reader->last_step = values[0];
    return QG_OK;
}

/* --------------------------------------------------------------------------------- curves */

#define LARGEST_SCORE 1e100 /* the square of its errors has a double */

static qg_status create_curve(qg_curve *curve, size_t rows, qg_error *error)
{
    curve->steps = calloc(rows + 1, sizeof *curve->steps);
    curve->scores = calloc(rows + 1, sizeof *curve->scores);
    if (curve->steps && curve->scores) return QG_OK;
    return qg_fail_memory(error, "a curve", (rows + 1) * 2 * sizeof(double));
}

static void add_point(qg_curve *curve, double step, double value)
{
    curve->steps[curve->count] = (int64_t)step;
    curve->scores[curve->count++] = value;
}

static qg_status check_score(const csv_reader *reader, double score, qg_error *error)
{
    if (isnan(score))
        return qg_fail(error, QG_ERROR_DATA, "%s:%lld: there is no score", reader->path,
                       (long long)reader->line);
    if (fabs(score) > LARGEST_SCORE)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s:%lld: %g is no score: remove the run's folder and run the study again",
                       reader->path, (long long)reader->line, score);
    return QG_OK;
}

static qg_status read_scores(csv_reader *reader, size_t rows, qg_curve *curve, qg_error *error)
{
    if (create_curve(curve, rows, error)) return error->code;
    for (bool more = true; more;) {
        double values[MOST_COLUMNS];
        qg_status status = read_row(reader, MOST_COLUMNS, values, &more, error);
        if (!status && more) status = check_score(reader, values[1], error);
        if (status) return status;
        if (!more) break;
        add_point(curve, values[0], values[1]);
        if (values[2] > 0) curve->episodes += values[2];
    }
    return QG_OK;
}

qg_status qg_curve_read(const char *folder, qg_curve *curve, qg_warnings *warnings, qg_error *error)
{
    csv_reader reader;
    size_t rows = 0;
    *curve = (qg_curve){0};
    qg_status status =
        open_csv(&reader, folder, "evaluations.csv", QG_EVALUATION_COLUMNS, &rows, warnings, error);
    if (!status) status = read_scores(&reader, rows, curve, error);
    if (status) qg_curve_free(curve);
    close_csv(&reader);
    return status;
}

/* A row of step, game, score...: its numbers into `values`, NaN in place of the game. */
static qg_status parse_other(csv_reader *reader, char *line, char game[QG_DOMAIN_NAME],
                             double *values, qg_error *error)
{
    enum { COLUMNS = 7 };
    char *const before = strchr(line, ',');
    const char *const end = before ? qg_csv_read_text(before + 1, game, QG_DOMAIN_NAME) : NULL;
    if (!end || *end != ',')
        return qg_fail(error, QG_ERROR_DATA, "%s:%lld: names no game", reader->path,
                       (long long)reader->line);
    memmove(before + 1, end, strlen(end) + 1);
    const qg_status status = parse_row(reader, line, COLUMNS, values, error);
    return status ? status : check_score(reader, values[OTHER_SCORE], error);
}

qg_status qg_other_score_read(const char *folder, const char *game, int64_t step, double *score,
                              qg_warnings *warnings, qg_error *error)
{
    csv_reader reader;
    size_t rows = 0;
    *score = NAN;
    qg_status status = open_csv(&reader, folder, "other_evaluations.csv",
                                QG_OTHER_EVALUATIONS_COLUMNS, &rows, warnings, error);
    for (char *line; !status && (line = next_line(&reader)) != NULL;) {
        char name[QG_DOMAIN_NAME];
        double values[MOST_COLUMNS];
        status = parse_other(&reader, line, name, values, error);
        if (!status && strcmp(name, game) == 0 && (step < 0 || values[0] == (double)step))
            *score = values[OTHER_SCORE];
    }
    close_csv(&reader);
    return status;
}

static qg_status read_lessons(csv_reader *reader, size_t rows, qg_curve *divergence,
                              qg_curve *agreement, qg_error *error)
{
    enum { COLUMNS = 7, DIVERGENCE = 4, AGREEMENT = 6 };
    qg_status status = create_curve(divergence, rows, error);
    if (!status) status = create_curve(agreement, rows, error);
    for (bool more = !status; more && !status;) {
        double values[MOST_COLUMNS];
        status = read_row(reader, COLUMNS, values, &more, error);
        if (status || !more) break;
        if (!isfinite(values[DIVERGENCE]) || !isfinite(values[AGREEMENT]))
            continue; /* the student was lost */
        add_point(divergence, values[0], values[DIVERGENCE]);
        add_point(agreement, values[0], values[AGREEMENT]);
    }
    return status;
}

qg_status qg_lessons_read(const char *folder, qg_curve *divergence, qg_curve *agreement,
                          qg_warnings *warnings, qg_error *error)
{
    csv_reader reader;
    size_t rows = 0;
    *divergence = *agreement = (qg_curve){0};
    qg_status status =
        open_csv(&reader, folder, "distillation.csv", LESSON_COLUMNS, &rows, warnings, error);
    if (!status) status = read_lessons(&reader, rows, divergence, agreement, error);
    if (status) {
        qg_curve_free(divergence);
        qg_curve_free(agreement);
    }
    close_csv(&reader);
    return status;
}

void qg_curve_free(qg_curve *curve)
{
    free(curve->steps);
    free(curve->scores);
    *curve = (qg_curve){0};
}

qg_status qg_training_read(const char *folder, qg_training *training, qg_warnings *warnings,
                           qg_error *error)
{
    enum { COLUMNS = 6, EPISODES = 2, UPDATES = 4 };
    csv_reader reader;
    size_t rows = 0;
    *training = (qg_training){0};
    qg_status status =
        open_csv(&reader, folder, "training.csv", TRAINING_COLUMNS, &rows, warnings, error);
    for (bool more = !status; more && !status;) {
        double values[COLUMNS];
        status = read_row(&reader, COLUMNS, values, &more, error);
        if (status || !more) break;
        if (is_count(values[EPISODES]) && is_count(values[UPDATES]))
            *training = (qg_training){(int64_t)values[0], (int64_t)values[EPISODES],
                                      (int64_t)values[UPDATES]};
        else
            status = qg_fail(error, QG_ERROR_DATA, "%s:%lld: episodes and updates are counts",
                             reader.path, (long long)reader.line);
    }
    close_csv(&reader);
    return status;
}

/* --------------------------------------------------------------------------------- layers */

/* A row: its numbers into `values` (NaN in place of the name), the layer's into `name`. */
static qg_status parse_layer(csv_reader *reader, char *line, char name[12], double *values,
                             qg_error *error)
{
    char *const before = strchr(line, ','), *const end = before ? strchr(before + 1, ',') : NULL;
    const size_t length = end ? (size_t)(end - before - 1) : 0;
    if (length == 0 || length >= sizeof((qg_layer_history *)0)->names[0])
        return qg_fail(error, QG_ERROR_DATA, "%s:%lld: names no layer", reader->path,
                       (long long)reader->line);
    memcpy(name, before + 1, length);
    name[length] = '\0';
    memmove(before + 1, end, strlen(end) + 1);
    const qg_status status = parse_row(reader, line, 2 + QG_LAYER_COLUMNS, values, error);
    if (status) return status;
    for (int m = 0; m < QG_LAYER_COLUMNS; m++)
        if (fabs(values[2 + m]) > LARGEST_SCORE)
            return qg_fail(error, QG_ERROR_DATA, "%s:%lld: %g is no measure of a layer",
                           reader->path, (long long)reader->line, values[2 + m]);
    return QG_OK;
}

/* Whether a layer's row comes next: every evaluation has the layers of the first in their order. */
static bool take_layer(qg_layer_history *h, size_t row, const char *name, double step)
{
    if (!is_count(step)) return false;
    if (row == (size_t)h->layer_count && (row == 0 || (int64_t)step == h->steps[0])) {
        for (int l = 0; l < h->layer_count; l++)
            if (strcmp(h->names[l], name) == 0) return false;
        if (h->layer_count == QG_MAX_LAYERS) return false;
        strcpy(h->names[h->layer_count++], name);
        h->steps[0] = (int64_t)step;
        return true;
    }
    const size_t at = row / (size_t)h->layer_count, layer = row % (size_t)h->layer_count;
    if (layer == 0) h->steps[at] = (int64_t)step;
    return strcmp(name, h->names[layer]) == 0 && (int64_t)step == h->steps[at] &&
           (layer > 0 || h->steps[at] > h->steps[at - 1]);
}

static qg_status read_layers(csv_reader *reader, size_t rows, qg_layer_history *h, qg_error *error)
{
    size_t row = 0;
    h->steps = calloc(rows + 1, sizeof *h->steps);
    h->rows = calloc(rows + 1, sizeof *h->rows);
    if (!h->steps || !h->rows)
        return qg_fail_memory(error, "layers.csv", (rows + 1) * sizeof *h->rows);
    for (char *line; (line = next_line(reader)) != NULL; row++) {
        char name[sizeof h->names[0]];
        double values[2 + QG_LAYER_COLUMNS];
        const qg_status status = parse_layer(reader, line, name, values, error);
        if (status) return status;
        if (!take_layer(h, row, name, values[0]))
            return qg_fail(error, QG_ERROR_DATA, "%s:%lld: the row does not follow the one before",
                           reader->path, (long long)reader->line);
        memcpy(h->rows[row].values, values + 2, QG_LAYER_COLUMNS * sizeof *values);
        h->rows[row].values[QG_BASELINE_CKA] = NAN;
    }
    h->count = row > 0 ? row / (size_t)h->layer_count : 0;
    return h->count > 0 ? QG_OK
                        : qg_fail(error, QG_ERROR_DATA, "%s: no evaluation yet", reader->path);
}

qg_status qg_layer_history_read(const char *folder, qg_layer_history *history,
                                qg_warnings *warnings, qg_error *error)
{
    csv_reader reader;
    size_t rows = 0;
    *history = (qg_layer_history){0};
    qg_status status =
        open_csv(&reader, folder, "layers.csv", QG_LAYERS_HEADER, &rows, warnings, error);
    if (!status) status = read_layers(&reader, rows, history, error);
    close_csv(&reader);
    return status;
}

void qg_layer_history_free(qg_layer_history *history)
{
    free(history->steps);
    free(history->rows);
    *history = (qg_layer_history){0};
}
