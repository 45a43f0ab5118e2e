/* looks.json: the rule of a study that looks several times, and what was seen at each look, which
 * is never judged again. */
#include "base/file.h"
#include "base/json_text.h"
#include "study/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_LOOKS ((size_t)16 << 20)

static const char *const decisions[] = {[QG_NOT_DECIDED] = "open",
                                        [QG_POSITIVE] = "positive",
                                        [QG_NEGATIVE] = "negative",
                                        [QG_WITHIN_MARGIN] = "no effect"};

/* What an arm's first task is known by: a study whose runs were changed has other ones. */
static const char *arm_hash(const qg_study *study, int run)
{
    for (int t = 0; t < study->task_count; t++)
        if (study->tasks[t].run == run) return study->tasks[t].result_hash;
    return "";
}

static json_t *real(double value)
{
    return value == value ? json_real(value) : json_null();
}

static json_t *seeds_to_json(const uint64_t *seeds, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_integer((json_int_t)seeds[i]));
    return list;
}

static json_t *look_to_json(const qg_study *study, const qg_seed_look *look)
{
    json_t *arms = json_array();
    for (int i = 0, a = 0; i < study->run_count; i++) {
        if (!qg_looks_arm(&study->runs[i])) continue;
        const qg_look_arm *arm = &look->arms[a++];
        json_array_append_new(arms, json_pack("{s:s, s:s, s:i, s:i, s:o, s:o, s:o, s:s}", "run",
                                              study->runs[i].id, "hash", arm_hash(study, i),
                                              "seeds", arm->seeds, "baseline_seeds",
                                              arm->baseline_seeds, "effect", real(arm->effect), "p",
                                              real(arm->p), "adjusted_p", real(arm->adjusted_p),
                                              "decision", decisions[arm->decision]));
    }
    return json_pack("{s:i, s:f, s:f, s:o}", "seeds", look->seeds, "fraction", look->fraction,
                     "level", look->level, "arms", arms);
}

/* The seeds that the file gives to the arms' baselines, which looks may have added to. */
static json_t *baseline_seeds(const qg_study *study)
{
    json_t *all = json_object();
    for (int i = 0; i < study->run_count; i++) {
        if (!qg_looks_arm(&study->runs[i])) continue;
        const qg_study_run *const run = &study->runs[study->runs[i].baseline];
        const bool added = run->file_seeds != NULL;
        json_object_set_new(all, run->id,
                            seeds_to_json(added ? run->file_seeds : run->seeds,
                                          added ? run->file_seed_count : run->seed_count));
    }
    return all;
}

/* What verdicts follow from beside the runs: how they are found, which seeds the file gives, and
 * the scales that it gives. */
static json_t *rule_to_json(const qg_study *study)
{
    json_t *games = json_object();
    for (int g = 0; g < study->game_count; g++) {
        const qg_study_game *game = &study->games[g];
        if (game->random == game->random || game->reference == game->reference)
            json_object_set_new(games, game->name,
                                json_pack("{s:o, s:o}", "random", real(game->random), "reference",
                                          real(game->reference)));
    }
    return json_pack("{s:s, s:s, s:f, s:o, s:o, s:o}", "compare",
                     qg_compare_name(study->rule.compare), "adjust",
                     qg_adjust_name(study->rule.adjust), "margin", study->rule.margin, "seeds",
                     seeds_to_json(study->seeds, study->seed_count), "baseline_seeds",
                     baseline_seeds(study), "games", games);
}

