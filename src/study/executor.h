/* The executor: works off a study's tasks on this machine, a process of the program for each.
 *
 * What is finished is never run again, what was stopped goes on, what failed is tried again. A task
 * whose folder another process holds is waited for. */
#ifndef QG_EXECUTOR_H
#define QG_EXECUTOR_H

#include <qgraft/study.h>

/* Runs what is to be run, by the loads and limits of the outlook; the folder was written by
 * qg_study_save. Otherwise as qg_study_execute. */
qg_status qg_executor_run(const qg_study *study, const char *folder,
                          const qg_study_options *options, const qg_study_outlook *outlook,
                          qg_study_result *result, qg_error *error);

#endif
