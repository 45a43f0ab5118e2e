/* The study file: what stands at its top level, and the order in which its parts are read. */
#include "study/reader.h"

#include "base/file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const top_keys[] = {
    "study",   "question",           "preset",        "steps",         "seeds", "baseline_seeds",
    "threads", "replay_compression", "settings",      "sources",       "runs",  "games",
    "claims",  "verdicts",           "also_evaluate", "long_baseline", NULL};
static const char *const game_keys[] = {"threshold", "random", "reference", NULL};

#define DEFAULT_SEEDS 5

/* The name of a file without folder and ending. */
static void name_of_file(const char *path, char name[QG_STUDY_NAME])
{
    const char *const slash = strrchr(path, '/');
    snprintf(name, QG_STUDY_NAME, "%s", slash ? slash + 1 : path);
    char *const dot = strrchr(name, '.');
    if (dot && dot != name) *dot = '\0';
}

static qg_status read_name(const study_reader *reader)
{
    qg_study *const study = reader->study;
    const char *name = NULL;
    char file[QG_STUDY_NAME], id[QG_STUDY_NAME] = "";
    const qg_status status = qg_study_text(reader, reader->root, "study", &name);
    if (status) return status;
    name_of_file(study->path, file);
    if (!name) name = file;
    if (!qg_study_append_id(id, name) || strcmp(id, name) != 0)
        return qg_study_fail(reader, reader->root->line,
                             "study: '%.60s' cannot be its name: letters, digits, '.', '_', '-'",
                             name);
    memcpy(study->name, id, sizeof id);
    return QG_OK;
}

static qg_status read_compression(const study_reader *reader)
{
    const char *name = NULL;
    const qg_status status = qg_study_text(reader, reader->root, "replay_compression", &name);
    if (status || !name) return status;
    reader->study->plain_replay = strcmp(name, "none") == 0;
    if (reader->study->plain_replay || strcmp(name, "zstd") == 0) return QG_OK;
    return qg_study_fail(reader, qg_yaml_get(reader->root, "replay_compression")->line,
                         "replay_compression: '%.60s' is not 'zstd' or 'none'", name);
}

static qg_status read_head(const study_reader *reader)
{
    qg_study *const study = reader->study;
    const char *question = NULL;
    int64_t threads = 1;
    qg_status status = qg_study_check_keys(reader, reader->root, "study", top_keys);
    if (!status) status = read_name(reader);
    if (!status) status = qg_study_text(reader, reader->root, "question", &question);
    if (!status) status = qg_study_count(reader, reader->root, "threads", 1, 256, &threads);
    if (!status)
        status = qg_study_seeds(reader, reader->root, "seeds", &study->seeds, &study->seed_count);
    if (!status)
        status = qg_study_seeds(reader, reader->root, "baseline_seeds", &study->baseline_seeds,
                                &study->baseline_seed_count);
    if (!status) status = read_compression(reader);
    if (status) return status;
    study->threads = (int)threads;
    if (question && !(study->question = strdup(question)))
        return qg_fail_memory(reader->error, "a study", strlen(question));
    if (study->seeds) return QG_OK;
    study->seeds = calloc(DEFAULT_SEEDS, sizeof *study->seeds);
    if (!study->seeds) return qg_fail_memory(reader->error, "seeds", DEFAULT_SEEDS * 8);
    for (; study->seed_count < DEFAULT_SEEDS; study->seed_count++)
        study->seeds[study->seed_count] = (uint64_t)study->seed_count + 1;
    return QG_OK;
}

/* ------------------------------------------------------------------------------- games */

static qg_study_game *find_game(const qg_study *study, const char *name)
{
    for (int i = 0; i < study->game_count; i++)
        if (strcmp(study->games[i].name, name) == 0) return &study->games[i];
    return NULL;
}

static qg_status list_games(const study_reader *reader)
{
    qg_study *const study = reader->study;
    for (int i = 0; i < study->run_count; i++) {
        const qg_study_run *const run = &study->runs[i];
        if (!run->listed || find_game(study, run->game)) continue;
        qg_study_game *const game =
            qg_study_append(reader, &study->games, &study->game_count, sizeof *game);
        if (!game) return QG_ERROR_MEMORY;
        memcpy(game->name, run->game, sizeof game->name);
        game->threshold = game->random = game->reference = NAN;
    }
    return QG_OK;
}

