/* What the report of a study needs to know beside its trainings: what random play of each game
 * scores, and how alike the two games of each graft are. These are runs, too, with one seed each;
 * they begin from nothing and stand behind all others. */
#include "study/reader.h"

#include <qgraft/measurement.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 1 };

bool qg_study_is_measurement(const qg_study_run *run)
{
    return run->kind == QG_RUN_RANDOM_SCORE || run->kind == QG_RUN_SIMILARITY;
}

int qg_study_measurement(const qg_study *study, qg_run_kind kind, const char *game,
                         const char *other_game)
{
    for (int i = 0; i < study->run_count; i++) {
        const qg_study_run *const run = &study->runs[i];
        const char *const a = run->game, *const b = run->other_game;
        if (run->kind == kind && ((strcmp(a, game) == 0 && strcmp(b, other_game) == 0) ||
                                  (strcmp(b, game) == 0 && strcmp(a, other_game) == 0)))
            return i;
    }
    return -1;
}

static bool has_id(const qg_study *study, const char *id)
{
    for (int i = 0; i < study->run_count; i++)
        if (strcmp(study->runs[i].id, id) == 0) return true;
    return false;
}

/* "KIND-GAME" or "KIND-GAME-OTHER"; where that is too long or taken, "KIND-N". */
static void name_run(const qg_study *study, qg_study_run *run)
{
    char text[2 * QG_DOMAIN_NAME + 32];
    const char *const kind = qg_run_kind_name(run->kind);
    snprintf(text, sizeof text, "%s-%s%s%s", kind, run->game, *run->other_game ? "-" : "",
             run->other_game);
    bool good = qg_study_append_id(run->id, text) && !has_id(study, run->id);
    for (int n = 1; !good; n++) {
        snprintf(run->id, sizeof run->id, "%s-%d", kind, n);
        good = !has_id(study, run->id);
    }
}

/* Adds the measurement of one or two games. The settings are the preset's, so that nothing but what
 * counts for it makes it another, and those of `like` that count. */
static qg_status add(const study_reader *reader, qg_run_kind kind, const char *game,
                     const char *other_game, const qg_settings *like, int64_t steps)
{
    qg_study *const study = reader->study;
    qg_study_run run = {.line = reader->root->line,
                        .kind = kind,
                        .steps = steps,
                        .source = QG_SOURCE_NONE,
                        .baseline = -1,
                        .long_run = -1,
                        .seed_count = 1};
    memcpy(run.game, game, strlen(game) + 1);
    memcpy(run.other_game, other_game, strlen(other_game) + 1);
    const qg_status status =
        qg_settings_preset(&run.settings, qg_study_preset_for(game), reader->error);
    if (status) return status;
    if (like) {
        run.settings.frame_skip = like->frame_skip;
        run.settings.sticky = like->sticky;
        run.settings.noop_max = like->noop_max;
        memcpy(run.settings.actions, like->actions, sizeof like->actions);
        memcpy(run.settings.max_episode_frames, like->max_episode_frames,
               sizeof like->max_episode_frames);
    }
    name_run(study, &run);
    run.seeds = malloc(sizeof *run.seeds);
    qg_study_run *const place =
        run.seeds ? qg_study_append(reader, &study->runs, &study->run_count, sizeof run) : NULL;
    if (!place) {
        qg_study_free_run(&run);
        return qg_fail_memory(reader->error, "a study", sizeof run);
    }
    *run.seeds = SEED;
    *place = run;
    return QG_OK;
}

/* As the first listed run of the game plays it. */
static qg_status add_random_score(const study_reader *reader, const qg_study_game *game)
{
    const qg_study *const study = reader->study;
    if (!isnan(game->random)) return QG_OK;
    for (int i = 0; i < study->run_count; i++)
        if (study->runs[i].listed && strcmp(study->runs[i].game, game->name) == 0)
            return add(reader, QG_RUN_RANDOM_SCORE, game->name, "", &study->runs[i].settings,
                       QG_RANDOM_SCORE_STEPS);
    return QG_OK;
}

/* Of the game that layers come from and the one they go to, in the order of their names. A game is
 * known to be like itself, and one that cannot be played here is compared with none. */
static qg_status add_similarity(const study_reader *reader, const qg_study_run *graft)
{
    const qg_study *const study = reader->study;
    const qg_game *found;
    char name[QG_DOMAIN_NAME];
    qg_error ignored;
    if (!graft->listed || graft->kind != QG_RUN_GRAFT || graft->source < 0) return QG_OK;
    const char *const origin = qg_source_game(study, &study->sources[graft->source]);
    const int order = strcmp(origin, graft->game);
    if (!*origin || order == 0 || qg_domain_resolve(origin, &found, name, &ignored) ||
        qg_study_measurement(study, QG_RUN_SIMILARITY, origin, graft->game) >= 0)
        return QG_OK;
    return add(reader, QG_RUN_SIMILARITY, order < 0 ? origin : graft->game,
               order < 0 ? graft->game : origin, NULL, QG_SIMILARITY_FRAMES);
}

qg_status qg_study_add_measurements(const study_reader *reader)
{
    const int runs = reader->study->run_count;
    qg_status status = QG_OK;
    for (int g = 0; g < reader->study->game_count && !status; g++)
        status = add_random_score(reader, &reader->study->games[g]);
    for (int i = 0; i < runs && !status; i++)
        status = add_similarity(reader, &reader->study->runs[i]);
    return status;
}
