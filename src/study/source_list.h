/* The sources of a study file, those whose lists multiply taken apart. */
#ifndef QG_SOURCE_LIST_H
#define QG_SOURCE_LIST_H

#include "study/reader.h"

typedef struct qg_source_list {
    qg_yaml mapping; /* an item a source, in the order of the file; borrows from its tree */
    qg_run_variant *variants;     /* [mapping.count], of zero bytes where there was no list */
    char (*names)[QG_STUDY_NAME]; /* [mapping.count] */
} qg_source_list;

/* {s: {distill: a, loss: [kl, mse]}} is s-kl and s-mse, all other sources are as they are written.
 * After a failure, too, qg_source_list_free releases what was made. */
qg_status qg_source_list_make(const study_reader *reader, const qg_yaml *sources,
                              qg_source_list *list);
void qg_source_list_free(qg_source_list *list);

#endif
