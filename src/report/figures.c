/* Which figures there are, and their files. */
#include "report/figures.h"

#include "base/file.h"
#include "base/text.h"
#include "report/figure_parts.h"
#include "report/gnuplot.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FONT = 13, MANY = 16 };

/* ---------------------------------------------------------------------------------- drawing */

/* Letters, digits and '-' of the text, for the name of a file. */
static void add_name(char *name, size_t size, const char *text)
{
    size_t used = strlen(name);
    if (*text && used > 0 && used + 1 < size) name[used++] = '-';
    for (; *text && used + 1 < size; text++)
        name[used++] = isalnum((unsigned char)*text) ? *text : '-';
    name[used] = '\0';
}

static bool name_taken(const qg_figures *figures, const char *name)
{
    for (size_t i = 0; i < figures->count; i++)
        if (strcmp(figures->items[i].name, name) == 0) return true;
    return false;
}

static qg_status read_svg(const char *path, qg_figure *figure, qg_error *error)
{
    uint8_t *data;
    size_t size;
    const qg_status status = qg_file_read(path, (size_t)64 << 20, &data, &size, error);
    if (!status) figure->svg = (char *)data;
    return status;
}

static qg_status draw_files(const qg_results *r, qg_figure *figure, const char *script, int height,
                            double scale, qg_error *error)
{
    static const char *const endings[] = {"png", "svg"};
    const qg_canvas canvas = {QG_FIGURE_WIDTH, height, FONT, scale};
    qg_status status = QG_OK;
    for (size_t i = 0; i < 2 && !status; i++) {
        char *path;
        if (asprintf(&path, "%s/figures/%s.%s", r->folder, figure->name, endings[i]) < 0)
            return qg_fail_memory(error, "a path", strlen(r->folder));
        status = qg_gnuplot_draw(path, script, &canvas, error);
        if (!status && i == 1) status = read_svg(path, figure, error);
        free(path);
    }
    return status;
}

static qg_status write_data(const qg_results *r, const qg_figure *figure, const char *data,
                            size_t size, qg_error *error)
{
    char *path;
    if (asprintf(&path, "%s/figures/%s.csv", r->folder, figure->name) < 0)
        return qg_fail_memory(error, "a path", strlen(r->folder));
    const qg_status status = qg_file_replace(path, &(qg_piece){data, size}, 1, error);
    free(path);
    return status;
}

/* A figure's commands and data while they are written. */
typedef struct texts {
    char *script, *data;
    size_t script_size, data_size;
} texts;

/* Writes both and returns the height that the figure needs. */
static qg_status write_texts(const qg_results *r, qg_figure *figure, texts *t, int *height,
                             qg_error *error)
{
    static int (*const writers[])(const qg_results *, qg_figure *, FILE *, FILE *) = {
        [QG_FIGURE_FOREST] = qg_figure_forest,    [QG_FIGURE_CURVES] = qg_figure_curves,
        [QG_FIGURE_ALL_STEPS] = qg_figure_curves, [QG_FIGURE_MATRIX] = qg_figure_matrix,
        [QG_FIGURE_SCATTER] = qg_figure_scatter,  [QG_FIGURE_SOURCES] = qg_figure_sources,
        [QG_FIGURE_MAP] = qg_figure_map,          [QG_FIGURE_LAYERS] = qg_figure_layers,
    };
    FILE *script = qg_text_stream(&t->script, &t->script_size);
    FILE *data = qg_text_stream(&t->data, &t->data_size);
    if (script && data) *height = writers[figure->kind](r, figure, script, data);
    const bool written = script && data && !ferror(script) && !ferror(data);
    const bool script_closed = !script || fclose(script) == 0;
    const bool data_closed = !data || fclose(data) == 0;
    return written && script_closed && data_closed
               ? QG_OK
               : qg_fail_memory(error, "a figure", t->data_size);
}

/* Draws the next figure, whose name begins as figure->name does, if there is anything to draw. */
static qg_status add(const qg_results *r, qg_figures *figures, qg_figure figure, qg_error *error)
{
    texts t = {0};
    int height = 0;
    qg_status status = write_texts(r, &figure, &t, &height, error);
    if (!status && height > 0) {
        char name[sizeof figure.name];
        snprintf(name, sizeof name, "%s", figure.name);
        for (int i = 2; name_taken(figures, figure.name); i++)
            snprintf(figure.name, sizeof figure.name, "%.140s-%d", name, i);
        status = draw_files(r, &figure, t.script, height, figures->scale, error);
        if (!status) status = write_data(r, &figure, t.data, t.data_size, error);
        figures->items[figures->count++] = figure;
    }
    free(t.script);
    free(t.data);
    return status;
}

static qg_status add_curves(const qg_results *r, qg_figures *figures, qg_figure_kind kind, int run,
                            qg_error *error)
{
    const qg_study_run *first = &r->study->runs[run];
    qg_figure figure = {.kind = kind, .run = run};
    strcpy(figure.name, kind == QG_FIGURE_CURVES   ? "curves"
                        : kind == QG_FIGURE_LAYERS ? "layers"
                                                   : "all-steps");
    add_name(figure.name, sizeof figure.name - 20, first->group);
    if (!strstr(first->group, first->game))
        add_name(figure.name, sizeof figure.name - 20, first->game);
    return add(r, figures, figure, error);
}

