/* When the tasks of a study run: which is next, and how long all of them will take. Nothing is
 * read, measured or started here.
 *
 * States are those of tasks, of which four count: waiting (may be started), running, finished, and
 * all others: will not run, and what waits for them will not. */
#ifndef QG_SCHEDULE_H
#define QG_SCHEDULE_H

#include <qgraft/study.h>

/* urgency [task_count]: seconds of work from the start of a task to the end of the longest chain
 * that waits for it; infinite where it comes first. The most urgent task is started first. */
void qg_schedule_urgency(const qg_study *study, const qg_task_load *loads, double *urgency);

/* The most urgent of the waiting tasks whose parents are finished and for which there is room
 * beside those that run; one alone always has room. -1: none. */
int qg_schedule_next(const qg_study *study, const qg_task_state *states, const qg_task_load *loads,
                     const double *urgency, const qg_study_limits *limits);

/* Plays the rest of the study through. QG_ERROR_MEMORY. */
qg_status qg_schedule_forecast(const qg_study *study, const qg_task_state *states,
                               const qg_task_load *loads, const qg_study_limits *limits,
                               qg_study_forecast *forecast, qg_error *error);

#endif
