/* The plan: a task for every run and seed, what it waits for, and the hash of all that determines
 * its result. */
#include "base/file.h"
#include "base/text.h"
#include "study/kinds.h"
#include "study/reader.h"

#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TASKS = 100000 }; /* a file of a few bytes can ask for 10^12 */

/* What a network's file is known by. */
typedef struct file_sums {
    char file[65];    /* SHA-256 of its bytes */
    char network[65]; /* of its tensors and architecture, the same for every file that holds them */
    char play[65];    /* of what says how it is played: game, actions, history */
} file_sums;

typedef struct planner {
    const study_reader *reader;
    int *first_task;  /* [runs]: tasks of a run stand together, in the order of its seeds */
    file_sums **sums; /* [sources][files] */
} planner;

static int seed_index(const uint64_t *seeds, int count, uint64_t seed)
{
    for (int i = 0; i < count; i++)
        if (seeds[i] == seed) return i;
    return -1;
}

/* The task that makes a source's network for a seed. */
static qg_status find_parent(const planner *p, const qg_study_run *run, uint64_t seed, int source,
                             qg_study_task *task)
{
    const qg_study *const study = p->reader->study;
    const qg_study_source *const s = &study->sources[source];
    if (s->run < 0) {
        if (s->file_count == 1 || seed_index(study->seeds, study->seed_count, seed) >= 0)
            return QG_OK;
        return qg_study_fail(
            p->reader, run->line,
            "seeds: '%s' has a network for each seed of the study, none for %" PRIu64, s->name,
            seed);
    }
    const qg_study_run *const maker = &study->runs[s->run];
    const int index = seed_index(maker->seeds, maker->seed_count, seed);
    if (index < 0)
        return qg_study_fail(p->reader, run->line,
                             "seeds: '%s' needs seed %" PRIu64 " of the source '%s', which has "
                             "other seeds",
                             run->id, seed, s->name);
    task->parents[task->parent_count++] = p->first_task[s->run] + index;
    return QG_OK;
}

/* What a network's file is made of: the hash of the task that makes it, or of the file itself, or
 * (`by_network`) of the network in it. */
static void describe_source(FILE *out, const planner *p, const qg_study_run *run,
                            const qg_study_task *task, int source, bool by_network, int *parent)
{
    const qg_study *const study = p->reader->study;
    const qg_study_source *const s = &study->sources[source];
    if (s->run >= 0) {
        const qg_study_task *const maker = &study->tasks[task->parents[(*parent)++]];
        fprintf(out, "network %s take %d at %" PRId64 "\n",
                by_network ? maker->result_network_hash : maker->result_hash, (int)s->take, s->at);
        return;
    }
    const int file =
        s->file_count == 1 ? 0 : seed_index(study->seeds, study->seed_count, task->seed);
    const file_sums *const sums = &p->sums[source][file];
    fprintf(out, "file %s\n", by_network ? sums->network : sums->file);
    if (by_network && run->kind == QG_RUN_GRAFT &&
        (run->choice.learning.ewc > 0 || qg_graft_reuses(&run->choice)))
        fprintf(out, "played as %s\n", sums->play); /* which the run depends on, too */
}

/* The preset is a name only: what it set is all here. A setting that is newer than studies is
 * passed over where it has the value that all had before, so that what they have made stays theirs.
 */
static bool is_hashed(const qg_setting *setting, const char *value)
{
    return !qg_setting_is_old(setting, value) && strcmp(setting->name, "preset") != 0;
}

/* What a hash is of. */
typedef struct hash_of {
    bool by_network; /* a given file is known by the network in it */
    bool whole;      /* with `also_evaluate`, by which nothing else of the run changes */
} hash_of;

static void describe_run(FILE *out, const planner *p, const qg_study_run *run,
                         const qg_study_task *task, hash_of what)
{
    size_t count;
    const qg_setting *const table = qg_settings_table(&count);
    fprintf(out, "qgraft task 1\n%s %s steps %" PRId64 " seed %" PRIu64 "\n",
            qg_run_kind_name(run->kind), run->game, run->steps, task->seed);
    for (size_t i = 0; i < count; i++) {
        char value[sizeof run->settings.network];
        qg_setting_format(&run->settings, &table[i], value, sizeof value);
        if (is_hashed(&table[i], value)) fprintf(out, "%s: %s\n", table[i].name, value);
    }
    for (int i = 0; i < run->also_evaluate_count && what.whole; i++)
        fprintf(out, "also evaluate %s\n", run->also_evaluate[i]);
    int sources[QG_MAX_TEACHERS], parent = 0;
    const qg_study_kind *const kind = qg_study_kind_of(run);
    const int source_count = kind->sources(run, sources);
    for (int i = 0; i < source_count; i++)
        describe_source(out, p, run, task, sources[i], what.by_network, &parent);
    kind->describe(run, out);
}

