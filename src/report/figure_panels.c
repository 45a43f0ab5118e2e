#include "report/figure_panels.h"

#include "base/text.h"
#include "report/cells.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Pixels. Keys stand below their panels, so that they hit nothing. */
enum {
    TITLE = 26,
    HEAD = 44, /* a panel's title, the upper axis */
    FOOT = 24, /* the lower axis */
    KEY_ROW = 16,
    GAP = 10,
    LEFT = 52, /* of a panel: the numbers of its scores */
    RIGHT = 14,
    SAMPLE = 18, /* of a key */
    LETTER = 6,  /* about, in the keys' font */
    SMALL_LETTER = 5,
    NOTE = 22 /* what the axes are, below all panels */
};

void qg_panel_include(qg_panel *panel, const qg_curves *curves)
{
    for (size_t s = 0; s < curves->seed_count; s++)
        for (size_t i = 0; i < curves->point_count; i++) {
            panel->low = fmin(panel->low, curves->scores[s][i]);
            panel->high = fmax(panel->high, curves->scores[s][i]);
        }
}

/* ------------------------------------------------------------------------------------- layout */

typedef struct layout {
    size_t columns;
    int width, plot; /* of a panel, and the height of what is drawn in it */
    int key;         /* where its key begins */
    int height;      /* of the figure */
} layout;

/* Where the next entry of a key goes: from left to right, then a row down. */
typedef struct key_place {
    int x, row;
} key_place;

/* What a key says: a label that is too long for its panel loses of its middle, as its end is what
 * tells it from others. */
typedef struct key_text {
    char text[sizeof((qg_panel_line *)0)->label];
} key_text;

static key_text fit_label(const layout *l, const char *label)
{
    key_text fit;
    assert(label);
    /* A letter takes 5.2 in the mean of a label; 5.5 leave it some room. */
    const int length = (int)strlen(label), room = (l->width - l->key - SAMPLE - 4) * 2 / 11;
    const int head = length > room ? (room - 3) / 3 : length;
    const int tail = length > room ? room - 3 - head : 0;
    snprintf(fit.text, sizeof fit.text, "%.*s%s%s", head, label, tail ? "..." : "",
             label + length - tail);
    return fit;
}

static key_place place_entry(const layout *l, key_place *next, const char *label)
{
    const int width = SAMPLE + 12 + LETTER * (int)strlen(label);
    if (next->x > 0 && next->x + width > l->width - l->key) *next = (key_place){0, next->row + 1};
    const key_place place = *next;
    next->x += width;
    return place;
}

static int key_rows(const layout *l, const qg_panel *panel, const qg_panel_line *lines)
{
    key_place next = {0};
    for (size_t i = 0; i < panel->count; i++)
        place_entry(l, &next, fit_label(l, lines[panel->lines[i]].label).text);
    if (!isnan(panel->threshold)) place_entry(l, &next, "threshold");
    return next.row + 1;
}

/* How high the row of panels is that begins with this one. */
static int row_height(const layout *l, const qg_panel *panels, size_t count, size_t first,
                      const qg_panel_line *lines)
{
    int rows = 0;
    for (size_t i = first; i < count && i < first + l->columns; i++)
        rows = key_rows(l, &panels[i], lines) > rows ? key_rows(l, &panels[i], lines) : rows;
    return HEAD + l->plot + FOOT + KEY_ROW * rows + GAP;
}

static layout lay_out(const qg_panel *panels, size_t count, const qg_panel_line *lines)
{
    layout l = {.columns = count < 2                  ? 1
                           : count == 2 || count == 4 ? 2
                                                      : 3,
                .plot = count < 2 ? 270 : 150,
                .height = TITLE + NOTE};
    l.width = QG_FIGURE_WIDTH / (int)l.columns;
    l.key = LEFT;
    for (size_t i = 0; i < count; i++) /* below the numbers, too, where there is little room */
        for (size_t k = 0; k < panels[i].count; k++)
            if (SAMPLE + 12 + LETTER * (int)strlen(lines[panels[i].lines[k]].label) >
                l.width - LEFT)
                l.key = RIGHT / 2;
    for (size_t i = 0; i < count; i += l.columns)
        l.height += row_height(&l, panels, count, i, lines);
    return l;
}

