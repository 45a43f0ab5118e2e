/* The scores between which a game's are normalised: those of the study file, otherwise what random
 * play was measured to score, and what the baseline reached in the end. Not its best: the largest
 * of many noisy evaluations is above what any network plays. */
#include "report/stages.h"

#include <qgraft/measurement.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------- reference */

/* The game's baseline that `runs` lists first, of those with a curve; those that it does not list
 * come last. NULL: there is none. */
static const qg_run_curves *first_baseline(const qg_results *r, const char *game)
{
    int first = -1;
    for (int i = 0; i < r->study->run_count; i++) {
        const qg_study_run *run = &r->study->runs[i];
        if (run->kind != QG_RUN_TRAIN || strcmp(run->game, game) != 0 || !r->runs[i].shown ||
            r->runs[i].curves.seed_count == 0)
            continue;
        const int before = first < 0 ? 0 : r->study->runs[first].place;
        if (first < 0 || (run->place && (!before || run->place < before))) first = i;
    }
    return first < 0 ? NULL : &r->runs[first];
}

/* The mean over its seeds of what it reached; NaN: there is none. */
static double baseline_level(const qg_results *r, const char *game, qg_measure measure)
{
    const qg_run_curves *const baseline = first_baseline(r, game);
    double sum = 0;
    if (!baseline) return NAN;
    for (size_t s = 0; s < baseline->curves.seed_count; s++)
        sum += baseline->levels[s][measure];
    return sum / (double)baseline->curves.seed_count;
}

static void complete(const qg_study_game *given, double reference, qg_game_scale *game)
{
    qg_scale *scale = &game->scale;
    if (!game->reference_given) scale->reference = reference;
    scale->threshold =
        game->threshold_given ? given->threshold : (scale->random + scale->reference) / 2;
    if (isnan(scale->random))
        snprintf(game->problem, sizeof game->problem,
                 "what random play of the game scores has not been measured, and the study does "
                 "not give it");
    else if (isnan(scale->reference))
        snprintf(game->problem, sizeof game->problem,
                 "no baseline of the game has a curve, and the study gives no reference score");
    else if (!(scale->reference > scale->random))
        snprintf(game->problem, sizeof game->problem,
                 "the reference score %.4g is not above that of random play, %.4g: %s",
                 scale->reference, scale->random,
                 game->reference_given ? "correct it in the study file" : "train for longer");
}

/* An end near random play makes every difference large. */
static qg_status warn_unlearned(qg_results *r, int g, qg_error *error)
{
    const char *name = r->study->games[g].name;
    const qg_scale *scale = &r->games[g].scale;
    const double best = baseline_level(r, name, QG_MAXIMUM);
    const double quarter = (best - scale->random) / 4;
    if (r->games[g].problem[0] || r->games[g].reference_given ||
        !(scale->reference < scale->random + quarter))
        return QG_OK;
    return qg_warn(&r->warnings, error,
                   "%s: the baseline's last scores, %.4g in the mean, by which effects are "
                   "measured, are nearer to random play (%.4g) than to its best evaluation (%.4g); "
                   "if the game was not learned, they say little: train for longer",
                   name, scale->reference, scale->random, best);
}

/* An evaluation without a complete episode scores the only, incomplete one. */
static qg_status warn_short(qg_results *r, const char *game, qg_error *error)
{
    double episodes = 0, evaluations = 0;
    for (int i = 0; i < r->study->run_count; i++)
        for (size_t s = 0; s < r->runs[i].curves.seed_count; s++)
            if (strcmp(r->study->runs[i].game, game) == 0) {
                episodes += r->runs[i].read[s].episodes;
                evaluations += (double)r->runs[i].read[s].count;
            }
    if (!(episodes < evaluations)) return QG_OK;
    return qg_warn(
        &r->warnings, error,
        "%s: an evaluation holds %.2g complete episodes in the mean; where there is none, "
        "the score is that of one that was cut off: set more eval_steps in the study file",
        game, episodes / evaluations);
}

/* What the study's measurement says; NaN where it has not been made. */
static qg_status find_random(qg_results *r, const char *game, double *score, qg_error *error)
{
    char *folder;
    qg_status status = qg_results_measurement(r, QG_RUN_RANDOM_SCORE, game, "", &folder, error);
    *score = NAN;
    if (!status && folder) status = qg_random_score_read(folder, score, error);
    free(folder);
    return status ? qg_results_do_without(r, "the score of random play", status, error) : QG_OK;
}

static qg_status find_scale(qg_results *r, int g, qg_error *error)
{
    const qg_study_game *given = &r->study->games[g];
    qg_game_scale *game = &r->games[g];
    *game = (qg_game_scale){.scale = {given->random, given->reference, given->threshold},
                            .random_given = !isnan(given->random),
                            .reference_given = !isnan(given->reference),
                            .threshold_given = !isnan(given->threshold)};
    if (!game->random_given && find_random(r, given->name, &game->scale.random, error))
        return error->code;
    complete(given, baseline_level(r, given->name, QG_ASYMPTOTE), game);
    if (warn_unlearned(r, g, error)) return error->code;
    return warn_short(r, given->name, error);
}

qg_status qg_results_find_scales(qg_results *results, qg_error *error)
{
    results->games =
        qg_results_memory((size_t)results->study->game_count, sizeof *results->games, error);
    if (!results->games) return error->code;
    for (int g = 0; g < results->study->game_count; g++)
        if (find_scale(results, g, error)) return error->code;
    return QG_OK;
}