static qg_status hash_task(const planner *p, const qg_study_run *run, const qg_study_task *task,
                           hash_of what, char hash[65])
{
    char *text = NULL;
    size_t size = 0;
    FILE *const out = qg_text_stream(&text, &size);
    if (!out) return qg_fail_memory(p->reader->error, "a plan", 0);
    describe_run(out, p, run, task, what);
    const bool failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        free(text);
        return qg_fail_memory(p->reader->error, "a plan", size);
    }
    SHA256Data((const uint8_t *)text, size, hash);
    free(text);
    return QG_OK;
}

static qg_status hash_all(const planner *p, const qg_study_run *run, qg_study_task *task)
{
    qg_status status = hash_task(p, run, task, (hash_of){false, true}, task->hash);
    if (!status) status = hash_task(p, run, task, (hash_of){true, true}, task->network_hash);
    memcpy(task->result_hash, task->hash, sizeof task->hash);
    memcpy(task->result_network_hash, task->network_hash, sizeof task->network_hash);
    if (status || run->also_evaluate_count == 0) return status;
    status = hash_task(p, run, task, (hash_of){false, false}, task->result_hash);
    return status ? status
                  : hash_task(p, run, task, (hash_of){true, false}, task->result_network_hash);
}

static qg_status add_task(const planner *p, int run_index, uint64_t seed)
{
    qg_study *const study = p->reader->study;
    const qg_study_run *const run = &study->runs[run_index];
    if (study->task_count == MOST_TASKS)
        return qg_study_fail(p->reader, run->line, "more than %d runs with their seeds",
                             MOST_TASKS);
    qg_study_task *const task =
        qg_study_append(p->reader, &study->tasks, &study->task_count, sizeof *task);
    if (!task) return QG_ERROR_MEMORY;
    task->run = run_index;
    task->seed = seed;
    if (asprintf(&task->folder, "runs/%s/s%" PRIu64, run->id, seed) < 0) {
        task->folder = NULL;
        return qg_fail_memory(p->reader->error, "a plan", 0);
    }
    int sources[QG_MAX_TEACHERS];
    const int source_count = qg_study_kind_of(run)->sources(run, sources);
    qg_status status = QG_OK;
    for (int i = 0; i < source_count && !status; i++)
        status = find_parent(p, run, seed, sources[i], task);
    return status ? status : hash_all(p, run, task);
}

static qg_status hash_file(const char *path, file_sums *sums, qg_error *error)
{
    qg_network network;
    qg_network_info info;
    qg_status status = qg_sha256_file(path, sums->file, error);
    if (!status) status = qg_network_load(path, &network, &info, error);
    if (status) return status;
    qg_network_sha256(&network, sums->network);
    qg_network_free(&network);
    char *play;
    const int size = asprintf(&play, "%s\n%s\n%d\n", info.domain, info.actions, info.history);
    if (size < 0) return qg_fail_memory(error, "a plan", sizeof info.actions);
    SHA256Data((const uint8_t *)play, (size_t)size, sums->play);
    free(play);
    return QG_OK;
}

static qg_status hash_files(planner *p)
{
    const qg_study *const study = p->reader->study;
    for (int i = 0; i < study->source_count; i++) {
        const qg_study_source *const source = &study->sources[i];
        if (!source->file_count) continue;
        p->sums[i] = calloc((size_t)source->file_count, sizeof *p->sums[i]);
        if (!p->sums[i]) return qg_fail_memory(p->reader->error, "a plan", 0);
        for (int f = 0; f < source->file_count; f++)
            if (hash_file(source->files[f], &p->sums[i][f], p->reader->error))
                return qg_study_locate(p->reader, source->line);
    }
    return QG_OK;
}

static qg_status add_tasks(planner *p)
{
    const qg_study *const study = p->reader->study;
    qg_status status = hash_files(p);
    for (int r = 0; r < study->run_count && !status; r++) {
        p->first_task[r] = study->task_count;
        for (int s = 0; s < study->runs[r].seed_count && !status; s++)
            status = add_task(p, r, study->runs[r].seeds[s]);
    }
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

qg_status qg_study_plan(const study_reader *reader)
{
    const qg_study *const study = reader->study;
    for (int r = 0; r < study->run_count; r++) /* in whatever order the file has them */
        qsort(study->runs[r].also_evaluate, (size_t)study->runs[r].also_evaluate_count,
              sizeof *study->runs[r].also_evaluate, compare_names);
    planner p = {reader, calloc((size_t)study->run_count + 1, sizeof *p.first_task),
                 calloc((size_t)study->source_count + 1, sizeof *p.sums)};
    const qg_status status =
        p.first_task && p.sums ? add_tasks(&p) : qg_fail_memory(reader->error, "a plan", 0);
    for (int i = 0; p.sums && i < study->source_count; i++)
        free(p.sums[i]);
    free(p.sums);
    free(p.first_task);
    return status;
}
