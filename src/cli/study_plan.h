/* The plan of a study, for people: what runs, after what, and what it takes. */
#ifndef QG_STUDY_PLAN_H
#define QG_STUDY_PLAN_H

#include "study/estimate.h"

typedef struct study_plan {
    const qg_study *study;
    const char *folder;
    const qg_task_status *statuses; /* [task_count] */
    const qg_load *loads;           /* [task_count] */
    qg_limits limits;
    qg_forecast forecast; /* of what is not finished */
} study_plan;

/* Prints it as a table, or as JSON with the command of every task; the exit code. */
int study_plan_print(const study_plan *plan, bool json);

#endif
