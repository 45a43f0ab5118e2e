/* Errors of the library.
 *
 * A function that can fail returns a qg_status and fills the caller's qg_error: a code and one
 * line that says what failed, where, and how to mend it. The library prints nothing and never
 * ends the process. Programming errors (a NULL where the contract forbids it) are asserts.
 *
 * Numbers in texts and files have a point: a program that calls setlocale leaves LC_NUMERIC alone,
 * or gives it back to the threads that call the library (uselocale).
 *
 * A word in backquotes is the library's name of something that the caller can set (`overwrite`, a
 * field of the options) or ask for (`games`): a program puts its own name there. */
#ifndef QGRAFT_ERROR_H
#define QGRAFT_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum qg_status {
    QG_OK = 0,
    QG_ERROR_USAGE,  /* a setting, name or option that the caller can correct: exit code 2 */
    QG_ERROR_DATA,   /* a file whose content is not what it should be */
    QG_ERROR_IO,     /* the operating system refused: open, read, write, map */
    QG_ERROR_MEMORY, /* an allocation failed */
    QG_ERROR_BUSY,   /* another process holds the folder */
    QG_STOPPED,      /* the caller asked to stop (Ctrl-C): not a failure of anything */
} qg_status;

typedef struct qg_error {
    qg_status code;
    char message[512]; /* one line, no newline at the end */
} qg_error;

/* Fills `error` (never NULL) and returns `code`, so that a failing function can end with
 * `return qg_fail(error, QG_ERROR_DATA, "%s: ...", path);`. Control characters in the text become
 * '?', so that a hostile file name cannot write to the terminal. */
qg_status qg_fail(qg_error *error, qg_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As qg_fail, with ": " and the text of `errno` at the end; code QG_ERROR_IO. */
qg_status qg_fail_errno(qg_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "not enough memory for WHAT (N bytes)"; code QG_ERROR_MEMORY. */
qg_status qg_fail_memory(qg_error *error, const char *what, unsigned long long bytes);

#if defined(__clang_analyzer__) && !defined(QG_ERROR_IMPLEMENTATION)
/* Tells clang's analyzer, which sees one file at a time, what these return: never QG_OK. */
#define qg_fail(error, code, ...)  ((qg_fail)(error, code, __VA_ARGS__), (code))
#define qg_fail_errno(error, ...)  ((qg_fail_errno)(error, __VA_ARGS__), QG_ERROR_IO)
#define qg_fail_memory(error, ...) ((qg_fail_memory)(error, __VA_ARGS__), QG_ERROR_MEMORY)
#endif

#ifdef __cplusplus
}
#endif
#endif
