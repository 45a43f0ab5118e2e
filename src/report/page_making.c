/* How everything was made: scales, sources, settings, runs, machines, commands, the study file. */
#include "report/page_parts.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------- sources */

static void put_teachers(FILE *out, const qg_study *study, const qg_study_run *run)
{
    for (int i = 0; i < run->teacher_count; i++)
        qg_html_print(out, "%s%s", i ? ", " : "", study->sources[run->teachers[i]].name);
}

static void put_source_score(FILE *out, const qg_source_score *score)
{
    qg_page_number(out, "%.4g", score->score);
    qg_page_number(out, "%.4g", score->confirmed);
}

static void put_source(FILE *out, const qg_results *r, const qg_study_source *source)
{
    const qg_study *study = r->study;
    fputs("<tr>", out);
    qg_html_element(out, "td", "%s", source->name);
    fputs("<td>", out);
    if (source->run < 0) {
        qg_html_print(out, "%d file%s: %s", source->file_count, source->file_count > 1 ? "s" : "",
                      source->file_count > 0 ? source->files[0] : "");
        fputs("</td><td></td>", out);
        put_source_score(out, &r->source_scores[source - study->sources]);
        fputs("</tr>\n", out);
        return;
    }
    const qg_study_run *run = &study->runs[source->run];
    qg_html_text(out, run->id);
    if (run->kind == QG_RUN_DISTILL) {
        fputs(", distilled from ", out);
        put_teachers(out, study, run);
        qg_html_print(out, " at temperature %s", run->temperature);
        if (run->loss != QG_LOSS_KL)
            qg_html_print(out, " by %s", qg_distillation_loss_name(run->loss));
    }
    fputs("</td>", out);
    if (source->take == QG_TAKE_STEP)
        qg_html_element(out, "td", "of step %" PRId64, source->at);
    else
        qg_html_element(out, "td",
                        source->take == QG_TAKE_BEST ? "of its best evaluation" : "last");
    put_source_score(out, &r->source_scores[source - study->sources]);
    fputs("</tr>\n", out);
}

static void put_student(FILE *out, const qg_results *r, int source, int teacher)
{
    const qg_study *study = r->study;
    const qg_study_run *run = &study->runs[study->sources[source].run];
    const qg_student_score *score = &r->student_scores[source][teacher];
    fputs("<tr>", out);
    qg_html_element(out, "td", "%s", study->sources[source].name);
    qg_html_element(out, "td", "%s", study->sources[run->teachers[teacher]].name);
    qg_html_element(out, "td", "%s", qg_distillation_loss_name(run->loss));
    qg_page_number(out, "%.4g", score->score);
    qg_page_number(out, "%.4g", score->teacher);
    qg_page_number(out, "%.3f", score->likeness.agreement.agreement);
    qg_page_number(out, "%.3g", score->likeness.agreement.kl);
    qg_page_number(out, "%.3g", score->likeness.advantage_scale);
    qg_page_number(out, "%.3f", score->likeness.value_correlation);
    fputs("</tr>\n", out);
}

/* A row for each student and teacher; none where nobody was distilled. */
static void put_students(FILE *out, const qg_results *r)
{
    const qg_study *study = r->study;
    bool begun = false;
    for (int i = 0; i < study->source_count; i++) {
        const int number = study->sources[i].run;
        for (int k = 0; number >= 0 && k < study->runs[number].teacher_count; k++) {
            if (!begun)
                qg_page_table(
                    out,
                    "Students, means over seeds: their score and their teacher's; on states that "
                    "they have not learned from, how often both choose the same action, the "
                    "Kullback-Leibler divergence (nats), how many times the teacher's their "
                    "advantages are (median over states), and the correlation of the values of "
                    "states.",
                    "student|teacher|loss|#score|#teacher's|#agreement|#KL|#advantages|"
                    "#values");
            begun = true;
            put_student(out, r, i, k);
        }
    }
    if (begun) qg_page_end_table(out);
}

static void put_sources(FILE *out, const qg_results *r, const qg_figure *figure)
{
    const qg_study *study = r->study;
    if (study->source_count == 0) return;
    fputs("<h3>Sources</h3>\n", out);
    qg_page_table(
        out,
        "Means over seeds: the score of the evaluation whose network is taken, and that of a "
        "best one played again with other seeds (the first is the highest of many noisy ones).",
        "source|made by|network|#score|#played again");
    for (int i = 0; i < study->source_count; i++)
        put_source(out, r, &study->sources[i]);
    qg_page_end_table(out);
    put_students(out, r);
    if (figure) qg_page_figure(out, figure);
}

/* ------------------------------------------------------------------------------------ looks */

