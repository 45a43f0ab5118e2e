/* What the networks that layers are copied from score: a source that has learned nothing makes
 * every experiment one of random layers. */
#include "report/stages.h"

#include "base/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The score of the evaluation whose network is taken. */
static double taken_score(const qg_study_source *source, const qg_curve *curve)
{
    double score = curve->count > 0 ? curve->scores[0] : (double)NAN;
    for (size_t i = 1; i < curve->count; i++) {
        const bool later = source->take == QG_TAKE_LAST ||
                           (source->take == QG_TAKE_STEP && curve->steps[i] <= source->at);
        if (later || (source->take == QG_TAKE_BEST && (i == 1 || curve->scores[i] > score)))
            score = curve->scores[i];
    }
    return score;
}

/* Takes the curve over, if it is one like those before; frees it otherwise. */
static void take_curve(qg_run_curves *run, uint64_t seed, qg_curve *curve)
{
    if (curve->count >= 2 && qg_run_curves_fit(run, curve))
        qg_run_curves_add(run, seed, curve);
    else
        qg_curve_free(curve);
}

/* A damaged table of lessons is left out: nothing rests on it. */
static void take_lessons(qg_source_curves *curves, uint64_t seed, const char *folder)
{
    qg_curve divergence, agreement;
    qg_warnings unused = {0};
    qg_error ignored;
    if (qg_lessons_read(folder, &divergence, &agreement, &unused, &ignored) == QG_OK) {
        take_curve(&curves->divergence, seed, &divergence);
        take_curve(&curves->agreement, seed, &agreement);
    }
    qg_warnings_free(&unused);
}

/* Whether the run's curves are kept with this source: the first that has it. */
static bool keeps_curves(const qg_study *study, const qg_study_source *source)
{
    for (const qg_study_source *other = study->sources; other < source; other++)
        if (other->run == source->run) return false;
    return study->runs[source->run].teacher_count <= 1;
}

static qg_status add_task(qg_results *r, const qg_study_source *source, int t, qg_error *error)
{
    const qg_study_run *run = &r->study->runs[source->run];
    qg_source_score *sum = &r->source_scores[source - r->study->sources];
    char *folder = qg_path_join(r->folder, r->study->tasks[t].folder);
    if (!folder) return qg_fail_memory(error, "a path", strlen(r->folder));
    qg_curve curve = {0};
    qg_warnings unused = {0}; /* the run's own reader has warned */
    qg_error ignored;
    if (run->teacher_count <= 1 && qg_curve_read(folder, &curve, &unused, &ignored) == QG_OK &&
        curve.count > 0) {
        sum->score += taken_score(source, &curve);
        sum->confirmed += source->take == QG_TAKE_BEST ? qg_confirmed_score(folder) : (double)NAN;
        sum->seeds++;
    }
    if (keeps_curves(r->study, source)) {
        qg_source_curves *curves = &r->source_curves[source - r->study->sources];
        const uint64_t seed = r->study->tasks[t].seed;
        take_curve(&curves->score, seed, &curve);
        if (run->kind == QG_RUN_DISTILL) take_lessons(curves, seed, folder);
    } else {
        qg_curve_free(&curve);
    }
    qg_warnings_free(&unused);
    free(folder);
    return QG_OK;
}

/* By what the networks score when they are played again, where that is known. */
static qg_status warn_of_source(qg_results *r, const qg_study_source *source, qg_error *error)
{
    const qg_source_score *found = &r->source_scores[source - r->study->sources];
    const double score = isnan(found->confirmed) ? found->score : found->confirmed;
    const char *game = r->study->runs[source->run].game;
    for (int g = 0; g < r->study->game_count; g++) {
        const qg_game_scale *it = &r->games[g];
        if (strcmp(r->study->games[g].name, game) != 0 || it->problem[0]) continue;
        if (!qg_has_learned(&it->scale, score))
            return qg_warn(&r->warnings, error,
                           "the source %s scores %.4g on %s, near random play (%.4g): what is "
                           "copied from it may be no more than random layers",
                           source->name, score, game, it->scale.random);
    }
    return QG_OK;
}

static qg_status create_curves(qg_results *r, int source, qg_error *error)
{
    qg_source_curves *curves = &r->source_curves[source];
    const size_t seeds = (size_t)r->study->runs[r->study->sources[source].run].seed_count;
    qg_status status = qg_run_curves_create(&curves->score, seeds, error);
    if (!status) status = qg_run_curves_create(&curves->divergence, seeds, error);
    return status ? status : qg_run_curves_create(&curves->agreement, seeds, error);
}

static qg_status finish_curves(qg_source_curves *curves, qg_error *error)
{
    qg_status status = qg_run_curves_finish(&curves->score, error);
    if (!status) status = qg_run_curves_finish(&curves->divergence, error);
    return status ? status : qg_run_curves_finish(&curves->agreement, error);
}

qg_status qg_results_find_source_scores(qg_results *r, qg_error *error)
{
    const qg_study *study = r->study;
    r->source_scores =
        qg_results_memory((size_t)study->source_count, sizeof *r->source_scores, error);
    r->source_curves =
        qg_results_memory((size_t)study->source_count, sizeof *r->source_curves, error);
    if (!r->source_scores || !r->source_curves) return error->code;
    for (int i = 0; i < study->source_count; i++) {
        const qg_study_source *source = &study->sources[i];
        if (source->run >= 0 && create_curves(r, i, error)) return error->code;
        qg_source_score *sum = &r->source_scores[i];
        for (int t = 0; t < study->task_count && source->run >= 0; t++)
            if (study->tasks[t].run == source->run && r->statuses[t].state == QG_TASK_FINISHED &&
                add_task(r, source, t, error))
                return error->code;
        sum->score /= (double)sum->seeds; /* NaN where there are none */
        sum->confirmed /= (double)sum->seeds;
        if (finish_curves(&r->source_curves[i], error)) return error->code;
        if (sum->seeds > 0 && warn_of_source(r, source, error)) return error->code;
    }
    return QG_OK;
}
