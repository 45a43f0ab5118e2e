#include "report/cells.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>

void qg_cell_text(FILE *out, const char *text)
{
    qg_text_cell(out, text);
    fputc(',', out);
}

void qg_cell_real(FILE *out, double value)
{
    char text[32] = "";
    if (isfinite(value)) qg_text_from_real(value, text);
    fprintf(out, "%s,", text);
}

void qg_cell_step(FILE *out, int64_t step)
{
    if (step >= 0) fprintf(out, "%" PRId64, step);
    fputc(',', out);
}

void qg_cells_empty(FILE *out, int count)
{
    for (int i = 0; i < count; i++)
        fputc(',', out);
}
