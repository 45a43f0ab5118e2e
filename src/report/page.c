/* The page from the top: summary, contents, claims, all experiments at one look. */
#include "report/page.h"

#include "base/text.h"
#include "report/page_parts.h"

#include <math.h>
#include <string.h>

/* ----------------------------------------------------------------------------------- figures */

/* The first of its kind; NULL: there is none. */
static const qg_figure *find_figure(const qg_figures *figures, qg_figure_kind kind)
{
    for (size_t i = 0; i < figures->count; i++)
        if (figures->items[i].kind == kind) return &figures->items[i];
    return NULL;
}

static void put_figures(FILE *out, const qg_figures *figures, qg_figure_kind kind)
{
    for (size_t i = 0; i < figures->count; i++) {
        if (figures->items[i].kind != kind) continue;
        if (kind == QG_FIGURE_MATRIX) qg_html_element(out, "h3", "%s", figures->items[i].title);
        qg_page_figure(out, &figures->items[i]);
    }
}

/* -------------------------------------------------------------------------------- beginning */

static void put_head(FILE *out, const qg_results *r, const char *summary)
{
    const qg_study *study = r->study;
    const char *title = study->question ? study->question : study->name;
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'; img-src data:; script-src '" QG_HTML_SCRIPT_HASH "'\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n",
          out);
    qg_html_element(out, "title", "%s", study->name);
    fprintf(out, "\n<style>\n%s</style>\n</head>\n<body>\n<header>\n", qg_html_style);
    qg_html_element(out, "h1", "%s", title);
    qg_html_element(out, "p class=\"quiet\"", "Study %s, reported by qgraft " QG_VERSION,
                    study->name);
    qg_page_answer(out, r);
    qg_html_element(out, "p class=\"quiet\"", "%s", summary);
    fputs("</header>\n", out);
}

static void put_contents(FILE *out, const qg_results *r, const qg_figures *figures)
{
    fputs("<nav aria-label=\"Contents\"><ul>\n", out);
    if (find_figure(figures, QG_FIGURE_FOREST))
        fputs("<li><a href=\"#effects\">What was found, by kind of copy</a></li>\n", out);
    if (r->study->claim_count > 0) fputs("<li><a href=\"#claims\">Claims</a></li>\n", out);
    fputs("<li><a href=\"#overview\">All experiments</a></li>\n", out);
    if (find_figure(figures, QG_FIGURE_MATRIX))
        fputs("<li><a href=\"#matrix\">Transfer matrix</a></li>\n", out);
    if (r->continual_count > 0) fputs("<li><a href=\"#chains\">Chains</a></li>\n", out);
    if (qg_results_tell_layers(r)) fputs("<li><a href=\"#layers\">Copied layers</a></li>\n", out);
    if (r->budgets) fputs("<li><a href=\"#budgets\">Over all steps</a></li>\n", out);
    if (find_figure(figures, QG_FIGURE_SCATTER))
        fputs("<li><a href=\"#similarity\">Similarity and transfer</a></li>\n", out);
    if (r->map.pair_count > 0) fputs("<li><a href=\"#games\">Games by transfer</a></li>\n", out);
    for (size_t i = 0; i < figures->count; i++)
        if (figures->items[i].kind == QG_FIGURE_CURVES) {
            fprintf(out, "<li><a href=\"#figure-%zu\">", i);
            qg_html_text(out, figures->items[i].title);
            fputs("</a></li>\n", out);
        }
    fputs("<li><a href=\"#making\">How this was made</a></li>\n</ul></nav>\n", out);
}

static void put_warnings(FILE *out, const qg_warnings *warnings)
{
    if (warnings->count == 0) return;
    fputs("<section class=\"warnings\" aria-label=\"Warnings\"><p>", out);
    qg_html_print(out, "%zu thing%s to know:", warnings->count, warnings->count > 1 ? "s" : "");
    fputs("</p><ul>\n", out);
    for (size_t i = 0; i < warnings->count; i++)
        qg_html_element(out, "li", "%s", warnings->lines[i]);
    fputs("</ul></section>\n", out);
}

/* ----------------------------------------------------------------------------------- claims */

static void put_finding(FILE *out, qg_finding finding)
{
    static const char *const looks[] = {
        [QG_OPEN] = "open", [QG_HOLDS] = "good", [QG_FAILS] = "bad"};
    fprintf(out, "<td><span class=\"badge %s\">%s</span></td>", looks[finding],
            qg_finding_name(finding));
}

/* What was compared for it: "area of `of` against ...". */
static void put_test(FILE *out, const qg_study_claim *claim)
{
    static const char *const kinds[] = {[QG_CLAIM_POSITIVE] = "above the baseline",
                                        [QG_CLAIM_NEGATIVE] = "below the baseline",
                                        [QG_CLAIM_BETTER] = "gains more",
                                        [QG_CLAIM_WORSE] = "gains less",
                                        [QG_CLAIM_LITTLE] = "within"};
    fputs("<td class=\"some\">", out);
    qg_html_print(out, "%s: %s", qg_measure_name(claim->metric), kinds[claim->kind]);
    if (claim->kind == QG_CLAIM_LITTLE) qg_html_print(out, " \u00b1%g", claim->margin);
    fputs("</td>", out);
}

