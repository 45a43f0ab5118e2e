/* metrics.csv: rows `seed` (one run, one seed) and `pooled` (one run, all its seeds); claims.csv: a
 * row a claim. Scores are in the game's points, differences in units of reference - random. An
 * empty cell: there is none. */
#include "report/metrics.h"

#include "base/file.h"
#include "base/text.h"
#include "report/cells.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The last column of all, `reason`, ends the line. */
static void put_header(FILE *out)
{
    fputs("row,run,baseline,game,source,source_game,copied,frozen,group,seed,seeds,seeds_baseline,"
          "last_step,",
          out);
    for (int m = 0; m < QG_MEASURES; m++) {
        const char *name = qg_measure_name((qg_measure)m);
        fprintf(out, "%s,%s_baseline,%s_difference,%s_low,%s_high,", name, name, name, name, name);
    }
    fputs("area_error,area_degrees,area_share,arm_degrees,baseline_degrees,p,p_family,p_rate,"
          "p_permutation,p_margin,area_adjusted_low,area_adjusted_high,learned,learned_baseline,"
          "area_ratio,threshold,threshold_step,"
          "threshold_step_baseline,crossover_step,probability,probability_low,probability_high,"
          "random,reference,similarity,verdict,reason\n",
          out);
}

/* -------------------------------------------------------------------------------------- rows */

static void put_run(FILE *out, const qg_results *r, int index, const char *row)
{
    const qg_study_run *run = &r->study->runs[index];
    const qg_experiment *e = qg_results_experiment(r, index);
    char copied[QG_GRAFT_CHOICE_TEXT];
    qg_graft_choice_label(&run->choice, copied);
    qg_cell_text(out, row);
    qg_cell_text(out, run->id);
    qg_cell_text(out, e && run->baseline >= 0 ? r->study->runs[run->baseline].id : "");
    qg_cell_text(out, run->game);
    qg_cell_text(out, qg_run_source(r->study, run));
    qg_cell_text(out, e ? e->source_game : "");
    qg_cell_text(out, copied);
    qg_cell_text(out, run->kind == QG_RUN_GRAFT ? (run->choice.frozen ? "true" : "false") : "");
    qg_cell_text(out, run->group);
}

static const qg_pair *find_pair(const qg_experiment *e, uint64_t seed)
{
    for (size_t i = 0; e && i < e->pair_count; i++)
        if (e->pairs[i].seed == seed) return &e->pairs[i];
    return NULL;
}

/* Whether the run did; `levels` NULL: it is not known. */
static void put_learned(FILE *out, const qg_scale *scale, const double *levels)
{
    if (levels) fputc(qg_has_learned(scale, levels[QG_ASYMPTOTE]) ? '1' : '0', out);
    fputc(',', out);
}

/* `pair` is NULL without a comparison; what the seed reached by itself is in `levels`. */
static void put_seed(FILE *out, const qg_results *r, int run, size_t seed)
{
    const qg_run_curves *result = &r->runs[run];
    const qg_experiment *e = qg_results_experiment(r, run);
    const qg_pair *pair = find_pair(e, result->seeds[seed]);
    const qg_scale none = {NAN, NAN, NAN};
    const bool scaled = e && !e->game->problem[0]; /* also without a baseline of this seed */
    const qg_scale *scale = scaled ? &e->game->scale : &none;
    const size_t points = e && pair ? e->transfer.points : result->curves.point_count;
    put_run(out, r, run, "seed");
    fprintf(out, "%" PRIu64 ",1,%s,%" PRId64 ",", result->seeds[seed], pair ? "1" : "",
            result->curves.steps[points - 1]);
    for (int m = 0; m < QG_MEASURES; m++) {
        qg_cell_real(out, pair ? pair->transfer[m] : result->levels[seed][m]);
        qg_cell_real(out, pair ? pair->baseline[m] : NAN);
        qg_cell_real(out, pair ? pair->difference[m] : NAN);
        qg_cells_empty(out, 2);
    }
    qg_cells_empty(out, 12);
    put_learned(out, scale, pair ? pair->transfer : scaled ? result->levels[seed] : NULL);
    put_learned(out, scale, pair ? pair->baseline : NULL);
    qg_cell_real(out, pair ? pair->area_ratio : NAN);
    qg_cell_real(out, scale->threshold);
    qg_cell_step(out, pair ? pair->transfer_threshold : -1);
    qg_cell_step(out, pair ? pair->baseline_threshold : -1);
    qg_cell_step(out, pair ? pair->crossover : -1);
    qg_cells_empty(out, 3);
    qg_cell_real(out, scale->random);
    qg_cell_real(out, scale->reference);
    qg_cell_real(out, e && e->has_similarity ? e->similarity.grade : NAN);
    fputs(",\n", out);
}

