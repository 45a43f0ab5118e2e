/* From a study's folder to its report: results, figures, numbers, page, in this order. */
#include <qgraft/report.h>

#include "base/file.h"
#include "base/text.h"
#include "base/yaml_tree.h"
#include "report/metrics.h"
#include "report/page.h"
#include "report/stages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------- summary */

static void fill_report(const qg_results *r, qg_report *report)
{
    *report = (qg_report){.experiments = r->pooled_count,
                          .positive = r->decided[QG_POSITIVE],
                          .negative = r->decided[QG_NEGATIVE],
                          .no_effect = r->decided[QG_WITHIN_MARGIN],
                          .not_decided = r->decided[QG_NOT_DECIDED],
                          .effect = r->pooled.effect.value,
                          .low = r->pooled.raw.low,
                          .high = r->pooled.raw.high,
                          .claims = (size_t)r->study->claim_count,
                          .warnings = r->warnings.count};
    for (int i = 0; i < r->study->claim_count; i++) {
        report->claims_hold += r->claims[i].finding == QG_HOLDS;
        report->claims_fail += r->claims[i].finding == QG_FAILS;
    }
}

/* "3 seeds", or "2 to 8 seeds": what the experiments were compared over. */
static void tell_seeds(const qg_results *r, char *text, size_t size)
{
    size_t least = SIZE_MAX, most = 0;
    for (size_t i = 0; i < r->experiment_count; i++) {
        const qg_experiment *e = &r->experiments[i];
        if (e->problem[0] || !qg_results_pooled(r, e)) continue;
        if (e->verdict.seeds < least) least = e->verdict.seeds;
        if (e->verdict.seeds > most) most = e->verdict.seeds;
    }
    if (least < most) qg_text_add(text, size, "%zu to ", least);
    qg_text_add(text, size, "%zu seed%s", most, most == 1 ? "" : "s");
}

/* Over how many seeds, and of how many experiments where not of all. */
static void tell_mean(const qg_results *r, char *text, size_t size)
{
    const qg_pooled *mean = &r->pooled;
    qg_text_add(text, size, " In the mean");
    if (r->dropped > 0) qg_text_add(text, size, " of %zu of them", r->pooled_count - r->dropped);
    qg_text_add(text, size, ", over %zu seed%s", mean->seeds, mean->seeds == 1 ? "" : "s");
    if (mean->baseline_seeds > 0)
        qg_text_add(text, size, " and %zu of the baselines", mean->baseline_seeds);
    qg_text_add(text, size, ", the normalised area under the curve changed by %+.3f",
                mean->effect.value);
    if (isfinite(mean->raw.low))
        qg_text_add(text, size, " (95 %% interval %+.3f to %+.3f)", mean->raw.low, mean->raw.high);
    qg_text_add(text, size, ".");
}

static void summarise(const qg_results *r, qg_report *report)
{
    char *text = report->summary;
    const size_t size = sizeof report->summary;
    if (report->experiments == 0) {
        snprintf(text, size,
                 "No experiment could be compared with a baseline%s. Nothing is decided.",
                 r->partial ? " yet" : "");
        return;
    }
    size_t controls = 0;
    for (size_t i = 0; i < r->experiment_count; i++)
        controls += !r->experiments[i].problem[0] && !qg_results_pooled(r, &r->experiments[i]);
    snprintf(text, size, "%zu experiment%s", report->experiments,
             report->experiments == 1 ? "" : "s");
    if (controls > 0)
        qg_text_add(text, size, " (and %zu control%s)", controls, controls == 1 ? "" : "s");
    qg_text_add(text, size, " over ");
    tell_seeds(r, text, size);
    qg_text_add(text, size,
                ": %zu positive, %zu negative, %zu without an effect larger than %g, %zu not "
                "decided.",
                report->positive, report->negative, report->no_effect, r->study->rule.margin,
                report->not_decided);
    if (isfinite(report->effect))
        tell_mean(r, text, size);
    else
        qg_text_add(text, size, " They have no seed in common over which to take a mean.");
}

/* ------------------------------------------------------------------------------------ writing */

static qg_status write_page(const qg_results *r, const qg_figures *figures, const qg_report *report,
                            qg_error *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = qg_text_stream(&text, &size);
    if (!out) return qg_fail_memory(error, "report.html", 4096);
    qg_page_write(out, r, figures, report->summary);
    const bool bad = ferror(out) != 0;
    qg_status status = QG_OK;
    if (fclose(out) != 0 || bad) status = qg_fail_memory(error, "report.html", size);
    const qg_piece piece = {text, size};
    if (!status) status = qg_file_replace(report->path, &piece, 1, error);
    free(text);
    return status;
}

static qg_status write_all(const qg_results *r, const qg_report_options *options, qg_report *report,
                           qg_error *error)
{
    qg_figures figures = {0};
    fill_report(r, report);
    summarise(r, report);
    const int length = snprintf(report->path, sizeof report->path, "%s/report.html", r->folder);
    if (length < 0 || (size_t)length >= sizeof report->path)
        return qg_fail(error, QG_ERROR_USAGE, "%.200s...: the name of the folder is too long",
                       r->folder);
    if (options->progress) options->progress(options->context, "drawing");
    qg_status status = qg_figures_draw(r, &figures, error);
    if (!status) status = qg_metrics_write(r, error);
    if (!status) status = write_page(r, &figures, report, error);
    qg_figures_free(&figures);
    return status;
}

