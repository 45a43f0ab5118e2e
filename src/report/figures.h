/* The figures of a report, each as SVG and as PNG (6.5 inches wide at 300 dpi, or
 * 150 where there are many).
 *
 * Beside each stands what it shows as CSV. A colour means the same in all of them: the baseline is
 * grey; the number of copied layers has its colour of the palette of Okabe and Ito, which
 * colour-blind people can tell apart; frozen layers are dashed, last layers have dots, random ones
 * are black. */
#ifndef QG_REPORT_FIGURES_H
#define QG_REPORT_FIGURES_H

#include "report/results.h"

typedef enum qg_figure_kind {
    QG_FIGURE_FOREST,
    QG_FIGURE_CURVES,
    QG_FIGURE_ALL_STEPS, /* the same, each curve behind what came before it */
    QG_FIGURE_LAYERS,    /* what became of the layers that these runs copied */
    QG_FIGURE_MATRIX,
    QG_FIGURE_SCATTER,
    QG_FIGURE_MAP,
    QG_FIGURE_SOURCES
} qg_figure_kind;

#define QG_FIGURE_WIDTH 624 /* pixels: 6.5 inches at 96 dpi */

typedef struct qg_figure {
    qg_figure_kind kind;
    char name[160]; /* of the files FOLDER/figures/NAME.svg, .png and .csv */
    char title[256], caption[512], alt[1024];
    int run; /* curves, over all steps, layers: the first run of the figure, whose group and game
                are its */
    char copied[QG_GRAFT_CHOICE_TEXT]; /* matrices: of one kind of copy; "": of all */
    double spearman; /* scatter: of similarity and transfer; NaN: not to be computed */
    size_t pairs;    /* scatter: of games */
    char *svg;       /* what was drawn, with a NUL behind its end */
} qg_figure;

typedef struct qg_figures {
    qg_figure *items;
    size_t count;
    double scale; /* of the PNGs' pixels to those of the page */
} qg_figures;

/* Draws everything that the results give. QG_ERROR_IO: gnuplot is missing, the disk is full. The
 * caller frees the figures, also after a failure. */
qg_status qg_figures_draw(const qg_results *results, qg_figures *figures, qg_error *error);
void qg_figures_free(qg_figures *figures);

#endif
