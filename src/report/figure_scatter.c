/* Measured transfer over the similarity of the two games, and their rank correlation. */
#include "report/cells.h"
#include "report/figure_parts.h"
#include "report/spearman.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEWEST_PAIRS = 5 }; /* of games, for a rank correlation */

static bool is_shown(const qg_results *r, const qg_experiment *e)
{
    return qg_results_copied(r, e) && !e->control && e->has_similarity;
}

static size_t write_points(const qg_results *r, FILE *script, FILE *data)
{
    size_t count = 0;
    fputs("$points << END\n", script);
    fputs("similarity,effect,low,high,run\n", data);
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *e = &r->experiments[i];
        const qg_study_run *run = &r->study->runs[e->run];
        if (!is_shown(r, e)) continue;
        count++;
        const qg_estimate *effect = &e->verdict.raw;
        const bool interval = isfinite(effect->low);
        /* A little to the side, so that experiments with the same two games do not hide each other.
         */
        fprintf(script, "%.6f %.9g %.9g %.9g %u %d\n",
                e->similarity.grade + 0.004 * ((double)(i % 7) - 3), effect->value,
                interval ? effect->low : effect->value, interval ? effect->high : effect->value,
                qg_figure_colour(run), run->choice.frozen ? 6 : 7);
        qg_cell_real(data, e->similarity.grade);
        qg_cell_real(data, effect->value);
        qg_cell_real(data, effect->low);
        qg_cell_real(data, effect->high);
        fprintf(data, "%s\n", run->id);
    }
    fputs("END\n", script);
    return count;
}

/* Whether the experiments are between the same two games, in either direction: these have one
 * similarity. */
static bool same_games(const qg_results *r, const qg_experiment *a, const qg_experiment *b)
{
    const char *a_game = r->study->runs[a->run].game, *b_game = r->study->runs[b->run].game;
    return (strcmp(a_game, b_game) == 0 && strcmp(a->source_game, b->source_game) == 0) ||
           (strcmp(a_game, b->source_game) == 0 && strcmp(b_game, a->source_game) == 0);
}

/* The similarity of each pair of games, and the mean effect between the two; returns their number.
 */
static size_t find_pairs(const qg_results *r, double *grades, double *effects)
{
    size_t count = 0;
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *e = &r->experiments[i];
        bool first = is_shown(r, e);
        for (size_t j = 0; j < i && first; j++)
            first = !is_shown(r, &r->experiments[j]) || !same_games(r, e, &r->experiments[j]);
        if (!first) continue;
        double sum = 0, of = 0;
        for (size_t j = i; j < r->experiment_count; j++)
            if (is_shown(r, &r->experiments[j]) && same_games(r, e, &r->experiments[j])) {
                sum += r->experiments[j].verdict.effect.value;
                of++;
            }
        grades[count] = e->similarity.grade;
        effects[count++] = sum / of;
    }
    return count;
}

int qg_figure_scatter(const qg_results *r, qg_figure *figure, FILE *script, FILE *data)
{
    double *grades = calloc(2 * r->experiment_count + 1, sizeof *grades);
    if (!grades) return 0;
    const size_t count = write_points(r, script, data);
    const size_t pairs = find_pairs(r, grades, grades + r->experiment_count);
    const double rho = pairs < FEWEST_PAIRS
                           ? (double)NAN
                           : qg_spearman(grades, grades + r->experiment_count, pairs);
    free(grades);
    figure->spearman = rho;
    figure->pairs = pairs;
    if (count < 3) return 0;
    snprintf(figure->title, sizeof figure->title, "Similarity and measured transfer");
    snprintf(figure->caption, sizeof figure->caption,
             "One point an experiment, without controls, with its unadjusted 95 %% interval: full "
             "with free layers, hollow "
             "with frozen ones; colours as in the curves.");
    if (isnan(rho))
        snprintf(figure->alt, sizeof figure->alt, "Scatter plot of %zu experiments.", count);
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
