/* All experiments at one look: the matrix of sources and targets for a kind of copy, and the one of
 * all pairs and all kinds. */
#include "report/figure_parts.h"

#include "base/text.h"
#include "report/cells.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAMES = 64 };

typedef struct names {
    char items[MOST_NAMES][QG_STUDY_NAME + QG_DOMAIN_NAME + 8];
    size_t count;
} names;

/* The place of a name, which is added when it is new; MOST_NAMES when there is no room. */
static size_t place_of(names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strncmp(n->items[i], name, sizeof *n->items - 1) == 0) return i; /* cut off, some */
    if (n->count == MOST_NAMES) return MOST_NAMES;
    snprintf(n->items[n->count], sizeof *n->items, "%s", name);
    return n->count++;
}

/* Effects; where several experiments have the same place, their mean. */
typedef struct matrix {
    names rows, columns;
    double sum[MOST_NAMES][MOST_NAMES];
    int count[MOST_NAMES][MOST_NAMES];
    qg_decision decision[MOST_NAMES][MOST_NAMES]; /* that of all of them */
    bool control[MOST_NAMES][MOST_NAMES];         /* one of them is */
    int left_out;                                 /* experiments that found no room */
    double largest; /* of all kinds of copy, so that all matrices have the same colours */
} matrix;

static void add_effect(matrix *m, const char *row_name, const char *column_name,
                       const qg_experiment *e)
{
    const size_t row = place_of(&m->rows, row_name), column = place_of(&m->columns, column_name);
    if (row == MOST_NAMES || column == MOST_NAMES) {
        m->left_out++;
        return;
    }
    const bool same = m->count[row][column] == 0 || m->decision[row][column] == e->verdict.decision;
    m->decision[row][column] = same ? e->verdict.decision : QG_NOT_DECIDED;
    m->control[row][column] |= e->control;
    m->sum[row][column] += e->verdict.effect.value;
    m->count[row][column]++;
}

/* The bytes of "minatar/" where the names of all games begin with it; 0: they do not. */
static size_t family_size(const qg_results *r)
{
    const char *first = r->experiment_count ? r->study->runs[r->experiments[0].run].game : "";
    const char *slash = strchr(first, '/');
    const size_t size = slash ? (size_t)(slash - first) + 1 : 0;
    for (size_t i = 0; i < r->experiment_count; i++)
        if (strncmp(r->study->runs[r->experiments[i].run].game, first, size) != 0) return 0;
    return size;
}

/* Of the copies of a kind: sources and targets. "": pairs of them, and all kinds. */
static void fill_matrix(const qg_results *r, const char *wanted, matrix *m)
{
    const size_t family = family_size(r);
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *e = &r->experiments[i];
        const qg_study_run *run = &r->study->runs[e->run];
        const char *source = qg_run_source(r->study, run);
        char copied[QG_GRAFT_CHOICE_TEXT], pair[sizeof m->rows.items[0]];
        if (e->problem[0]) continue;
        m->largest = fmax(m->largest, fabs(e->verdict.effect.value)); /* all matrices' colours */
        if (*wanted && !qg_results_copied(r, e)) continue;
        qg_run_copied(run, copied);
        snprintf(pair, sizeof pair, "%s to %s", source, run->game + family);
        if (!*wanted)
            add_effect(m, pair, copied, e);
        else if (strcmp(copied, wanted) == 0)
            add_effect(m, source, run->game, e);
    }
}

static void write_names(FILE *script, char axis, const names *n)
{
    fprintf(script, "set %ctics ()\n", axis);
    for (size_t i = 0; i < n->count; i++) {
        fprintf(script, "set %ctics add (", axis);
        qg_figure_text(script, n->items[i]);
        fprintf(script, " %zu)\n", i);
    }
}

static bool is_decided(const matrix *m, size_t row, size_t column)
{
    return m->decision[row][column] == QG_POSITIVE || m->decision[row][column] == QG_NEGATIVE;
}

static double cell_value(const matrix *m, size_t row, size_t column)
{
    return m->sum[row][column] / m->count[row][column];
}

/* No number where there is no room for one. */
static void write_cells(FILE *script, const matrix *m)
{
    fputs("$cells << END\n", script);
    for (size_t row = 0; row < m->rows.count; row++)
        for (size_t column = 0; column < m->columns.count; column++) {
            if (m->count[row][column] == 0) continue;
            const double value = cell_value(m, row, column);
            char number[16] = "";
            if (m->columns.count <= 9) snprintf(number, sizeof number, "%+.2f", value);
            fprintf(script, "%zu %zu %.6f \"%s%s\" %s\n", column, row, value, number,
                    is_decided(m, row, column) ? "*" : "",
                    fabs(value) > 0.6 * m->largest ? "0xffffff" : "0x000000");
        }
    fputs("END\n", script);
}

static bool has_controls(const matrix *m)
{
    for (size_t row = 0; row < m->rows.count; row++)
        for (size_t column = 0; column < m->columns.count; column++)
            if (m->control[row][column]) return true;
    return false;
}

/* Dashes of black and white, to be seen on any colour. */
static void write_frame(FILE *script, size_t row, size_t column)
{
    static const char *const looks[] = {"'#000000' lw 2", "'#ffffff' lw 2 dt 2"};
    for (int i = 0; i < 2; i++)
        fprintf(script,
                "set object rectangle center %zu,%zu size 0.98,0.86 front fs empty border "
                "lc rgb %s\n",
                column, row, looks[i]);
}

static void write_frames(FILE *script, const matrix *m)
{
    for (size_t row = 0; row < m->rows.count; row++)
        for (size_t column = 0; column < m->columns.count; column++)
            if (m->control[row][column]) write_frame(script, row, column);
}

