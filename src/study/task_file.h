/* The run file of a task. */
#ifndef QG_TASK_FILE_H
#define QG_TASK_FILE_H

#include <qgraft/study.h>

#define QG_TASK_FILE "task.yaml" /* in the task's folder */

/* The files of the networks that a task begins from, in the order of its run's sources, in
 * files [QG_MAX_TEACHERS], malloc'ed; those of the study's own runs begin with `folder`, NULL:
 * start from the study's folder. QG_ERROR_MEMORY. */
qg_status qg_task_networks(const qg_study *study, int task, const char *folder, char **files,
                           int *count, qg_error *error);

/* Writes QG_TASK_FILE into the task's folder, which is there. */
qg_status qg_task_write_file(const qg_study *study, int task, const char *folder, qg_error *error);

#endif
