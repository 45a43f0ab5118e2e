/* All experiments at one look: the matrix of sources and targets, and measured transfer over the
 * similarity of the two games. */
#include "report/figures.h"
#include "report/spearman.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAMES = 64 };

/* -------------------------------------------------------------------------------- the matrix */

typedef struct names {
    const char *items[MOST_NAMES];
    size_t count;
} names;

/* The place of a name, which is added when it is new; MOST_NAMES when there is no room. */
static size_t place_of(names *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->items[i], name) == 0) return i;
    if (n->count == MOST_NAMES) return MOST_NAMES;
    n->items[n->count] = name;
    return n->count++;
}

/* The effects of a kind of copy; where several experiments have the same place, their mean. */
typedef struct matrix {
    names sources, targets;
    double sum[MOST_NAMES][MOST_NAMES];
    int count[MOST_NAMES][MOST_NAMES];
    bool decided[MOST_NAMES][MOST_NAMES];
    int left_out;   /* experiments that found no room */
    double largest; /* of all kinds of copy, so that all matrices have the same colours */
} matrix;

static void fill_matrix(const qg_results *r, const char *wanted, matrix *m)
{
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *e = &r->experiments[i];
        const qg_study_run *run = &r->study->runs[e->run];
        const double effect = e->verdicts[QG_AREA].student.value;
        char copied[64];
        qg_run_copied(run, copied);
        if (!qg_results_copied(r, e)) continue;
        m->largest = fmax(m->largest, fabs(effect));
        if (strcmp(copied, wanted) != 0) continue;
        const size_t row = place_of(&m->sources, qg_run_source(r->study, run));
        const size_t column = place_of(&m->targets, run->game);
        if (row == MOST_NAMES || column == MOST_NAMES) {
            m->left_out++;
            continue;
        }
        m->sum[row][column] += effect;
        m->count[row][column]++;
        m->decided[row][column] = e->verdicts[QG_AREA].decision != QG_NOT_DECIDED;
    }
}

static void write_cells(FILE *script, const matrix *m)
{
    fputs("$cells << END\n", script);
    for (size_t s = 0; s < m->sources.count; s++)
        for (size_t t = 0; t < m->targets.count; t++) {
            if (m->count[s][t] == 0) continue;
            const double value = m->sum[s][t] / m->count[s][t];
            fprintf(script, "%zu %zu %.6f \"%+.2f%s\" %s\n", t, s, value, value,
                    m->decided[s][t] ? " *" : "",
                    fabs(value) > 0.6 * m->largest ? "0xffffff" : "0x000000");
        }
    fprintf(script, "END\nset xtics () %s\nset ytics ()\n",
            m->targets.count > 3 ? "rotate by -35" : "norotate");
    for (size_t t = 0; t < m->targets.count; t++) {
        fputs("set xtics add (", script);
        qg_figure_text(script, m->targets.items[t]);
        fprintf(script, " %zu)\n", t);
    }
    for (size_t s = 0; s < m->sources.count; s++) {
        fputs("set ytics add (", script);
        qg_figure_text(script, m->sources.items[s]);
        fprintf(script, " %zu)\n", s);
    }
}

