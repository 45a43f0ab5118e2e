/* All effects with their intervals, by kind of copy: the answer at one look. */
#include "report/figure_parts.h"

#include "base/text.h"
#include "report/cells.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 300, ROW = 19 /* pixels */ };

static unsigned colour_of(qg_decision decision)
{
    static const unsigned colours[] = {[QG_NOT_DECIDED] = 0x777777,
                                       [QG_POSITIVE] = 0x009e73,
                                       [QG_NEGATIVE] = 0xd55e00,
                                       [QG_WITHIN_MARGIN] = 0x0072b2};
    return colours[decision];
}

static double end_of(double end, double value)
{
    return isfinite(end) ? end : value;
}

/* A row of the data: place, effect, raw and adjusted interval, colour. */
static void write_row(FILE *script, const qg_experiment *e, int row)
{
    const qg_verdict *v = &e->verdict;
    const double value = v->effect.value;
    fprintf(script, "%d %.9g %.9g %.9g %.9g %.9g %u\n", row, value, end_of(v->raw.low, value),
            end_of(v->raw.high, value), end_of(v->adjusted.low, value),
            end_of(v->adjusted.high, value), colour_of(v->decision));
}

/* The same for people, with names. */
static void write_data(FILE *data, const qg_results *r, const qg_experiment *e)
{
    const qg_verdict *v = &e->verdict;
    qg_cell_text(data, qg_copy_stratum_name(qg_experiment_stratum(r, e)));
    qg_cell_text(data, r->study->runs[e->run].id);
    qg_cell_real(data, v->effect.value);
    qg_cell_real(data, v->raw.low);
    qg_cell_real(data, v->raw.high);
    qg_cell_real(data, v->adjusted.low);
    qg_cell_real(data, v->adjusted.high);
    fprintf(data, "%s\n", qg_decision_name(v->decision));
}

static void write_label(FILE *labels, const char *text, int row, size_t *longest)
{
    if (strlen(text) > *longest) *longest = strlen(text);
    fprintf(labels, "set ytics add (");
    qg_figure_text(labels, text);
    fprintf(labels, " %d)\n", row);
}

/* Writes the rows of a stratum below those there are; returns the next free row. */
static int write_stratum(const qg_results *r, qg_copy_stratum stratum, int row, FILE *script,
                         FILE *data, FILE *labels, size_t *longest, qg_figure *figure)
{
    bool headed = false;
    for (size_t i = 0; i < r->experiment_count && row < MOST_ROWS; i++) {
        const qg_experiment *e = &r->experiments[i];
        const qg_study_run *run = &r->study->runs[e->run];
        char copied[QG_GRAFT_CHOICE_TEXT], text[160];
        if (e->problem[0] || qg_experiment_stratum(r, e) != stratum) continue;
        if (!headed) {
            snprintf(text, sizeof text, "-- %s --", qg_copy_stratum_name(stratum));
            write_label(labels, text, row++, longest);
            headed = true;
        }
        qg_run_copied(run, copied);
        snprintf(text, sizeof text, "%.30s to %.30s, %.60s", qg_run_source(r->study, run),
                 strchr(run->game, '/') ? strchr(run->game, '/') + 1 : run->game, copied);
        write_label(labels, text, row, longest);
        write_row(script, e, row++);
        write_data(data, r, e);
        qg_text_add(figure->alt, sizeof figure->alt, " %s %+.2f, %s;", text,
                    e->verdict.effect.value, qg_decision_name(e->verdict.decision));
    }
    return row;
}

static void write_plot(FILE *script, double margin, int rows, size_t longest)
{
    /* gnuplot would leave room for larger letters. */
    fprintf(script, "set lmargin at screen %.3f; set rmargin at screen 0.96\n",
            fmin(0.62, 0.03 + 0.0108 * (double)longest));
    fprintf(script,
            "set key off; set yrange [%d.5:-0.5]; set tics scale 0; set tics font ',11'\n"
            "set grid xtics lc rgb '#dddddd' lt 1; set border 1 lc rgb '#666666'\n"
            "set xlabel 'effect on the normalised area' font ',12'\n"
            "set offsets graph 0.03, graph 0.03, 0, 0\n"
            "set xrange [*<%.9g:%.9g<*]\n" /* zero and the margin are in it, whatever was found */
            "set object 1 rectangle from %.9g, graph 0 to %.9g, graph 1 behind fc rgb '#eef3f8' "
            "fs solid noborder\n"
            "set arrow 1 from 0, graph 0 to 0, graph 1 nohead lc rgb '#000000' lw 1\n"
            "plot $rows using 2:1:5:6:7 with xerrorbars lc rgb variable lw 1 pt 0, "
            "'' using 2:1:3:4:7 with xerrorbars lc rgb variable lw 4 pt 0, "
            "'' using 2:1:7 with points pt 7 ps 0.8 lc rgb variable\n",
            rows - 1, -margin, margin, -margin, margin);
}

int qg_figure_forest(const qg_results *r, qg_figure *figure, FILE *script, FILE *data)
{
    char *labels = NULL;
    size_t size = 0;
    FILE *out = qg_text_stream(&labels, &size);
    if (!out) return 0;
    snprintf(figure->title, sizeof figure->title, "Effects by kind of copy");
    snprintf(figure->alt, sizeof figure->alt, "Effects and intervals:");
    fputs("$rows << END\n", script);
    fputs("stratum,run,effect,low,high,adjusted_low,adjusted_high,verdict\n", data);
    int row = 0;
    size_t longest = 0;
    for (int s = 0; s < QG_COPY_STRATA; s++)
        row = write_stratum(r, (qg_copy_stratum)s, row, script, data, out, &longest, figure);
    fputs("END\nset ytics ()\n", script);
    if (fclose(out) == 0) fputs(labels, script);
    free(labels);
    write_plot(script, r->study->rule.margin, row, longest);
    snprintf(figure->caption, sizeof figure->caption,
             "Each experiment's effect, its 95 %% interval (thick) and the adjusted one (thin): "
             "green positive, orange negative, blue no effect larger than the margin (the band), "
             "grey not decided.%s",
             row >= MOST_ROWS ? " Those beyond 300 rows are in the table." : "");
    return row > 0 ? 90 + ROW * row : 0;
}