static void write_data(FILE *data, const matrix *m)
{
    fputs("row,column,effect,experiments,decided,control\n", data);
    for (size_t row = 0; row < m->rows.count; row++)
        for (size_t column = 0; column < m->columns.count; column++) {
            if (m->count[row][column] == 0) continue;
            qg_cell_text(data, m->rows.items[row]);
            qg_cell_text(data, m->columns.items[column]);
            qg_cell_real(data, cell_value(m, row, column));
            fprintf(data, "%d,%s,%s\n", m->count[row][column],
                    is_decided(m, row, column) ? "true" : "false",
                    m->control[row][column] ? "true" : "false");
        }
}

static void describe(const matrix *m, qg_figure *figure)
{
    if (m->left_out > 0)
        qg_text_add(figure->caption, sizeof figure->caption,
                    " %d experiments beyond %d rows or columns are not drawn.", m->left_out,
                    MOST_NAMES);
    snprintf(figure->alt, sizeof figure->alt,
             "Heat map of %zu rows and %zu columns:", m->rows.count, m->columns.count);
    for (size_t row = 0; row < m->rows.count; row++)
        for (size_t column = 0; column < m->columns.count; column++)
            if (m->count[row][column])
                qg_text_add(figure->alt, sizeof figure->alt, " %s, %s %+.2f;", m->rows.items[row],
                            m->columns.items[column], cell_value(m, row, column));
}

static size_t longest_of(const names *n)
{
    size_t longest = 0;
    for (size_t i = 0; i < n->count; i++)
        longest = strlen(n->items[i]) > longest ? strlen(n->items[i]) : longest;
    return longest;
}

/* Degrees by which the columns' names hang down: a long one would end outside at 35. */
static int slope_of(const names *columns)
{
    if (columns->count <= 3) return 0;
    return longest_of(columns) > 16 ? 90 : 35;
}

/* Pixels that they need below. */
static int room_below(const names *columns)
{
    const int slope = slope_of(columns);
    const int letters = (int)longest_of(columns);
    return slope == 0 ? 0 : slope == 35 ? 50 : 7 * (letters < 40 ? letters : 40);
}

/* Letters are 11 pixels high and more; gnuplot would leave room for larger ones. The key of the
 * colours lies below. */
static void write_matrix(FILE *script, const matrix *m, const qg_figure *figure, int height,
                         int below)
{
    const int slope = slope_of(&m->columns);
    write_cells(script, m);
    write_frames(script, m);
    fprintf(script,
            "set lmargin at screen %.3f; set rmargin at screen %.3f\n"
            "set tmargin at screen %.4f; set bmargin at screen %.4f\n"
            "set tics font ',11'; set xtics %s\n"
            "set colorbox horizontal user origin screen 0.35, screen %.4f size screen 0.4, "
            "screen %.4f\n"
            "set cbtics font ',11'; set label 'difference of the area' at screen 0.34, "
            "screen %.4f right font ',11'\n",
            fmin(0.5, 0.05 + 0.0108 * (double)longest_of(&m->rows)), slope == 35 ? 0.89 : 0.96,
            1 - 40.0 / height, (double)below / height,
            slope == 0    ? "norotate"
            : slope == 35 ? "rotate by -35"
                          : "rotate by -90",
            26.0 / height, 10.0 / height, 31.0 / height);
    write_names(script, 'x', &m->columns);
    write_names(script, 'y', &m->rows);
    fputs("set label ", script);
    qg_figure_text(script, figure->title);
    fprintf(script,
            " at screen 0.5, screen %.4f center\nset key off; set tics scale 0; set cbrange "
            "[-%.6f:%.6f]; set cbtics %.6f\n"
            "set xrange [-0.5:%zu.5]; set yrange [%zu.5:-0.5]; set border lc rgb '#666666'\n"
            "set palette defined (-1 '#8c3a00', -0.5 '#e08a3c', 0 '#f7f7f7', 0.5 '#67a9cf', "
            "1 '#0a4f86'); set format cb '%%+.2f'\n"
            /* Rectangles, since an image must have all its cells. */
            "set style fill solid noborder\n"
            "plot $cells using 1:2:($1-0.5):($1+0.5):($2-0.5):($2+0.5):3 with boxxyerror "
            "lc palette, '' using 1:2:4:5 with labels font ',%d' tc rgb variable\n",
            1 - 18.0 / height, fmax(m->largest, 1e-3), fmax(m->largest, 1e-3),
            fmax(m->largest, 1e-3), m->columns.count - 1, m->rows.count - 1,
            m->columns.count > 8 ? 8 : 11); /* narrow cells */
}

int qg_figure_matrix(const qg_results *r, qg_figure *figure, FILE *script, FILE *data)
{
    const bool all = !figure->copied[0];
    matrix *m = calloc(1, sizeof *m);
    if (!m) return 0;
    fill_matrix(r, figure->copied, m);
    int height = 0;
    if (m->rows.count >= 2 && m->columns.count >= 2) {
        const int below = 70 + room_below(&m->columns);
        height = 44 + (all ? 24 : 45) * (int)m->rows.count + below;
        snprintf(figure->title, sizeof figure->title, "Transfer matrix: %.200s",
                 all ? "all pairs and kinds of copy" : figure->copied);
        snprintf(figure->caption, sizeof figure->caption,
                 "Difference of the normalised area under the curve from the baseline, mean over "
                 "seeds, of grafts %s. *: positive or negative.%s",
                 all ? "of the row's pair with the column's layers"
                     : "from the row's source onto the column's game",
                 has_controls(m) ? " Dashed frames: controls." : "");
        describe(m, figure);
        write_matrix(script, m, figure, height, below);
        write_data(data, m);
    }
    free(m);
    return height;
}
