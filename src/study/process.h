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
    off_t begun;                  /* size of the log when it began */
    double started, moved, asked; /* seconds of the monotonic clock; asked to end: 0, not asked */
    struct timespec touched;      /* when the progress was written last */
} qg_process;

/* Seconds of the monotonic clock. */
double qg_process_clock(void);

/* Starts `program` with arguments[] (ends with NULL, the program's name first); stdout and stderr
 * go to the end of `log`, after a line with the command. A Ctrl-C at the terminal does not reach
 * it; when this process dies it gets SIGTERM. `sign` is a file that it writes while it works. Both
 * paths become the process's, whatever comes. QG_ERROR_IO. */
qg_status qg_process_start(qg_process *process, const char *program, char *const *arguments,
                           char *log, char *sign, qg_error *error);

/* Whether it has ended; *how is then as from waitpid. */
bool qg_process_ended(qg_process *process, int *how);

/* SIGTERM, once; SIGKILL when that was `grace` seconds ago. */
void qg_process_end(qg_process *process, double grace);

/* Seconds since it last gave a sign of life (its start is one). */
double qg_process_silence(qg_process *process);

/* Why it failed: the last message of its own in the log, or the signal that killed it. */
void qg_process_explain(const qg_process *process, int how, char *message, size_t size);

void qg_process_free(qg_process *process); /* of one that has ended or was not started */

#endif
