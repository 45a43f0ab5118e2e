/* The runs of a study, each once: what is the same but for its seeds is one run. */
#include "study/reader.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_RUNS = 5000 };

static bool same_run(const qg_study_run *a, const qg_study_run *b)
{
    return a->kind == b->kind && strcmp(a->game, b->game) == 0 && a->steps == b->steps &&
           a->source == b->source && a->order == b->order && a->loss == b->loss &&
           a->epsilon == b->epsilon && a->teacher_count == b->teacher_count &&
           memcmp(a->teachers, b->teachers, sizeof a->teachers) == 0 &&
           strcmp(a->temperature, b->temperature) == 0 &&
           qg_graft_choice_equal(&a->choice, &b->choice) &&
           qg_settings_equal(&a->settings, &b->settings);
}

/* `run` takes over the seeds of `other`, which it lacks, in their order. */
static qg_status merge_seeds(const study_reader *reader, qg_study_run *run,
                             const qg_study_run *other)
{
    const size_t room = (size_t)run->seed_count + (size_t)other->seed_count;
    uint64_t *const merged = calloc(room, sizeof *merged);
    if (!merged) return qg_fail_memory(reader->error, "seeds", room * sizeof *merged);
    int count = 0;
    for (int i = 0, j = 0; i < run->seed_count || j < other->seed_count;) {
        const bool own =
            j == other->seed_count || (i < run->seed_count && run->seeds[i] <= other->seeds[j]);
        const uint64_t seed = own ? run->seeds[i++] : other->seeds[j++];
        if (!count || merged[count - 1] != seed) merged[count++] = seed;
    }
    free(run->seeds);
    run->seeds = merged;
    run->seed_count = count;
    return QG_OK;
}

/* `run` is evaluated on the games of `other`, too: they determine nothing of its result. */
static qg_status merge_other_games(const study_reader *reader, qg_study_run *run,
                                   const qg_study_run *other)
{
    for (int i = 0; i < other->also_evaluate_count; i++) {
        int k = 0;
        while (k < run->also_evaluate_count &&
               strcmp(run->also_evaluate[k], other->also_evaluate[i]) != 0)
            k++;
        if (k < run->also_evaluate_count) continue;
        if (k == QG_MAX_OTHER_GAMES)
            return qg_study_fail(reader, other->line, "also_evaluate: at most %d games",
                                 QG_MAX_OTHER_GAMES);
        memcpy(run->also_evaluate[run->also_evaluate_count++], other->also_evaluate[i],
               sizeof run->also_evaluate[0]);
    }
    return QG_OK;
}

static qg_status merge(const study_reader *reader, qg_study_run *found, const qg_study_run *run)
{
    if (found->listed && run->listed)
        return qg_study_fail(reader, run->line,
                             "runs: '%s' is the same run as that of line %d: leave one out",
                             run->id, found->line);
    if (run->listed) {
        found->listed = true;
        found->place = run->place;
        found->line = run->line;
        memcpy(found->id, run->id, sizeof found->id);
        memcpy(found->group, run->group, sizeof found->group);
    }
    const qg_status status = merge_other_games(reader, found, run);
    return status ? status : merge_seeds(reader, found, run);
}

/* The name makes the folder: no other run has it. */
static qg_status check_id(const study_reader *reader, const qg_study_run *run)
{
    const qg_study *const study = reader->study;
    for (int i = 0; i < study->run_count; i++) {
        const qg_study_run *const other = &study->runs[i];
        if (strcmp(other->id, run->id) == 0 && !same_run(other, run))
            return qg_study_fail(reader, run->line,
                                 "'%s' is also what the run of line %d is called: give one of "
                                 "them another 'name'",
                                 run->id, other->line);
    }
    return QG_OK;
}

qg_status qg_study_add_run(const study_reader *reader, qg_study_run *run, int *index)
{
    qg_study *const study = reader->study;
    int same = 0;
    while (same < study->run_count && !same_run(&study->runs[same], run))
        same++;
    const bool is_new = same == study->run_count;
    qg_status status = is_new || run->listed ? check_id(reader, run) : QG_OK;
    if (!is_new) {
        *index = same;
        if (!status) status = merge(reader, &study->runs[same], run);
        qg_study_free_run(run);
        return status;
    }
    if (!status && study->run_count == MOST_RUNS)
        status = qg_study_fail(reader, run->line, "more than %d runs", MOST_RUNS);
    qg_study_run *const place =
        status ? NULL : qg_study_append(reader, &study->runs, &study->run_count, sizeof *run);
    if (!place) {
        qg_study_free_run(run);
        return status ? status : QG_ERROR_MEMORY;
    }
    *place = *run;
    *index = study->run_count - 1;
    return QG_OK;
}
