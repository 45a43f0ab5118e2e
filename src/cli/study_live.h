/* A study while it runs: on a terminal a table that is drawn in place, elsewhere a line for every
 * task that begins or ends and one of totals every minute. */
#ifndef QG_STUDY_LIVE_H
#define QG_STUDY_LIVE_H

#include <qgraft/study.h>

typedef struct study_live {
    bool quiet;
    int lines;    /* that stand on the terminal */
    double drawn; /* seconds of the monotonic clock */
    int *rows;    /* [task_count], room for the table's */
} study_live;

/* For qg_study_options.watch; `context` is a study_live. */
void study_live_show(void *context, const qg_study_moment *now, int task);

/* Removes the table; what is printed next stands in its place. */
void study_live_end(study_live *live);

#endif
