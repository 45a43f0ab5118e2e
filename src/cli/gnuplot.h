/* Figures by gnuplot, which runs as a process of its own. */
#ifndef QG_CLI_GNUPLOT_H
#define QG_CLI_GNUPLOT_H

#include <qgraft/error.h>

/* Whether `path` ends in .png or .svg. QG_ERROR_USAGE otherwise. */
qg_status cli_figure_check(const char *path, qg_error *error);

/* Draws `script` (without terminal and output; the text is not enhanced) in `width` x `height`
 * pixels and writes `path`, complete or not at all. QG_ERROR_IO when gnuplot is not there or says
 * that something is wrong. */
qg_status cli_figure_write(const char *path, const char *script, int width, int height,
                           qg_error *error);

#endif
