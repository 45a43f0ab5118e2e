/* The games as points: near to each other where transfer between them was better than their sources
 * and targets tell. */
#include "report/cells.h"
#include "report/figure_parts.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

enum { SHOWN_DRAWS = 150, HEIGHT = 520 };

static const unsigned colours[] = {0x0072b2, 0xd55e00, 0x009e73, 0xcc79a7,
                                   0xe69f00, 0x56b4e9, 0x444444, 0x8a6d00};

static size_t shown_draws(const qg_game_map *map)
{
    return map->draw_count < SHOWN_DRAWS ? map->draw_count : SHOWN_DRAWS;
}

static unsigned colour_of(int game)
{
    return colours[(size_t)game % (sizeof colours / sizeof *colours)];
}

static void write_points(const qg_game_map *map, FILE *script)
{
    fputs("$draws << END\n", script);
    for (size_t d = 0; d < shown_draws(map); d++)
        for (int g = 0; g < map->game_count; g++)
            fprintf(script, "%.6g %.6g %u\n", map->draws[d][g][0], map->draws[d][g][1],
                    0xc0000000u + colour_of(g));
    fputs("END\n$games << END\n", script);
    for (int g = 0; g < map->game_count; g++)
        fprintf(script, "%.6g %.6g %u\n", map->points[g][0], map->points[g][1], colour_of(g));
    fputs("END\n", script);
    for (int g = 0; g < map->game_count; g++) {
        const char *slash = strrchr(map->games[g], '/');
        fputs("set label ", script);
        qg_figure_text(script, slash ? slash + 1 : map->games[g]);
        fprintf(script, " at first %.6g, first %.6g center offset 0,1 font ',12' front\n",
                map->points[g][0], map->points[g][1]);
    }
}

static void write_place(FILE *data, const qg_game_map *map, const char *row, int g,
                        const double point[2])
{
    fprintf(data, "%s,", row);
    qg_cell_text(data, map->games[g]);
    fputc(',', data);
    qg_cell_real(data, point[0]);
    qg_cell_real(data, point[1]);
    qg_cells_empty(data, 2 + (int)map->predictor_count);
    fputc('\n', data);
}

/* Rows `game`, `draw` and `pair`. */
static void write_table(const qg_game_map *map, FILE *data)
{
    fputs("row,game,other,x,y,affinity,low,high", data);
    for (size_t k = 0; k < map->predictor_count; k++) {
        fputc(',', data);
        qg_text_cell(data, map->predictors[k].name);
    }
    fputc('\n', data);
    for (int g = 0; g < map->game_count; g++)
        write_place(data, map, "game", g, map->points[g]);
    for (size_t d = 0; d < shown_draws(map); d++)
        for (int g = 0; g < map->game_count; g++)
            write_place(data, map, "draw", g, map->draws[d][g]);
    for (size_t p = 0; p < map->pair_count; p++) {
        const qg_game_pair *pair = &map->pairs[p];
        fputs("pair,", data);
        qg_cell_text(data, map->games[pair->games[0]]);
        qg_cell_text(data, map->games[pair->games[1]]);
        fputs(",,", data);
        qg_cell_real(data, pair->affinity.value);
        qg_cell_real(data, pair->affinity.low);
        char text[32] = "";
        if (isfinite(pair->affinity.high)) qg_text_from_real(pair->affinity.high, text);
        fputs(text, data);
        for (size_t k = 0; k < map->predictor_count; k++) {
            *text = '\0';
            if (isfinite(pair->measures[k])) qg_text_from_real(pair->measures[k], text);
            fprintf(data, ",%s", text);
        }
        fputc('\n', data);
    }
}

static void describe(const qg_game_map *map, qg_figure *figure)
{
    snprintf(figure->title, sizeof figure->title, "Games by transfer");
    snprintf(figure->caption, sizeof figure->caption,
             "Games that lie near each other gave each other more than kind of copy, source and "
             "target tell, by classical scaling; the plane shows %.0f %% of it. %s Turning and "
             "mirroring mean nothing.",
             100 * map->share,
             map->draw_count ? "Small: the same with seeds drawn anew."
                             : "Too few seeds to draw "
                               "anew.");
    snprintf(figure->alt, sizeof figure->alt, "Map of %d games:", map->game_count);
    for (int g = 0; g < map->game_count; g++)
        qg_text_add(figure->alt, sizeof figure->alt, "%s %s at %.2f, %.2f", g ? ";" : "",
                    map->games[g], map->points[g][0], map->points[g][1]);
}

int qg_figure_map(const qg_results *r, qg_figure *figure, FILE *script, FILE *data)
{
    const qg_game_map *map = &r->map;
    if (map->pair_count == 0 || map->problem[0]) return 0;
    describe(map, figure);
    write_points(map, script);
    write_table(map, data);
    fputs("set title ", script);
    qg_figure_text(script, figure->title);
    fputs(
        "\nset key off; set size ratio -1; unset xtics; unset ytics\n"
        "set border lc rgb '#666666'; set offsets graph 0.12, graph 0.12, graph 0.08, graph 0.08\n"
        "plot ",
        script);
    if (map->draw_count > 0)
        fputs("$draws using 1:2:3 with points pt 7 ps 0.3 lc rgb variable, ", script);
    fputs("$games using 1:2:3 with points pt 7 ps 1.2 lc rgb variable\n", script);
    return HEIGHT;
}
