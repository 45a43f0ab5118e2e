/* Cells of the tables that a report writes as CSV; each is followed by its comma. */
#ifndef QG_REPORT_CELLS_H
#define QG_REPORT_CELLS_H

#include <stdint.h>
#include <stdio.h>

void qg_cell_text(FILE *out, const char *text);
void qg_cell_real(FILE *out, double value); /* empty where it is not finite */
void qg_cell_step(FILE *out, int64_t step); /* empty for -1: never */
void qg_cells_empty(FILE *out, int count);

#endif
