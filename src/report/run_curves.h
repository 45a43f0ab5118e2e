/* The curves of a run's seeds, at the steps that all of them have. */
#ifndef QG_REPORT_RUN_CURVES_H
#define QG_REPORT_RUN_CURVES_H

#include <qgraft/statistics.h>

#include "report/run_history.h"

typedef struct qg_run_curves {
    bool shown;                    /* listed, or the baseline of one that is */
    qg_curve *read;                /* [curves.seed_count] as they are in the files */
    uint64_t *seeds;               /* [curves.seed_count] */
    double **scores;               /* [curves.seed_count], into `read` */
    qg_curves curves;              /* a view of the above; seed_count 0: nothing could be read */
    double (*levels)[QG_MEASURES]; /* [curves.seed_count] what each seed reached */
    qg_estimate *band;             /* [curves.point_count] mean over seeds */
} qg_run_curves;

/* Room for the curves of so many seeds. QG_ERROR_MEMORY. */
qg_status qg_run_curves_create(qg_run_curves *run, size_t seeds, qg_error *error);

/* Whether a curve has the steps of those that are there. */
bool qg_run_curves_fit(const qg_run_curves *run, const qg_curve *curve);

/* Takes over a curve that fits. */
void qg_run_curves_add(qg_run_curves *run, uint64_t seed, const qg_curve *curve);

/* Makes the view and the band, when all curves have been added. QG_ERROR_MEMORY. */
qg_status qg_run_curves_finish(qg_run_curves *run, qg_error *error);

void qg_run_curves_free(qg_run_curves *run); /* zero bytes are allowed */

#endif