/* Of a kind of copy, or ("") of all. */
static qg_status add_matrix(const qg_results *r, qg_figures *figures, const char *copied,
                            qg_error *error)
{
    qg_figure figure = {.kind = QG_FIGURE_MATRIX, .name = "matrix"};
    snprintf(figure.copied, sizeof figure.copied, "%s", copied);
    add_name(figure.name, sizeof figure.name - 20, copied);
    return add(r, figures, figure, error);
}

/* ------------------------------------------------------------------------------ which there are */

static bool is_first(const qg_results *r, int run)
{
    for (int i = 0; i < run; i++)
        if (qg_figure_leads(r, i) && qg_figure_is_shared(&r->study->runs[i], &r->study->runs[run]))
            return false;
    return true;
}

static qg_status draw_curves(const qg_results *r, qg_figures *figures, qg_figure_kind kind,
                             qg_error *error)
{
    for (int i = 0; i < r->study->run_count; i++)
        if (qg_figure_leads(r, i) && is_first(r, i) && add_curves(r, figures, kind, i, error))
            return error->code;
    return QG_OK;
}

/* Of the pixels of PNGs to those of the page. The pixels of many figures take most of a report's
 * time: then half as many an inch. */
static double choose_scale(const qg_results *r)
{
    int curves = 0;
    for (int i = 0; i < r->study->run_count; i++)
        curves += qg_figure_leads(r, i) && is_first(r, i);
    return (curves > MANY ? 150.0 : 300.0) / 96;
}

/* One of all, and one for each kind of copy; qg_figure_matrix says which have enough rows and
 * columns. */
static qg_status draw_matrices(const qg_results *r, qg_figures *figures, qg_error *error)
{
    if (add_matrix(r, figures, "", error)) return error->code;
    for (size_t i = 0; i < r->experiment_count; i++) {
        char copied[QG_GRAFT_CHOICE_TEXT], other[QG_GRAFT_CHOICE_TEXT] = "";
        qg_run_copied(&r->study->runs[r->experiments[i].run], copied);
        for (size_t j = 0; j < i && strcmp(copied, other) != 0; j++)
            qg_run_copied(&r->study->runs[r->experiments[j].run], other);
        if (strcmp(copied, other) == 0) continue;
        if (add_matrix(r, figures, copied, error)) return error->code;
    }
    return QG_OK;
}

static bool is_older(const qg_figures *figures, const char *file)
{
    static const char *const ours[] = {"all-steps", "curves", "effects",    "games",
                                       "layers",    "matrix", "similarity", "sources"};
    const char *ending = strrchr(file, '.');
    char name[sizeof figures->items->name];
    if (!ending ||
        (strcmp(ending, ".png") != 0 && strcmp(ending, ".svg") != 0 && strcmp(ending, ".csv") != 0))
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(ending - file), file);
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strncmp(name, ours[i], strlen(ours[i])) == 0) return !name_taken(figures, name);
    return false;
}

/* Figures of a report before this one, of groups that the study no longer has. */
static void remove_older(const char *folder, const qg_figures *figures)
{
    DIR *stream = opendir(folder);
    if (!stream) return;
    for (const struct dirent *entry; (entry = readdir(stream));)
        if (is_older(figures, entry->d_name)) unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
}

qg_status qg_figures_draw(const qg_results *results, qg_figures *figures, qg_error *error)
{
    *figures = (qg_figures){.scale = choose_scale(results)};
    const size_t most = 3 * (size_t)results->study->run_count + results->experiment_count + 5;
    figures->items = calloc(most, sizeof *figures->items);
    if (!figures->items) return qg_fail_memory(error, "figures", most * sizeof *figures->items);
    char *folder = qg_path_join(results->folder, "figures");
    if (!folder) return qg_fail_memory(error, "a path", strlen(results->folder));
    qg_status status = qg_folder_create(folder, error);
    static const qg_figure forest = {.kind = QG_FIGURE_FOREST, .name = "effects"},
                           scatter = {.kind = QG_FIGURE_SCATTER, .name = "similarity"},
                           map = {.kind = QG_FIGURE_MAP, .name = "games"},
                           sources = {.kind = QG_FIGURE_SOURCES, .name = "sources"};
    if (!status) status = add(results, figures, forest, error);
    if (!status) status = draw_matrices(results, figures, error);
    if (!status) status = add(results, figures, scatter, error);
    if (!status) status = add(results, figures, map, error);
    if (!status) status = draw_curves(results, figures, QG_FIGURE_CURVES, error);
    if (!status) status = draw_curves(results, figures, QG_FIGURE_LAYERS, error);
    if (!status && results->budgets)
        status = draw_curves(results, figures, QG_FIGURE_ALL_STEPS, error);
    if (!status) status = add(results, figures, sources, error);
    if (!status) remove_older(folder, figures);
    free(folder);
    return status;
}

void qg_figures_free(qg_figures *figures)
{
    for (size_t i = 0; i < figures->count; i++)
        free(figures->items[i].svg);
    free(figures->items);
    *figures = (qg_figures){0};
}
