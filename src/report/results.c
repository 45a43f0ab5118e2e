/* From run folders to curves, from curves to pairs, from pairs to verdicts. */
#include "report/results.h"

#include "base/file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *qg_run_source(const qg_study *study, const qg_study_run *run)
{
    if (run->kind != QG_RUN_GRAFT) return "";
    return run->source >= 0 ? study->sources[run->source].name : "random";
}

void qg_run_copied(const qg_study_run *run, char text[64])
{
    const qg_graft_choice *choice = &run->choice;
    const char *how = run->freeze ? "frozen" : "free";
    text[0] = '\0';
    if (run->kind != QG_RUN_GRAFT) return;
    if (choice->first > 0) {
        snprintf(text, 64, "first %d %s", choice->first, how);
    } else if (choice->last > 0) {
        snprintf(text, 64, "last %d %s", choice->last, how);
    } else if (choice->part) {
        snprintf(text, 64, "%.40s %s", choice->part, how);
    } else {
        size_t used = (size_t)snprintf(text, 64, "layers");
        for (int l = 0; l < QG_MAX_LAYERS && used < 48; l++)
            if (choice->layers[l]) used += (size_t)snprintf(text + used, 64 - used, " %d", l + 1);
        snprintf(text + used, 64 - used, " %s", how);
    }
}

const qg_experiment *qg_results_experiment(const qg_results *results, int run)
{
    for (size_t i = 0; i < results->experiment_count; i++)
        if (results->experiments[i].run == run) return &results->experiments[i];
    return NULL;
}

static void *allocate(size_t count, size_t size, qg_error *error)
{
    void *memory = calloc(count + 1, size);
    if (!memory) qg_fail_memory(error, "the results of a study", (count + 1) * size);
    return memory;
}

/* ------------------------------------------------------------------------------ completeness */

/* A study with tasks to do is refused, unless what there is will do. */
static qg_status check_finished(const qg_results *r, qg_error *error)
{
    int missing = 0, first = -1;
    for (int t = 0; t < r->study->task_count; t++)
        if (r->statuses[t].state != QG_TASK_FINISHED) {
            if (first < 0) first = t;
            missing++;
        }
    if (missing == 0 || r->partial) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE,
                   "%s: %d of %d runs are not finished (%s is %s): 'qgraft run' goes on with them, "
                   "--partial reports what there is",
                   r->folder, missing, r->study->task_count, r->study->tasks[first].folder,
                   qg_task_state_name(r->statuses[first].state));
}

static qg_status look(qg_results *r, qg_error *error)
{
    const size_t tasks = (size_t)r->study->task_count;
    r->statuses = allocate(tasks, sizeof *r->statuses, error);
    r->facts = allocate(tasks, sizeof *r->facts, error);
    r->trainings = allocate(tasks, sizeof *r->trainings, error);
    r->runs = allocate((size_t)r->study->run_count, sizeof *r->runs, error);
    r->experiments = allocate((size_t)r->study->run_count, sizeof *r->experiments, error);
    if (!r->statuses || !r->facts || !r->trainings || !r->runs || !r->experiments)
        return error->code;
    const qg_status status = qg_study_look(r->study, r->folder, r->statuses, error);
    return status ? status : check_finished(r, error);
}

/* ------------------------------------------------------------------------------------ curves */

static bool has_begun(const qg_task_status *status)
{
    return status->state == QG_TASK_FINISHED || status->state == QG_TASK_RUNNING ||
           status->state == QG_TASK_STOPPED || status->state == QG_TASK_FAILED;
}

/* What cannot be used is an error, or a warning where what there is will do. */
static qg_status give_up(qg_results *r, qg_status status, qg_error *error)
{
    if (!r->partial || status == QG_ERROR_MEMORY) return status;
    const qg_error inner = *error;
    return qg_warn(&r->warnings, error, "%s; the seed was left out", inner.message);
}

