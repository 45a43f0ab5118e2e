/* The scores between which a game's are normalised: those of the study file, otherwise random play
 * that is measured once and kept, and the best that the baseline reached. */
#include "report/stages.h"

#include <qgraft/agent.h>

#include "base/file.h"
#include "base/json_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANDOM_STEPS 20000
#define LARGEST_FILE ((size_t)1 << 20)

/* -------------------------------------------------------------------------------- random play */

static qg_status play_randomly(const char *game, const qg_settings *settings,
                               const qg_report_options *options, double *score, qg_error *error)
{
    const qg_domain_options domain_options = {
        .seed = QG_REPORT_SEED, .frame_skip = settings->frame_skip, .sticky = settings->sticky};
    const qg_evaluation_options play = {.steps = RANDOM_STEPS,
                                        .epsilon = 1,
                                        .noop_max = settings->noop_max,
                                        .history = settings->history,
                                        .seed = QG_REPORT_SEED,
                                        .stop = options->stop};
    qg_domain *domain;
    qg_evaluation evaluation;
    qg_status status = qg_domain_open(game, &domain_options, &domain, error);
    if (status) return status;
    status = qg_evaluate(NULL, domain, &play, &evaluation, error);
    qg_domain_close(domain);
    *score = evaluation.score;
    return status;
}

/* What determines the score, so that one that was measured otherwise is not taken. */
static json_t *describe(const qg_settings *settings)
{
    return json_pack("{s:i, s:i, s:i, s:f, s:i}", "steps", RANDOM_STEPS, "seed", QG_REPORT_SEED,
                     "frame_skip", settings->frame_skip, "sticky", settings->sticky, "noop_max",
                     settings->noop_max);
}

/* The score of an entry that was measured as `how` says. */
static bool find_kept(const json_t *kept, const char *game, const json_t *how, double *score)
{
    const json_t *entry = json_object_get(kept, game);
    const json_t *value = json_object_get(entry, "score");
    if (!json_is_number(value) || !json_equal(json_object_get(entry, "how"), how)) return false;
    *score = json_number_value(value);
    return true;
}

static qg_status find_random(const char *game, const qg_settings *settings, json_t *kept,
                             const qg_report_options *options, double *score, qg_error *error)
{
    json_t *how = describe(settings);
    qg_status status = how ? QG_OK : qg_fail_memory(error, "random scores", 256);
    if (!status && !find_kept(kept, game, how, score)) {
        char what[QG_DOMAIN_NAME + 32];
        snprintf(what, sizeof what, "measuring random play of %s", game);
        if (options->progress) options->progress(options->context, what);
        status = play_randomly(game, settings, options, score, error);
        if (!status &&
            json_object_set_new(kept, game, json_pack("{s:f, s:O}", "score", *score, "how", how)))
            status = qg_fail_memory(error, "random scores", 256);
    }
    json_decref(how);
    return status;
}

/* What was kept by an earlier report; a file that is not what it should be is as good as none. */
static json_t *read_kept(const char *path)
{
    qg_error ignored;
    uint8_t *data = NULL;
    size_t size = 0;
    json_t *kept = NULL;
    if (qg_file_read(path, LARGEST_FILE, &data, &size, &ignored) == QG_OK)
        kept = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    free(data);
    if (json_is_object(kept)) return kept;
    json_decref(kept);
    return json_object();
}

static qg_status write_kept(const char *path, const json_t *kept, qg_error *error)
{
    char *text = qg_json_text(kept, JSON_INDENT(2) | JSON_SORT_KEYS);
    if (!text) return qg_fail_memory(error, "random scores", 1024);
    const qg_piece pieces[] = {{text, strlen(text)}, {"\n", 1}};
    const qg_status status = qg_file_replace(path, pieces, 2, error);
    free(text);
    return status;
}

/* ---------------------------------------------------------------------------------- reference */