int qg_figure_matrix(const qg_results *r, const char *copied, qg_figure *figure, FILE *script)
{
    matrix *m = calloc(1, sizeof *m);
    if (!m) return 0;
    fill_matrix(r, copied, m);
    const size_t rows = m->sources.count, columns = m->targets.count;
    if (rows >= 2 && columns >= 2) {
        snprintf(figure->title, sizeof figure->title, "Transfer matrix: %s", copied);
        snprintf(figure->caption, sizeof figure->caption,
                 "Difference of the normalised area under the curve from the baseline, mean over "
                 "seeds, of grafts from the row's source onto the column's game. *: decided.");
        if (m->left_out > 0)
            qg_text_add(figure->caption, sizeof figure->caption,
                        " %d experiments beyond %d sources or games are not drawn.", m->left_out,
                        MOST_NAMES);
        snprintf(figure->alt, sizeof figure->alt, "Heat map of %zu sources and %zu games:", rows,
                 columns);
        for (size_t s = 0; s < rows; s++)
            for (size_t t = 0; t < columns; t++)
                if (m->count[s][t])
                    qg_text_add(figure->alt, sizeof figure->alt, " %s to %s %+.2f;",
                                m->sources.items[s], m->targets.items[t],
                                m->sum[s][t] / m->count[s][t]);
        write_cells(script, m);
        fputs("set title ", script);
        qg_figure_text(script, figure->title);
        fprintf(script,
                "\nset key off; set tics scale 0; set cbrange [-%.6f:%.6f]\n"
                "set xrange [-0.5:%zu.5]; set yrange [%zu.5:-0.5]; set border lc rgb '#666666'\n"
                "set xlabel 'target'; set ylabel 'source'; set cblabel 'difference of the area'\n"
                "set palette defined (-1 '#8c3a00', -0.5 '#e08a3c', 0 '#f7f7f7', 0.5 '#67a9cf', "
                "1 '#0a4f86')\n"
                /* Rectangles, since an image must have all its cells. */
                "set style fill solid noborder\n"
                "plot $cells using 1:2:($1-0.5):($1+0.5):($2-0.5):($2+0.5):3 with boxxyerror "
                "lc palette, "
                "'' using 1:2:4:5 with labels tc rgb variable\n",
                fmax(m->largest, 1e-3), fmax(m->largest, 1e-3), columns - 1, rows - 1);
    }
    free(m);
    return rows >= 2 && columns >= 2 ? 190 + 45 * (int)rows + (columns > 3 ? 60 : 0) : 0;
}

/* --------------------------------------------------------------------------- the scatter plot */

static size_t write_points(const qg_results *r, FILE *script, double *grades, double *effects)
{
    size_t count = 0;
    fputs("$points << END\n", script);
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *e = &r->experiments[i];
        const qg_study_run *run = &r->study->runs[e->run];
        if (!qg_results_copied(r, e) || !e->has_similarity) continue;
        const qg_estimate *effect = &e->verdicts[QG_AREA].student;
        grades[count] = e->similarity.grade;
        effects[count++] = effect->value;
        const bool interval = isfinite(effect->low);
        /* A little to the side, so that experiments with the same two games do not hide each other.
         */
        fprintf(script, "%.6f %.9g %.9g %.9g %u %d\n",
                e->similarity.grade + 0.004 * ((double)(i % 7) - 3), effect->value,
                interval ? effect->low : effect->value, interval ? effect->high : effect->value,
                qg_figure_colour(run), run->freeze ? 6 : 7);
    }
    fputs("END\n", script);
    return count;
}

int qg_figure_scatter(const qg_results *r, qg_figures *figures, qg_figure *figure, FILE *script)
{
    double *grades = calloc(2 * r->experiment_count + 1, sizeof *grades);
    if (!grades) return 0;
    const size_t count = write_points(r, script, grades, grades + r->experiment_count);
    const double rho = qg_spearman(grades, grades + r->experiment_count, count);
    free(grades);
    figures->spearman = rho;
    figures->spearman_count = count;
    if (count < 3) return 0;
    snprintf(figure->title, sizeof figure->title, "Similarity and measured transfer");
    snprintf(
        figure->caption, sizeof figure->caption,
        "One point an experiment, with Student's 95 %% interval: full with free layers, hollow "
        "with frozen ones; colours as in the curves.");
    if (isnan(rho))
        snprintf(figure->alt, sizeof figure->alt,
                 "Scatter plot of %zu experiments; a rank correlation is not defined.", count);
    else
        snprintf(figure->alt, sizeof figure->alt,
                 "Scatter plot of %zu experiments: Spearman's rho is %.2f.", count, rho);
    fputs("set title ", script);
    qg_figure_text(script, figure->title);
    fputs("\nset key off; set xrange [-0.03:1.03]; set xtics 0.2\n"
          "set xlabel 'similarity of the two games (grade, 1: alike)'\n"
          "set ylabel 'difference of the normalised area'\n"
          "set grid lc rgb '#dddddd' lt 1; set border lc rgb '#666666'\n"
          "set offsets graph 0, graph 0, graph 0.06, graph 0.06; "
          "set xzeroaxis lc rgb '#000000' lt 1 lw 1\n"
          "plot $points using 1:2:3:4:5 with yerrorbars lc rgb variable pt 0 lw 1.5, "
          "'' using 1:2:6:5 with points pt variable lc rgb variable ps 1\n",
          script);
    return 400;
}
