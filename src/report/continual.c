#include "report/continual.h"

#include "base/file.h"
#include "report/stages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINKS = 64 };

/* -------------------------------------------------------------------- what the runs have written
 */

static char *folder_of(const qg_results *r, int task)
{
    return qg_path_join(r->folder, r->study->tasks[task].folder);
}

/* On another game; NaN: there is none. */
static qg_status read_other_score(qg_results *r, int task, const char *game, int64_t step,
                                  double *score, qg_error *error)
{
    char *folder = folder_of(r, task);
    if (!folder) return qg_fail_memory(error, "a path", strlen(r->folder));
    const qg_status status = qg_other_score_read(folder, game, step, score, &r->warnings, error);
    free(folder);
    return status;
}

/* The own score at a step (-1: the last one), and the step of the best one behind the first. */
static qg_status read_own_score(qg_results *r, int task, int64_t step, double *score, int64_t *best,
                                qg_error *error)
{
    qg_curve curve = {0};
    char *folder = folder_of(r, task);
    if (!folder) return qg_fail_memory(error, "a path", strlen(r->folder));
    const qg_status status = qg_curve_read(folder, &curve, &r->warnings, error);
    free(folder);
    double highest = NAN;
    *score = NAN;
    *best = -1;
    for (size_t i = 0; i < curve.count; i++) {
        if (step < 0 || curve.steps[i] == step) *score = curve.scores[i];
        if (i == 0 || curve.scores[i] <= highest) continue;
        highest = curve.scores[i];
        *best = curve.steps[i];
    }
    qg_curve_free(&curve);
    return status;
}

/* The step of the network that a source takes of its run; -1: the last one. */
static qg_status find_taken(qg_results *r, const qg_study_source *source, int task, int64_t *step,
                            qg_error *error)
{
    double ignored;
    int64_t best;
    *step = source->take == QG_TAKE_STEP ? source->at : -1;
    if (source->take != QG_TAKE_BEST) return QG_OK;
    const qg_status status = read_own_score(r, task, -1, &ignored, &best, error);
    *step = best;
    return status;
}

/* ------------------------------------------------------------------------------------ the chains
 */

/* A chain from its end: the run, the run that its layers come from, and so on. */
typedef struct chain {
    int tasks[MOST_LINKS];
    int64_t steps[MOST_LINKS]; /* of the network that is handed on; of the end -1 */
    int count;
} chain;

static const qg_study_run *link_of(const qg_results *r, const chain *c, int i)
{
    return &r->study->runs[r->study->tasks[c->tasks[i]].run];
}

static qg_status follow(qg_results *r, int task, chain *c, qg_error *error)
{
    const qg_study *const study = r->study;
    *c = (chain){.tasks = {task}, .steps = {-1}, .count = 1};
    qg_status status = QG_OK;
    while (c->count < MOST_LINKS && !status) {
        const qg_study_task *const last = &study->tasks[c->tasks[c->count - 1]];
        const qg_study_run *const run = &study->runs[last->run];
        if (run->kind != QG_RUN_GRAFT || run->source < 0 || last->parent_count != 1) break;
        /* A student of several teachers has no curve of one game. */
        if (study->runs[study->tasks[last->parents[0]].run].teacher_count > 1) break;
        c->tasks[c->count] = last->parents[0];
        status = find_taken(r, &study->sources[run->source], last->parents[0], &c->steps[c->count],
                            error);
        c->count++;
    }
    return status;
}

static bool evaluates(const qg_study_run *run, const char *game)
{
    for (int i = 0; i < run->also_evaluate_count; i++)
        if (strcmp(run->also_evaluate[i], game) == 0) return true;
    return false;
}

static qg_status add(qg_results *r, const qg_continual *found, qg_error *error)
{
    qg_continual *const more =
        realloc(r->continual, (r->continual_count + 1) * sizeof *r->continual);
    if (!more) return qg_fail_memory(error, "the results of a study", sizeof *more);
    r->continual = more;
    r->continual[r->continual_count++] = *found;
    return QG_OK;
}

/* An earlier game of the chain, from the link that trained on it last. */
static qg_status find_backward(qg_results *r, const chain *c, const char *game, qg_error *error)
{
    const qg_study_task *const end = &r->study->tasks[c->tasks[0]];
    qg_continual found = {.run = end->run, .seed = end->seed, .game = game};
    int learned = 1;
    int64_t ignored;
    while (learned < c->count && strcmp(link_of(r, c, learned)->game, game) != 0)
        learned++;
    if (learned == c->count) return QG_OK;
    found.other = r->study->tasks[c->tasks[learned]].run;
    qg_status status =
        read_own_score(r, c->tasks[learned], c->steps[learned], &found.reference, &ignored, error);
    if (!status) status = read_other_score(r, c->tasks[0], game, -1, &found.value, error);
    double highest = found.reference;
    for (int i = 1; i < learned && !status; i++) {
        double between = NAN;
        if (evaluates(link_of(r, c, i), game))
            status = read_other_score(r, c->tasks[i], game, c->steps[i], &between, error);
        highest = fmax(highest, between);
    }
    found.forgetting = highest - found.value;
    if (status || isnan(found.reference) || isnan(found.value)) return status;
    return add(r, &found, error);
}

static int find_task(const qg_study *study, int run, uint64_t seed)
{
    for (int i = 0; i < study->task_count; i++)
        if (study->tasks[i].run == run && study->tasks[i].seed == seed) return i;
    return -1;
}

/* The game that the run trains on, before it does. */
static qg_status find_forward(qg_results *r, const chain *c, qg_error *error)
{
    const qg_study_task *const end = &r->study->tasks[c->tasks[0]];
    const qg_study_run *const run = link_of(r, c, 0);
    qg_continual found = {
        .run = end->run, .seed = end->seed, .forward = true, .game = run->game, .forgetting = NAN};
    const int fresh = run->baseline >= 0 ? find_task(r->study, run->baseline, end->seed) : -1;
    if (c->count < 2 || fresh < 0 || r->statuses[fresh].state != QG_TASK_FINISHED ||
        !evaluates(link_of(r, c, 1), run->game))
        return QG_OK;
    int64_t ignored;
    found.other = r->study->tasks[c->tasks[1]].run;
    qg_status status = read_own_score(r, fresh, 0, &found.reference, &ignored, error);
    if (!status)
        status = read_other_score(r, c->tasks[1], run->game, c->steps[1], &found.value, error);
    if (status || isnan(found.reference) || isnan(found.value)) return status;
    return add(r, &found, error);
}

/* Of the chain that a task ends. */
static qg_status find_all(qg_results *r, int task, qg_error *error)
{
    const qg_study_run *const run = &r->study->runs[r->study->tasks[task].run];
    chain c;
    qg_status status = follow(r, task, &c, error);
    for (int i = 0; i < run->also_evaluate_count && !status; i++)
        status = find_backward(r, &c, run->also_evaluate[i], error);
    return status ? status : find_forward(r, &c, error);
}

qg_status qg_results_find_continual(qg_results *r, qg_error *error)
{
    const qg_study *const study = r->study;
    qg_status status = QG_OK;
    for (int t = 0; t < study->task_count && !status; t++) {
        const qg_study_run *const run = &study->runs[study->tasks[t].run];
        if (run->kind != QG_RUN_GRAFT || run->source < 0 ||
            r->statuses[t].state != QG_TASK_FINISHED)
            continue;
        status = find_all(r, t, error);
        if (status) status = qg_results_do_without(r, "what it shows of its chain", status, error);
    }
    return status;
}
