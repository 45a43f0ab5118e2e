/* The first screen: what the study found, by kind of copy. */
#include "report/page_parts.h"

#include <math.h>

/* How many experiments of a stratum were decided which way, and their mean effect. */
typedef struct stratum_tally {
    size_t decided[QG_DECISIONS], count;
    double mean;
} stratum_tally;

static stratum_tally count_stratum(const qg_results *r, qg_copy_stratum stratum)
{
    stratum_tally t = {0};
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *e = &r->experiments[i];
        if (e->problem[0] || qg_experiment_stratum(r, e) != stratum) continue;
        t.decided[e->verdict.decision]++;
        t.mean += e->verdict.effect.value;
        t.count++;
    }
    t.mean /= (double)t.count;
    return t;
}

static void put_stratum(FILE *out, const qg_results *r, qg_copy_stratum stratum)
{
    const stratum_tally t = count_stratum(r, stratum);
    if (t.count == 0) return;
    fputs("<tr>", out);
    qg_html_element(out, "td", "%s", qg_copy_stratum_name(stratum));
    qg_html_element(out, "td class=\"number\"", "%zu", t.count);
    qg_page_difference(out, t.mean);
    qg_html_element(out, "td class=\"number\"", "%zu", t.decided[QG_POSITIVE]);
    qg_html_element(out, "td class=\"number\"", "%zu", t.decided[QG_NEGATIVE]);
    qg_html_element(out, "td class=\"number\"", "%zu", t.decided[QG_WITHIN_MARGIN]);
    qg_html_element(out, "td class=\"number\"", "%zu", t.decided[QG_NOT_DECIDED]);
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

/* ", help in 2 of 7": the first such part names the number of all. */
static void put_part(FILE *out, size_t count, const char *what, size_t all, bool *begun)
{
    if (count == 0) return;
    qg_html_print(out, *begun ? ", %s in %zu" : " %s in %zu of %zu experiments", what, count, all);
    *begun = true;
}

static void put_answer(FILE *out, const char *who, const stratum_tally *t, double margin)
{
    char no_effect[64];
    bool begun = false;
    snprintf(no_effect, sizeof no_effect, "have no effect larger than %g", margin);
    fputs("<li>", out);
    qg_html_element(out, "strong", "%s", who);
    put_part(out, t->decided[QG_POSITIVE], "help", t->count, &begun);
    put_part(out, t->decided[QG_NEGATIVE], "hurt", t->count, &begun);
    put_part(out, t->decided[QG_WITHIN_MARGIN], no_effect, t->count, &begun);
    put_part(out, t->decided[QG_NOT_DECIDED], begun ? "are not decided" : "decide nothing",
             t->count, &begun);
    fprintf(out, "; mean effect %+.2f.</li>\n", t->mean);
}

void qg_page_answer(FILE *out, const qg_results *results)
{
    static const char *const who[] = {
        [QG_COPY_FREE] = "Free layers of another game",
        [QG_COPY_FROZEN] = "Frozen layers of another game",
        [QG_COPY_POLICY] = "Without layers, another game's policy",
        [QG_COPY_SAME_FREE] = "As a control, free layers of the same game",
        [QG_COPY_SAME_FROZEN] = "As a control, frozen layers of the same game",
        [QG_COPY_SAME_POLICY] = "As a control, without layers, the same game's policy",
        [QG_COPY_RANDOM] = "As a control, random layers, frozen,"};
    fputs("<div class=\"summary\"><ul>\n", out);
    bool any = false;
    for (int s = 0; s < QG_COPY_STRATA; s++) {
        const stratum_tally t = count_stratum(results, (qg_copy_stratum)s);
        if (t.count > 0) put_answer(out, who[s], &t, results->study->rule.margin);
        any = any || t.count > 0;
    }
    if (!any) fputs("<li>No experiment could be compared with a baseline.</li>\n", out);
    fputs("</ul></div>\n", out);
}
