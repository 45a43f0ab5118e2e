/* One experiment after the other: what was copied, what it did, and how sure that is. */
#include "report/page_parts.h"

#include "report/figure_parts.h"
#include "study/task_folder.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OPEN = 12 }; /* experiments whose tables are not folded */

static const char *const measure_titles[] = {
    [QG_ZERO_SHOT] = "before training (zero-shot)",
    [QG_JUMPSTART] = "jumpstart (first 10 %)",
    [QG_EARLY] = "early (first 80 %)",
    [QG_LATE] = "late (last 20 %)",
    [QG_ASYMPTOTE] = "asymptote (last 10 %)",
    [QG_MAXIMUM] = "maximum",
    [QG_AREA] = "area (whole training)",
};

/* --------------------------------------------------------------------------------- measures */

static void put_level(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "<td class=\"number\">%.4g</td>", value);
    else
        fputs("<td class=\"number\">&ndash;</td>", out);
}

static void put_measures(FILE *out, const qg_results *r, const qg_experiment *e)
{
    static const qg_measure order[] = {QG_AREA, QG_ZERO_SHOT, QG_JUMPSTART, QG_EARLY,
                                       QG_LATE, QG_ASYMPTOTE, QG_MAXIMUM};
    qg_page_table(out, "Mean scores; differences normalised, with the unadjusted interval.",
                  "measure|#baseline|#transfer|#difference|#95 % interval");
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const qg_measure m = order[i];
        fputs("<tr>", out);
        qg_html_element(out, "td", "%s", measure_titles[m]);
        put_level(out, qg_experiment_level(r, e, false, m));
        put_level(out, qg_experiment_level(r, e, true, m));
        qg_page_difference(out, e->effects[m].value);
        qg_page_interval(out, &e->effects[m]);
        fputs("</tr>\n", out);
    }
    qg_page_end_table(out);
}

static void put_median(FILE *out, const char *who, size_t reached, size_t all, double median)
{
    qg_html_print(out, "%s in %zu of %zu seeds", who, reached, all);
    if (isfinite(median)) qg_html_print(out, " (median step %.0f)", median);
}

/* The last step at which each transfer is ahead. */
static void put_crossovers(FILE *out, const qg_experiment *e)
{
    fputs("<li>Last step ahead of the baseline: ", out);
    for (size_t i = 0; i < e->pair_count; i++) {
        qg_html_print(out, "%sseed %" PRIu64 " ", i ? ", " : "", e->pairs[i].seed);
        if (e->pairs[i].crossover < 0)
            fputs("never", out);
        else
            fprintf(out, "%" PRId64, e->pairs[i].crossover);
    }
    fputs(".</li>\n", out);
}

static void put_ratio(FILE *out, const qg_experiment *e)
{
    const double ratio = qg_experiment_ratio(e);
    if (isfinite(ratio))
        qg_html_element(
            out, "li", "Transfer ratio (area T - area B) / area B: %+.3f, mean over seeds.", ratio);
    else
        qg_html_element(out, "li", "Transfer ratio: not defined, %s.",
                        e->pair_count == 0 ? "transfer and baseline have no seed in common"
                                           : "a baseline's area is not above that of random play");
}

static void put_more(FILE *out, const qg_experiment *e)
{
    const qg_threshold_times *t = &e->times;
    fputs("<ul>\n", out);
    put_ratio(out, e);
    fputs("<li>", out);
    qg_html_print(out, "Probability that a transfer's area is above a baseline's: %.2f",
                  e->probability.value);
    if (isfinite(e->probability.low))
        qg_html_print(out, " (Newcombe's 95 %% interval %.2f to %.2f)", e->probability.low,
                      e->probability.high);
    fputs(".</li>\n", out);
    fputs("<li>", out);
    qg_html_print(out, "Threshold of %.4g%s: reached by ", e->game->scale.threshold,
                  e->game->threshold_given ? "" : " (halfway between random play and reference)");
    put_median(out, "the baseline", t->baseline_reached, t->pairs, t->baseline_median);
    put_median(out, ", by the transfer", t->transfer_reached, t->pairs, t->transfer_median);
    fputs(".</li>\n", out);
    put_crossovers(out, e);
    fputs("</ul>\n", out);
}

/* ------------------------------------------------------------------------------------ verdict */

static void put_p(FILE *out, const char *what, double p)
{
    if (isnan(p)) return;
    qg_html_print(out, p < 0.001 ? "%s %.1e" : "%s %.3f", what, p);
}

