/* The progress of a run as a file, for those who watch it from another process (the executor of
 * studies): one line of JSON of 512 bytes, overwritten in place about once a second. A file that
 * cannot be written never ends a run. */
#ifndef QG_CLI_PROGRESS_FILE_H
#define QG_CLI_PROGRESS_FILE_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stdint.h>

typedef struct cli_record {
    const char *phase; /* "training", "evaluating", ...; static */
    int64_t step, steps;
    double score;   /* of the last evaluation; NaN: none */
    double seconds; /* since the process began */
} cli_record;

typedef struct cli_progress_file {
    int descriptor; /* -1: none is wanted, or it cannot be written */
    cli_record last;
    double rate; /* steps per second of late, within one phase */
} cli_progress_file;

/* `path` may be NULL: none. A file that cannot be opened is said on stderr. */
void cli_progress_file_open(cli_progress_file *file, const char *path);

/* Writes the record if the last one is a second old. */
void cli_progress_file_write(cli_progress_file *file, const cli_record *record);

/* The last record, whose phase is how the run ended, and the end of the file; a run that did not
 * begin (QG_ERROR_USAGE) leaves no record. */
void cli_progress_file_end(cli_progress_file *file, qg_status status, cli_record record);

#endif
