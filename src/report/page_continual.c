/* Chains on the page: means over seeds of what continual.h measures. */
#include "report/page_parts.h"

#include <math.h>
#include <string.h>

static bool is_alike(const qg_continual *a, const qg_continual *b)
{
    return a->run == b->run && a->forward == b->forward && strcmp(a->game, b->game) == 0;
}

static void put_row(FILE *out, const qg_results *r, size_t first)
{
    const qg_continual *one = &r->continual[first];
    double reference = 0, value = 0, forgetting = 0;
    int seeds = 0;
    for (size_t i = first; i < r->continual_count; i++) {
        const qg_continual *it = &r->continual[i];
        if (!is_alike(it, one)) continue;
        reference += it->reference;
        value += it->value;
        forgetting += it->forgetting;
        seeds++;
    }
    fputs("<tr>", out);
    qg_html_element(out, "td", "%s", r->study->runs[one->run].id);
    qg_html_element(out, "td", one->forward ? "forward" : "backward");
    qg_html_element(out, "td", "%s", one->game);
    qg_html_element(out, "td", "%s", r->study->runs[one->other].id);
    qg_html_element(out, "td class=\"number\"", "%d", seeds);
    qg_html_element(out, "td class=\"number\"", "%.4g", reference / seeds);
    qg_html_element(out, "td class=\"number\"", "%.4g", value / seeds);
    qg_page_difference(out, (value - reference) / seeds);
    qg_page_difference(out, one->forward ? NAN : forgetting / seeds);
    fputs("</tr>\n", out);
}

void qg_page_continual(FILE *out, const qg_results *r)
{
    if (!r->continual_count) return;
    fputs(
        "<section id=\"chains\"><h2>Chains</h2>\n"
        "<p>Scores of a game, means over seeds. Backward: of an earlier game, when it was learned "
        "and at the end of the run; their difference is the backward transfer. Forward: of the "
        "run's game before the run, from fresh weights and by the network that was handed on. Of a "
        "link with <code>take: best</code> the score before is the highest of noisy evaluations, "
        "which makes forgetting look larger than it is. By seed: <code>continual.csv</code>.</p>\n",
        out);
    qg_page_table(out, NULL,
                  "run|transfer|game|from|#seeds|#before|#after|#difference|#forgetting");
    for (size_t i = 0; i < r->continual_count; i++) {
        size_t first = 0;
        while (!is_alike(&r->continual[first], &r->continual[i]))
            first++;
        if (first == i) put_row(out, r, i);
    }
    qg_page_end_table(out);
    fputs("</section>\n", out);
}
