/* The figures of a report, each as SVG and as PNG (6.5 inches wide at 300 dpi).
 *
 * A colour means the same in all of them: the baseline is black; the number of copied layers has
 * its colour of the palette of Okabe and Ito, which colour-blind people can tell apart; frozen
 * layers are dashed, last layers have dots, random ones are grey. */
#ifndef QG_REPORT_FIGURES_H
#define QG_REPORT_FIGURES_H

#include "report/results.h"

#include <stdio.h>

typedef enum qg_figure_kind {
    QG_FIGURE_CURVES,
    QG_FIGURE_MATRIX,
    QG_FIGURE_SCATTER
} qg_figure_kind;

typedef struct qg_figure {
    qg_figure_kind kind;
    char name[160]; /* of the files FOLDER/figures/NAME.svg and .png */
    char title[256], caption[512], alt[1024];
    int run;   /* curves: the first run of the figure, whose group and game are its */
    char *svg; /* what was drawn, with a NUL behind its end */
} qg_figure;

typedef struct qg_figures {
    qg_figure *items;
    size_t count;
    double spearman; /* of similarity and transfer; NaN: not to be computed */
    size_t spearman_count;
} qg_figures;

/* Draws everything that the results give. QG_ERROR_IO: gnuplot is missing, the disk is full. The
 * caller frees the figures, also after a failure. */
qg_status qg_figures_draw(const qg_results *results, qg_figures *figures, qg_error *error);
void qg_figures_free(qg_figures *figures);

/* Whether a run is drawn in the figure of curves. */
bool qg_figure_shows(const qg_results *results, const qg_figure *figure, int run);

/* ------------------------------------------------ one file each; they write gnuplot's commands */

/* Both fill the figure but for its name and drawing, and give the height that it needs; 0: there is
 * nothing to draw. */
int qg_figure_curves(const qg_results *results, qg_figure *figure, FILE *script);

/* The transfer matrix of the kind of copy (text of qg_run_copied); NULL: the one of all pairs, in
 * rows, and all kinds, controls too. */
int qg_figure_matrix(const qg_results *results, const char *copied, qg_figure *figure,
                     FILE *script);
int qg_figure_scatter(const qg_results *results, qg_figures *figures, qg_figure *figure,
                      FILE *script);

/* A colour of the fixed rule (0xRRGGBB) for a graft. */
unsigned qg_figure_colour(const qg_study_run *run);

/* 'text' between quotes, as gnuplot reads it. */
void qg_figure_text(FILE *script, const char *text);

/* Adds to a text of `size` bytes; what does not fit is cut off. */
void qg_text_add(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
