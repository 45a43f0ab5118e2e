/* Studies that look several times and give more seeds to what is not decided: looks.json, and the
 * seeds that follow from it. What was found at a look is never judged again. */
#include "base/file.h"
#include "base/json_text.h"
#include "study/kinds.h"
#include "study/reader.h"
#include "study/study_folder.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_LOOKS ((size_t)16 << 20)

enum { MOST_SEEDS = 1000, MOST_LOOKS = 64 };

static const char *const decisions[] = {[QG_NOT_DECIDED] = "open",
                                        [QG_POSITIVE] = "positive",
                                        [QG_NEGATIVE] = "negative",
                                        [QG_WITHIN_MARGIN] = "no effect"};

bool qg_looks_arm(const qg_study_run *run)
{
    return run->listed && run->kind == QG_RUN_GRAFT;
}

static int count_arms(const qg_study *study)
{
    int count = 0;
    for (int i = 0; i < study->run_count; i++)
        count += qg_looks_arm(&study->runs[i]);
    return count;
}

int qg_looks_seeds(const qg_study *study, int look)
{
    const int64_t seeds = (int64_t)(look + 1) * study->seed_count;
    return seeds < study->looks.max_seeds ? (int)seeds : study->looks.max_seeds;
}

bool qg_looks_done(const qg_study *study)
{
    const qg_study_looks *looks = &study->looks;
    if (looks->count == 0) return false;
    const qg_seed_look *last = &looks->items[looks->count - 1];
    bool open = false;
    for (int a = 0; a < looks->arm_count; a++)
        open = open || last->arms[a].decision == QG_NOT_DECIDED;
    return !open || last->seeds == looks->max_seeds;
}

/* -------------------------------------------------------------------------------------- rule */

static bool has_study_seeds(const qg_study *study, const qg_study_run *run)
{
    return run->seed_count == study->seed_count &&
           memcmp(run->seeds, study->seeds, (size_t)run->seed_count * sizeof *run->seeds) == 0;
}

qg_status qg_study_begin_looks(qg_study *study, int64_t max_seeds, qg_spending spending,
                               qg_error *error)
{
    const int first = study->seed_count, arms = count_arms(study);
    if (arms == 0)
        return qg_fail(error, QG_ERROR_USAGE, "%s: lists no graft that could be decided",
                       study->name);
    if (first < 2)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: one seed decides nothing: a first look needs `seeds: 2` or more",
                       study->name);
    if (max_seeds <= first || max_seeds > MOST_SEEDS ||
        (max_seeds + first - 1) / first > MOST_LOOKS)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`max_seeds`: %" PRId64
                       " is not between the %d of the first look and %d (in "
                       "at most %d looks)",
                       max_seeds, first, MOST_SEEDS, MOST_LOOKS);
    if (study->seeds[first - 1] > UINT64_MAX - MOST_SEEDS)
        return qg_fail(error, QG_ERROR_USAGE, "%s: no seeds are left above %" PRIu64, study->name,
                       study->seeds[first - 1]);
    for (int i = 0; i < study->run_count; i++)
        if (qg_looks_arm(&study->runs[i]) && !has_study_seeds(study, &study->runs[i]))
            return qg_fail(error, QG_ERROR_USAGE,
                           "%s: has other seeds than the study: what is to be decided has all the "
                           "same at the first look",
                           study->runs[i].id);
    for (int i = 0; i < study->source_count; i++)
        if (study->sources[i].file_count > 1)
            return qg_fail(error, QG_ERROR_USAGE,
                           "the source '%s' has a network for each seed of the file and none for "
                           "more",
                           study->sources[i].name);
    study->looks =
        (qg_study_looks){.max_seeds = (int)max_seeds, .spending = spending, .arm_count = arms};
    return QG_OK;
}

/* ------------------------------------------------------------------------------------- seeds */

/* Adds a seed to a run and to all that it begins from, unless they have it. */
static qg_status need_seed(qg_study *study, int run_index, uint64_t seed, qg_error *error)
{
    qg_study_run *run = &study->runs[run_index];
    int place = 0, sources[QG_MAX_TEACHERS];
    while (place < run->seed_count && run->seeds[place] < seed)
        place++;
    if (place == run->seed_count || run->seeds[place] != seed) {
        uint64_t *seeds = realloc(run->seeds, ((size_t)run->seed_count + 1) * sizeof *seeds);
        if (!seeds) return qg_fail_memory(error, "seeds", (size_t)run->seed_count * sizeof *seeds);
        memmove(seeds + place + 1, seeds + place,
                (size_t)(run->seed_count - place) * sizeof *seeds);
        seeds[place] = seed;
        run->seeds = seeds;
        run->seed_count++;
    }
    const int count = qg_study_kind_of(run)->sources(run, sources);
    qg_status status = QG_OK;
    for (int i = 0; i < count && !status; i++)
        if (sources[i] >= 0 && study->sources[sources[i]].run >= 0)
            status = need_seed(study, study->sources[sources[i]].run, seed, error);
    return status;
}

/* The seeds of the file, then those that follow the last of them. */
static uint64_t seed_at(const uint64_t *seeds, int count, int i)
{
    return i < count ? seeds[i] : seeds[count - 1] + (uint64_t)(i - count + 1);
}

/* The arm's seeds up to `wanted`, and those of its baseline in proportion. `first` [run]: what each
 * run has by the file. */
