#include "agent/csv.h"

#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define FILE_LIMIT ((size_t)1 << 30)

struct qg_csv {
    int descriptor;
    char *path;
};

/* The bytes of `text` that are kept: the header and the whole lines up to `last_step`. */
static size_t kept_bytes(const char *text, size_t header_length, int64_t last_step)
{
    const char *line = text + header_length + 1;
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char *number_end;
        errno = 0;
        const long long step = strtoll(line, &number_end, 10);
        if (errno != 0 || number_end == line || number_end > end || step > last_step) break;
    }
    return (size_t)(line - text);
}

/* Finds where the rows go on; 0: write the header first. A process killed early may leave a file
 * without a whole header. */
static qg_status find_end(const char *path, const char *header, int64_t last_step, size_t *end,
                          qg_error *error)
{
    uint8_t *data;
    size_t size;
    if (qg_file_read(path, FILE_LIMIT, &data, &size, error) != QG_OK) return error->code;
    const char *text = (const char *)data;
    const size_t length = strlen(header);
    qg_status status = QG_OK;
    if (size > length && memcmp(text, header, length) == 0 && text[length] == '\n')
        *end = kept_bytes(text, length, last_step);
    else if (size <= length && memcmp(text, header, size) == 0)
        *end = 0;
    else
        status = qg_fail(error, QG_ERROR_DATA,
                         "%s: its columns are not those of this program (%.200s); move it away",
                         path, header);
    free(data);
    return status;
}

static qg_status open_csv(qg_csv *csv, const char *header, int64_t last_step, qg_error *error)
{
    csv->descriptor = open(csv->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
    if (csv->descriptor < 0) return qg_fail_errno(error, "%s: cannot open", csv->path);
    size_t end = 0;
    if (find_end(csv->path, header, last_step, &end, error) != QG_OK) return error->code;
    if (ftruncate(csv->descriptor, (off_t)end) != 0)
        return qg_fail_errno(error, "%s: cannot cut off old rows", csv->path);
    return end > 0 ? QG_OK : qg_csv_row(csv, error, "%s", header);
}

qg_status qg_csv_open(const char *path, const char *header, int64_t last_step, qg_csv **csv,
                      qg_error *error)
{
    assert(path && header && csv);
    *csv = calloc(1, sizeof **csv);
    if (!*csv) return qg_fail_memory(error, path, sizeof **csv);
    (*csv)->descriptor = -1;
    (*csv)->path = strdup(path);
    const qg_status status = (*csv)->path ? open_csv(*csv, header, last_step, error)
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
    return status;
}

qg_status qg_csv_sync(qg_csv *csv, qg_error *error)
{
    if (fdatasync(csv->descriptor) != 0) return qg_fail_errno(error, "%s: cannot sync", csv->path);
    return QG_OK;
}

void qg_csv_close(qg_csv *csv)
{
    if (!csv) return;
    if (csv->descriptor >= 0) close(csv->descriptor);
    free(csv->path);
    free(csv);
}
