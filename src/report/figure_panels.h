/* Curves as small multiples: panels side by side, each with its lines, its axes and its key. */
#ifndef QG_REPORT_FIGURE_PANELS_H
#define QG_REPORT_FIGURE_PANELS_H

#include "report/figure_parts.h"

#define QG_MOST_LINES 64 /* of a figure */

/* The curves of a run's seeds: a thin line each, their mean thick, its band behind. */
typedef struct qg_panel_line {
    char label[96], run[QG_STUDY_NAME];
    unsigned colour; /* 0xRRGGBB */
    bool dashed, dots;
    qg_curves curves;
    int64_t before;          /* steps that come before those of the curves */
    const qg_estimate *band; /* [curves.point_count] */
} qg_panel_line;

typedef struct qg_panel {
    char title[96];
    const char *unit; /* of the lower axis: "agent steps", "samples" */
    double low, high; /* of the scores' axis, and where bands are cut off */
    double threshold; /* NaN: none */
    int64_t epoch;    /* of the upper axis; 0: there is none */
    size_t count;     /* at least 1 */
    size_t lines[QG_MOST_LINES];
} qg_panel;

/* Widens the range to all scores of the line. */
void qg_panel_include(qg_panel *panel, const qg_curves *curves);

/* Writes the panels as gnuplot's commands, and their curves as CSV; returns the height that they
 * need. `figure` gives the title. */
int qg_panels_write(const qg_figure *figure, const qg_panel_line *lines, size_t line_count,
                    const qg_panel *panels, size_t panel_count, FILE *script, FILE *data);

#endif