static double across(int x)
{
    return (double)x / QG_FIGURE_WIDTH;
}

static double up(const layout *l, int y)
{
    return 1 - (double)y / l->height;
}

/* -------------------------------------------------------------------------------------- words */

static void write_label(FILE *script, const layout *l, int x, int y, const char *text,
                        const char *looks)
{
    fputs("set label ", script);
    qg_figure_text(script, text);
    fprintf(script, " at screen %.5f, screen %.5f %s\n", across(x), up(l, y), looks);
}

static void write_entry(FILE *script, const layout *l, int x, int y, const qg_panel_line *line,
                        const char *label)
{
    const unsigned colour = line ? line->colour : 0x666666;
    const int dash = !line ? 3 : line->dashed ? 2 : 1;
    fprintf(script,
            "set arrow from screen %.5f, screen %.5f to screen %.5f, screen %.5f nohead "
            "lc rgb '#%06x' lw 2 dt %d\n",
            across(x), up(l, y), across(x + SAMPLE), up(l, y), colour, dash);
    if (line && line->dots)
        fprintf(script,
                "set label '' at screen %.5f, screen %.5f point pt 7 ps 0.5 lc rgb '#%06x'\n",
                across(x + SAMPLE / 2), up(l, y), colour);
    write_label(script, l, x + SAMPLE + 4, y, label, "left font ',11'");
}

static void write_key(FILE *script, const layout *l, int x, int y, const qg_panel *panel,
                      const qg_panel_line *lines)
{
    key_place next = {0};
    for (size_t i = 0; i <= panel->count; i++) {
        const qg_panel_line *line = i < panel->count ? &lines[panel->lines[i]] : NULL;
        if (!line && isnan(panel->threshold)) break;
        const key_text label = fit_label(l, line ? line->label : "threshold");
        const key_place place = place_entry(l, &next, label.text);
        write_entry(script, l, x + place.x, y + place.row * KEY_ROW, line, label.text);
    }
}

/* --------------------------------------------------------------------------------------- data */

/* In which unit steps are written, so that the axis has short numbers. */
static double step_unit(double last)
{
    return last >= 2e6 ? 1e6 : last >= 2000 ? 1e3 : 1;
}

static double last_step(const qg_panel *panel, const qg_panel_line *lines)
{
    double last = 1;
    for (size_t i = 0; i < panel->count; i++) {
        const qg_curves *const curves = &lines[panel->lines[i]].curves;
        last = fmax(
            last, (double)(lines[panel->lines[i]].before + curves->steps[curves->point_count - 1]));
    }
    return last;
}

/* "$meanK": steps, mean, band; "$seedsK": steps and scores, seed after seed. */
static void write_line(FILE *script, const qg_panel_line *line, size_t index)
{
    const qg_curves *const c = &line->curves;
    fprintf(script, "$mean%zu << END\n", index);
    for (size_t i = 0; i < c->point_count; i++)
        fprintf(script, "%" PRId64 " %.7g %.7g %.7g\n", line->before + c->steps[i],
                line->band[i].value, line->band[i].low, line->band[i].high);
    fprintf(script, "END\n$seeds%zu << END\n", index);
    for (size_t s = 0; s < c->seed_count && c->seed_count > 1; s++) {
        for (size_t i = 0; i < c->point_count; i++)
            fprintf(script, "%" PRId64 " %.7g\n", line->before + c->steps[i], c->scores[s][i]);
        fputc('\n', script);
    }
    fputs("END\n", script);
}

