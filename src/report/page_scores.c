/* Between which scores those of each game are normalised, and what people score. */
#include "report/page_parts.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>

static void put_score(FILE *out, double value, bool given, const char *otherwise)
{
    if (isfinite(value))
        qg_html_element(out, "td", "%.4g, %s", value, given ? "given" : otherwise);
    else
        qg_html_element(out, "td", "none");
}

static void put_scales(FILE *out, const qg_results *r)
{
    fputs(
        "<h3>Scores</h3>\n<p>A score is the mean return of the episodes of an evaluation. "
        "Normalised: (score - random) / (reference - random). All verdicts rest on the area under "
        "the normalised curve.</p>\n",
        out);
    qg_page_table(out, NULL, "game|random play|reference|threshold");
    for (int g = 0; g < r->study->game_count; g++) {
        const qg_game_scale *game = &r->games[g];
        fputs("<tr>", out);
        qg_html_element(out, "td", "%s", r->study->games[g].name);
        put_score(out, game->scale.random, game->random_given, "measured");
        put_score(out, game->scale.reference, game->reference_given,
                  "mean over seeds of the baseline's asymptote");
        put_score(out, game->scale.threshold, game->threshold_given, "halfway between the two");
        fputs("</tr>\n", out);
    }
    qg_page_end_table(out);
    const qg_rule *rule = &r->study->rule;
    qg_html_element(out, "p", "Verdicts: compare %s, adjust %s, margin %.4g.",
                    qg_compare_name(rule->compare), qg_adjust_name(rule->adjust), rule->margin);
}

/* The mean over seeds of a run's best evaluation. */
static double best_level(const qg_run_curves *run)
{
    double sum = 0;
    for (size_t s = 0; s < run->curves.seed_count; s++)
        sum += run->levels[s][QG_MAXIMUM];
    return sum / (double)run->curves.seed_count;
}

/* The same of its best network, played again; NaN: not all were. */
static double confirmed_level(const qg_results *r, int run)
{
    double sum = 0;
    int count = 0;
    for (int t = 0; t < r->study->task_count; t++) {
        if (r->study->tasks[t].run != run) continue;
        char *folder = qg_path_join(r->folder, r->study->tasks[t].folder);
        sum += folder ? qg_confirmed_score(folder) : (double)NAN;
        count++;
        free(folder);
    }
    return sum / count;
}

static void put_normalised(FILE *out, double score, double random, double human)
{
    if (isnan(human))
        qg_html_element(out, "td", "not among its games");
    else
        qg_html_element(out, "td", "%.1f %% of %g", 100 * qg_human_normalised(score, random, human),
                        human);
}

/* Of the runs on games of which scores of people are published. */
static void put_human_normalised(FILE *out, const qg_results *r)
{
    bool begun = false;
    for (int i = 0; i < r->study->run_count; i++) {
        const qg_study_run *const run = &r->study->runs[i];
        const qg_human_scores *const human = qg_human_scores_of(run->game);
        if (!human || !r->runs[i].shown || !r->runs[i].curves.seed_count) continue;
        if (!begun) {
            fputs(
                "<h3>Human-normalised scores</h3>\n<p>(score - random) / (human - random) of each "
                "run's best network, played again with other seeds where that was done, mean over "
                "its seeds; the published scores are those of episodes with no-op starts. No "
                "verdict rests on them.</p>\n",
                out);
            qg_page_table(out, NULL,
                          "run|#best score|#played again|random play|" QG_MNIH_2015
                          "|" QG_WANG_2016);
        }
        begun = true;
        const double best = best_level(&r->runs[i]), confirmed = confirmed_level(r, i);
        const double score = isnan(confirmed) ? best : confirmed;
        fputs("<tr>", out);
        qg_html_element(out, "td", "%s", run->id);
        qg_page_number(out, "%.4g", best);
        qg_page_number(out, "%.4g", confirmed);
        qg_html_element(out, "td", "%g, %s", human->random, qg_random_score_source(human));
        put_normalised(out, score, human->random, human->human_2015);
        put_normalised(out, score, human->random, human->human_2016);
        fputs("</tr>\n", out);
    }
    if (begun) qg_page_end_table(out);
}

void qg_page_scores(FILE *out, const qg_results *results)
{
    put_scales(out, results);
    put_human_normalised(out, results);
}