/* Whether the curve goes as far as the run should. */
static qg_status check_length(const qg_results *r, const qg_study_task *task, const qg_curve *curve,
                              qg_error *error)
{
    const qg_study_run *run = &r->study->runs[task->run];
    if (curve->count < 2)
        return qg_fail(error, QG_ERROR_DATA, "%s/evaluations.csv: %zu evaluations, no curve yet",
                       task->folder, curve->count);
    const int64_t last = curve->steps[curve->count - 1];
    if (r->partial || last + run->settings.eval_every > run->steps) return QG_OK;
    return qg_fail(error, QG_ERROR_DATA,
                   "%s/evaluations.csv: ends at step %" PRId64 " of %" PRId64
                   ": --partial takes the steps that all runs have",
                   task->folder, last, run->steps);
}

static bool same_steps(const qg_curve *a, const qg_curve *b)
{
    const size_t common = a->count < b->count ? a->count : b->count;
    return memcmp(a->steps, b->steps, common * sizeof *a->steps) == 0;
}

/* Adds the curve of a task to its run's. */
static qg_status read_task(qg_results *r, int task_index, const char *folder, qg_error *error)
{
    const qg_study_task *task = &r->study->tasks[task_index];
    qg_run_result *run = &r->runs[task->run];
    qg_curve *curve = &run->read[run->curves.seed_count];
    qg_status status = qg_curve_read(folder, curve, &r->warnings, error);
    if (!status) status = qg_training_read(folder, &r->trainings[task_index], &r->warnings, error);
    if (!status) status = check_length(r, task, curve, error);
    if (!status && run->curves.seed_count > 0 && !same_steps(curve, &run->read[0]))
        status = qg_fail(error, QG_ERROR_DATA,
                         "%s/evaluations.csv: evaluated at other steps than the other seeds",
                         task->folder);
    if (status) {
        qg_curve_free(curve);
        return give_up(r, status, error);
    }
    const size_t seed = run->curves.seed_count++;
    run->seeds[seed] = task->seed;
    run->scores[seed] = curve->scores;
    if (seed == 0 || curve->count < run->curves.point_count) run->curves.point_count = curve->count;
    return QG_OK;
}

/* Reads what the folder of a task says; its curve, too, if it is to be shown. */
static qg_status visit_task(qg_results *r, int t, qg_error *error)
{
    const qg_study_task *task = &r->study->tasks[t];
    if (!has_begun(&r->statuses[t]))
        return qg_warn(&r->warnings, error, "%s is %s: not in this report", task->folder,
                       qg_task_state_name(r->statuses[t].state));
    char *folder = qg_path_join(r->folder, task->folder);
    if (!folder) return qg_fail_memory(error, "a path", strlen(r->folder));
    qg_status status = QG_OK;
    qg_run_facts_read(folder, &r->facts[t]);
    if (r->statuses[t].state == QG_TASK_FAILED)
        status =
            qg_warn(&r->warnings, error, "%s failed: %s", task->folder, r->statuses[t].message);
    if (!status && r->runs[task->run].shown) status = read_task(r, t, folder, error);
    free(folder);
    return status;
}

/* Of a run whose curves were read: its band, and what each seed reached. */
static qg_status measure_run(qg_results *r, int index, qg_error *error)
{
    const qg_study_run *run = &r->study->runs[index];
    qg_run_result *result = &r->runs[index];
    const qg_scale points = {.reference = 1, .threshold = 1};
    qg_curves *curves = &result->curves;
    size_t count;
    if (curves->seed_count == 0) return QG_OK;
    curves->seeds = result->seeds;
    curves->steps = result->read[0].steps;
    curves->scores = (const double *const *)result->scores;
    result->levels = allocate(curves->seed_count, sizeof *result->levels, error);
    result->band = allocate(curves->point_count, sizeof *result->band, error);
    if (!result->levels || !result->band) return error->code;
    qg_status status = qg_curve_of(curves, result->band, error);
    if (!status) status = qg_pairs_measure(curves, curves, &points, result->levels, &count, error);
    const int64_t last = curves->steps[curves->point_count - 1];
    if (status || last + run->settings.eval_every > run->steps) return status;
    return qg_warn(&r->warnings, error,
                   "%s is shown up to step %" PRId64 " of %" PRId64
                   ", which all seeds in this report have reached",
                   run->id, last, run->steps);
}

