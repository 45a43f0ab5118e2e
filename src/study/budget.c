/* What a run costs, with all that it rests on. */
#include "study/reader.h"

#include "base/text.h"
#include "study/kinds.h"
#include "transfer/fisher.h"

#include <stdlib.h>
#include <string.h>

/* Updates without steps, as the steps in which a training makes as many. */
static double as_steps(const qg_study_run *run, double updates)
{
    return updates * (double)run->settings.update_every;
}

/* What a graft takes beside its steps: QDagger's updates, and the play that EWC looks at. */
static double beside_steps(const qg_study_run *run)
{
    if (run->kind != QG_RUN_GRAFT) return 0;
    const qg_graft_learning *const l = &run->choice.learning;
    const int64_t samples = l->ewc_samples ? l->ewc_samples : QG_EWC_SAMPLES;
    return as_steps(run, (double)run->choice.reuse.qdagger) +
           (l->ewc > 0 ? (double)samples * QG_FISHER_APART : 0);
}

/* The teachers' play, and the student's updates on it. */
static double cost_of_distillation(const qg_study_run *run)
{
    qg_temperatures temperatures;
    qg_error ignored;
    if (qg_temperatures_parse(run->temperature, &temperatures, &ignored)) return 0;
    const double samples = (double)run->steps * run->teacher_count;
    const double held_out = (double)qg_held_out(run->steps) * run->teacher_count;
    const double lessons = samples * temperatures.count;
    return samples + held_out + as_steps(run, lessons / run->settings.minibatch);
}

/* Marks what `run` begins from: of each run of the study the steps that are needed of it, and which
 * given files. Runs stand behind those that they begin from. */
static void need_sources(const qg_study *study, const qg_study_run *run, int64_t *needed,
                         bool *files)
{
    int sources[QG_MAX_TEACHERS];
    const int count = qg_study_kind_of(run)->sources(run, sources);
    for (int i = 0; i < count; i++) {
        if (sources[i] < 0) continue;
        const qg_study_source *const source = &study->sources[sources[i]];
        if (source->run < 0) {
            files[sources[i]] = true;
            continue;
        }
        const int64_t steps =
            source->take == QG_TAKE_STEP ? source->at : study->runs[source->run].steps;
        if (steps > needed[source->run]) needed[source->run] = steps;
    }
}

static void add_cost(const qg_study_run *run, int64_t steps, qg_study_budget *budget)
{
    if (run->kind == QG_RUN_DISTILL)
        budget->distillation += cost_of_distillation(run);
    else
        budget->training += (double)steps;
    budget->offline += beside_steps(run);
}

qg_status qg_study_budget_of(const qg_study *study, int index, qg_study_budget *budget,
                             qg_error *error)
{
    const qg_study_run *const run = &study->runs[index];
    const size_t runs = (size_t)study->run_count, sources = (size_t)study->source_count;
    int64_t *const needed = calloc(runs + 1, sizeof *needed);
    bool *const files = calloc(sources + 1, sizeof *files);
    *budget = (qg_study_budget){.offline = beside_steps(run), .steps = (double)run->steps};
    const bool room = needed && files;
    if (room) need_sources(study, run, needed, files);
    for (int i = study->run_count; room && i-- > 0;) {
        if (needed[i] == 0) continue;
        need_sources(study, &study->runs[i], needed, files);
        add_cost(&study->runs[i], needed[i], budget);
    }
    for (size_t i = 0; room && i < sources; i++)
        if (files[i]) budget->training += (double)study->sources[i].file_step;
    free(needed);
    free(files);
    return room ? QG_OK : qg_fail_memory(error, "a budget", runs * sizeof *needed);
}

double qg_study_budget_before(const qg_study_budget *budget)
{
    return budget->training + budget->distillation + budget->offline;
}

/* ------------------------------------------------------------------------- long baselines */

/* The steps that the most expensive listed graft of a baseline takes in all; 0: it has none. */
static qg_status find_longest(const qg_study *study, int baseline, double *longest, qg_error *error)
{
    *longest = 0;
    for (int i = 0; i < study->run_count; i++) {
        const qg_study_run *const run = &study->runs[i];
        qg_study_budget budget;
        if (!run->listed || run->kind != QG_RUN_GRAFT || run->baseline != baseline) continue;
        const qg_status status = qg_study_budget_of(study, i, &budget, error);
        if (status) return status;
        const double all = qg_study_budget_before(&budget) + budget.steps;
        if (all > *longest) *longest = all;
    }
    return QG_OK;
}

/* The baseline once more, with more steps. */
static qg_status lengthen(const study_reader *reader, int baseline, double steps)
{
    const qg_study_run *const shorter = &reader->study->runs[baseline];
    const size_t bytes = (size_t)shorter->seed_count * sizeof *shorter->seeds;
    qg_study_run run = *shorter;
    if (steps > 1e12)
        return qg_study_fail(reader, shorter->line,
                             "long_baseline: that of '%s' would have %.0f steps", shorter->id,
                             steps);
    run.steps = (int64_t)steps;
    run.listed = false; /* one that is listed anyway serves */
    run.snapshots = NULL;
    run.snapshot_count = 0;
    run.seeds = malloc(bytes);
    if (!run.seeds) return qg_fail_memory(reader->error, "seeds", bytes);
    memcpy(run.seeds, shorter->seeds, bytes);
    if (qg_study_append_id(run.id, "-long")) {
        int index;
        const qg_status status = qg_study_add_run(reader, &run, &index);
        if (status) return status;
        reader->study->runs[index].listed = true; /* the report shows it */
        reader->study->runs[baseline].long_run = index;
        return QG_OK;
    }
    qg_study_free_run(&run);
    return qg_study_fail(reader, shorter->line,
                         "long_baseline: the name made of '%s' is too long: give it a shorter "
                         "'name'",
                         shorter->id);
}

qg_status qg_study_add_long_baselines(const study_reader *reader)
{
    const qg_study *const study = reader->study;
    const qg_yaml *const node = qg_yaml_get(reader->root, "long_baseline");
    const char *text = NULL;
    bool wanted = false;
    qg_status status = qg_study_text(reader, reader->root, "long_baseline", &text);
    if (!status && text && !qg_text_to_boolean(text, &wanted))
        status = qg_study_fail(reader, node->line,
                               "long_baseline: '%.60s' is neither true nor false", text);
    const int count = study->run_count;
    for (int i = 0; i < count && wanted && !status; i++) {
        double steps = 0;
        status = find_longest(study, i, &steps, reader->error);
        if (!status && steps > (double)study->runs[i].steps) status = lengthen(reader, i, steps);
    }
    return status;
}