qg_status qg_study_write_looks(const qg_study *study, const char *folder, qg_error *error)
{
    const qg_study_looks *looks = &study->looks;
    qg_json_watch();
    json_t *items = json_array();
    for (int k = 0; k < looks->count; k++)
        json_array_append_new(items, look_to_json(study, &looks->items[k]));
    json_t *all = json_pack("{s:i, s:i, s:s, s:o, s:o}", "format", 2, "max_seeds", looks->max_seeds,
                            "spending", qg_spending_name(looks->spending), "rule",
                            rule_to_json(study), "looks", items);
    char *text = all && !qg_json_lacked_memory() ? qg_json_text(all, JSON_INDENT(2)) : NULL;
    char *path = qg_path_join(folder, "looks.json");
    json_decref(all);
    const qg_status status = text && path
                                 ? qg_file_replace(path, &(qg_piece){text, strlen(text)}, 1, error)
                                 : qg_fail_memory(error, "looks.json", 0);
    free(text);
    free(path);
    return status;
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static int count_of(const json_t *object, const char *key)
{
    const json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 || value > 1000000 ? 0 : (int)value;
}

/* False: it is not of this study's arm. */
static bool read_arm(const json_t *json, const qg_study *study, int run, qg_look_arm *arm)
{
    const char *id = json_string_value(json_object_get(json, "run"));
    const char *hash = json_string_value(json_object_get(json, "hash"));
    const char *decision = json_string_value(json_object_get(json, "decision"));
    if (!id || !hash || !decision || strcmp(id, study->runs[run].id) != 0 ||
        strcmp(hash, arm_hash(study, run)) != 0)
        return false;
    *arm = (qg_look_arm){.seeds = count_of(json, "seeds"),
                         .baseline_seeds = count_of(json, "baseline_seeds"),
                         .effect = number_of(json, "effect"),
                         .p = number_of(json, "p"),
                         .adjusted_p = number_of(json, "adjusted_p"),
                         .decision = QG_DECISIONS};
    for (int d = 0; d < QG_DECISIONS; d++)
        if (strcmp(decision, decisions[d]) == 0) arm->decision = (qg_decision)d;
    return arm->decision != QG_DECISIONS;
}

/* False: it is not of this study, or damaged; no memory: error->code says so. */
static bool read_look(qg_study *study, const json_t *json, qg_error *error)
{
    const json_t *arms = json_object_get(json, "arms");
    if ((int)json_array_size(arms) != study->looks.arm_count || study->looks.count == QG_MOST_LOOKS)
        return false;
    qg_seed_look *look = qg_study_add_look(study, error);
    if (!look) return false;
    look->fraction = number_of(json, "fraction");
    look->level = number_of(json, "level");
    if (look->seeds != count_of(json, "seeds") || !(look->level > 0 && look->level < 1))
        return false;
    for (int i = 0, a = 0; i < study->run_count; i++)
        if (qg_looks_arm(&study->runs[i])) {
            if (!read_arm(json_array_get(arms, (size_t)a), study, i, &look->arms[a])) return false;
            a++;
        }
    return true;
}

/* A rule that is chosen after a look keeps no error rate. */
static qg_status check_rule(const qg_study *study, const char *folder, const json_t *json,
                            qg_error *error)
{
    qg_json_watch();
    json_t *const own = rule_to_json(study), *const then = json_object_get(json, "rule");
    qg_status status = QG_OK;
    if (!own || qg_json_lacked_memory())
        status = qg_fail_memory(error, "looks.json", 0);
    else if (!json_is_object(then))
        status =
            qg_fail(error, QG_ERROR_DATA, "%s/looks.json: is not what this version writes", folder);
    for (void *i = json_object_iter(own); i && !status; i = json_object_iter_next(own, i)) {
        const char *key = json_object_iter_key(i);
        if (json_equal(json_object_iter_value(i), json_object_get(then, key))) continue;
        status = qg_fail(error, QG_ERROR_DATA,
                         "%s/looks.json: '%s' is not what the study was begun with: a rule that is "
                         "changed after a look keeps no error rate; set it back, or take another "
                         "`folder`",
                         folder, key);
    }
    json_decref(own);
    return status;
}

static qg_status take_looks(qg_study *study, const char *folder, const json_t *json,
                            qg_error *error)
{
    const char *name = json_string_value(json_object_get(json, "spending"));
    const json_t *items = json_object_get(json, "looks");
    qg_spending spending;
    if (count_of(json, "format") == 1)
        return qg_fail(
            error, QG_ERROR_DATA,
            "%s/looks.json: an older version of qgraft wrote it, without the seeds of the file: go "
            "on with that one",
            folder);
    if (count_of(json, "format") != 2 || !name || !qg_spending_parse(name, &spending) ||
        !json_is_array(items))
        return qg_fail(error, QG_ERROR_DATA, "%s/looks.json: is not what this version writes",
                       folder);
    qg_status status = check_rule(study, folder, json, error);
    if (!status) status = qg_study_begin_looks(study, count_of(json, "max_seeds"), spending, error);
    for (size_t k = 0; k < json_array_size(items) && !status; k++) {
        *error = (qg_error){0};
        if (read_look(study, json_array_get(items, k), error)) continue;
        status = error->code ? error->code
                             : qg_fail(error, QG_ERROR_DATA,
                                       "%s/looks.json: look %zu is damaged, or of other runs than "
                                       "the study has now: take another folder, or remove it and "
                                       "what was seen is lost",
                                       folder, k + 1);
    }
    return status ? status : qg_study_extend(study, error);
}

qg_status qg_study_take_looks(qg_study *study, const char *folder, qg_error *error)
{
    char *path = qg_path_join(folder, "looks.json");
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    json_t *json = NULL;
    qg_status status = qg_json_read_object(path, LARGEST_LOOKS, &json, error);
    free(path);
    if (!status && json) status = take_looks(study, folder, json, error);
    json_decref(json);
    return status;
}