/* How many experiments of the stratum went which way. */
static void put_signs(FILE *out, const char *name, const qg_stratum_count *stratum)
{
    if (stratum->experiments > 0)
        qg_html_print(out, "; %s %zu up, %zu down, %+.3f", name, stratum->up, stratum->down,
                      stratum->effect);
}

/* How much the finding rests on, and why it is what it is. */
static void put_base(FILE *out, const qg_study_claim *claim, const qg_claim_result *result)
{
    fputs("<br><span class=\"quiet\">", out);
    if (claim->source) qg_html_print(out, "%s; ", claim->source);
    qg_html_print(out, "%zu experiment%s, %zu seed%s", result->experiments,
                  result->experiments == 1 ? "" : "s", result->pooled.seeds,
                  result->pooled.seeds == 1 ? "" : "s");
    if (result->lacking > 0) qg_html_print(out, " (%zu lacking)", result->lacking);
    if (result->dropped > 0)
        qg_html_print(out, " (%zu with fewer seeds left out)", result->dropped);
    put_signs(out, "free", &result->free);
    put_signs(out, "frozen", &result->frozen);
    qg_html_print(out, ": %s", qg_claim_reason(claim, result));
    fputs("</span>", out);
}

static void put_claims(FILE *out, const qg_results *r)
{
    if (r->study->claim_count == 0) return;
    fputs("<section id=\"claims\"><h2>Claims beside what was found</h2>\n", out);
    qg_page_table(
        out,
        "Effects are differences of normalised scores, means over the experiments for each seed. "
        "Findings rest on the adjusted interval (Holm, over all claims).",
        "claim, and what its finding rests on|found|#effect|#95 % interval|#adjusted|tested on");
    for (int i = 0; i < r->study->claim_count; i++) {
        const qg_study_claim *claim = &r->study->claims[i];
        const qg_claim_result *result = &r->claims[i];
        fputs("<tr><td class=\"words\">", out);
        qg_html_text(out, claim->says);
        put_base(out, claim, result);
        fputs("</td>", out);
        put_finding(out, result->finding);
        qg_page_difference(out, result->pooled.effect.value);
        qg_page_interval(out, &result->pooled.raw);
        qg_page_interval(out, &result->adjusted);
        put_test(out, claim);
        fputs("</tr>\n", out);
    }
    qg_page_end_table(out);
    fputs("</section>\n", out);
}

/* ---------------------------------------------------------------------------------- overview */

/* Whether another experiment differs from this one only in settings, which ids name. */
static bool has_twin(const qg_results *r, const qg_experiment *e)
{
    const qg_study_run *run = &r->study->runs[e->run];
    char copied[QG_GRAFT_CHOICE_TEXT], other[QG_GRAFT_CHOICE_TEXT];
    qg_run_copied(run, copied);
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_study_run *it = &r->study->runs[r->experiments[i].run];
        qg_run_copied(it, other);
        if (it != run && it->source == run->source && strcmp(it->game, run->game) == 0 &&
            strcmp(copied, other) == 0)
            return true;
    }
    return false;
}

static void put_experiment_row(FILE *out, const qg_results *r, const qg_experiment *e)
{
    const qg_study_run *run = &r->study->runs[e->run];
    char copied[QG_GRAFT_CHOICE_TEXT];
    qg_run_copied(run, copied);
    fputs("<tr>", out);
    qg_html_element(out, "td", "%s", qg_run_source(r->study, run));
    fprintf(out, "<td class=\"nowrap\"><a href=\"#run-%d\">", e->run);
    qg_html_text(out, copied);
    fputs("</a>", out);
    if (has_twin(r, e)) qg_html_print(out, " (%s)", run->id);
    if (e->control) fputs(" <span class=\"quiet\">control</span>", out);
    fputs("</td>", out);
    qg_html_element(out, "td", "%s", run->game);
    if (e->problem[0]) {
        qg_html_element(out, "td colspan=\"6\" class=\"words\"", "not compared: %s", e->problem);
        fputs("</tr>\n", out);
        return;
    }
    const qg_verdict *area = &e->verdict;
    qg_html_element(out, "td class=\"number\"", "%zu : %zu", area->seeds, area->baseline_seeds);
    qg_page_difference(out, area->effect.value);
    qg_page_interval(out, &area->raw);
    qg_page_interval(out, &area->adjusted);
    qg_html_element(out, "td class=\"number\"", "%.2f", e->probability.value);
    fputs("<td>", out);
    qg_page_decision(out, area->decision);
    fputs("</td></tr>\n", out);
}

static void put_estimate(FILE *out, const char *name, const qg_estimate *estimate)
{
    fputs("<tr>", out);
    qg_html_element(out, "td", "%s", name);
    qg_page_difference(out, estimate->value);
    qg_page_interval(out, estimate);
    fputs("</tr>\n", out);
}

static void put_note(void *context, const char *line)
{
    qg_html_element(context, "p", "Note: %s.", line);
}

