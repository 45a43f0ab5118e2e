/* STUDY, as the commands that run one take it: a study file, or the folder of a study. */
#ifndef QG_STUDY_OPEN_H
#define QG_STUDY_OPEN_H

#include <qgraft/study.h>

/* The study and the folder where it lies or will lie, the caller's to free; `out` and `scale` are
 * the texts of --out and --scale, NULL: not given. */
qg_status study_open(const char *name, const char *out, const char *scale, qg_study **study,
                     char **folder, qg_error *error);

bool study_is_folder(const char *name);

#endif
