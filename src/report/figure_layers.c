/* What became of the layers that a group of runs copied: a row of panels for each layer, its
 * distance from the source, its CKA with it, and its dormant share. */
#include "report/figure_panels.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {[QG_CURVE_DISTANCE] = "source distance",
                                    [QG_CURVE_CKA] = "source CKA",
                                    [QG_CURVE_DORMANT] = "dormant share"};

typedef struct layers {
    const qg_experiment *experiments[QG_MOST_LINES]; /* as many as a panel has lines */
    unsigned colours[QG_MOST_LINES];
    size_t count;
    bool left_out; /* more than that */
    qg_panel_line *lines;
    qg_panel *panels;
    size_t line_count, panel_count;
} layers;

static void find_experiments(const qg_results *r, const qg_figure *figure, layers *a)
{
    const qg_study_run *const runs = r->study->runs;
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *const e = &r->experiments[i];
        if (e->layer_count == 0 || !qg_figure_leads(r, e->run) ||
            !qg_figure_is_shared(&runs[e->run], &runs[figure->run]))
            continue;
        if (a->count == QG_MOST_LINES) {
            a->left_out = true;
            return;
        }
        a->colours[a->count] =
            qg_figure_other_colour(qg_figure_colour(&runs[e->run]), a->colours, a->count);
        a->experiments[a->count++] = e;
    }
}

static bool create_room(layers *a)
{
    size_t room = 1;
    for (size_t i = 0; i < a->count; i++)
        room += (size_t)a->experiments[i]->layer_count * QG_LAYER_CURVES;
    a->lines = calloc(room, sizeof *a->lines);
    a->panels = calloc(room, sizeof *a->panels); /* each has a line at least */
    return a->lines && a->panels;
}

/* Whether there is a curve to see: last layers have no dormant share. */
static bool tells(const qg_run_curves *curves)
{
    size_t known = 0;
    for (size_t i = 0; i < curves->curves.point_count; i++)
        if (isfinite(curves->band[i].value)) known++;
    return known > 1;
}

static qg_panel *find_panel(layers *a, const char *layer, qg_layer_curve curve)
{
    char title[sizeof a->panels->title];
    snprintf(title, sizeof title, "%s: %s", layer, names[curve]);
    for (size_t i = 0; i < a->panel_count; i++)
        if (strcmp(a->panels[i].title, title) == 0) return &a->panels[i];
    qg_panel *const panel = &a->panels[a->panel_count++];
    *panel = (qg_panel){.unit = "agent steps",
                        .high = curve == QG_CURVE_DISTANCE ? QG_STAYED_DISTANCE : 1,
                        .threshold = curve == QG_CURVE_DISTANCE ? QG_STAYED_DISTANCE : (double)NAN};
    memcpy(panel->title, title, sizeof title);
    return panel;
}

static void add_line(const qg_results *r, layers *a, size_t experiment,
                     const qg_copied_layer *layer, qg_layer_curve curve)
{
    const qg_run_curves *const curves = &layer->curves[curve];
    if (!tells(curves)) return;
    const qg_study_run *const run = &r->study->runs[a->experiments[experiment]->run];
    qg_panel *const panel = find_panel(a, layer->name, curve);
    qg_panel_line *const line = &a->lines[a->line_count];
    char copied[QG_GRAFT_CHOICE_TEXT];
    qg_run_copied(run, copied);
    *line = (qg_panel_line){.colour = a->colours[experiment],
                            .dashed = run->choice.frozen,
                            .dots = run->choice.way == QG_CHOOSE_LAST,
                            .curves = curves->curves,
                            .band = curves->band};
    memcpy(line->run, run->id, sizeof line->run);
    snprintf(line->label, sizeof line->label, "%.40s, %.50s", qg_run_source(r->study, run), copied);
    for (size_t k = 0; k < panel->count; k++)
        if (strcmp(a->lines[panel->lines[k]].label, line->label) == 0)
            snprintf(line->label, sizeof line->label, "%.90s", run->id);
    qg_panel_include(panel, &curves->curves);
    panel->lines[panel->count++] = a->line_count++;
}

/* Layer by layer as they follow in the network. */
static void fill(const qg_results *r, layers *a)
{
    for (int index = 0; index < QG_MAX_LAYERS; index++)
        for (int curve = 0; curve < QG_LAYER_CURVES; curve++)
            for (size_t i = 0; i < a->count; i++)
                for (int l = 0; l < a->experiments[i]->layer_count; l++)
                    if (a->experiments[i]->layers[l].index == index)
                        add_line(r, a, i, &a->experiments[i]->layers[l], (qg_layer_curve)curve);
}

static void describe(const qg_results *r, const layers *a, qg_figure *figure)
{
    const qg_study_run *const first = &r->study->runs[figure->run];
    const bool named = strstr(first->group, first->game) != NULL;
    snprintf(figure->title, sizeof figure->title, "%s%s%s, copied layers", first->group,
             first->group[0] && !named ? ": " : "", named ? "" : first->game);
    snprintf(figure->caption, sizeof figure->caption,
             "A row for each copied layer: relative distance of its weights from the source's, "
             "debiased CKA of its outputs with those of the source's layer, share of its units "
             "that are dormant. Thick: mean over seeds with Student's 95 %% interval; thin: each "
             "seed; dotted: beyond it no layer counts as one that stayed.%s",
             a->left_out ? " There is no room for the others." : "");
    snprintf(figure->alt, sizeof figure->alt, "Copied layers on %s over training:", first->game);
    for (size_t i = 0; i < a->count; i++)
        for (int l = 0; l < a->experiments[i]->layer_count; l++) {
            const qg_copied_layer *const layer = &a->experiments[i]->layers[l];
            qg_text_add(figure->alt, sizeof figure->alt, " %s of %s %s;", layer->name,
                        r->study->runs[a->experiments[i]->run].id, qg_layer_fate_name(layer->fate));
        }
}

int qg_figure_layers(const qg_results *r, qg_figure *figure, FILE *script, FILE *data)
{
    layers a = {0};
    int height = 0;
    find_experiments(r, figure, &a);
    if (create_room(&a)) fill(r, &a);
    if (a.panel_count > 0) {
        describe(r, &a, figure);
        height =
            qg_panels_write(figure, a.lines, a.line_count, a.panels, a.panel_count, script, data);
    }
    free(a.lines);
    free(a.panels);
    return height;
}
