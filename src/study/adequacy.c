/* What can be known before the first run: what a study is too small for, and what it may be taken
 * for without being it. */
#include <qgraft/study.h>

#include <stdio.h>

enum { FEW_EVALUATIONS = 10, FEW_SEEDS = QG_ENOUGH_SEEDS };

/* Runs with the same shortcoming share a line. */
typedef bool shortcoming(const qg_study_run *run);

static bool learns(const qg_study_run *run)
{
    return run->kind == QG_RUN_TRAIN || run->kind == QG_RUN_GRAFT;
}

static int64_t evaluations(const qg_study_run *run)
{
    return run->steps / run->settings.eval_every;
}

static bool never_learns(const qg_study_run *run)
{
    return run->steps <= run->settings.learn_start;
}

static bool explores_to_the_end(const qg_study_run *run)
{
    return !never_learns(run) &&
           run->settings.learn_start + run->settings.epsilon_steps > run->steps;
}

static bool is_rarely_evaluated(const qg_study_run *run)
{
    return evaluations(run) < FEW_EVALUATIONS;
}

/* The window of the jumpstart is the first tenth. */
static bool has_short_windows(const qg_study_run *run)
{
    return !is_rarely_evaluated(run) && evaluations(run) < 2 * FEW_EVALUATIONS;
}

static bool has_few_seeds(const qg_study_run *run)
{
    return run->listed && run->seed_count < FEW_SEEDS;
}

static const struct {
    shortcoming *applies;
    const char *text;
} shortcomings[] = {
    {never_learns, "end before they learn: `steps` is not above learn_start"},
    {explores_to_the_end, "end before epsilon has fallen: learn_start + epsilon_steps is more than "
                          "`steps`"},
    {is_rarely_evaluated, "are evaluated fewer than 10 times: set a smaller eval_every"},
    {has_short_windows, "have a jumpstart of a single evaluation: set a smaller eval_every"},
    {has_few_seeds, "have fewer than six seeds: only large effects can be seen, and nothing tells "
                    "lopsided noise from an effect"},
};

void qg_study_adequacy(const qg_study *study, void (*tell)(void *context, const char *line),
                       void *context)
{
    for (size_t i = 0; i < sizeof shortcomings / sizeof *shortcomings; i++) {
        int count = 0, all = 0, first = -1;
        for (int r = 0; r < study->run_count; r++) {
            if (!learns(&study->runs[r])) continue;
            all++;
            if (!shortcomings[i].applies(&study->runs[r])) continue;
            if (first < 0) first = r;
            count++;
        }
        if (count == 0) continue;
        char line[512];
        snprintf(line, sizeof line, "%d of %d runs (%s%s) %s", count, all, study->runs[first].id,
                 count > 1 ? ", ..." : "", shortcomings[i].text);
        tell(context, line);
    }
}

/* ------------------------------------------------------------------------------- lists of layers
 */

/* Whether a run copies one layer that `layers` names. */
static bool copies_single_layer(const qg_study_run *run)
{
    const uint32_t layers = run->choice.layers;
    return run->kind == QG_RUN_GRAFT && run->choice.way == QG_CHOOSE_LAYERS &&
           (layers & (layers - 1)) == 0;
}

void qg_study_explain_lists(const qg_study *study, void (*tell)(void *context, const char *line),
                            void *context)
{
    for (int i = 0; i < study->run_count; i++) {
        const qg_study_run *run = &study->runs[i];
        uint32_t layers = 0;
        bool first = copies_single_layer(run);
        for (int j = 0; j < study->run_count && first; j++) {
            if (study->runs[j].line != run->line || !copies_single_layer(&study->runs[j])) continue;
            first = j >= i;
            layers |= study->runs[j].choice.layers;
        }
        if (!first || (layers & (layers - 1)) == 0) continue;
        char line[512], list[128] = "";
        size_t used = 0;
        int count = 0;
        for (int l = 0; l < 32; l++)
            if (layers >> l & 1)
                used += (size_t)snprintf(list + used, sizeof list - used, "%s%d",
                                         count++ > 0 ? "," : "", l + 1);
        snprintf(line, sizeof line,
                 "`layers: [%s]` of line %d are %d experiments of one layer each; one that copies "
                 "them together is `layers: \"%s\"`",
                 list, run->line, count, list);
        tell(context, line);
    }
}
