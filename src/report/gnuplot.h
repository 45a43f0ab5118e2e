/* Figures by gnuplot, which runs as a process of its own. */
#ifndef QG_GNUPLOT_H
#define QG_GNUPLOT_H

#include <qgraft/error.h>

typedef struct qg_canvas {
    int width, height; /* pixels at 96 dpi */
    int font;          /* points */
    double scale;      /* of a PNG: pixels, letters and lines times this; 0: 1 */
} qg_canvas;

/* Whether `path` ends in .png or .svg. QG_ERROR_USAGE otherwise. */
qg_status qg_gnuplot_check(const char *path, qg_error *error);

/* Draws `script` (without terminal and output; the text is not enhanced) and writes `path`,
 * complete or not at all. QG_ERROR_IO when gnuplot is not there or says that something is wrong. */
qg_status qg_gnuplot_draw(const char *path, const char *script, const qg_canvas *canvas,
                          qg_error *error);

#endif
