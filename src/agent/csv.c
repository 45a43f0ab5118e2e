#include "agent/csv.h"

#include "base/file.h"
#include "base/file_kind.h"
#include "base/text.h"

#include <assert.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct qg_csv {
    int descriptor;
    char *path;
    int64_t size;
};

/* Whether the file's first `kept` bytes are rows under `header`. */
static bool holds_rows(int file, const char *header, int64_t kept)
{
    char begin[512], last;
    const size_t length = strlen(header);
    struct stat status;
    return length < sizeof begin && kept > (int64_t)length && fstat(file, &status) == 0 &&
           status.st_size >= kept && pread(file, begin, length + 1, 0) == (ssize_t)length + 1 &&
           memcmp(begin, header, length) == 0 && begin[length] == '\n' &&
           pread(file, &last, 1, (off_t)kept - 1) == 1 && last == '\n';
}

/* Of a file that does not hold what it should. */
static qg_status fail_without_rows(const char *path, qg_error *error)
{
    char begin[QG_FILE_KIND_BYTES];
    const qg_file_kind kind = qg_file_kind_of(begin, qg_file_begin(path, begin, sizeof begin));
    if (!qg_file_kind_is_plain(kind))
        return qg_fail_kind(error, QG_ERROR_DATA, path, "the table of this run", kind, NULL);
    return qg_fail(error, QG_ERROR_DATA, "%s: lacks rows that the run has written", path);
}

static qg_status open_csv(qg_csv *csv, const char *header, int64_t kept, qg_error *error)
{
    csv->descriptor = open(csv->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
    if (csv->descriptor < 0) return qg_fail_errno(error, "%s: cannot open", csv->path);
    if (kept > 0 && !holds_rows(csv->descriptor, header, kept))
        return fail_without_rows(csv->path, error);
    if (ftruncate(csv->descriptor, (off_t)kept) != 0)
        return qg_fail_errno(error, "%s: cannot cut off old rows", csv->path);
    csv->size = kept;
    return kept > 0 ? QG_OK : qg_csv_row(csv, error, "%s", header);
}

qg_status qg_csv_open(const char *path, const char *header, int64_t kept, qg_csv **csv,
                      qg_error *error)
{
    assert(path && header && csv && kept >= 0);
    *csv = calloc(1, sizeof **csv);
    if (!*csv) return qg_fail_memory(error, path, sizeof **csv);
    (*csv)->descriptor = -1;
    (*csv)->path = strdup(path);
    const qg_status status = (*csv)->path ? open_csv(*csv, header, kept, error)
                                          : qg_fail_memory(error, path, strlen(path) + 1);
    if (status != QG_OK) {
        qg_csv_close(*csv);
        *csv = NULL;
    }
    return status;
}

qg_status qg_csv_row(qg_csv *csv, qg_error *error, const char *format, ...)
{
    assert(csv && format);
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    const int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) return qg_fail_memory(error, csv->path, strlen(format));
    assert(!strchr(text, '\n'));
    text[length] = '\n'; /* in place of the NUL byte */
    const qg_status status =
        qg_file_append(csv->descriptor, text, (size_t)length + 1, csv->path, error);
    free(text);
    if (!status) csv->size += length + 1;
    return status;
}

const char *qg_csv_real(double value, char text[32])
{
    return !isfinite(value) ? "" : qg_text_from_real(value, text);
}

const char *qg_csv_text(const char *text, char *cell)
{
    char *to = cell;
    *to++ = '"';
    for (; *text; text++) {
        if (*text == '"') *to++ = '"';
        *to++ = *text;
    }
    *to++ = '"';
    *to = '\0';
    return cell;
}

const char *qg_csv_read_text(const char *cell, char *text, size_t size)
{
    if (*cell++ != '"') return NULL;
    for (size_t i = 0; *cell && i < size; i++, cell++) {
        const bool end = *cell == '"' && cell[1] != '"';
        text[i] = end ? '\0' : *cell;
        if (end) return cell + 1;
        cell += *cell == '"';
    }
    return NULL;
}

int64_t qg_csv_size(const qg_csv *csv)
{
    return csv->size;
}

qg_status qg_csv_sync(qg_csv *csv, qg_error *error)
{
    if (qg_file_sync(csv->descriptor, false) != 0)
        return qg_fail_errno(error, "%s: cannot sync", csv->path);
    return QG_OK;
}

void qg_csv_close(qg_csv *csv)
{
    if (!csv) return;
    if (csv->descriptor >= 0) close(csv->descriptor);
    free(csv->path);
    free(csv);
}