/* Finds the runs of which a seed has begun, or cannot; all others share one line. */
static qg_status warn_of_waiting(qg_results *r, bool *begun, qg_error *error)
{
    int waiting = 0;
    for (int t = 0; t < r->study->task_count; t++)
        begun[r->study->tasks[t].run] |= r->statuses[t].state != QG_TASK_WAITING;
    for (int i = 0; i < r->study->run_count; i++)
        waiting += !begun[i];
    if (waiting == 0) return QG_OK;
    return qg_warn(&r->warnings, error,
                   "%d of %d runs have not begun with any seed, and are not in this report",
                   waiting, r->study->run_count);
}

static qg_status read_runs(qg_results *r, qg_error *error)
{
    for (int i = 0; i < r->study->run_count; i++) {
        const qg_study_run *run = &r->study->runs[i];
        if (!run->listed || run->kind == QG_RUN_DISTILL) continue;
        r->runs[i].shown = true;
        if (run->kind == QG_RUN_GRAFT && run->baseline >= 0) r->runs[run->baseline].shown = true;
    }
    for (int i = 0; i < r->study->run_count; i++) {
        const size_t seeds = (size_t)r->study->runs[i].seed_count;
        r->runs[i].read = allocate(seeds, sizeof *r->runs[i].read, error);
        r->runs[i].seeds = allocate(seeds, sizeof *r->runs[i].seeds, error);
        r->runs[i].scores = allocate(seeds, sizeof *r->runs[i].scores, error);
        if (!r->runs[i].read || !r->runs[i].seeds || !r->runs[i].scores) return error->code;
    }
    bool *const begun = allocate((size_t)r->study->run_count, sizeof *begun, error);
    if (!begun) return error->code;
    qg_status status = warn_of_waiting(r, begun, error);
    for (int t = 0; t < r->study->task_count && !status; t++)
        if (begun[r->study->tasks[t].run]) status = visit_task(r, t, error);
    free(begun);
    if (status) return status;
    for (int i = 0; i < r->study->run_count; i++)
        if (measure_run(r, i, error)) return error->code;
    return QG_OK;
}

/* ------------------------------------------------------------------------------- experiments */

/* The verdict on one measure; not where it is undefined for a pair (no evaluation at step 0). */
static qg_status judge_measure(const qg_experiment *e, int measure, qg_verdict *verdict,
                               qg_error *error)
{
    const qg_estimate none = {NAN, NAN, NAN};
    double *values = allocate(e->pair_count, sizeof *values, error);
    if (!values) return error->code;
    bool defined = e->pair_count > 0;
    for (size_t i = 0; i < e->pair_count; i++) {
        values[i] = e->pairs[i].difference[measure];
        defined = defined && isfinite(values[i]);
    }
    qg_status status = QG_OK;
    *verdict = (qg_verdict){.reason = QG_NO_PAIRS, .bootstrap = none, .student = none};
    if (defined) status = qg_verdict_of(values, e->pair_count, QG_REPORT_SEED, verdict, error);
    free(values);
    return status;
}

/* That the area of one of the transfers is larger than that of one of the baselines. */
static qg_status find_probability(qg_experiment *e, qg_error *error)
{
    double *areas = allocate(2 * e->pair_count, sizeof *areas, error);
    if (!areas) return error->code;
    for (size_t i = 0; i < e->pair_count; i++) {
        areas[i] = e->pairs[i].transfer[QG_AREA];
        areas[e->pair_count + i] = e->pairs[i].baseline[QG_AREA];
    }
    const double *transfer = areas, *baseline = areas + e->pair_count;
    const qg_tasks x = {1, &e->pair_count, &transfer}, y = {1, &e->pair_count, &baseline};
    const qg_status status =
        qg_probability_of_improvement(&x, &y, QG_REPORT_SEED, &e->probability, error);
    free(areas);
    return status;
}

