#include "cli/progress_file.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD = 512 };

static const char begins[] = "{\"phase\": \"";

/* Whether there is nothing to lose: no file yet, none that keeps anything, or a record, of which a
 * power cut may have left less, or zeros. */
static bool may_be_written(int descriptor)
{
    struct stat status;
    char head[sizeof begins - 1];
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return true;
    const ssize_t size = pread(descriptor, head, sizeof head, 0);
    return size == 0 || (size > 0 && (memcmp(head, begins, (size_t)size) == 0 ||
                                      (*head == '\0' && status.st_size <= RECORD)));
}

void cli_progress_file_open(cli_progress_file *file, const char *path)
{
    *file = (cli_progress_file){.descriptor = -1};
    if (!path) return;
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (descriptor < 0) {
        fprintf(stderr, "qgraft: --progress-file %s: %s; goes on without\n", path, strerror(errno));
    } else if (!may_be_written(descriptor)) {
        fprintf(stderr, "qgraft: --progress-file %s: holds something else; goes on without\n",
                path);
        close(descriptor);
    } else {
        file->descriptor = descriptor;
    }
}

/* A JSON number, null for NaN. */
static const char *number(double value, char text[32])
{
    if (!isfinite(value)) return "null";
    qg_text_from_real(value, text);
    return text;
}

/* Speed counts between two records of one phase, so that evaluations do not slow training down. */
static void measure(cli_progress_file *file, const cli_record *record)
{
    const cli_record *last = &file->last;
    const double elapsed = record->seconds - last->seconds;
    if (!last->phase || strcmp(last->phase, record->phase) != 0 || elapsed <= 0 ||
        record->step <= last->step)
        return;
    const double rate = (double)(record->step - last->step) / elapsed;
    file->rate = file->rate > 0 ? 0.7 * file->rate + 0.3 * rate : rate;
}

static void write_record(const cli_progress_file *file, const cli_record *record)
{
    char line[RECORD + 1], rate[32], score[32], seconds[32];
    const int length = snprintf(line, sizeof line,
                                "%s%s\", \"step\": %" PRId64 ", \"steps\": %" PRId64
                                ", \"rate\": %s, \"score\": %s, \"seconds\": %s}",
                                begins, record->phase, record->step, record->steps,
                                number(round(file->rate), rate), number(record->score, score),
                                number(round(record->seconds * 10) / 10, seconds));
    memset(line + length, ' ', (size_t)(RECORD - 1 - length));
    line[RECORD - 1] = '\n';
    if (pwrite(file->descriptor, line, RECORD, 0) != RECORD) {
        /* A full disk: the run goes on, and the next second is another chance. */
    }
}

void cli_progress_file_write(cli_progress_file *file, const cli_record *record)
{
    if (file->descriptor < 0) return;
    if (file->last.phase && record->seconds - file->last.seconds < 1) return;
    measure(file, record);
    file->last = *record;
    write_record(file, record);
}

void cli_progress_file_end(cli_progress_file *file, qg_status status, cli_record record)
{
    if (file->descriptor < 0) return;
    record.phase = status == QG_OK ? "finished" : status == QG_STOPPED ? "stopped" : "failed";
    if (status != QG_ERROR_USAGE) write_record(file, &record);
    close(file->descriptor);
    file->descriptor = -1;
}