/* A line of qg_study_adequacy; the first failure stays in `status`. */
typedef struct listener {
    qg_results *results;
    qg_status status;
    qg_error *error;
} listener;

static void take_line(void *context, const char *line)
{
    listener *l = context;
    if (!l->status) l->status = qg_warn(&l->results->warnings, l->error, "%s", line);
}

/* The file that the study came from may have been edited since: the report is of the folder's copy.
 */
static qg_status warn_of_edits(qg_results *r, qg_error *error)
{
    char *path;
    uint8_t *text = NULL;
    size_t size = 0;
    qg_error ignored;
    if (!r->study->file) return QG_OK;
    if (!(path = qg_path_join(r->study->base, r->study->file)))
        return qg_fail_memory(error, "a path", strlen(r->study->base));
    qg_status status = QG_OK;
    const bool read = qg_file_read(path, QG_YAML_LARGEST, &text, &size, &ignored) == QG_OK;
    if (read && (size != r->study->text_size || memcmp(text, r->study->text, size) != 0))
        status = qg_warn(&r->warnings, error,
                         "%s differs from %s/study.yaml, the copy that this report is of: running "
                         "the study from the file again takes it",
                         path, r->folder);
    free(text);
    free(path);
    return status;
}

static qg_status find_effects(qg_results *r, qg_error *error)
{
    qg_status status = qg_results_read(r, error);
    if (!status) status = qg_results_find_scales(r, error);
    return status ? status : qg_results_compare(r, error);
}

/* The intervals of a study that looks several times are those of its last look. */
static void take_level(qg_study *study)
{
    if (study->looks.count > 0)
        study->rule.level = study->looks.items[study->looks.count - 1].level;
}

static qg_status find_results(qg_results *r, qg_error *error)
{
    listener l = {r, QG_OK, error};
    qg_study_adequacy(r->study, take_line, &l);
    qg_status status = l.status ? l.status : warn_of_edits(r, error);
    if (!status) status = find_effects(r, error);
    if (!status) status = qg_results_find_verdicts(r, error);
    if (status) return status;
    qg_results_apply_looks(r);
    status = qg_results_judge(r, error);
    if (!status) status = qg_results_find_similarities(r, error);
    if (!status) status = qg_results_find_map(r, error);
    if (!status) status = qg_results_find_source_scores(r, error);
    if (!status) status = qg_results_find_student_scores(r, error);
    if (!status) status = qg_results_find_copied_layers(r, error);
    if (!status) status = qg_results_find_continual(r, error);
    return status ? status : qg_results_find_budgets(r, error);
}

qg_status qg_report_write(const char *folder, const qg_report_options *options, qg_report *report,
                          qg_error *error)
{
    qg_study *study = NULL;
    qg_results results = {.folder = folder, .partial = options->partial};
    qg_status status = qg_study_open(folder, &study, error);
    results.study = study;
    if (!status) take_level(study);
    if (!status) status = find_results(&results, error);
    if (!status) status = write_all(&results, options, report, error);
    if (status && options->stop && *options->stop) /* gnuplot feels Ctrl-C, too */
        status = qg_fail(error, QG_STOPPED, "stopped before the report was written");
    qg_results_free(&results);
    qg_study_free(study);
    return status;
}

qg_status qg_report_spread(const char *folder, double deviations[QG_STRATA], qg_error *error)
{
    qg_study *study = NULL;
    qg_results results = {.folder = folder, .partial = true};
    qg_status status = qg_study_open(folder, &study, error);
    results.study = study;
    if (!status) status = find_effects(&results, error);
    if (!status) qg_results_find_spread(&results, deviations);
    qg_results_free(&results);
    qg_study_free(study);
    return status;
}

/* ------------------------------------------------------------------------------------ looking */

static void sum_up(const qg_study *study, qg_report_look *look)
{
    const qg_study_looks *looks = &study->looks;
    const qg_seed_look *last = &looks->items[looks->count - 1];
    *look = (qg_report_look){.number = looks->count,
                             .seeds = last->seeds,
                             .level = last->level,
                             .arms = looks->arm_count,
                             .done = qg_looks_done(study)};
    for (int a = 0; a < looks->arm_count; a++)
        look->decided += last->arms[a].decision != QG_NOT_DECIDED;
}

/* The next look at a study that is open and has one to come. */
static qg_status look_again(qg_study *study, const char *folder, qg_error *error)
{
    qg_results results = {.study = study, .folder = folder};
    double fraction = 0;
    qg_status status = qg_results_begin_look(study, &fraction, error);
    if (!status) status = find_effects(&results, error);
    if (!status) status = qg_results_find_verdicts(&results, error);
    if (!status) status = qg_results_look(&results, study, fraction, error);
    if (!status) status = qg_study_write_looks(study, folder, error);
    qg_results_free(&results);
    return status;
}

qg_status qg_report_look_at(const char *folder, qg_report_look *look, qg_error *error)
{
    qg_study *study = NULL;
    qg_lock lock;
    qg_status status = qg_lock_folder(folder, &lock, error);
    if (!status) status = qg_study_open(folder, &study, error);
    if (!status && study->looks.max_seeds == 0)
        status = qg_fail(error, QG_ERROR_USAGE, "%s: this study looks once, at its end", folder);
    if (!status && !qg_looks_done(study)) status = look_again(study, folder, error);
    if (!status) sum_up(study, look);
    qg_unlock_folder(&lock);
    qg_study_free(study);
    return status;
}
