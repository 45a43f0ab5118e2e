/* Student's interval for the mean over tasks of the tasks' means. */
#ifndef QG_T_DISTRIBUTION_H
#define QG_T_DISTRIBUTION_H

#include <qgraft/statistics.h>

/* Each task has a spread of its own (Welch), the degrees of freedom are Satterthwaite's, rounded
 * down. There is no interval where a task has a single run. For one task: the usual one. */
qg_estimate qg_student_over_tasks(const qg_tasks *tasks);

#endif