static qg_status judge(qg_experiment *e, qg_error *error)
{
    qg_status status = QG_OK;
    for (int m = 0; m < QG_MEASURES && !status; m++)
        status = judge_measure(e, m, &e->verdicts[m], error);
    if (!status) status = find_probability(e, error);
    return status ? status : qg_threshold_times_of(e->pairs, e->pair_count, &e->times, error);
}

static void explain(qg_experiment *e, const char *why)
{
    snprintf(e->problem, sizeof e->problem, "%s", why);
}

/* The pairs of a run and its baseline, at the steps that both have; a problem is written down. */
static qg_status pair_up(qg_results *r, qg_experiment *e, qg_error *error)
{
    const int baseline_run = r->study->runs[e->run].baseline;
    if (baseline_run < 0) {
        explain(e, "the study has no baseline for it");
        return QG_OK;
    }
    qg_curves transfer = r->runs[e->run].curves, baseline = r->runs[baseline_run].curves;
    if (transfer.seed_count == 0 || baseline.seed_count == 0) {
        explain(e, transfer.seed_count == 0 ? "there is no curve of it yet"
                                            : "there is no curve of its baseline yet");
        return QG_OK;
    }
    if (e->game->problem[0]) {
        explain(e, e->game->problem);
        return QG_OK;
    }
    if (baseline.point_count < transfer.point_count) transfer.point_count = baseline.point_count;
    baseline.point_count = transfer.point_count;
    e->point_count = transfer.point_count;
    e->pairs = allocate(transfer.seed_count, sizeof *e->pairs, error);
    if (!e->pairs) return error->code;
    if (qg_pairs_measure(&baseline, &transfer, &e->game->scale, e->pairs, &e->pair_count, error)) {
        explain(e, error->message);
        return QG_OK;
    }
    if (e->pair_count == 0) {
        explain(e, "it has no seed in common with its baseline");
        return QG_OK;
    }
    r->compared++;
    return judge(e, error);
}

static const qg_game_scale *find_game(const qg_results *r, const char *name)
{
    for (int g = 0; g < r->study->game_count; g++)
        if (strcmp(r->study->games[g].name, name) == 0) return &r->games[g];
    static const qg_game_scale unknown = {.problem = "the study does not list its game"};
    return &unknown;
}

/* The facts of a run: of its first seed that says something. */
static const qg_run_facts *find_facts(const qg_results *r, int run)
{
    static const qg_run_facts none;
    for (int t = 0; t < r->study->task_count; t++)
        if (r->study->tasks[t].run == run && r->facts[t].version[0]) return &r->facts[t];
    return &none;
}

static void find_source_game(const qg_results *r, qg_experiment *e)
{
    const int source = r->study->runs[e->run].source;
    const char *game = e->facts.parent_domain;
    if (source < 0)
        game = "";
    else if (r->study->sources[source].run >= 0)
        game = r->study->runs[r->study->sources[source].run].game;
    snprintf(e->source_game, sizeof e->source_game, "%s", game);
    e->control = source < 0 || strcmp(game, r->study->runs[e->run].game) == 0;
}

static qg_status compare(qg_results *r, qg_error *error)
{
    r->only_controls = true;
    for (int i = 0; i < r->study->run_count; i++) {
        const qg_study_run *run = &r->study->runs[i];
        if (!run->listed || run->kind != QG_RUN_GRAFT) continue;
        qg_experiment *e = &r->experiments[r->experiment_count++];
        *e = (qg_experiment){.run = i, .game = find_game(r, run->game), .facts = *find_facts(r, i)};
        find_source_game(r, e);
        r->only_controls = r->only_controls && e->control;
        if (pair_up(r, e, error)) return error->code;
    }
    return QG_OK;
}

/* ------------------------------------------------------------------------------- similarity */