static qg_status read_game(const study_reader *reader, const qg_yaml *node)
{
    const qg_game *found;
    char name[QG_DOMAIN_NAME];
    qg_status status = qg_study_check_keys(reader, node, node->key, game_keys);
    if (status) return status;
    if (qg_domain_resolve(node->key, &found, name, reader->error))
        return qg_study_locate(reader, node->key_line);
    qg_study_game *const game = find_game(reader->study, name);
    if (!game) return qg_study_fail(reader, node->key_line, "games: no run plays '%s'", node->key);
    status = qg_study_real(reader, node, "threshold", &game->threshold);
    if (!status) status = qg_study_real(reader, node, "random", &game->random);
    if (!status) status = qg_study_real(reader, node, "reference", &game->reference);
    if (!status && game->reference <= game->random) /* NaN is neither */
        status =
            qg_study_fail(reader, node->line, "reference: is not above random (%g)", game->random);
    return status;
}

static qg_status read_games(const study_reader *reader)
{
    const qg_yaml *const games = qg_yaml_get(reader->root, "games");
    qg_status status = list_games(reader);
    if (status || !games) return status;
    if (games->kind != QG_YAML_MAPPING)
        return qg_study_fail(reader, games->line, "games: `name: {...}` pairs are needed");
    for (size_t i = 0; i < games->count && !status; i++)
        status = read_game(reader, &games->items[i]);
    return status;
}

/* -------------------------------------------------------------------------------- load */

static qg_status read_parts(const study_reader *reader)
{
    if (reader->root->kind != QG_YAML_MAPPING)
        return qg_study_fail(reader, reader->root->line,
                             "a study is a list of `key: value` lines (docs/studies.md)");
    qg_status status = read_head(reader);
    if (!status) status = qg_study_read_sources(reader);
    if (!status) status = qg_study_read_runs(reader);
    if (!status) status = qg_study_add_long_baselines(reader);
    if (!status) status = read_games(reader);
    if (!status) status = qg_study_read_claims(reader);
    if (!status) status = qg_study_read_rule(reader);
    if (!status) status = qg_study_add_measurements(reader);
    return status ? status : qg_study_plan(reader);
}

static qg_status parse(qg_study *study, qg_error *error)
{
    qg_yaml *root;
    qg_status status = qg_yaml_parse(study->path, study->text, study->text_size, &root, error);
    if (status) return status;
    const study_reader reader = {study, study->path, root, error};
    status = read_parts(&reader);
    qg_yaml_free(root);
    return status;
}

/* The absolute folder of a file. */
static char *folder_of_file(const char *path)
{
    char *const whole = realpath(path, NULL);
    char *const slash = whole ? strrchr(whole, '/') : NULL;
    if (slash) slash[slash == whole] = '\0';
    return whole;
}

qg_status qg_study_load_from(const char *path, const char *base, double scale, qg_study **study,
                             qg_error *error)
{
    *study = NULL;
    if (!(scale > 0 && scale <= 1))
        return qg_fail(error, QG_ERROR_USAGE, "the scale is more than 0 and at most 1, not %g",
                       scale);
    qg_study *const s = calloc(1, sizeof *s);
    if (!s) return qg_fail_memory(error, "a study", sizeof *s);
    s->scale = scale;
    s->path = strdup(path);
    qg_status status = s->path ? qg_file_read(path, QG_YAML_LARGEST, &s->text, &s->text_size, error)
                               : qg_fail_memory(error, "a path", strlen(path));
    if (!status && !(s->base = base ? strdup(base) : folder_of_file(path)))
        status = qg_fail_errno(error, "%s", path);
    if (!status && !base && !(s->file = strdup(basename(path))))
        status = qg_fail_memory(error, "a path", strlen(path));
    if (!status) status = parse(s, error);
    if (status)
        qg_study_free(s);
    else
        *study = s;
    return status;
}

qg_status qg_study_load(const char *path, double scale, qg_study **study, qg_error *error)
{
    return qg_study_load_from(path, NULL, scale, study, error);
}
