/* How the networks came about that layers are copied from: the scores of sources and students, and
 * how well students agree with their teachers. */
#include "report/figure_panels.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct sources {
    qg_panel_line lines[QG_MOST_LINES];
    qg_panel panels[QG_MOST_LINES];
    size_t count; /* a line in each panel */
} sources;

static void add_panel(sources *s, const char *source, const char *what, const qg_study_run *run,
                      const qg_run_curves *curves)
{
    if (curves->curves.seed_count == 0 || curves->curves.point_count < 2 ||
        s->count == QG_MOST_LINES)
        return;
    qg_panel *panel = &s->panels[s->count];
    qg_panel_line *line = &s->lines[s->count];
    const bool student = run->kind == QG_RUN_DISTILL;
    *panel = (qg_panel){.unit = student ? "samples" : "agent steps",
                        .low = INFINITY,
                        .high = -INFINITY,
                        .threshold = (double)NAN,
                        .count = 1,
                        .lines = {s->count}};
    snprintf(panel->title, sizeof panel->title, "%.40s", source);
    *line = (qg_panel_line){
        .colour = student ? 0xe69f00 : 0x0072b2, .curves = curves->curves, .band = curves->band};
    memcpy(line->run, run->id, sizeof line->run);
    snprintf(line->label, sizeof line->label, "%s", what);
    qg_panel_include(panel, &curves->curves);
    s->count++;
}

static void describe(const qg_results *r, const sources *s, qg_figure *figure)
{
    snprintf(figure->title, sizeof figure->title, "Sources");
    snprintf(figure->caption, sizeof figure->caption,
             "The runs whose networks layers are copied from: thick the mean over seeds with "
             "Student's 95 %% interval, thin each seed; of students also the Kullback-Leibler "
             "divergence from their teacher (nats) and how often both choose the same action.%s",
             s->count == QG_MOST_LINES ? " Those beyond 64 are not drawn." : "");
    snprintf(figure->alt, sizeof figure->alt, "Curves of the sources of %s:", r->study->name);
    for (size_t i = 0; i < s->count; i++) {
        const qg_panel_line *line = &s->lines[i];
        qg_text_add(figure->alt, sizeof figure->alt, " %s, %s ends at %.3g;", s->panels[i].title,
                    line->label, line->band[line->curves.point_count - 1].value);
    }
}

int qg_figure_sources(const qg_results *r, qg_figure *figure, FILE *script, FILE *data)
{
    sources *s = calloc(1, sizeof *s);
    if (!s) return 0;
    for (int i = 0; i < r->study->source_count; i++) {
        const qg_study_source *source = &r->study->sources[i];
        const qg_source_curves *curves = &r->source_curves[i];
        if (source->run < 0) continue;
        const qg_study_run *run = &r->study->runs[source->run];
        add_panel(s, source->name, "score", run, &curves->score);
        add_panel(s, source->name, "divergence (nats)", run, &curves->divergence);
        add_panel(s, source->name, "agreement", run, &curves->agreement);
    }
    int height = 0;
    if (s->count > 0) {
        describe(r, s, figure);
        height = qg_panels_write(figure, s->lines, s->count, s->panels, s->count, script, data);
    }
    free(s);
    return height;
}
