/* The reward histories of a group of runs on one game: a panel for each kind of copy, the baseline
 * grey in each. */
#include "report/figure_panels.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char training[] = "training"; /* the panel of runs from fresh weights */

typedef struct curves {
    qg_panel_line lines[QG_MOST_LINES];
    int runs[QG_MOST_LINES];
    bool baseline[QG_MOST_LINES]; /* of a graft in the figure */
    size_t line_count, panel_count;
    bool left_out; /* more than QG_MOST_LINES */
    bool all_steps;
    qg_panel panels[QG_MOST_LINES];
} curves;

/* -------------------------------------------------------------------------------------- lines */

/* The colour that the run has by the rule, or another one when another line of its panel looks the
 * same. */
static void choose_colour(const curves *c, const qg_study_run *run, const char *panel,
                          qg_panel_line *line)
{
    unsigned taken[QG_MOST_LINES];
    size_t count = 0;
    for (size_t i = 0; i < c->panel_count; i++)
        for (size_t k = 0; k < c->panels[i].count && strcmp(c->panels[i].title, panel) == 0; k++)
            taken[count++] = c->lines[c->panels[i].lines[k]].colour;
    line->colour = qg_figure_other_colour(qg_figure_colour(run), taken, count);
}

/* Its source; the run's id where another graft has that, too, and the same kind of copy. */
static void choose_label(const qg_results *r, const curves *c, const char *panel, int run,
                         qg_panel_line *line)
{
    const qg_study_run *it = &r->study->runs[run];
    const bool graft = it->kind == QG_RUN_GRAFT;
    snprintf(line->label, sizeof line->label, "%s", graft ? qg_run_source(r->study, it) : it->id);
    for (size_t i = 0; i < c->panel_count; i++)
        for (size_t k = 0; k < c->panels[i].count; k++)
            if (graft && strcmp(c->panels[i].title, panel) == 0 &&
                strcmp(c->lines[c->panels[i].lines[k]].label, line->label) == 0)
                snprintf(line->label, sizeof line->label, "%s", it->id);
}

/* The line of a run; QG_MOST_LINES: there is no room for it. */
static size_t add_line(const qg_results *r, curves *c, int run)
{
    if (c->line_count == QG_MOST_LINES) {
        c->left_out = true;
        return QG_MOST_LINES;
    }
    const qg_study_run *it = &r->study->runs[run];
    qg_panel_line *line = &c->lines[c->line_count];
    *line = (qg_panel_line){
        .dashed = it->choice.frozen,
        .dots = it->kind == QG_RUN_GRAFT && it->choice.way == QG_CHOOSE_LAST,
        .curves = r->runs[run].curves,
        .before = c->all_steps ? (int64_t)qg_study_budget_before(&r->budgets[run]) : 0,
        .band = r->runs[run].band};
    memcpy(line->run, it->id, sizeof line->run);
    c->runs[c->line_count] = run;
    return c->line_count++;
}

/* The line of a baseline, which many panels show. */
static size_t find_baseline(const qg_results *r, curves *c, int run)
{
    static const unsigned greys[] = {0x888888, 0x444444, 0xbbbbbb, 0x000000, 0x8c7355, 0x5f7188};
    size_t others = 0;
    for (size_t i = 0; i < c->line_count; i++) {
        if (c->baseline[i] && c->runs[i] == run) return i;
        others += c->baseline[i];
    }
    const size_t at = add_line(r, c, run);
    if (at == QG_MOST_LINES) return at;
    c->baseline[at] = true;
    c->lines[at].colour = greys[others % (sizeof greys / sizeof *greys)];
    snprintf(c->lines[at].label, sizeof c->lines[at].label, "%s",
             qg_results_is_long(r, run) ? "long baseline"
             : others                   ? c->lines[at].run
                                        : "baseline");
    return at;
}

/* ------------------------------------------------------------------------------------- panels */

static qg_panel *find_panel(curves *c, const char *title)
{
    for (size_t i = 0; i < c->panel_count; i++)
        if (strcmp(c->panels[i].title, title) == 0) return &c->panels[i];
    qg_panel *panel = &c->panels[c->panel_count++];
    *panel = (qg_panel){.unit = c->all_steps ? "agent steps, with those before" : "agent steps",
                        .threshold = (double)NAN};
    snprintf(panel->title, sizeof panel->title, "%s", title);
    return panel;
}

static void show(qg_panel *panel, size_t line)
{
    for (size_t i = 0; i < panel->count; i++)
        if (panel->lines[i] == line) return;
    if (panel->count < QG_MOST_LINES) panel->lines[panel->count++] = line;
}