/* The mean over seeds of what the game's first baseline reached; NaN: there is none. */
static double baseline_level(const qg_results *r, const char *game, qg_measure measure)
{
    for (int i = 0; i < r->study->run_count; i++) {
        const qg_study_run *run = &r->study->runs[i];
        const qg_run_curves *result = &r->runs[i];
        if (run->kind != QG_RUN_TRAIN || strcmp(run->game, game) != 0 || !result->shown) continue;
        double sum = 0;
        for (size_t s = 0; s < result->curves.seed_count; s++)
            sum += result->levels[s][measure];
        if (result->curves.seed_count > 0) return sum / (double)result->curves.seed_count;
    }
    return NAN;
}

/* The settings that the game is played with: those of its first listed run. */
static const qg_settings *find_settings(const qg_study *study, const char *game)
{
    for (int i = 0; i < study->run_count; i++)
        if (study->runs[i].listed && strcmp(study->runs[i].game, game) == 0)
            return &study->runs[i].settings;
    return NULL;
}

static void complete(const qg_study_game *given, double reference, qg_game_scale *game)
{
    qg_scale *scale = &game->scale;
    if (!game->reference_given) scale->reference = reference;
    scale->threshold =
        game->threshold_given ? given->threshold : (scale->random + scale->reference) / 2;
    if (isnan(scale->reference))
        snprintf(game->problem, sizeof game->problem,
                 "no baseline of the game has a curve, and the study gives no reference score");
    else if (!(scale->reference > scale->random))
        snprintf(
            game->problem, sizeof game->problem,
            "the reference score %.4g is not above that of random play, %.4g: train for longer",
            scale->reference, scale->random);
}

/* The best of many noisy evaluations is above random play even where nothing was learned. */
static qg_status warn_unlearned(qg_results *r, int g, qg_error *error)
{
    const char *name = r->study->games[g].name;
    const qg_scale *scale = &r->games[g].scale;
    const double end = baseline_level(r, name, QG_ASYMPTOTE);
    const double quarter = (scale->reference - scale->random) / 4;
    if (r->games[g].problem[0] || r->games[g].reference_given || !(end < scale->random + quarter))
        return QG_OK;
    return qg_warn(&r->warnings, error,
                   "%s: the baseline's last scores, %.4g in the mean, are nearer to random play "
                   "(%.4g) than to its best evaluation (%.4g), from which effects are measured; "
                   "if the game was not learned, they say little: train for longer",
                   name, end, scale->random, scale->reference);
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

static qg_status find_scale(qg_results *r, int g, json_t *kept, const qg_report_options *options,
                            qg_error *error)
{
    const qg_study_game *given = &r->study->games[g];
    qg_game_scale *game = &r->games[g];
    const qg_settings *settings = find_settings(r->study, given->name);
    *game = (qg_game_scale){.scale = {given->random, given->reference, given->threshold},
                            .random_given = !isnan(given->random),
                            .reference_given = !isnan(given->reference),
                            .threshold_given = !isnan(given->threshold)};
    qg_status status = QG_OK;
    if (!game->random_given && settings)
        status = find_random(given->name, settings, kept, options, &game->scale.random, error);
    if (status == QG_ERROR_IO || status == QG_ERROR_DATA || status == QG_ERROR_USAGE) {
        const qg_error inner = *error;
        return qg_fail(error, status,
                       "%s: random play cannot be measured here: %.300s (or give its score in the "
                       "study file: games: {%s: {random: ...}})",
                       given->name, inner.message, given->name);
    }
    if (status) return status;
    complete(given, baseline_level(r, given->name, QG_MAXIMUM), game);
    if (warn_unlearned(r, g, error)) return error->code;
    return warn_short(r, given->name, error);
}

qg_status qg_results_find_scales(qg_results *results, const qg_report_options *options,
                                 qg_error *error)
{
    results->games = calloc((size_t)results->study->game_count + 1, sizeof *results->games);
    char *path = qg_path_join(results->folder, "random-scores.json");
    json_t *kept = path ? read_kept(path) : NULL;
    qg_status status =
        results->games && kept ? QG_OK : qg_fail_memory(error, "random scores", 1024);
    json_t *before = json_deep_copy(kept);
    for (int g = 0; g < results->study->game_count && !status; g++)
        status = find_scale(results, g, kept, options, error);
    if (!status && !json_equal(before, kept)) status = write_kept(path, kept, error);
    json_decref(before);
    json_decref(kept);
    free(path);
    return status;
}
