/* Networks that are gone though their run is finished. */
#ifndef QG_LOST_NETWORKS_H
#define QG_LOST_NETWORKS_H

#include <qgraft/study.h>

/* Finished tasks without a network that a waiting one begins from: their states become
 * QG_TASK_WAITING, their anew[task] true; they must begin anew. `states` and `anew`: [task_count].
 */
void qg_study_find_lost(const qg_study *study, const char *folder, qg_task_state *states,
                        bool *anew);

/* Whether the run of a task would go on from a checkpoint behind a step whose network is needed but
 * was not kept, as nothing needed it then. */
bool qg_study_has_passed(const qg_study *study, int task, const char *folder);

#endif