static void put_verdict(FILE *out, const qg_experiment *e)
{
    fputs("<p>", out);
    if (e->problem[0]) {
        fputs("<span class=\"badge open\">not compared</span>: ", out);
        qg_html_text(out, e->problem);
        fputs(".</p>\n", out);
        return;
    }
    const qg_verdict *v = &e->verdict;
    qg_page_decision(out, v->decision);
    qg_html_print(out, ": the normalised area differs from the baseline's by %+.3f",
                  v->effect.value);
    if (isfinite(v->raw.low))
        qg_html_print(out, " (95 %% interval %+.3f to %+.3f, adjusted %+.3f to %+.3f)", v->raw.low,
                      v->raw.high, v->adjusted.low, v->adjusted.high);
    qg_html_print(out, " over %zu seed%s and %zu of the baseline; %s.", v->seeds,
                  v->seeds == 1 ? "" : "s", v->baseline_seeds, qg_reason_text(v->reason));
    fputs("</p>\n<p class=\"quiet\">", out);
    put_p(out, "p", v->p);
    put_p(out, "; among the arms of its baseline (Dunnett)", v->family_p);
    put_p(out,
          e->control ? "; over all controls (Benjamini and Hochberg)"
                     : "; over all experiments (Benjamini and Hochberg)",
          v->q);
    put_p(out, "; by permutation", v->permutation_p);
    put_p(out, "; that it is within the margin", v->margin_p);
    qg_html_print(out, "%sLearned at all: %zu of %zu runs, %zu of %zu of the baseline.",
                  isnan(v->p) ? "" : ". ", e->transfer.learned, e->transfer.count,
                  e->baseline.learned, e->baseline.count);
    fputs("</p>\n", out);
}

/* ----------------------------------------------------------------------------------- layers */

static int read_layers(const qg_results *r, const qg_experiment *e,
                       qg_layer_fact layers[QG_MAX_LAYERS])
{
    int count = 0;
    for (int t = 0; t < r->study->task_count && count == 0; t++) {
        if (r->study->tasks[t].run != e->run) continue;
        char *folder = qg_task_path(r->study, t, r->folder, NULL);
        if (folder) count = qg_layer_facts(folder, &e->facts, layers);
        free(folder);
    }
    return count;
}

static void put_layers(FILE *out, const qg_results *r, const qg_experiment *e)
{
    qg_layer_fact layers[QG_MAX_LAYERS];
    const int count = read_layers(r, e, layers);
    if (count == 0) {
        fputs("<p class=\"quiet\">No network of it is there to show its layers.</p>\n", out);
        return;
    }
    qg_page_table(out,
                  e->facts.frozen_unchanged ? "Frozen layers were equal bit by bit at the end."
                                            : "Layers of the grafted network.",
                  "layer|shape|weights|learns|#parameters");
    for (int l = 0; l < count; l++) {
        fputs("<tr>", out);
        qg_html_element(out, "td", "%s", layers[l].name);
        qg_html_element(out, "td class=\"nowrap\"", "%s", layers[l].shape);
        qg_html_element(out, "td", "%s", layers[l].origin);
        qg_html_element(out, "td", layers[l].frozen ? "frozen" : "free");
        qg_html_element(out, "td class=\"number\"", "%zu", layers[l].parameters);
        fputs("</tr>\n", out);
    }
    qg_page_end_table(out);
}

static void put_similarity(FILE *out, const qg_experiment *e)
{
    const qg_similarity *s = &e->similarity;
    if (!e->has_similarity) return;
    qg_html_element(out, "p",
                    "The games are %s: similarity %.2f (actions %.2f, %s family, looks %.2f).",
                    qg_closeness_name(s->closeness), s->grade, s->actions,
                    s->same_family ? "the same" : "another", s->visual);
}

/* "first 2 frozen of breakout onto minatar/freeway". */
static void format_title(const qg_results *results, const qg_experiment *experiment, char text[320])
{
    const qg_study_run *run = &results->study->runs[experiment->run];
    char copied[QG_GRAFT_CHOICE_TEXT];
    qg_run_copied(run, copied);
    if (run->source == QG_SOURCE_RANDOM)
        snprintf(text, 320, "control: %.100s, random layers on %s", copied, run->game);
    else
        snprintf(text, 320, "%.100s of %s onto %s", copied, qg_run_source(results->study, run),
                 run->game);
}

static void put_experiment(FILE *out, const qg_results *r, const qg_experiment *e)
{
    char title[320];
    format_title(r, e, title);
    fprintf(out, "<article id=\"run-%d\">", e->run);
    qg_html_element(out, "h4", "%s", title);
    qg_html_element(out, "p class=\"quiet\"", "Run %s", r->study->runs[e->run].id);
    put_verdict(out, e);
    qg_page_layers_of(out, e);
    put_similarity(out, e);
    fprintf(out, "<details%s><summary>Measures and layers</summary>\n",
            r->experiment_count <= MOST_OPEN ? " open" : "");
    if (!e->problem[0]) {
        put_measures(out, r, e);
        put_more(out, e);
    }
    put_layers(out, r, e);
    fputs("</details></article>\n", out);
}

void qg_page_experiments(FILE *out, const qg_results *results, const qg_figure *figure)
{
    for (size_t i = 0; i < results->experiment_count; i++)
        if (qg_figure_shows(results, figure, results->experiments[i].run))
            put_experiment(out, results, &results->experiments[i]);
}
