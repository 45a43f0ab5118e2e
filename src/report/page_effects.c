/* The first screen: what the study found, by kind of copy. */
#include "report/page_parts.h"

#include <math.h>

/* One row: how many of a stratum were decided which way, and their mean effect. */
static void put_stratum(FILE *out, const qg_results *r, qg_copy_stratum stratum)
{
    size_t decided[QG_DECISIONS] = {0}, count = 0;
    double sum = 0;
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *e = &r->experiments[i];
        if (e->problem[0] || qg_experiment_stratum(r, e) != stratum) continue;
        decided[e->verdict.decision]++;
        sum += e->verdict.effect.value;
        count++;
    }
    if (count == 0) return;
    fputs("<tr>", out);
    qg_html_element(out, "td", "%s", qg_copy_stratum_name(stratum));
    qg_html_element(out, "td class=\"number\"", "%zu", count);
    qg_page_difference(out, sum / (double)count);
    qg_html_element(out, "td class=\"number\"", "%zu", decided[QG_POSITIVE]);
    qg_html_element(out, "td class=\"number\"", "%zu", decided[QG_NEGATIVE]);
    qg_html_element(out, "td class=\"number\"", "%zu", decided[QG_WITHIN_MARGIN]);
    qg_html_element(out, "td class=\"number\"", "%zu", decided[QG_NOT_DECIDED]);
    fputs("</tr>\n", out);
}

void qg_page_effects(FILE *out, const qg_results *results)
{
    qg_page_table(out, "How many experiments of each kind were decided which way.",
                  "copied|#experiments|#mean effect|#positive|#negative|#no effect|#not decided");
    for (int s = 0; s < QG_COPY_STRATA; s++)
        put_stratum(out, results, (qg_copy_stratum)s);
    qg_page_end_table(out);
}
