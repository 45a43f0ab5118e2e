/* Budgets on the page: what each graft took with all that it rests on, and the curves over that. */
#include "report/page_parts.h"

#include <math.h>

static void put_row(FILE *out, const qg_results *r, const qg_budget_row *row)
{
    const qg_study_budget *const budget = &r->budgets[row->run];
    fputs("<tr>", out);
    qg_html_element(out, "td", "%s", r->study->runs[row->run].id);
    qg_page_number(out, "%.0f", budget->training);
    qg_page_number(out, "%.0f", budget->distillation);
    qg_page_number(out, "%.0f", budget->offline);
    qg_page_number(out, "%.0f", budget->steps);
    qg_page_number(out, "%.0f", row->all);
    qg_page_number(out, "%.4g", row->score);
    qg_page_number(out, "%.4g", row->long_score);
    qg_page_difference(out, row->score - row->long_score);
    fputs("</tr>\n", out);
}

void qg_page_budgets(FILE *out, const qg_results *r, const qg_figures *figures)
{
    if (!r->budgets) return;
    fputs(
        "<section id=\"budgets\"><h2>Over all steps</h2>\n"
        "<p>What each run took with what it rests on, in agent steps: the training of networks "
        "that it begins from, distillation, updates without steps (as the steps in which a "
        "training makes as many), and its own. The last columns are the mean score at its end, "
        "and that of a baseline trained for as many steps as the run took in all, where the study "
        "has one (<code>long_baseline</code>). As a table: <code>budgets.csv</code>.</p>\n",
        out);
    qg_page_table(out, NULL,
                  "run|#training|#distillation|#without steps|#own steps|#all steps|#score|"
                  "#long baseline|#difference");
    for (int i = 0; i < r->study->run_count; i++) {
        qg_budget_row row;
        if (qg_results_budget(r, i, &row)) put_row(out, r, &row);
    }
    qg_page_end_table(out);
    for (size_t i = 0; i < figures->count; i++)
        if (figures->items[i].kind == QG_FIGURE_ALL_STEPS) qg_page_figure(out, &figures->items[i]);
    fputs("</section>\n", out);
}
