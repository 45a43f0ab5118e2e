/* What the figures are made of, and those that write themselves as gnuplot's commands. */
#ifndef QG_REPORT_FIGURE_PARTS_H
#define QG_REPORT_FIGURE_PARTS_H

#include "report/figures.h"

#include <stdio.h>

/* A colour of the fixed rule (0xRRGGBB) for a graft. */
unsigned qg_figure_colour(const qg_study_run *run);

/* The colour, or where `taken` [count] has it, the first of some others that it has not (the last,
 * where it has all). */
unsigned qg_figure_other_colour(unsigned colour, const unsigned *taken, size_t count);

/* 'text' between quotes, as gnuplot reads it. */
void qg_figure_text(FILE *script, const char *text);

/* Whether two runs are drawn in the same figure of curves, if both lead. */
bool qg_figure_is_shared(const qg_study_run *a, const qg_study_run *b);

/* Whether a run has a figure of its own group: listed grafts, and trainings that are nobody's
 * baseline. */
bool qg_figure_leads(const qg_results *results, int run);

/* Whether a run is drawn in the figure of curves. */
bool qg_figure_shows(const qg_results *results, const qg_figure *figure, int run);

/* ------------------------------------------------------------------------------ one file each */

/* All fill the figure but for its name and drawing, write it as gnuplot's commands and what it
 * shows as CSV, and give the height that it needs; 0: there is nothing to draw. */
int qg_figure_forest(const qg_results *results, qg_figure *figure, FILE *script, FILE *data);
int qg_figure_scatter(const qg_results *results, qg_figure *figure, FILE *script, FILE *data);
int qg_figure_map(const qg_results *results, qg_figure *figure, FILE *script, FILE *data);
int qg_figure_sources(const qg_results *results, qg_figure *figure, FILE *script, FILE *data);

/* Of the group and game of figure->run. */
int qg_figure_curves(const qg_results *results, qg_figure *figure, FILE *script, FILE *data);
int qg_figure_layers(const qg_results *results, qg_figure *figure, FILE *script, FILE *data);

/* The transfer matrix of the kind of copy figure->copied (text of qg_run_copied); of "" the one of
 * all pairs, in rows, and all kinds, controls too. */
int qg_figure_matrix(const qg_results *results, qg_figure *figure, FILE *script, FILE *data);

#endif
