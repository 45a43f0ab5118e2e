/* A run as a child process: its start, its signs of life and its end. */
#ifndef QG_PROCESS_H
#define QG_PROCESS_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

typedef struct qg_process {
    pid_t pid; /* 0: none */
    char *log; /* path of what it prints, and of its progress */
    char *sign;
    int log_file;                 /* open and locked; -1: not */
    off_t begun;                  /* size of the log when it began */
    double started, moved, asked; /* seconds of the monotonic clock; asked to end: 0, not asked */
    struct timespec touched;      /* when the progress was written last */
} qg_process;

/* Opens `log`, to which stdout and stderr go, and locks it, so that one process at a time watches
 * over a run: QG_ERROR_BUSY when another one does, or its run has outlived it. `sign` is a file
 * that the run writes while it works. Both paths become the process's, whatever comes. QG_ERROR_IO.
 */
qg_status qg_process_open(qg_process *process, char *log, char *sign, qg_error *error);

/* Starts `program` in `folder` with arguments[] (ends with NULL, the program's name first), after a
 * line with the command in the log. A Ctrl-C at the terminal does not reach it; when this process
 * dies it gets SIGTERM. QG_ERROR_IO. */
qg_status qg_process_start(qg_process *process, const char *program, const char *folder,
                           const char *const *arguments, qg_error *error);

/* Whether it has ended; *how is then as from waitpid. */
bool qg_process_ended(qg_process *process, int *how);

/* SIGTERM, once; SIGKILL when that was `grace` seconds ago. */
void qg_process_end(qg_process *process, double grace);

/* Whether it died of that SIGTERM, as one does that has not come to listen to it, or, `killed`, of
 * the SIGKILL behind it. */
bool qg_process_obeyed(const qg_process *process, int how, bool killed);

/* Seconds since it last gave a sign of life (its start is one). */
double qg_process_silence(qg_process *process);

/* Why it failed: the last message of its own in the log, or the signal that killed it. */
void qg_process_explain(const qg_process *process, int how, char *message, size_t size);

/* Of one that has ended or was not started; gives the lock back. */
void qg_process_free(qg_process *process);

#endif