static void add_run(const qg_results *r, curves *c, int run)
{
    const qg_study_run *it = &r->study->runs[run];
    char copied[QG_GRAFT_CHOICE_TEXT], title[sizeof c->panels[0].title];
    qg_run_copied(it, copied);
    snprintf(title, sizeof title, "%.90s", copied);
    if (!title[0]) snprintf(title, sizeof title, "%s", training);
    const int baseline = it->kind == QG_RUN_GRAFT ? it->baseline : -1;
    const int lengthened = c->all_steps ? qg_results_long_baseline(r, baseline) : -1;
    if (c->line_count + (baseline >= 0) + (lengthened >= 0) >= QG_MOST_LINES) {
        c->left_out = true;
        return;
    }
    if (baseline >= 0 && r->runs[baseline].curves.seed_count > 0)
        show(find_panel(c, title), find_baseline(r, c, baseline));
    if (lengthened >= 0 && r->runs[lengthened].curves.seed_count > 0)
        show(find_panel(c, title), find_baseline(r, c, lengthened));
    const size_t at = add_line(r, c, run);
    choose_colour(c, it, title, &c->lines[at]);
    choose_label(r, c, title, run, &c->lines[at]);
    show(find_panel(c, title), at);
}

static void fill(const qg_results *r, const qg_figure *figure, curves *c)
{
    for (int i = 0; i < r->study->run_count; i++)
        if (r->runs[i].curves.seed_count > 0 && qg_figure_leads(r, i) &&
            qg_figure_is_shared(&r->study->runs[i], &r->study->runs[figure->run]))
            add_run(r, c, i);
    qg_panel all = {.low = INFINITY, .high = -INFINITY};
    for (size_t i = 0; i < c->line_count; i++)
        qg_panel_include(&all, &c->lines[i].curves);
    const qg_study_run *first = &r->study->runs[figure->run];
    double threshold = NAN;
    for (int g = 0; g < r->study->game_count; g++)
        if (r->games[g].threshold_given && strcmp(r->study->games[g].name, first->game) == 0)
            threshold = r->games[g].scale.threshold;
    for (size_t i = 0; i < c->panel_count; i++) {
        c->panels[i].low = all.low;
        c->panels[i].high = fmax(all.high, threshold); /* which may be none: NaN */
        c->panels[i].threshold = threshold;
        c->panels[i].epoch = c->all_steps ? 0 : first->settings.eval_every;
    }
}

/* ------------------------------------------------------------------------------------- words */

/* What the picture shows, in words. */
static void describe(const qg_results *r, const curves *c, qg_figure *figure)
{
    size_t least = SIZE_MAX, most = 0;
    const qg_study_run *first = &r->study->runs[figure->run];
    snprintf(figure->alt, sizeof figure->alt, "Scores on %s over training:", first->game);
    for (size_t i = 0; i < c->line_count; i++) {
        const qg_panel_line *line = &c->lines[i];
        const size_t seeds = line->curves.seed_count;
        char copied[QG_GRAFT_CHOICE_TEXT];
        qg_run_copied(&r->study->runs[c->runs[i]], copied);
        least = seeds < least ? seeds : least;
        most = seeds > most ? seeds : most;
        qg_text_add(figure->alt, sizeof figure->alt, "%s %s%s%s ends at %.4g", i ? ";" : "",
                    line->label, copied[0] ? ", " : "", copied,
                    line->band[line->curves.point_count - 1].value);
    }
    snprintf(figure->caption, sizeof figure->caption,
             "A panel for each kind of copy. Thick: mean score over %zu", least);
    if (most > least) qg_text_add(figure->caption, sizeof figure->caption, " to %zu", most);
    qg_text_add(figure->caption, sizeof figure->caption,
                most > 1 ? " seeds, with Student's 95 %% interval, cut off at the lowest and the "
                           "highest score of the figure; thin: each seed."
                         : " seed: no interval.");
    if (c->left_out)
        qg_text_add(figure->caption, sizeof figure->caption, " Runs beyond %d are not drawn.",
                    QG_MOST_LINES);
    if (c->all_steps)
        qg_text_add(figure->caption, sizeof figure->caption,
                    " Each curve begins behind what came before the run.");
    else
        qg_text_add(figure->caption, sizeof figure->caption,
                    " An epoch is one evaluation period, %" PRId64 " agent steps.",
                    first->settings.eval_every);
}

int qg_figure_curves(const qg_results *r, qg_figure *figure, FILE *script, FILE *data)
{
    curves *c = calloc(1, sizeof *c);
    if (!c) return 0;
    c->all_steps = figure->kind == QG_FIGURE_ALL_STEPS;
    fill(r, figure, c);
    const qg_study_run *first = &r->study->runs[figure->run];
    const bool named = strstr(first->group, first->game) != NULL;
    snprintf(figure->title, sizeof figure->title, "%s%s%s%s", first->group,
             first->group[0] && !named ? ": " : "", named ? "" : first->game,
             c->all_steps ? ", over all steps" : "");
    int height = 0;
    if (c->panel_count > 0) {
        height = qg_panels_write(figure, c->lines, c->line_count, c->panels, c->panel_count, script,
                                 data);
        describe(r, c, figure);
    }
    free(c);
    return height;
}