/* A row for each score, and for each mean one without a seed. */
static void write_table(FILE *data, const qg_panel *panel, const qg_panel_line *line)
{
    const qg_curves *const c = &line->curves;
    for (size_t i = 0; i < c->point_count; i++)
        for (size_t s = 0; s <= c->seed_count; s++) {
            const bool mean = s == c->seed_count;
            qg_cell_text(data, panel->title);
            qg_cell_text(data, line->run);
            if (!mean) fprintf(data, "%" PRIu64, c->seeds[s]);
            fprintf(data, ",%" PRId64 ",", line->before + c->steps[i]);
            qg_cell_real(data, mean ? line->band[i].value : c->scores[s][i]);
            qg_cell_real(data, mean ? line->band[i].low : (double)NAN);
            qg_cell_real(data, mean ? line->band[i].high : (double)NAN);
            fputs(mean ? "mean\n" : "seed\n", data);
        }
}

/* ------------------------------------------------------------------------------------- a panel */

/* From label to label: 1, 2 or 5 times a power of ten, five to an axis at most, as a third of the
 * page's width has no room for the eight that gnuplot would give one of 150. */
static double tick_step(double length)
{
    const double least = length / 5, decade = pow(10, floor(log10(least)));
    const double multiples[] = {1, 2, 5};
    for (size_t i = 0; i < sizeof multiples / sizeof *multiples; i++)
        if (least <= multiples[i] * decade * (1 + 1e-9)) return multiples[i] * decade;
    return 10 * decade;
}

static void write_axes(FILE *script, const layout *l, const qg_panel *panel, int x, int y,
                       double last, double unit)
{
    fprintf(script,
            "set lmargin at screen %.5f; set rmargin at screen %.5f\n"
            "set tmargin at screen %.5f; set bmargin at screen %.5f\n"
            "set xrange [0:%.9g]; set xtics %.9g nomirror\n",
            across(x + LEFT), across(x + l->width - RIGHT), up(l, y + HEAD),
            up(l, y + HEAD + l->plot), last / unit, tick_step(last / unit));
    if (panel->epoch > 0)
        fprintf(script, "set x2range [0:%.9g]; set x2tics auto\n", last / (double)panel->epoch);
    else
        fputs("unset x2tics\n", script);
    const double room = 0.04 * (panel->high - panel->low);
    if (room > 0)
        fprintf(script, "set yrange [%.9g:%.9g]\n", panel->low - room, panel->high + room);
    else
        fputs("set yrange [*:*]\n", script);
}

/* Bands first, then the seeds, then the means. */
static void write_plot(FILE *script, const qg_panel *panel, const qg_panel_line *lines, double unit)
{
    const char *separator = "plot ";
    for (int layer = 0; layer < 2; layer++)
        for (size_t i = 0; i < panel->count; i++) {
            const size_t at = panel->lines[i];
            if (lines[at].curves.seed_count < 2) continue;
            fprintf(script, "%s$%s%zu using ($1/%g):", separator, layer ? "seeds" : "mean", at,
                    unit);
            separator = ", ";
            if (layer)
                fprintf(script, "2 with lines lc rgb '#a0%06x' lw 0.5", lines[at].colour);
            else
                fprintf(script,
                        "($3<%.9g?%.9g:$3):($4>%.9g?%.9g:$4) with filledcurves lc rgb '#%06x'",
                        panel->low, panel->low, panel->high, panel->high, lines[at].colour);
        }
    if (!isnan(panel->threshold)) {
        fprintf(script, "%s%.9g with lines lc rgb '#666666' lw 1.5 dt 3", separator,
                panel->threshold);
        separator = ", ";
    }
    for (size_t i = 0; i < panel->count; i++) {
        const qg_panel_line *const line = &lines[panel->lines[i]];
        fprintf(script, "%s$mean%zu using ($1/%g):2 with %s lc rgb '#%06x' lw 2 dt %d", separator,
                panel->lines[i], unit, line->dots ? "linespoints" : "lines", line->colour,
                line->dashed ? 2 : 1);
        if (line->dots)
            fprintf(script, " pt 7 ps 0.5 pointinterval %zu", line->curves.point_count / 8 + 1);
        separator = ", ";
    }
    fputc('\n', script);
}

