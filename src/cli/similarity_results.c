#include "cli/similarity_results.h"

#include "report/gnuplot.h"
#include "base/text.h"
#include "transfer/similarity_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The four distances of the looks. */
enum { COLOURS, SIZES, ASPECTS, MOTION, LOOKS };

static double look_distance(const qg_similarity *s, int look)
{
    const double distances[LOOKS] = {s->colour_distance, s->size_distance, s->aspect_distance,
                                     s->motion_distance};
    return distances[look];
}

/* ---------------------------------------------------------------------------------- tables */

static double median(const qg_distribution *d)
{
    double total = 0, seen = 0;
    for (size_t i = 0; i < d->count; i++)
        total += d->weights[i];
    for (size_t i = 0; i < d->count; i++)
        if ((seen += d->weights[i]) >= total / 2) return d->values[i];
    return NAN;
}

static int colours_seen(const qg_appearance *appearance)
{
    int count = 0;
    for (int i = 0; i < QG_COLOUR_BINS; i++)
        count += appearance->colours[i] > 0;
    return count;
}

static void describe_look(const qg_appearance *a, int look, char *text, size_t size)
{
    if (look == COLOURS)
        snprintf(text, size, "%d of %d bins", colours_seen(a), QG_COLOUR_BINS);
    else if (look == MOTION)
        snprintf(text, size, "%.3g %%", 100 * a->moving);
    else if (a->sizes.count == 0)
        snprintf(text, size, "no objects");
    else if (look == SIZES)
        snprintf(text, size, "%.3g %% of the screen", 100 * exp(median(&a->sizes)));
    else
        snprintf(text, size, "%.3g wide to high", exp(median(&a->aspects)));
}

enum { ROW_ACTIONS, ROW_FAMILY, ROW_LOOKS, PAIR_ROWS = ROW_LOOKS + LOOKS };

static void pair_distance(const similarity_results *r, size_t row, char *text, size_t size)
{
    const qg_similarity *s = &r->pairs[0][1];
    text[0] = '\0';
    if (row == ROW_ACTIONS) snprintf(text, size, "%.3f", 1 - s->actions);
    if (row == ROW_FAMILY) snprintf(text, size, "%.3f", s->same_family ? 0.0 : 1.0);
    if (row >= ROW_LOOKS) snprintf(text, size, "%.3f", look_distance(s, (int)(row - ROW_LOOKS)));
}

static void pair_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    static const char *const names[PAIR_ROWS] = {
        "actions", "objective", "colours", "objects' size", "objects' aspect", "moving pixels"};
    const similarity_results *r = context;
    if (column == 0 || column == 3) {
        if (column == 0)
            snprintf(text, size, "%s", names[row]);
        else
            pair_distance(r, row, text, size);
        return;
    }
    const qg_profile *p = &r->profiles[column - 1];
    if (row == ROW_ACTIONS)
        snprintf(text, size, "%d", p->game->action_count);
    else if (row == ROW_FAMILY)
        snprintf(text, size, "%s", p->game->family);
    else
        describe_look(&p->appearance, (int)row - ROW_LOOKS, text, size);
}

static void layer_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const qg_representation *r = context;
    const char *a = r->layers[row].names[0], *b = r->layers[row].names[1];
    const double values[] = {0, r->layers[row].on[0], r->layers[row].on[1], r->layers[row].both};
    if (column > 0 && column < sizeof values / sizeof *values)
        snprintf(text, size, isnan(values[column]) ? "-" : "%.3f", values[column]);
    else if (strcmp(a, b) == 0)
        snprintf(text, size, "%s", a);
    else
        snprintf(text, size, "%s - %s", a, b);
}

static void print_networks(const similarity_results *r)
{
    const qg_representation *representation = &r->representation;
    char titles[2][QG_DOMAIN_NAME + 8];
    for (int i = 0; i < 2; i++)
        snprintf(titles[i], sizeof titles[i], "on %s", r->profiles[i].domain);
    printf("\ndebiased linear CKA of the networks' layers, %d + %d states\n",
           representation->states[0], representation->states[1]);
    const cli_column columns[] = {
        {"layer", false}, {titles[0], true}, {titles[1], true}, {"on both", true}};
    cli_print_table(columns, 4, (size_t)representation->layer_count, layer_cell, representation);
}

static const char *class_reason(const qg_similarity *s)
{
    if (s->closeness == QG_IN_DOMAIN) return "the same game";
    if (s->closeness == QG_CLOSE) return "same family, at least half of the actions shared";
    return s->same_family ? "same family, but less than half of the actions shared"
                          : "different families";
}

/* Who says so; the catalogue names no one for the games of plugins. */
static const char *family_source(const qg_profile *p)
{
    return p->game->family_source ? p->game->family_source : "the game's author";
}

