/* The sections of report.html. */
#ifndef QG_REPORT_PAGE_H
#define QG_REPORT_PAGE_H

#include "report/figures.h"
#include "report/html.h"

/* The whole page. `summary` is two sentences. */
void qg_page_write(FILE *out, const qg_results *results, const qg_figures *figures,
                   const char *summary);

/* The experiments of a figure of curves: verdict, tables, layers, similarity. */
void qg_page_experiments(FILE *out, const qg_results *results, const qg_figure *figure);

/* How everything was made. */
void qg_page_making(FILE *out, const qg_results *results);

/* "holds" and the like in their colour. */
void qg_page_decision(FILE *out, qg_decision decision);

/* "<td>" with "+0.123" or a dash, and with "-0.12 to 0.34". */
void qg_page_difference(FILE *out, double value);
void qg_page_interval(FILE *out, const qg_estimate *estimate);

/* Title of an experiment: "first 2 frozen of breakout onto minatar/freeway". */
void qg_page_title(const qg_results *results, const qg_experiment *experiment, char text[320]);

/* Opens a table in a box of its own that scrolls, `caption` (may be NULL) above it; `headers` are
 * separated by '|', numbers' headers begin with '#'. qg_page_end_table closes it. */
void qg_page_table(FILE *out, const char *caption, const char *headers);
void qg_page_end_table(FILE *out);

#endif