static qg_status extend_arm(qg_study *study, int arm, int wanted, const int *first, qg_error *error)
{
    const int baseline = study->runs[arm].baseline;
    qg_status status = QG_OK;
    for (int i = study->seed_count; i < wanted && !status; i++)
        status = need_seed(study, arm, seed_at(study->seeds, study->seed_count, i), error);
    const int64_t all = (int64_t)first[baseline] * wanted;
    const int most = (int)((all + study->seed_count - 1) / study->seed_count);
    uint64_t *own = calloc((size_t)first[baseline] + 1, sizeof *own);
    if (!own) return qg_fail_memory(error, "seeds", (size_t)first[baseline] * sizeof *own);
    memcpy(own, study->runs[baseline].seeds, (size_t)first[baseline] * sizeof *own);
    for (int i = first[baseline]; i < most && !status; i++)
        status = need_seed(study, baseline, seed_at(own, first[baseline], i), error);
    free(own);
    return status;
}

/* How many seeds an arm has: those of the look that decided it, or of the next one. */
static int wanted_seeds(const qg_study *study, int arm)
{
    const qg_study_looks *looks = &study->looks;
    for (int k = 0; k < looks->count; k++)
        if (looks->items[k].arms[arm].decision != QG_NOT_DECIDED) return looks->items[k].seeds;
    return qg_looks_done(study) ? looks->items[looks->count - 1].seeds
                                : qg_looks_seeds(study, looks->count);
}

static qg_status extend_arms(qg_study *study, const int *first, qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0, arm = 0; i < study->run_count && !status; i++)
        if (qg_looks_arm(&study->runs[i]))
            status = extend_arm(study, i, wanted_seeds(study, arm++), first, error);
    return status;
}

/* Gives all runs the seeds that follow from the looks, and plans anew. */
static qg_status extend(qg_study *study, qg_error *error)
{
    int *first = calloc((size_t)study->run_count + 1, sizeof *first);
    if (!first) return qg_fail_memory(error, "seeds", (size_t)study->run_count * sizeof *first);
    for (int i = 0; i < study->run_count; i++)
        first[i] = study->runs[i].seed_count;
    qg_status status = extend_arms(study, first, error);
    for (int i = 0; i < study->run_count; i++)
        study->runs[i].later_seeds = study->runs[i].seed_count - first[i];
    free(first);
    if (status) return status;
    for (int t = 0; t < study->task_count; t++)
        free(study->tasks[t].folder);
    free(study->tasks);
    study->tasks = NULL;
    study->task_count = 0;
    const study_reader reader = {study, study->path, NULL, error};
    return qg_study_plan(&reader);
}

/* -------------------------------------------------------------------------------------- file */

/* The hash of an arm's first task: a study whose runs were changed has other ones. */
static const char *arm_hash(const qg_study *study, int run)
{
    for (int t = 0; t < study->task_count; t++)
        if (study->tasks[t].run == run) return study->tasks[t].hash;
    return "";
}

static json_t *real(double value)
{
    return value == value ? json_real(value) : json_null();
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

qg_status qg_study_write_looks(const qg_study *study, const char *folder, qg_error *error)
{
    const qg_study_looks *looks = &study->looks;
    qg_json_watch();
    json_t *items = json_array();
    for (int k = 0; k < looks->count; k++)
        json_array_append_new(items, look_to_json(study, &looks->items[k]));
    json_t *all = json_pack("{s:i, s:i, s:s, s:o}", "format", 1, "max_seeds", looks->max_seeds,
                            "spending", qg_spending_name(looks->spending), "looks", items);
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

qg_seed_look *qg_study_add_look(qg_study *study, qg_error *error)
{
    qg_study_looks *looks = &study->looks;
    qg_seed_look *items = realloc(looks->items, ((size_t)looks->count + 1) * sizeof *items);
    qg_look_arm *arms = calloc((size_t)looks->arm_count + 1, sizeof *arms);
    if (items) looks->items = items;
    if (!items || !arms) {
        free(arms);
        qg_fail_memory(error, "a look", sizeof *items);
        return NULL;
    }
    qg_seed_look *look = &items[looks->count];
    *look = (qg_seed_look){.seeds = qg_looks_seeds(study, looks->count), .arms = arms};
    looks->count++;
    return look;
}

/* False: it is not of this study, or damaged; no memory: error->code says so. */
static bool read_look(qg_study *study, const json_t *json, qg_error *error)
{
    const json_t *arms = json_object_get(json, "arms");
    if ((int)json_array_size(arms) != study->looks.arm_count || study->looks.count == MOST_LOOKS)
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

static qg_status take_looks(qg_study *study, const char *folder, const json_t *json,
                            qg_error *error)
{
    const char *name = json_string_value(json_object_get(json, "spending"));
    const json_t *items = json_object_get(json, "looks");
    qg_spending spending;
    if (count_of(json, "format") != 1 || !name || !qg_spending_parse(name, &spending) ||
        !json_is_array(items))
        return qg_fail(error, QG_ERROR_DATA, "%s/looks.json: is not what this version writes",
                       folder);
    qg_status status = qg_study_begin_looks(study, count_of(json, "max_seeds"), spending, error);
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
    return status ? status : extend(study, error);
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

void qg_study_free_looks(qg_study_looks *looks)
{
    for (int k = 0; k < looks->count; k++)
        free(looks->items[k].arms);
    free(looks->items);
    *looks = (qg_study_looks){0};
}
