/* The stratified bootstrap: the same number of runs of every task, drawn anew with replacement. */
#ifndef QG_BOOTSTRAP_H
#define QG_BOOTSTRAP_H

#include <qgraft/statistics.h>

/* The runs of all tasks in one row. */
typedef struct qg_sample {
    size_t task_count, count;
    size_t *ends;   /* [task] where the runs of the task end and those of the next begin */
    double *values; /* [run] */
    size_t *picks;  /* [run] which run stands here in the present resample */
} qg_sample;

/* The runs of several sets of tasks, one set after the other, each run its own pick. Checks that
 * the values are finite and that no task is empty (QG_ERROR_DATA). Freed by the caller, also after
 * an error. */
qg_status qg_sample_create(const qg_tasks *const *sets, size_t set_count, qg_sample *sample,
                           qg_error *error);
void qg_sample_free(qg_sample *sample);

/* Calls `visit` for each of QG_RESAMPLES resamples in sample->picks, which it leaves changed. */
typedef void qg_resample_visit(void *context, const qg_sample *sample, size_t resample);
void qg_bootstrap(qg_sample *sample, uint64_t seed, qg_resample_visit *visit, void *context);

/* A statistic of the picked runs with its interval. */
typedef double qg_statistic(void *context, const qg_sample *sample);
qg_status qg_bootstrap_interval(qg_sample *sample, qg_statistic *statistic, void *context,
                                uint64_t seed, qg_estimate *estimate, qg_error *error);

/* The mean over tasks of the means of the picked runs; `context` is not used. */
double qg_mean_of_task_means(void *context, const qg_sample *sample);

#endif