static void put_look(FILE *out, const qg_study *study, int number)
{
    const qg_seed_look *look = &study->looks.items[number];
    for (int i = 0, a = 0; i < study->run_count; i++) {
        if (!qg_looks_arm(&study->runs[i])) continue;
        const qg_look_arm *arm = &look->arms[a++];
        fputs("<tr>", out);
        qg_html_element(out, "td class=\"number\"", "%d", number + 1);
        qg_page_number(out, "%.3g", look->fraction);
        qg_page_number(out, "%.2g", look->level);
        qg_html_element(out, "td", "%s", study->runs[i].id);
        qg_html_element(out, "td class=\"number\"", "%d : %d", arm->seeds, arm->baseline_seeds);
        qg_page_difference(out, arm->effect);
        qg_page_number(out, "%.2g", arm->p);
        qg_page_number(out, "%.2g", arm->adjusted_p);
        fputs("<td>", out);
        qg_page_decision(out, arm->decision);
        fputs("</td></tr>\n", out);
    }
}

static void put_looks(FILE *out, const qg_study *study)
{
    const qg_study_looks *looks = &study->looks;
    if (looks->max_seeds == 0) return;
    fputs("<h3>Looks</h3>\n", out);
    qg_html_element(
        out, "p",
        "The study was looked at %d time%s, and goes on to at most %d seeds where it is "
        "not decided. A verdict needs an adjusted p of at most the level of its look "
        "(Lan and DeMets, %s spending), and stands from then on. Intervals called "
        "adjusted are those of the last look's level; p and effects here are those that "
        "were seen then. All of it: looks.json.",
        looks->count, looks->count == 1 ? "" : "s", looks->max_seeds,
        qg_spending_name(looks->spending));
    if (looks->count == 0) return;
    qg_page_table(out, NULL, "#look|#information|#level|run|#seeds|#effect|#p|#adjusted p|verdict");
    for (int k = 0; k < looks->count; k++)
        put_look(out, study, k);
    qg_page_end_table(out);
}

/* --------------------------------------------------------------------------------- settings */

/* "a=1, b=2": what differs from the preset, in malloc'ed memory; NULL: none. */
static char *describe_settings(const qg_settings *settings)
{
    qg_settings preset;
    qg_error ignored;
    char *text = NULL;
    size_t count, size;
    const qg_setting *table = qg_settings_table(&count);
    FILE *out = qg_text_stream(&text, &size);
    if (!out) return NULL;
    const bool known = qg_settings_preset(&preset, settings->preset, &ignored) == QG_OK;
    const char *separator = "";
    for (size_t i = 1; i < count && known; i++) { /* 0 is the preset itself */
        char here[1100], there[1100];
        qg_setting_format(settings, &table[i], here, sizeof here);
        qg_setting_format(&preset, &table[i], there, sizeof there);
        if (strcmp(here, there) == 0) continue;
        fprintf(out, "%s%s=%s", separator, table[i].name, here);
        separator = ", ";
    }
    fclose(out);
    return text;
}

static bool same_settings(const qg_study_run *a, const qg_study_run *b, const char *settings)
{
    if (qg_study_is_measurement(b)) return false; /* nobody learns */
    if (a->steps != b->steps || strcmp(a->settings.preset, b->settings.preset) != 0) return false;
    char *other = describe_settings(&b->settings);
    const bool same = other && strcmp(other, settings) == 0;
    free(other);
    return same;
}

/* One row for all runs that have the settings of `first`; none when an earlier run has them. */
static void put_settings_row(FILE *out, const qg_study *study, int first)
{
    const qg_study_run *run = &study->runs[first];
    char *settings = describe_settings(&run->settings);
    bool repeated = !settings;
    for (int i = 0; i < first && !repeated; i++)
        repeated = same_settings(run, &study->runs[i], settings);
    if (!repeated) {
        fputs("<tr>", out);
        qg_html_element(out, "td class=\"number\"", "%" PRId64, run->steps);
        qg_html_element(out, "td", "%s", run->settings.preset);
        qg_html_element(out, "td class=\"words\"", "%s", *settings ? settings : "none");
        fputs("<td class=\"words\">", out);
        for (int i = first; i < study->run_count; i++)
            if (same_settings(run, &study->runs[i], settings))
                qg_html_print(out, "%s%s", i > first ? ", " : "", study->runs[i].id);
        fputs("</td></tr>\n", out);
    }
    free(settings);
}

static void put_settings(FILE *out, const qg_study *study)
{
    fputs("<h3>Settings</h3>\n", out);
    if (study->scale < 1 || study->scale > 1)
        qg_html_element(out, "p", "All budgets were scaled by %g.", study->scale);
    qg_page_table(out, "What differs from the preset; every run.yaml has all settings.",
                  "#steps|preset|settings|runs");
    for (int i = 0; i < study->run_count; i++)
        if (!qg_study_is_measurement(&study->runs[i])) put_settings_row(out, study, i);
    qg_page_end_table(out);
}

