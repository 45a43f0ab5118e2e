/* Studies that look several times and give more seeds to what is not decided: their rule, and the
 * seeds that follow from what was seen. */
#include "study/kinds.h"
#include "study/reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SEEDS = 1000 };

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
        (max_seeds + first - 1) / first > QG_MOST_LOOKS)
        return qg_fail(error, QG_ERROR_USAGE,
                       "`max_seeds`: %" PRId64
                       " is not between the %d of the first look and %d (in "
                       "at most %d looks)",
                       max_seeds, first, MOST_SEEDS, QG_MOST_LOOKS);
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

/* ... to a baseline, and to the one that trains longer. */
static qg_status need_baseline_seed(qg_study *study, int baseline, uint64_t seed, qg_error *error)
{
    const int long_run = study->runs[baseline].long_run;
    const qg_status status = need_seed(study, baseline, seed, error);
    return status || long_run < 0 ? status : need_seed(study, long_run, seed, error);
}

/* The arm's seeds up to `wanted`, and those of its baseline in proportion. */
static qg_status extend_arm(qg_study *study, int arm, int wanted, qg_error *error)
{
    const int baseline = study->runs[arm].baseline;
    const uint64_t *const own = study->runs[baseline].file_seeds;
    const int count = study->runs[baseline].file_seed_count;
    qg_status status = QG_OK;
    for (int i = study->seed_count; i < wanted && !status; i++)
        status = need_seed(study, arm, seed_at(study->seeds, study->seed_count, i), error);
    const int64_t all = (int64_t)count * wanted;
    const int most = (int)((all + study->seed_count - 1) / study->seed_count);
    for (int i = count; i < most && !status; i++)
        status = need_baseline_seed(study, baseline, seed_at(own, count, i), error);
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

static qg_status extend_arms(qg_study *study, qg_error *error)
{
    qg_status status = QG_OK;
    for (int i = 0, arm = 0; i < study->run_count && !status; i++)
        if (qg_looks_arm(&study->runs[i]))
            status = extend_arm(study, i, wanted_seeds(study, arm++), error);
    return status;
}

static qg_status keep_file_seeds(qg_study *study, qg_error *error)
{
    for (int i = 0; i < study->run_count; i++) {
        qg_study_run *run = &study->runs[i];
        const size_t bytes = (size_t)run->seed_count * sizeof *run->seeds;
        run->file_seeds = malloc(bytes + 1);
        if (!run->file_seeds) return qg_fail_memory(error, "seeds", bytes);
        memcpy(run->file_seeds, run->seeds, bytes);
        run->file_seed_count = run->seed_count;
    }
    return QG_OK;
}

bool qg_looks_first_seed(const qg_study_run *run, uint64_t seed)
{
    for (int i = 0; i < run->file_seed_count; i++)
        if (run->file_seeds[i] == seed) return true;
    return !run->file_seeds;
}

/* Gives all runs the seeds that follow from the looks, and plans anew. */
qg_status qg_study_extend(qg_study *study, qg_error *error)
{
    qg_status status = keep_file_seeds(study, error);
    if (!status) status = extend_arms(study, error);
    if (status) return status;
    for (int t = 0; t < study->task_count; t++)
        free(study->tasks[t].folder);
    free(study->tasks);
    study->tasks = NULL;
    study->task_count = 0;
    const study_reader reader = {study, study->path, NULL, error};
    return qg_study_plan(&reader);
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

void qg_study_free_looks(qg_study_looks *looks)
{
    for (int k = 0; k < looks->count; k++)
        free(looks->items[k].arms);
    free(looks->items);
    *looks = (qg_study_looks){0};
}
