/* The numbers of a report for other programs. */
#ifndef QG_REPORT_METRICS_H
#define QG_REPORT_METRICS_H

#include "report/results.h"

/* Writes FOLDER/metrics.csv (a row for each run and seed, and a row for each run over its seeds)
 * and FOLDER/claims.csv (a row for each claim), each complete or not at all. docs/studies.md
 * explains the columns. */
qg_status qg_metrics_write(const qg_results *results, qg_error *error);

#endif
