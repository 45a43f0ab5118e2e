/* Running another program to its end, with text in and whatever it wrote out. Files in memory stand
 * between, so that no pipe can fill up and a full /tmp is nobody's trouble. */
#ifndef QG_PROGRAM_H
#define QG_PROGRAM_H

#include <qgraft/error.h>

#include <stddef.h>

typedef struct qg_program_result {
    int code;       /* its exit code; 128: it ended by a signal */
    char *output;   /* with a NUL behind; free() */
    size_t size;    /* of the output */
    char *messages; /* what it wrote to stderr, as text; free() */
} qg_program_result;

/* Runs arguments[0], searched for in PATH, on `input` (NULL: none). QG_ERROR_IO with errno ENOENT:
 * there is no such program. On an error *result is empty. */
qg_status qg_program_run(char *const *arguments, const char *input, qg_program_result *result,
                         qg_error *error);
void qg_program_result_free(qg_program_result *result);

#endif
