/* The plan of a study, for people: what runs, after what, and what it takes. */
#ifndef QG_STUDY_PLAN_H
#define QG_STUDY_PLAN_H

#include <qgraft/study.h>

/* Prints what the outlook says as a table, or as JSON with the run file of every task; the exit
 * code. */
int study_plan_print(const qg_study *study, const char *folder, const qg_study_outlook *outlook,
                     bool json);

#endif
