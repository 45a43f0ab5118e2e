/* The games by the transfer between them, and which measures of two games predict it. */
#include "report/page_parts.h"

#include <math.h>

/* The measure with the smallest error; NULL: none is known for all pairs. */
static const qg_predictor *find_best(const qg_game_map *map)
{
    const qg_predictor *best = NULL;
    for (size_t k = 0; k < map->predictor_count; k++) {
        const qg_predictor *it = &map->predictors[k];
        if (isfinite(it->prediction.error) &&
            (!best || it->prediction.error < best->prediction.error))
            best = it;
    }
    return best;
}

static void put_answer(FILE *out, const qg_game_map *map)
{
    const qg_predictor *best = find_best(map);
    if (!best)
        qg_html_element(out, "p", "No measure of two games is known for all %zu pairs.",
                        map->pair_count);
    else if (best->prediction.error < map->alone.error)
        qg_html_element(
            out, "p",
            "Of the measures of two games, %s predicts the transfer between a pair that "
            "is left out best: with an error of %.3f; kind of copy, source and target "
            "alone have %.3f.",
            best->name, best->prediction.error, map->alone.error);
    else
        qg_html_element(out, "p",
                        "No measure of two games predicts the transfer between a pair that is left "
                        "out better than kind of copy, source and target alone, whose error is "
                        "%.3f; %s comes nearest with %.3f.",
                        map->alone.error, best->name, best->prediction.error);
}

static void put_predictors(FILE *out, const qg_game_map *map)
{
    qg_page_table(
        out,
        "How well measures of two games predict: the error (root of the mean square, in "
        "the normalised area) of each experiment's effect, predicted from the other pairs "
        "of games by kind of copy, source, target and the measure; the change of the "
        "effect for one of the measure.",
        "measure|#error|#change");
    fputs("<tr><td>none</td>", out);
    qg_page_number(out, "%.4f", map->alone.error);
    fputs("<td class=\"number\"></td></tr>\n", out);
    for (size_t k = 0; k < map->predictor_count; k++) {
        const qg_predictor *it = &map->predictors[k];
        fputs("<tr>", out);
        qg_html_element(out, "td", "%s", it->name);
        qg_page_number(out, "%.4f", it->prediction.error);
        qg_page_number(out, "%+.3f", it->prediction.slope);
        fputs("</tr>\n", out);
    }
    qg_page_end_table(out);
}

static void put_pairs(FILE *out, const qg_game_map *map)
{
    char headers[64 + 33 * QG_MOST_PREDICTORS];
    size_t used =
        (size_t)snprintf(headers, sizeof headers, "games|#experiments|#affinity|#95 %% interval");
    for (size_t k = 0; k < map->predictor_count; k++)
        used += (size_t)snprintf(headers + used, sizeof headers - used, "|#%s",
                                 map->predictors[k].name);
    fputs("<details><summary>All pairs of games</summary>\n", out);
    qg_page_table(out,
                  "Affinity: the mean effect between the two, in either direction, behind kind of "
                  "copy, source and target; its interval by the bootstrap over seeds.",
                  headers);
    for (size_t p = 0; p < map->pair_count; p++) {
        const qg_game_pair *pair = &map->pairs[p];
        fputs("<tr>", out);
        qg_html_element(out, "td", "%s, %s", map->games[pair->games[0]],
                        map->games[pair->games[1]]);
        qg_html_element(out, "td class=\"number\"", "%zu", pair->experiments);
        qg_page_difference(out, pair->affinity.value);
        qg_page_interval(out, &pair->affinity);
        for (size_t k = 0; k < map->predictor_count; k++)
            qg_page_number(out, "%.3g", pair->measures[k]);
        fputs("</tr>\n", out);
    }
    qg_page_end_table(out);
    fputs("</details>\n", out);
}

void qg_page_map(FILE *out, const qg_results *r, const qg_figure *figure)
{
    const qg_game_map *map = &r->map;
    if (map->pair_count == 0) return;
    fputs("<section id=\"games\"><h2>Games by transfer</h2>\n", out);
    put_answer(out, map);
    if (figure)
        qg_page_figure(out, figure);
    else
        qg_html_element(out, "p class=\"quiet\"", "%s", map->problem);
    put_predictors(out, map);
    put_pairs(out, map);
    fputs("</section>\n", out);
}
