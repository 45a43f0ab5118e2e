/* The page of a report, report.html. */
#ifndef QG_REPORT_PAGE_H
#define QG_REPORT_PAGE_H

#include "report/figures.h"

#include <stdio.h>

/* The whole page. `summary` is two sentences. */
void qg_page_write(FILE *out, const qg_results *results, const qg_figures *figures,
                   const char *summary);

#endif
