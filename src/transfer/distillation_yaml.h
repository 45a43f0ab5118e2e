/* What a distillation says of itself: run.yaml, and the pedigree in its networks. */
#ifndef QG_DISTILLATION_YAML_H
#define QG_DISTILLATION_YAML_H

#include <qgraft/distillation.h>

#include "transfer/teacher.h"

#include <stdio.h>

typedef struct qg_distillation_notes {
    qg_note list[6 * QG_MAX_TEACHERS + 2]; /* the strings are owned */
    size_t count;
} qg_distillation_notes;

/* After a failure, too, qg_distillation_notes_free releases what was made. */
qg_status qg_distillation_notes_make(qg_distillation_notes *notes,
                                     const qg_distillation_options *options,
                                     const qg_teacher *teachers, qg_error *error);
void qg_distillation_notes_free(qg_distillation_notes *notes);

/* The part of run.yaml, and of a run file, that only distillations have. */
void qg_distillation_write(FILE *out, const qg_distillation_options *options);

/* The text of run.yaml, which the caller frees. `settings`: the student's, as they were resolved.
 */
qg_status qg_distillation_yaml(const qg_distillation_options *options, const qg_teacher *teachers,
                               const qg_settings *settings, const qg_distillation_notes *notes,
                               char **text, qg_error *error);

#endif
