/* What a planned study will be able to see. */
#ifndef CLI_STUDY_POWER_H
#define CLI_STUDY_POWER_H

#include <qgraft/study.h>

/* Prints the smallest effects that the study can see, the seeds that smaller ones need, and the
 * best split of seeds. Deviations come from the folder of a study (`pilot`, or the study's own
 * where it has finished runs), or from the study file. Returns QG_OK also where there are none;
 * errors are those of a pilot that was named. */
qg_status study_power_print(const qg_study *study, const char *folder, const char *pilot,
                            qg_error *error);

#endif