/* ------------------------------------------------------------------------------------- runs */

static void format_time(double seconds, char text[32])
{
    const long long s = llrint(seconds);
    if (!isfinite(seconds) || seconds < 0)
        snprintf(text, 32, "?");
    else if (s >= 3600)
        snprintf(text, 32, "%lld h %02lld min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(text, 32, "%lld min %02lld s", s / 60, s % 60);
    else
        snprintf(text, 32, "%.1f s", seconds);
}

static void put_count(FILE *out, int64_t count)
{
    if (count > 0)
        qg_html_element(out, "td class=\"number\"", "%" PRId64, count);
    else
        fputs("<td class=\"number\">&ndash;</td>", out);
}

static void put_task(FILE *out, const qg_results *r, int t)
{
    const qg_study_task *task = &r->study->tasks[t];
    const qg_task_status *status = &r->statuses[t];
    const qg_run_facts *facts = &r->facts[t];
    char time[32];
    format_time(status->seconds, time);
    fputs("<tr>", out);
    fprintf(out, "<td><a href=\"%s/\">", task->folder); /* of plain letters */
    qg_html_text(out, r->study->runs[task->run].id);
    fputs("</a></td>", out);
    qg_html_element(out, "td class=\"number\"", "%" PRIu64, task->seed);
    qg_html_element(out, "td", "%s", qg_task_state_name(status->state));
    put_count(out, status->step);
    put_count(out, r->trainings[t].episodes);
    put_count(out, r->trainings[t].updates);
    fprintf(out, "<td class=\"number\" data-value=\"%.3f\">%s</td>",
            isfinite(status->seconds) ? status->seconds : 0, time);
    qg_html_element(out, "td class=\"nowrap\"", "%s", facts->started);
    qg_html_element(out, "td", "%s", facts->host[0] ? facts->host : status->host);
    qg_html_element(out, "td class=\"nowrap\"", "%s %s", facts->version, facts->instruction_set);
    fputs("</tr>\n", out);
}

static void put_tasks(FILE *out, const qg_results *r)
{
    double seconds = 0;
    char time[32];
    for (int t = 0; t < r->study->task_count; t++)
        seconds += isfinite(r->statuses[t].seconds) ? r->statuses[t].seconds : 0;
    format_time(seconds, time);
    fputs("<h3>Runs</h3>\n", out);
    qg_html_element(out, "p", "%d runs, %s of work in all.", r->study->task_count, time);
    fputs("<details><summary>All runs</summary>\n", out);
    qg_page_table(out, NULL,
                  "run|#seed|state|#steps|#episodes|#updates|#time|started|machine|qgraft");
    for (int t = 0; t < r->study->task_count; t++)
        put_task(out, r, t);
    qg_page_end_table(out);
    fputs("</details>\n", out);
}

/* --------------------------------------------------------------------------------- commands */

/* What a task's run file does again, the same files: typed in the study's folder. */
static void put_commands(FILE *out, const qg_results *r)
{
    fputs("<details><summary>Each run once more, typed in the study&#39;s folder</summary>\n<pre>",
          out);
    for (int t = 0; t < r->study->task_count; t++) {
        const char *const folder = r->study->tasks[t].folder; /* of plain letters */
        qg_html_print(out, "qgraft perform %s/task.yaml --out again%s\n", folder,
                      strchr(folder, '/'));
    }
    fputs("</pre></details>\n", out);
}

static void put_study_file(FILE *out, const qg_study *study)
{
    fputs("<details><summary>The study file</summary>\n<pre>", out);
    for (size_t i = 0; i < study->text_size; i++) {
        const char text[2] = {(char)study->text[i]};
        qg_html_text(out, text);
    }
    fputs("</pre></details>\n", out);
}

void qg_page_making(FILE *out, const qg_results *results, const qg_figure *sources)
{
    fputs("<section id=\"making\"><h2>How this was made</h2>\n", out);
    qg_page_scores(out, results);
    put_looks(out, results->study);
    put_sources(out, results, sources);
    put_settings(out, results->study);
    put_tasks(out, results);
    put_commands(out, results);
    put_study_file(out, results->study);
    fputs("<p class=\"quiet\">All numbers: <a href=\"metrics.csv\">metrics.csv</a>, <a "
          "href=\"claims.csv\">claims.csv</a>. The curves: "
          "runs/*/s*/evaluations.csv.</p>\n</section>\n",
          out);
}
