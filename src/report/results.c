/* What is often asked of results. */
#include "report/stages.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *qg_run_source(const qg_study *study, const qg_study_run *run)
{
    if (run->kind != QG_RUN_GRAFT) return "";
    return run->source >= 0 ? study->sources[run->source].name : "random";
}

void qg_run_copied(const qg_study_run *run, char text[QG_GRAFT_CHOICE_TEXT])
{
    text[0] = '\0';
    if (run->kind != QG_RUN_GRAFT) return;
    qg_graft_choice_label(&run->choice, text);
    if (run->choice.way != QG_CHOOSE_NONE) strcat(text, run->choice.frozen ? " frozen" : " free");
}

const qg_experiment *qg_results_experiment(const qg_results *results, int run)
{
    for (size_t i = 0; i < results->experiment_count; i++)
        if (results->experiments[i].run == run) return &results->experiments[i];
    return NULL;
}

double qg_normalised(const qg_scale *scale, double score)
{
    return (score - scale->random) / (scale->reference - scale->random);
}

bool qg_has_learned(const qg_scale *scale, double score)
{
    return qg_normalised(scale, score) >= 0.25; /* a quarter of the way to the reference */
}

static double side_level(const qg_side *side, qg_measure measure)
{
    double sum = 0;
    for (size_t i = 0; i < side->count; i++)
        sum += side->levels[i][measure];
    return sum / (double)side->count;
}

double qg_experiment_level(const qg_results *r, const qg_experiment *e, bool transfer,
                           qg_measure measure)
{
    if (r->study->rule.compare != QG_COMPARE_PAIRED || e->pair_count == 0)
        return side_level(transfer ? &e->transfer : &e->baseline, measure);
    double sum = 0;
    for (size_t i = 0; i < e->pair_count; i++)
        sum += (transfer ? e->pairs[i].transfer : e->pairs[i].baseline)[measure];
    return sum / (double)e->pair_count;
}

double qg_experiment_ratio(const qg_experiment *experiment)
{
    double sum = 0;
    for (size_t i = 0; i < experiment->pair_count; i++)
        sum += experiment->pairs[i].area_ratio;
    return sum / (double)experiment->pair_count;
}

bool qg_results_copied(const qg_results *results, const qg_experiment *experiment)
{
    return !experiment->problem[0] && results->study->runs[experiment->run].source >= 0;
}

bool qg_results_pooled(const qg_results *results, const qg_experiment *experiment)
{
    return !experiment->problem[0] && (!experiment->control || results->only_controls);
}

qg_copy_stratum qg_experiment_stratum(const qg_results *results, const qg_experiment *experiment)
{
    const qg_study_run *run = &results->study->runs[experiment->run];
    if (run->source < 0) return QG_COPY_RANDOM;
    if (run->choice.way == QG_CHOOSE_NONE)
        return experiment->control ? QG_COPY_SAME_POLICY : QG_COPY_POLICY;
    if (experiment->control) return run->choice.frozen ? QG_COPY_SAME_FROZEN : QG_COPY_SAME_FREE;
    return run->choice.frozen ? QG_COPY_FROZEN : QG_COPY_FREE;
}

const char *qg_copy_stratum_name(qg_copy_stratum stratum)
{
    static const char *const names[] = {[QG_COPY_FREE] = "free, from another game",
                                        [QG_COPY_FROZEN] = "frozen, from another game",
                                        [QG_COPY_POLICY] = "no layers: another game's policy",
                                        [QG_COPY_SAME_FREE] = "control: free, same game",
                                        [QG_COPY_SAME_FROZEN] = "control: frozen, same game",
                                        [QG_COPY_SAME_POLICY] =
                                            "control: no layers, the same game's policy",
                                        [QG_COPY_RANDOM] = "control: random layers"};
    return names[stratum];
}

void *qg_results_memory(size_t count, size_t size, qg_error *error)
{
    void *memory = calloc(count + 1, size);
    if (!memory) qg_fail_memory(error, "the results of a study", (count + 1) * size);
    return memory;
}

qg_status qg_results_measurement(const qg_results *results, qg_run_kind kind, const char *game,
                                 const char *other_game, char **folder, qg_error *error)
{
    const qg_study *study = results->study;
    const int run = qg_study_measurement(study, kind, game, other_game);
    *folder = NULL;
    for (int t = 0; t < study->task_count && run >= 0; t++) {
        if (study->tasks[t].run != run || results->statuses[t].state != QG_TASK_FINISHED) continue;
        *folder = qg_path_join(results->folder, study->tasks[t].folder);
        return *folder ? QG_OK : qg_fail_memory(error, "a path", strlen(results->folder));
    }
    return QG_OK;
}

qg_status qg_results_do_without(qg_results *results, const char *what, qg_status status,
                                qg_error *error)
{
    if (!results->partial || status == QG_ERROR_MEMORY) return status;
    const qg_error inner = *error;
    return qg_warn(&results->warnings, error, "%s; %s was left out", inner.message, what);
}

void qg_results_free(qg_results *r)
{
    for (int i = 0; r->runs && i < r->study->run_count; i++)
        qg_run_curves_free(&r->runs[i]);
    for (size_t i = 0; i < r->experiment_count; i++) {
        qg_copied_layers_free(r->experiments[i].layers, r->experiments[i].layer_count);
        free(r->experiments[i].pairs);
        free(r->experiments[i].transfer.levels);
        free(r->experiments[i].baseline.levels);
    }
    free(r->statuses);
    free(r->facts);
    free(r->trainings);
    free(r->runs);
    free(r->games);
    free(r->experiments);
    free(r->claims);
    free(r->source_scores);
    free(r->student_scores);
    free(r->continual);
    free(r->budgets);
    free(r->map.pairs);
    free(r->map.draws);
    for (int i = 0; r->source_curves && i < r->study->source_count; i++) {
        qg_run_curves_free(&r->source_curves[i].score);
        qg_run_curves_free(&r->source_curves[i].divergence);
        qg_run_curves_free(&r->source_curves[i].agreement);
    }
    free(r->source_curves);
    qg_warnings_free(&r->warnings);
}