static void put_overview(FILE *out, const qg_results *r)
{
    fputs("<section id=\"overview\"><h2>All experiments</h2>\n", out);
    if (r->experiment_count == 0) {
        fputs("<p>The study lists no graft.</p></section>\n", out);
        return;
    }
    qg_page_table(
        out,
        "Difference of the normalised area under the curve (mean score over the whole "
        "training) from the baseline; seeds: of transfer and baseline; P: probability that "
        "a transfer is above a baseline.",
        "source|copied|target|#seeds|#difference|#95 % interval|#adjusted|#P|verdict");
    for (size_t i = 0; i < r->experiment_count; i++)
        put_experiment_row(out, r, &r->experiments[i]);
    qg_page_end_table(out);
    qg_study_explain_lists(r->study, put_note, out);
    if (r->pooled_count > 1) {
        char caption[256] = "All of them together";
        if (!r->only_controls)
            qg_text_add(caption, sizeof caption,
                        ", without controls (random layers, or the source's own game)");
        if (r->dropped > 0)
            qg_text_add(caption, sizeof caption,
                        "%s without the %zu that have fewer seeds than most",
                        r->only_controls ? "," : " and", r->dropped);
        qg_text_add(caption, sizeof caption, ".");
        qg_page_table(out, caption, "over the study|#difference|#95 % interval");
        put_estimate(out, "mean", &r->pooled.raw);
        put_estimate(out, "interquartile mean over all pairs of shared seeds, bootstrap over seeds",
                     &r->iqm);
        qg_page_end_table(out);
    }
    fputs("</section>\n", out);
}

/* The answer at one look. */
static void put_effects(FILE *out, const qg_results *r, const qg_figures *figures)
{
    if (!find_figure(figures, QG_FIGURE_FOREST)) return;
    fputs("<section id=\"effects\"><h2>What was found, by kind of copy</h2>\n", out);
    put_figures(out, figures, QG_FIGURE_FOREST);
    qg_page_effects(out, r);
    fputs("</section>\n", out);
}

static void put_matrix(FILE *out, const qg_figures *figures)
{
    if (!find_figure(figures, QG_FIGURE_MATRIX)) return;
    fputs("<section id=\"matrix\"><h2>Transfer matrix</h2>\n", out);
    put_figures(out, figures, QG_FIGURE_MATRIX);
    fputs("</section>\n", out);
}

static void put_similarity(FILE *out, const qg_results *r, const qg_figures *figures)
{
    const qg_figure *scatter = find_figure(figures, QG_FIGURE_SCATTER);
    if (!scatter) return;
    fputs("<section id=\"similarity\"><h2>Similarity and transfer</h2>\n", out);
    if (isfinite(scatter->spearman))
        qg_html_element(out, "p",
                        "Spearman's rho between the similarity of two games and the mean effect "
                        "between them, in either direction, is %.3f over %zu pairs of games, which "
                        "share games and seeds: it describes, it tests nothing.",
                        scatter->spearman, scatter->pairs);
    else
        qg_html_element(out, "p",
                        "%zu pair%s of games: too few, or too alike, for a rank correlation.",
                        scatter->pairs, scatter->pairs == 1 ? "" : "s");
    put_figures(out, figures, QG_FIGURE_SCATTER);
    if (r->map.pair_count == 0) qg_html_element(out, "p class=\"quiet\"", "%s", r->map.problem);
    fputs("</section>\n", out);
}

/* ------------------------------------------------------------------------------------ curves */

static void put_curves(FILE *out, const qg_results *r, const qg_figures *figures)
{
    fputs("<section id=\"experiments\"><h2>Experiments</h2>\n", out);
    for (size_t i = 0; i < figures->count; i++) {
        const qg_figure *figure = &figures->items[i];
        if (figure->kind != QG_FIGURE_CURVES) continue;
        fprintf(out, "<section id=\"figure-%zu\">", i);
        qg_html_element(out, "h3", "%s", figure->title);
        qg_page_figure(out, figure);
        for (size_t k = 0; k < figures->count; k++)
            if (figures->items[k].kind == QG_FIGURE_LAYERS && figures->items[k].run == figure->run)
                qg_page_figure(out, &figures->items[k]);
        qg_page_experiments(out, r, figure);
        fputs("</section>\n", out);
    }
    fputs("</section>\n", out);
}

void qg_page_write(FILE *out, const qg_results *results, const qg_figures *figures,
                   const char *summary)
{
    put_head(out, results, summary);
    fputs("<main>\n", out);
    put_effects(out, results, figures);
    put_warnings(out, &results->warnings);
    put_contents(out, results, figures);
    put_claims(out, results);
    put_overview(out, results);
    put_matrix(out, figures);
    qg_page_continual(out, results);
    qg_page_layers(out, results);
    qg_page_budgets(out, results, figures);
    put_similarity(out, results, figures);
    qg_page_map(out, results, find_figure(figures, QG_FIGURE_MAP));
    put_curves(out, results, figures);
    qg_page_making(out, results, find_figure(figures, QG_FIGURE_SOURCES));
    fprintf(out, "</main>\n<script>%s</script>\n</body>\n</html>\n", qg_html_script);
}
