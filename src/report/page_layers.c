/* What became of copied layers on the page. */
#include "report/page_parts.h"

#include <inttypes.h>
#include <math.h>

/* " conv1 (source distance 0.08, CKA 0.97, 3 % dormant)"; the words at the first layer only. */
static void put_layer(FILE *out, const qg_copied_layer *layer, bool first)
{
    const double cka = qg_layer_ended(layer, QG_CURVE_CKA);
    const double dormant = qg_layer_ended(layer, QG_CURVE_DORMANT);
    qg_html_print(out, " %s (%s%.2f", layer->name, first ? "source distance " : "",
                  qg_layer_ended(layer, QG_CURVE_DISTANCE));
    if (isfinite(cka)) qg_html_print(out, ", CKA %.2f", cka);
    if (isfinite(dormant)) qg_html_print(out, ", %.0f %% dormant", 100 * dormant);
    fputs(")", out);
}

void qg_page_layers_of(FILE *out, const qg_experiment *e)
{
    bool begun = false;
    if (e->layer_count == 0) return;
    const qg_curves *const curves = &e->layers[0].curves[QG_CURVE_DISTANCE].curves;
    fputs("<p>", out);
    qg_html_print(out, "Copied layers at step %" PRId64 ", mean over %zu seed%s:",
                  curves->steps[curves->point_count - 1], curves->seed_count,
                  curves->seed_count == 1 ? "" : "s");
    for (int fate = 0; fate < QG_LAYER_FATES; fate++) {
        bool any = false;
        for (int l = 0; l < e->layer_count; l++) {
            if ((int)e->layers[l].fate != fate) continue;
            if (any || begun) fputs(any ? "," : ";", out);
            put_layer(out, &e->layers[l], !any && !begun);
            any = true;
        }
        if (any) qg_html_print(out, " %s", qg_layer_fate_name((qg_layer_fate)fate));
        begun = begun || any;
    }
    fputs(".</p>\n", out);
}

static void put_row(FILE *out, const qg_results *r, const qg_experiment *e,
                    const qg_copied_layer *layer)
{
    fprintf(out, "<tr><td><a href=\"#run-%d\">", e->run);
    qg_html_text(out, r->study->runs[e->run].id);
    fputs("</a></td>", out);
    qg_html_element(out, "td", "%s", layer->name);
    qg_html_element(out, "td class=\"number\"", "%zu",
                    layer->curves[QG_CURVE_DISTANCE].curves.seed_count);
    qg_page_number(out, "%.3f", qg_layer_ended(layer, QG_CURVE_DISTANCE));
    qg_page_number(out, "%.3f", qg_layer_copied(layer, QG_CURVE_CKA));
    qg_page_number(out, "%.3f", qg_layer_ended(layer, QG_CURVE_CKA));
    qg_page_number(out, "%.3f", qg_layer_copied(layer, QG_CURVE_DORMANT));
    qg_page_number(out, "%.3f", qg_layer_ended(layer, QG_CURVE_DORMANT));
    qg_html_element(out, "td", "%s", qg_layer_fate_name(layer->fate));
    fputs("</tr>\n", out);
}

void qg_page_layers(FILE *out, const qg_results *r)
{
    if (!qg_results_tell_layers(r)) return;
    fputs("<section id=\"layers\"><h2>Copied layers</h2>\n<p>", out);
    qg_html_print(
        out,
        "What became of them, means over seeds at the last evaluation. Stayed: a distance "
        "of at most %g from the source's weights, relative to them, and a similarity "
        "(debiased linear CKA) of the outputs with the source's layer at most %g below "
        "that when copied, which also layers below can change. Died: as many more units "
        "dormant as %g of those that were not when copied. Otherwise drifted; whether to "
        "where the baseline went, ",
        QG_STAYED_DISTANCE, QG_STAYED_CKA_LOSS, QG_DIED_DORMANT);
    fputs("<code>qgraft diagnose --baseline</code> tells. The curves stand beside those of the "
          "scores.</p>\n",
          out);
    qg_page_table(out, NULL,
                  "run|layer|#seeds|#source distance|#CKA when copied|#CKA|#dormant when copied|"
                  "#dormant|became");
    for (size_t i = 0; i < r->experiment_count; i++)
        for (int l = 0; l < r->experiments[i].layer_count; l++)
            put_row(out, r, &r->experiments[i], &r->experiments[i].layers[l]);
    qg_page_end_table(out);
    fputs("</section>\n", out);
}
