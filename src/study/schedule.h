/* When the tasks of a study run: which is next, and how long all of them will take. Nothing is
 * read, measured or started here.
 *
 * States are those of tasks, of which four count: waiting (may be started), running, finished, and
 * all others: will not run, and what waits for them will not. */
#ifndef QG_SCHEDULE_H
#define QG_SCHEDULE_H

#include <qgraft/study.h>

/* What a task takes. */
typedef struct qg_load {
    double seconds; /* of work that are left */
    double memory;  /* bytes while it runs */
    double disk;    /* bytes while it runs, with those that it leaves */
    double kept;    /* bytes that it leaves */
} qg_load;

/* What there is for the tasks that run at one time. */
typedef struct qg_limits {
    int jobs;
    double memory; /* bytes */
} qg_limits;

typedef struct qg_forecast {
    double seconds;      /* until the last task has finished */
    double memory, disk; /* bytes, at the highest; the disk with what finished tasks left */
} qg_forecast;

/* urgency [task_count]: seconds of work from the start of a task to the end of the longest chain
 * that waits for it. The most urgent task is started first. */
void qg_schedule_urgency(const qg_study *study, const qg_load *loads, double *urgency);

/* The most urgent of the waiting tasks whose parents are finished and for which there is room
 * beside those that run; one alone always has room. -1: none. */
int qg_schedule_next(const qg_study *study, const qg_task_state *states, const qg_load *loads,
                     const double *urgency, const qg_limits *limits);

/* Plays the rest of the study through. QG_ERROR_MEMORY. */
qg_status qg_schedule_forecast(const qg_study *study, const qg_task_state *states,
                               const qg_load *loads, const qg_limits *limits, qg_forecast *forecast,
                               qg_error *error);

#endif