/* The profile of a game, made when it is first asked for; NULL when it cannot be played here. */
static const qg_profile *find_profile(qg_results *r, const qg_results_options *options,
                                      const char *game, qg_profile *profiles, size_t *count)
{
    qg_error error;
    for (size_t i = 0; i < *count; i++)
        if (strcmp(profiles[i].domain, game) == 0) return profiles[i].game ? &profiles[i] : NULL;
    qg_profile *profile = &profiles[(*count)++];
    if (options->progress) options->progress(options->context, "looking at the games");
    if (qg_profile_create(game, QG_SIMILARITY_FRAMES, QG_REPORT_SEED, profile, &error) != QG_OK) {
        qg_error ignored;
        *profile = (qg_profile){0};
        snprintf(profile->domain, sizeof profile->domain, "%s", game);
        if (qg_warn(&r->warnings, &ignored, "similarity of %s: %s", game, error.message))
            return NULL;
    }
    return profile->game ? profile : NULL;
}

static qg_status find_similarities(qg_results *r, const qg_results_options *options,
                                   qg_error *error)
{
    size_t count = 0;
    qg_profile *profiles = allocate(2 * r->experiment_count, sizeof *profiles, error);
    if (!profiles) return error->code;
    for (size_t i = 0; i < r->experiment_count; i++) {
        qg_experiment *e = &r->experiments[i];
        if (!e->source_game[0]) continue;
        const qg_profile *a = find_profile(r, options, e->source_game, profiles, &count);
        const qg_profile *b =
            find_profile(r, options, r->study->runs[e->run].game, profiles, &count);
        e->has_similarity = a && b;
        if (e->has_similarity) qg_similarity_compare(a, b, &e->similarity);
    }
    for (size_t i = 0; i < count; i++)
        qg_profile_free(&profiles[i]);
    free(profiles);
    return QG_OK;
}

/* --------------------------------------------------------------------------------- the whole */

/* Results of different versions, or from different kernels, are not the same experiment. */
static qg_status warn_mixed(qg_results *r, qg_error *error)
{
    const qg_run_facts *first = NULL;
    qg_status status = QG_OK;
    for (int t = 0; t < r->study->task_count && !status; t++) {
        const qg_run_facts *facts = &r->facts[t];
        if (!facts->version[0]) continue;
        if (!first) first = facts;
        if (strcmp(facts->version, first->version) != 0)
            status = qg_warn(&r->warnings, error, "runs of qgraft %s and %s are mixed",
                             first->version, facts->version);
        if (!status && strcmp(facts->instruction_set, first->instruction_set) != 0)
            status =
                qg_warn(&r->warnings, error, "runs with the instruction sets %s and %s are mixed",
                        first->instruction_set, facts->instruction_set);
    }
    return status;
}

static qg_status fill(qg_results *r, const qg_results_options *options, qg_error *error)
{
    qg_status status = look(r, error);
    if (!status) status = read_runs(r, error);
    if (!status) status = warn_mixed(r, error);
    if (!status) status = qg_results_find_scales(r, options, error);
    if (!status) status = compare(r, error);
    if (!status) status = qg_results_judge(r, error);
    return status ? status : find_similarities(r, options, error);
}

qg_status qg_results_create(const qg_study *study, const char *folder,
                            const qg_results_options *options, qg_results **results,
                            qg_error *error)
{
    *results = allocate(0, sizeof **results, error);
    if (!*results) return error->code;
    **results = (qg_results){.study = study, .folder = folder, .partial = options->partial};
    const qg_status status = fill(*results, options, error);
    if (status) {
        qg_results_free(*results);
        *results = NULL;
    }
    return status;
}

static void free_run(qg_run_result *run)
{
    for (size_t s = 0; s < run->curves.seed_count; s++)
        qg_curve_free(&run->read[s]);
    free(run->read);
    free(run->seeds);
    free(run->scores);
    free(run->levels);
    free(run->band);
}

void qg_results_free(qg_results *r)
{
    if (!r) return;
    for (int i = 0; r->runs && i < r->study->run_count; i++)
        free_run(&r->runs[i]);
    for (size_t i = 0; i < r->experiment_count; i++)
        free(r->experiments[i].pairs);
    free(r->statuses);
    free(r->facts);
    free(r->trainings);
    free(r->runs);
    free(r->games);
    free(r->experiments);
    free(r->claims);
    qg_warnings_free(&r->warnings);
    free(r);
}
