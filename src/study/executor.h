/* The executor: works off a study's tasks on this machine, a process of the program for each.
 *
 * What is finished is never run again, what was stopped goes on, what failed is tried again. A task
 * whose folder another process holds is waited for. */
#ifndef QG_EXECUTOR_H
#define QG_EXECUTOR_H

#include "base/file.h"
#include "study/schedule.h"

#include <signal.h>

/* What goes on, for those who watch. */
typedef struct qg_execution {
    const qg_study *study;
    const qg_task_status *statuses; /* [task_count] */
    double seconds_left;            /* a forecast */
    const char *waits;              /* why no other task is started although one could; "": none */
} qg_execution;

typedef struct qg_execute_options {
    const char *program;  /* of qgraft, for execv */
    const qg_load *loads; /* [task_count] of each task as a whole */
    qg_limits limits;
    int only;             /* the one task to run, whose parents are finished; -1: all */
    double stall_seconds; /* a run without progress for so long is ended and counts as failed */
    /* Called when a task has begun or ended, and about once a second with task -1; may be NULL. */
    void (*watch)(void *context, const qg_execution *now, int task);
    void *context;
    /* Becomes 1: the runs are asked to end (QG_STOPPED); more: they are killed. May be NULL. */
    const volatile sig_atomic_t *stop;
} qg_execute_options;

/* How many tasks are in each state at the end. */
typedef struct qg_execute_result {
    int tasks[QG_TASK_BLOCKED + 1];
    int failed; /* in this execution: the first failed task; -1: none */
} qg_execute_result;

/* Locks the study's folder and saves the study in it. QG_ERROR_BUSY: another executor works in it;
 * otherwise fails as qg_study_save. */
qg_status qg_study_hold(const qg_study *study, const char *folder, qg_lock *lock, qg_error *error);

/* Runs what is to be run; the folder was written by qg_study_save. QG_OK also when runs failed: see
 * `result`. QG_STOPPED; QG_ERROR_USAGE: a parent of `only` is not finished; QG_ERROR_IO: no room on
 * the disk for any task, or the folder cannot be written: the runs that were begun are waited for.
 * QG_ERROR_MEMORY. */
qg_status qg_study_execute(const qg_study *study, const char *folder,
                           const qg_execute_options *options, qg_execute_result *result,
                           qg_error *error);

#endif