/* A title that is longer than its panel is written smaller, and cut off where that will not do. */
static void write_title(FILE *script, const layout *l, int x, int y, const char *title)
{
    char cut[sizeof((qg_panel *)0)->title];
    const int room = (l->width - RIGHT) / SMALL_LETTER; /* from the panel's edge on */
    const int letters = (int)strlen(title);
    if (letters * LETTER <= l->width - LEFT) {
        write_label(script, l, x + LEFT, y, title, "left font ',12'");
        return;
    }
    snprintf(cut, sizeof cut, "%.*s%s", letters > room ? room - 3 : letters, title,
             letters > room ? "..." : "");
    write_label(script, l, x + RIGHT / 2, y, cut, "left font ',9'");
}

static void write_panel(FILE *script, const layout *l, const qg_panel *panel, int x, int y,
                        const qg_panel_line *lines)
{
    const double last = last_step(panel, lines), unit = step_unit(last);
    write_title(script, l, x, y + 10, panel->title);
    write_key(script, l, x + l->key, y + HEAD + l->plot + FOOT + KEY_ROW / 2, panel, lines);
    write_axes(script, l, panel, x, y, last, unit);
    write_plot(script, panel, lines, unit);
    fputs("unset label; unset arrow\n", script);
}

/* "thousand agent steps" */
static void name_unit(const qg_panel *panel, const qg_panel_line *lines, char name[64])
{
    const double unit = step_unit(last_step(panel, lines));
    snprintf(name, 64, "%s%s",
             unit >= 1e6   ? "million "
             : unit >= 1e3 ? "thousand "
                           : "",
             panel->unit);
}

/* "below: thousand agent steps; above: epochs", of the first panel. */
static void write_note(FILE *script, const layout *l, const qg_panel *panels, size_t count,
                       const qg_panel_line *lines)
{
    char text[160] = "below: ";
    for (size_t i = 0; i < count; i++) {
        char name[64], before[64] = "";
        name_unit(&panels[i], lines, name);
        for (size_t k = 0; k < i && strcmp(before, name) != 0; k++)
            name_unit(&panels[k], lines, before);
        if (strcmp(before, name) != 0)
            qg_text_add(text, sizeof text, "%s%s", i ? " or " : "", name);
    }
    if (panels[0].epoch > 0) qg_text_add(text, sizeof text, "; above: epochs");
    write_label(script, l, QG_FIGURE_WIDTH / 2, l->height - NOTE / 2, text, "center font ',11'");
}

int qg_panels_write(const qg_figure *figure, const qg_panel_line *lines, size_t line_count,
                    const qg_panel *panels, size_t panel_count, FILE *script, FILE *data)
{
    const layout l = lay_out(panels, panel_count, lines);
    for (size_t i = 0; i < line_count; i++)
        write_line(script, &lines[i], i);
    fputs("set multiplot\nset key off; set tics font ',11' nomirror\n"
          "set grid xtics ytics lc rgb '#dddddd' lt 1; set border lc rgb '#666666'\n"
          "set style fill transparent solid 0.15 noborder\n",
          script);
    write_label(script, &l, QG_FIGURE_WIDTH / 2, TITLE / 2, figure->title, "center font ',13'");
    write_note(script, &l, panels, panel_count, lines);
    fputs("panel,run,seed,step,score,low,high,row\n", data);
    int y = TITLE;
    for (size_t i = 0; i < panel_count; i++) {
        write_panel(script, &l, &panels[i], (int)(i % l.columns) * l.width, y, lines);
        for (size_t k = 0; k < panels[i].count; k++)
            write_table(data, &panels[i], &lines[panels[i].lines[k]]);
        if (i % l.columns == l.columns - 1)
            y += row_height(&l, panels, panel_count, i + 1 - l.columns, lines);
    }
    fputs("unset multiplot\n", script);
    return l.height;
}