static void put_verdict(FILE *out, const qg_verdict *v)
{
    const qg_effect *e = &v->effect;
    const bool apart = e->baseline_degrees > 0;
    qg_cell_real(out, e->error);
    qg_cell_real(out, qg_effect_degrees(e, QG_ALPHA));
    qg_cell_real(out, apart ? e->share : (double)NAN);
    qg_cell_real(out, apart ? e->degrees : (double)NAN);
    qg_cell_real(out, apart ? e->baseline_degrees : (double)NAN);
    qg_cell_real(out, v->p);
    qg_cell_real(out, v->family_p);
    qg_cell_real(out, v->q);
    qg_cell_real(out, v->permutation_p);
    qg_cell_real(out, v->margin_p);
    qg_cell_real(out, v->adjusted.low);
    qg_cell_real(out, v->adjusted.high);
}

static void put_pooled(FILE *out, const qg_results *r, const qg_experiment *e)
{
    put_run(out, r, e->run, "pooled");
    fprintf(out, ",%zu,%zu,%" PRId64 ",", e->verdict.seeds, e->verdict.baseline_seeds,
            r->runs[e->run].curves.steps[e->transfer.points - 1]);
    for (int m = 0; m < QG_MEASURES; m++) {
        qg_cell_real(out, qg_experiment_level(r, e, true, (qg_measure)m));
        qg_cell_real(out, qg_experiment_level(r, e, false, (qg_measure)m));
        qg_cell_real(out, e->effects[m].value);
        qg_cell_real(out, e->effects[m].low);
        qg_cell_real(out, e->effects[m].high);
    }
    put_verdict(out, &e->verdict);
    fprintf(out, "%zu,%zu,", e->transfer.learned, e->baseline.learned);
    qg_cell_real(out, qg_experiment_ratio(e));
    qg_cell_real(out, e->game->scale.threshold);
    qg_cell_real(out, e->times.transfer_median);
    qg_cell_real(out, e->times.baseline_median);
    qg_cells_empty(out, 1);
    qg_cell_real(out, e->probability.value);
    qg_cell_real(out, e->probability.low);
    qg_cell_real(out, e->probability.high);
    qg_cell_real(out, e->game->scale.random);
    qg_cell_real(out, e->game->scale.reference);
    qg_cell_real(out, e->has_similarity ? e->similarity.grade : NAN);
    qg_cell_text(out, qg_decision_name(e->verdict.decision));
    qg_text_cell(out, qg_reason_text(e->verdict.reason));
    fputc('\n', out);
}

static void put_rows(FILE *out, const qg_results *r)
{
    put_header(out);
    for (int i = 0; i < r->study->run_count; i++) {
        if (!r->runs[i].shown) continue;
        for (size_t s = 0; s < r->runs[i].curves.seed_count; s++)
            put_seed(out, r, i, s);
        const qg_experiment *e = qg_results_experiment(r, i);
        if (e && !e->problem[0]) put_pooled(out, r, e);
    }
}

static void put_stratum(FILE *out, const qg_stratum_count *stratum)
{
    fprintf(out, "%zu,%zu,", stratum->up, stratum->down);
    qg_cell_real(out, stratum->effect);
}

static void put_claims(FILE *out, const qg_results *r)
{
    fputs("says,source,expect,metric,margin,finding,effect,low,high,adjusted_low,adjusted_high,p,"
          "p_adjusted,p_permutation,free_up,free_down,free_effect,frozen_up,frozen_down,"
          "frozen_effect,experiments,lacking,seeds,seeds_baseline,reason\n",
          out);
    for (int i = 0; i < r->study->claim_count; i++) {
        const qg_study_claim *claim = &r->study->claims[i];
        const qg_claim_result *result = &r->claims[i];
        const qg_pooled *pooled = &result->pooled;
        qg_cell_text(out, claim->says);
        qg_cell_text(out, claim->source ? claim->source : "");
        qg_cell_text(out, qg_claim_kind_name(claim->kind));
        qg_cell_text(out, qg_measure_name(claim->metric));
        qg_cell_real(out, claim->kind == QG_CLAIM_LITTLE ? claim->margin : NAN);
        qg_cell_text(out, qg_finding_name(result->finding));
        qg_cell_real(out, pooled->effect.value);
        qg_cell_real(out, pooled->raw.low);
        qg_cell_real(out, pooled->raw.high);
        qg_cell_real(out, result->adjusted.low);
        qg_cell_real(out, result->adjusted.high);
        qg_cell_real(out, result->p);
        qg_cell_real(out, result->adjusted_p);
        qg_cell_real(out, pooled->permutation_p);
        put_stratum(out, &result->free);
        put_stratum(out, &result->frozen);
        fprintf(out, "%zu,%zu,%zu,", result->experiments, result->lacking, pooled->seeds);
        if (pooled->baseline_seeds > 0) fprintf(out, "%zu", pooled->baseline_seeds);
        fputc(',', out);
        qg_text_cell(out, qg_claim_reason(claim, result));
        fputc('\n', out);
    }
}

