/* The folder of a study, for those who change it. */
#ifndef QG_STUDY_FOLDER_H
#define QG_STUDY_FOLDER_H

#include <qgraft/study.h>

#include "base/file.h"

/* Whether a study may be saved in the folder, which is locked. */
typedef qg_status qg_study_check(const qg_study *study, const char *folder, qg_error *error);

/* Locks the study's folder and, unless `check` (NULL: none) fails, saves the study in it.
 * QG_ERROR_BUSY: another process runs or submits it; otherwise fails as qg_study_save. */
qg_status qg_study_hold(const qg_study *study, const char *folder, qg_study_check *check,
                        qg_lock *lock, qg_error *error);

#endif
