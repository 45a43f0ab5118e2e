/* The process of a Gymnasium environment (python/qgraft/worker.py, whose text is part of the
 * library): started, asked, watched, ended.
 *
 * A request is i32 what, i32 argument, over a socket; QG_WORKER_MAKE has `argument` bytes of JSON
 * behind it. The reply is i32 status (0: done; 1: failed; 2: refused), u32 bytes of text behind it,
 * f64 reward, u32 flags, u32 nanoseconds that the environment itself took (a step's). An
 * observation lies at the beginning of a file in memory, a picture u8 [height][width][3] behind it
 * at the next multiple of 4096. The process leads a group of its own, which the kernel kills when
 * this process ends, however that ends. What it prints is read and dropped but for the end. */
#ifndef QG_GYM_WORKER_H
#define QG_GYM_WORKER_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum qg_worker_request {
    QG_WORKER_MAKE = 1,
    QG_WORKER_RESET, /* argument: seed */
    QG_WORKER_STEP,  /* argument: action */
    QG_WORKER_PICTURE,
    QG_WORKER_CLOSE,
} qg_worker_request;

enum { QG_WORKER_END = 1, QG_WORKER_TRUNCATED = 2 }; /* flags of a step's reply */

typedef struct qg_worker_reply {
    double reward;
    uint32_t flags;
    uint32_t nanoseconds;
    const char *text; /* with a NUL behind; the worker's, valid until the next request */
    size_t size;
} qg_worker_reply;

typedef struct qg_worker qg_worker;

/* A worker for the domain `name`: one that rests, or a new process of the interpreter that
 * QGRAFT_PYTHON names (else python3), in the folder of now or that which QGRAFT_START_FOLDER names.
 * Its first request is QG_WORKER_MAKE. QG_ERROR_IO. */
qg_status qg_worker_take(const char *name, qg_worker **worker, qg_error *error);

/* Closes the environment and lets the process rest for the next qg_worker_take of its name; one
 * that has failed is ended. */
void qg_worker_rest(qg_worker *worker);

/* Ends those of this process that rest. */
void qg_worker_end_resting(void);

/* Closes the environment and ends the process. NULL is allowed. */
void qg_worker_close(qg_worker *worker);

/* Ends the process as it is. NULL is allowed. */
void qg_worker_end(qg_worker *worker);

/* False: it has ended, or has been ended. */
bool qg_worker_lives(const qg_worker *worker);

/* Asks, and waits for the answer: 60 seconds, or as many as QGRAFT_PYTHON_TIMEOUT says, five times
 * that for QG_WORKER_MAKE. `text` is MAKE's JSON, else NULL. QG_ERROR_DATA: the environment raised
 * an exception (the message is its last line); QG_ERROR_IO: it did not answer or died;
 * QG_ERROR_USAGE: it was refused, or no number of seconds can be read. */
qg_status qg_worker_ask(qg_worker *worker, qg_worker_request what, int32_t argument,
                        const char *text, qg_worker_reply *reply, qg_error *error);

/* The first `size` bytes of the file in memory, mapped until the next call; QG_ERROR_DATA: the file
 * is smaller, unless it is to `grow`. */
qg_status qg_worker_map(qg_worker *worker, size_t size, bool grow, const uint8_t **memory,
                        qg_error *error);

#endif
