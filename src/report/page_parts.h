/* The long sections of report.html, and the small parts that all sections share. */
#ifndef QG_REPORT_PAGE_PARTS_H
#define QG_REPORT_PAGE_PARTS_H

#include "report/figures.h"
#include "report/html.h"

/* The experiments of a figure of curves: verdict, tables, layers, similarity. */
void qg_page_experiments(FILE *out, const qg_results *results, const qg_figure *figure);

/* How many experiments of each kind of copy were decided which way. */
void qg_page_effects(FILE *out, const qg_results *results);

/* What a reader of 20 seconds takes along: a sentence for each kind of copy. */
void qg_page_answer(FILE *out, const qg_results *results);

/* What chains of grafts have forgotten and knew before; nothing where there are none. */
void qg_page_continual(FILE *out, const qg_results *results);

/* What became of the layers that were copied: of each; of an experiment's in a sentence. Nothing
 * where nobody tells. */
void qg_page_layers(FILE *out, const qg_results *results);
void qg_page_layers_of(FILE *out, const qg_experiment *experiment);

/* What runs take over all steps, with their curves; nothing where nobody asks. */
void qg_page_budgets(FILE *out, const qg_results *results, const qg_figures *figures);

/* The games by the transfer between them, and which measures of two games predict it; nothing where
 * there are fewer than QG_FEWEST_GAMES. The figure may be NULL. */
void qg_page_map(FILE *out, const qg_results *results, const qg_figure *figure);

/* Between which scores those of each game are normalised, and what people score. */
void qg_page_scores(FILE *out, const qg_results *results);

/* How everything was made; the figure of the sources may be NULL. */
void qg_page_making(FILE *out, const qg_results *results, const qg_figure *sources);

/* A figure with its caption and its files. */
void qg_page_figure(FILE *out, const qg_figure *figure);

/* "positive" and the like in their colour. */
void qg_page_decision(FILE *out, qg_decision decision);

/* "<td>" with a number or, where it is not finite, a dash. */
void qg_page_number(FILE *out, const char *format, double value)
    __attribute__((format(printf, 2, 0)));

/* "<td>" with "+0.123" or a dash, and with "-0.12 to 0.34". */
void qg_page_difference(FILE *out, double value);
void qg_page_interval(FILE *out, const qg_estimate *estimate);

/* Opens a table in a box of its own that scrolls, and whose rows a click on a header sorts,
 * `caption` (may be NULL) above it; `headers` are separated by '|', numbers' headers begin with
 * '#'. qg_page_end_table closes it. */
void qg_page_table(FILE *out, const char *caption, const char *headers);
void qg_page_end_table(FILE *out);

#endif