static void put_continual(FILE *out, const qg_results *r)
{
    fputs("run,seed,transfer,game,before,after,difference,normalised,forgetting,from\n", out);
    for (size_t i = 0; i < r->continual_count; i++) {
        const qg_continual *it = &r->continual[i];
        const double difference = it->value - it->reference;
        double span = NAN;
        for (int g = 0; g < r->study->game_count; g++)
            if (strcmp(r->study->games[g].name, it->game) == 0 && !r->games[g].problem[0])
                span = r->games[g].scale.reference - r->games[g].scale.random;
        qg_cell_text(out, r->study->runs[it->run].id);
        fprintf(out, "%" PRIu64 ",%s,", it->seed, it->forward ? "forward" : "backward");
        qg_cell_text(out, it->game);
        qg_cell_real(out, it->reference);
        qg_cell_real(out, it->value);
        qg_cell_real(out, difference);
        qg_cell_real(out, difference / span);
        qg_cell_real(out, it->forgetting);
        qg_text_cell(out, r->study->runs[it->other].id);
        fputc('\n', out);
    }
}

static void put_budgets(FILE *out, const qg_results *r)
{
    fputs("run,baseline,long_baseline,training,distillation,offline,steps,all_steps,score,"
          "long_baseline_score\n",
          out);
    for (int i = 0; i < r->study->run_count; i++) {
        const qg_study_budget *const budget = &r->budgets[i];
        qg_budget_row row;
        if (!qg_results_budget(r, i, &row)) continue;
        const qg_study_run *const runs = r->study->runs;
        qg_cell_text(out, runs[i].id);
        qg_cell_text(out, runs[runs[i].baseline].id);
        qg_cell_text(out, row.long_baseline >= 0 ? runs[row.long_baseline].id : "");
        qg_cell_real(out, budget->training);
        qg_cell_real(out, budget->distillation);
        qg_cell_real(out, budget->offline);
        qg_cell_real(out, budget->steps);
        qg_cell_real(out, row.all);
        qg_cell_real(out, row.score);
        if (isfinite(row.long_score)) fprintf(out, "%.17g", row.long_score);
        fputc('\n', out);
    }
}

static qg_status write_table(const qg_results *results, const char *name,
                             void (*put)(FILE *, const qg_results *), qg_error *error)
{
    char *text = NULL, *path = qg_path_join(results->folder, name);
    size_t size = 0;
    FILE *out = path ? qg_text_stream(&text, &size) : NULL;
    if (out) put(out, results);
    qg_status status = QG_OK;
    if (!out || fclose(out) != 0) status = qg_fail_memory(error, name, size);
    const qg_piece piece = {text, size};
    if (!status) status = qg_file_replace(path, &piece, 1, error);
    free(text);
    free(path);
    return status;
}

/* A table that not all studies have; `put` NULL: this one has none, nor keeps an older report's. */
static qg_status write_some(const qg_results *results, const char *name,
                            void (*put)(FILE *, const qg_results *), qg_error *error)
{
    if (put) return write_table(results, name, put, error);
    char *const path = qg_path_join(results->folder, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(results->folder));
    unlink(path);
    free(path);
    return QG_OK;
}

qg_status qg_metrics_write(const qg_results *results, qg_error *error)
{
    qg_status status = write_table(results, "metrics.csv", put_rows, error);
    if (!status) status = write_table(results, "claims.csv", put_claims, error);
    if (!status)
        status = write_some(results, "continual.csv",
                            results->continual_count > 0 ? put_continual : NULL, error);
    if (!status)
        status = write_some(results, "budgets.csv", results->budgets ? put_budgets : NULL, error);
    return status;
}
