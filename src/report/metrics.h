/* The numbers of a report for other programs. */
#ifndef QG_REPORT_METRICS_H
#define QG_REPORT_METRICS_H

#include "report/results.h"

/* Writes FOLDER/metrics.csv, complete or not at all: a row for each run and seed, and a row for
 * each run over its seeds. docs/studies.md explains the columns. */
qg_status qg_metrics_write(const qg_results *results, qg_error *error);

#endif
