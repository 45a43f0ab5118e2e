/* The one rule of colours, which runs a figure shows, and texts for gnuplot. */
#include "report/figure_parts.h"

#include <string.h>

unsigned qg_figure_colour(const qg_study_run *run)
{
    static const unsigned by_layers[] = {0x0072b2, 0xe69f00, 0x009e73, 0xcc79a7, 0x56b4e9};
    const qg_graft_choice *choice = &run->choice;
    if (run->kind != QG_RUN_GRAFT) return 0x888888;
    if (run->source == QG_SOURCE_RANDOM) return 0x000000;
    if (choice->way == QG_CHOOSE_NONE) return 0xd62728; /* the source's policy alone */
    if (choice->way == QG_CHOOSE_LAYERS || choice->way == QG_CHOOSE_PART) return 0xd55e00;
    return by_layers[choice->count < 5 ? choice->count - 1 : 4];
}

unsigned qg_figure_other_colour(unsigned colour, const unsigned *taken, size_t count)
{
    static const unsigned spare[] = {0xd55e00, 0x56b4e9, 0xcc79a7, 0x009e73, 0xe69f00,
                                     0x0072b2, 0x762a83, 0x8c510a, 0xa6d854, 0x01665e};
    for (size_t i = 0, next = 0; i < count && next < sizeof spare / sizeof *spare; i++)
        if (taken[i] == colour) {
            colour = spare[next++];
            i = (size_t)-1; /* from the beginning again */
        }
    return colour;
}

void qg_figure_text(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', script);
        fputc((unsigned char)*text < 0x20 ? '?' : *text, script);
    }
    fputc('\'', script);
}

bool qg_figure_is_shared(const qg_study_run *a, const qg_study_run *b)
{
    return strcmp(a->group, b->group) == 0 && strcmp(a->game, b->game) == 0;
}

static bool is_baseline(const qg_study *study, int run)
{
    for (int i = 0; i < study->run_count; i++)
        if (study->runs[i].listed && study->runs[i].kind == QG_RUN_GRAFT &&
            study->runs[i].baseline == run)
            return true;
    return false;
}

bool qg_figure_leads(const qg_results *r, int run)
{
    const qg_study_run *it = &r->study->runs[run];
    return it->listed && r->runs[run].shown && !qg_results_is_long(r, run) &&
           (it->kind == QG_RUN_GRAFT || !is_baseline(r->study, run));
}

bool qg_figure_shows(const qg_results *r, const qg_figure *figure, int run)
{
    const qg_study_run *runs = r->study->runs, *first = &runs[figure->run];
    if (qg_figure_leads(r, run)) return qg_figure_is_shared(&runs[run], first);
    for (int i = 0; i < r->study->run_count; i++)
        if (qg_figure_leads(r, i) && runs[i].kind == QG_RUN_GRAFT && runs[i].baseline == run &&
            qg_figure_is_shared(&runs[i], first))
            return true;
    return false;
}