static void print_pair(const similarity_results *r)
{
    const qg_profile *a = &r->profiles[0], *b = &r->profiles[1];
    const qg_similarity *s = &r->pairs[0][1];
    const cli_column columns[] = {
        {"", false}, {a->domain, false}, {b->domain, false}, {"distance", true}};
    cli_print_table(columns, 4, PAIR_ROWS, pair_cell, r);
    printf("\nactions   %.3f  shared / all names%s\n", s->actions,
           s->same_actions ? " (the very same set)" : "");
    printf("objective %.3f  %s family\n", s->same_family ? 1.0 : 0.0,
           s->same_family ? "same" : "another");
    printf("looks     %.3f  1 - mean of the four distances of colours, objects and motion\n",
           s->visual);
    printf("grade     %.3f  mean of the three\n", s->grade);
    printf("class     %s: %s\n", qg_closeness_name(s->closeness), class_reason(s));
    printf("families  by %s", family_source(a));
    if (strcmp(family_source(a), family_source(b)) != 0)
        printf(" (%s), %s (%s)", a->domain, family_source(b), b->domain);
    putchar('\n');
    if (r->has_networks) print_networks(r);
}

static void matrix_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const similarity_results *r = context;
    if (column == 0)
        snprintf(text, size, "%zu %s", row + 1, r->profiles[row].domain);
    else
        snprintf(text, size, "%.2f", r->pairs[row][column - 1].grade);
}

static void find_pair(const similarity_results *r, size_t row, int *a, int *b)
{
    *a = 0;
    for (*b = 1; row > 0; row--)
        if (++*b == r->count) *b = ++*a + 1;
}

static void list_cell(const void *context, size_t row, size_t column, char *text, size_t size)
{
    const similarity_results *r = context;
    int a, b;
    find_pair(r, row, &a, &b);
    const qg_similarity *s = &r->pairs[a][b];
    const double numbers[] = {s->actions, s->same_family ? 1 : 0, s->visual, s->grade};
    if (column < 2)
        snprintf(text, size, "%s", r->profiles[column ? b : a].domain);
    else if (column < 6)
        snprintf(text, size, "%.2f", numbers[column - 2]);
    else
        snprintf(text, size, "%s", qg_closeness_name(s->closeness));
}

static void print_matrix(const similarity_results *r)
{
    char numbers[MAX_COMPARED][16];
    cli_column columns[MAX_COMPARED + 1] = {{"grade", false}};
    for (int i = 0; i < r->count; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%d", i + 1);
        columns[i + 1] = (cli_column){numbers[i], true};
    }
    cli_print_table(columns, (size_t)r->count + 1, (size_t)r->count, matrix_cell, r);
    putchar('\n');
    static const cli_column pair_columns[] = {
        {"", false},     {"", false},     {"actions", true}, {"objective", true},
        {"looks", true}, {"grade", true}, {"class", false}};
    const size_t pairs = (size_t)(r->count * (r->count - 1) / 2);
    cli_print_table(pair_columns, 7, pairs, list_cell, r);
}

void similarity_print(const similarity_results *results)
{
    if (results->count == 2)
        print_pair(results);
    else
        print_matrix(results);
}

/* ------------------------------------------------------------------------------------ JSON */

static json_t *reals(const double *values, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_real(values[i]));
    return array;
}

static json_t *distribution(const qg_distribution *d)
{
    return json_pack("{s:o, s:o}", "values", reals(d->values, d->count), "weights",
                     reals(d->weights, d->count));
}

static json_t *profile_to_json(const qg_profile *p)
{
    json_t *actions = json_array();
    for (int i = 0; i < p->game->action_count; i++)
        json_array_append_new(actions, json_string(p->game->actions[i]));
    const qg_appearance *a = &p->appearance;
    return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:f, s:f}", "game", p->domain, "actions",
                     actions, "family", p->game->family, "family_source", family_source(p),
                     "colours", reals(a->colours, QG_COLOUR_BINS), "sizes", distribution(&a->sizes),
                     "aspects", distribution(&a->aspects), "objects_per_frame", a->objects,
                     "moving", a->moving);
}

static json_t *networks_to_json(const similarity_results *r)
{
    json_t *layers = json_array();
    for (int i = 0; i < r->representation.layer_count; i++)
        json_array_append_new(layers,
                              json_pack("{s:[s, s], s:[o, o], s:o}", "layers",
                                        r->representation.layers[i].names[0],
                                        r->representation.layers[i].names[1], "on",
                                        cli_real_to_json(r->representation.layers[i].on[0]),
                                        cli_real_to_json(r->representation.layers[i].on[1]), "both",
                                        cli_real_to_json(r->representation.layers[i].both)));
    return json_pack("{s:[s, s], s:[i, i], s:o}", "networks", r->networks[0], r->networks[1],
                     "states", r->representation.states[0], r->representation.states[1],
                     "debiased_cka", layers);
}

int similarity_print_json(const similarity_results *r)
{
    json_t *games = json_array(), *pairs = json_array(), *grades = json_array();
    for (int a = 0; a < r->count; a++) {
        json_array_append_new(games, profile_to_json(&r->profiles[a]));
        json_t *row = json_array();
        for (int b = 0; b < r->count; b++) {
            json_array_append_new(row, json_real(r->pairs[a][b].grade));
            if (b > a) {
                const char *const domains[] = {r->profiles[a].domain, r->profiles[b].domain};
                json_array_append_new(pairs, qg_similarity_to_json(domains, &r->pairs[a][b]));
            }
        }
        json_array_append_new(grades, row);
    }
    json_t *all =
        json_pack("{s:I, s:I, s:o, s:o, s:o}", "frames", (json_int_t)r->profiles[0].frames, "seed",
                  (json_int_t)r->seed, "games", games, "pairs", pairs, "grades", grades);
    if (all && r->has_networks) json_object_set_new(all, "representation", networks_to_json(r));
    return cli_print_json(all);
}

/* ---------------------------------------------------------------------------------- figure */

/* Names are the catalogue's: letters, digits and :=,_/ only. */
static int write_bars(FILE *script, const similarity_results *r)
{
    static const char *const looks[LOOKS] = {"colours", "objects: size", "objects: aspect",
                                             "motion"};
    const qg_similarity *s = &r->pairs[0][1];
    int bars = 0;
    double least = 0; /* debiased CKA may be negative */
    fputs("$bars << END\n", script);
    fprintf(script, "%d %.6f 0x4477aa \"actions\"\n", bars++, s->actions);
    fprintf(script, "%d %d 0x4477aa \"objective\"\n", bars++, s->same_family ? 1 : 0);
    for (int i = 0; i < LOOKS; i++)
        fprintf(script, "%d %.6f 0x66ccee \"%s\"\n", bars++, 1 - look_distance(s, i), looks[i]);
    fprintf(script, "%d %.6f 0x4477aa \"looks: mean\"\n", bars++, s->visual);
    fprintf(script, "%d %.6f 0xaa3377 \"grade\"\n", bars++, s->grade);
    for (int i = 0; r->has_networks && i < r->representation.layer_count; i++) {
        const double value = r->representation.layers[i].both;
        if (isnan(value)) continue;
        least = fmin(least, floor(value * 10) / 10);
        fprintf(script, "%d %.6f 0x228833 \"CKA %s\"\n", bars++, value,
                r->representation.layers[i].names[0]);
    }
    fprintf(script,
            "END\n"
            "set title '%s and %s: %s'\n"
            "set key off; set yrange [%.1f:1.08]; set xrange [-0.6:%d.6]; set ytics 0.2\n"
            "set ylabel 'similarity (1: alike)'; set border 3; set tics nomirror\n"
            "set grid ytics lc rgb '#dddddd'; set xtics rotate by -35\n"
            "set style fill solid noborder; set boxwidth 0.7; set bmargin 7\n"
            "plot $bars using 1:2:3:xtic(4) with boxes lc rgb variable, "
            "'' using 1:2:(sprintf('%%.2f', $2)) with labels offset 0,0.7\n",
            r->profiles[0].domain, r->profiles[1].domain, qg_closeness_name(s->closeness), least,
            bars - 1);
    return bars;
}

static void write_heat_map(FILE *script, const similarity_results *r)
{
    fputs("$cells << END\n", script);
    for (int a = 0; a < r->count; a++)
        for (int b = 0; b < r->count; b++) {
            const qg_similarity *s = &r->pairs[a][b];
            fprintf(script, "%d %d %.6f \"%s\" %s\n", b, a, s->grade,
                    a == b ? "" : qg_closeness_name(s->closeness),
                    s->grade > 0.6 ? "0xffffff" : "0x000000");
        }
    fputs("END\nset xtics () rotate by -35\nset ytics ()\n", script);
    for (int i = 0; i < r->count; i++)
        fprintf(script, "set xtics add ('%s' %d)\nset ytics add ('%s' %d)\n", r->profiles[i].domain,
                i, r->profiles[i].domain, i);
    fprintf(script,
            "set title 'similarity of games (grade, class)'\n"
            "set key off; set tics scale 0; set size ratio -1; set cbrange [0:1]\n"
            "set xrange [-0.5:%d.5]; set yrange [%d.5:-0.5]\n"
            "set palette defined (0 '#ffffff', 0.5 '#77aadd', 1 '#114477')\n"
            "plot $cells using 1:2:3 with image pixels, "
            "'' using 1:2:(sprintf('%%.2f', $3)):5 with labels offset 0,0.4 tc rgb variable, "
            "'' using 1:2:4:5 with labels offset 0,-0.6 font ',9' tc rgb variable\n",
            r->count - 1, r->count - 1);
}

qg_status similarity_draw(const similarity_results *r, const char *path, qg_error *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *script = qg_text_stream(&text, &size);
    if (!script) return qg_fail_memory(error, "the figure's script", size);
    qg_canvas canvas = {.font = 11};
    if (r->count == 2) {
        canvas.width = 200 + 60 * write_bars(script, r);
        canvas.height = 480;
    } else {
        write_heat_map(script, r);
        canvas.width = 300 + 75 * r->count;
        canvas.height = 180 + 75 * r->count;
    }
    qg_status status = QG_OK;
    if (fclose(script) != 0) status = qg_fail_memory(error, "the figure's script", size);
    if (!status) status = qg_gnuplot_draw(path, text, &canvas, error);
    free(text);
    return status;
}
