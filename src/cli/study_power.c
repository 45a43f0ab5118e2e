#include "cli/study_power.h"

#include <qgraft/report.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the study compares: how many arms of a kind, and with how many seeds at least; arms of a
 * single seed, which decide nothing, are left out. */
typedef struct counts {
    size_t arms[QG_STRATA], baselines;
    size_t comparisons; /* that the report judges together, those of one seed, too */
    size_t seeds, baseline_seeds;
} counts;

static bool is_arm(const qg_study_run *run)
{
    return run->listed && run->kind == QG_RUN_GRAFT;
}

static bool is_decisive(const qg_study *study, const qg_study_run *run)
{
    return is_arm(run) && run->seed_count >= 2 && study->runs[run->baseline].seed_count >= 2;
}

/* All but the controls, unless there is nothing else. */
static size_t count_comparisons(const qg_study *study)
{
    size_t all = 0, controls = 0;
    for (int i = 0; i < study->run_count; i++) {
        if (!is_arm(&study->runs[i])) continue;
        all++;
        controls += qg_study_is_control(study, &study->runs[i]);
    }
    return all > controls ? all - controls : all;
}

static counts count(const qg_study *study)
{
    counts c = {
        .comparisons = count_comparisons(study), .seeds = SIZE_MAX, .baseline_seeds = SIZE_MAX};
    for (int i = 0; i < study->run_count; i++) {
        const qg_study_run *run = &study->runs[i];
        if (!is_decisive(study, run)) continue;
        const size_t seeds = (size_t)run->seed_count;
        const size_t baseline = (size_t)study->runs[run->baseline].seed_count;
        bool first = true;
        for (int j = 0; j < i && first; j++)
            first =
                !is_decisive(study, &study->runs[j]) || study->runs[j].baseline != run->baseline;
        c.arms[run->choice.frozen ? QG_FROZEN : QG_FREE]++;
        c.baselines += first;
        c.seeds = seeds < c.seeds ? seeds : c.seeds;
        c.baseline_seeds = baseline < c.baseline_seeds ? baseline : c.baseline_seeds;
    }
    return c;
}

static const char *const kinds[] = {[QG_FREE] = "free", [QG_FROZEN] = "frozen"};

static void print_kind(const counts *c, qg_compare compare, qg_stratum kind,
                       const double deviations[QG_STRATA], bool known)
{
    static const double effects[] = {0.05, 0.1, 0.2};
    const qg_design design = {deviations[kind], deviations[QG_BASELINES],
                              c->seeds,         c->baseline_seeds,
                              c->arms[kind],    c->baselines,
                              compare};
    if (c->arms[kind] == 0 || isnan(deviations[kind]) || isnan(deviations[QG_BASELINES])) return;
    const size_t comparisons = c->comparisons;
    printf("%s arms: %zu seeds beside %zu of the baseline see effects of %.2f%s alone, %.2f as one "
           "of %zu\n",
           kinds[kind], c->seeds, c->baseline_seeds, qg_visible_effect(&design, QG_ALPHA),
           known ? "" : " deviations of a run",
           qg_visible_effect(&design, QG_ALPHA / (double)comparisons), comparisons);
    for (size_t i = 0; i < 3 && known; i++)
        printf("%s %g needs %zu seeds (%zu as one of %zu)", i ? ";" : "   ", effects[i],
               qg_seeds_for(design, effects[i], QG_ALPHA),
               qg_seeds_for(design, effects[i], QG_ALPHA / (double)comparisons), comparisons);
    if (known) putchar('\n');
}

static void print_deviations(const double deviations[QG_STRATA])
{
    printf("with deviations of a run of %.3f (baselines)", deviations[QG_BASELINES]);
    for (qg_stratum kind = QG_FREE; kind <= QG_FROZEN; kind++)
        if (!isnan(deviations[kind])) printf(", %.3f (%s)", deviations[kind], kinds[kind]);
    puts(":");
}

qg_status study_power_print(const qg_study *study, const char *folder, const char *pilot,
                            qg_error *error)
{
    const counts c = count(study);
    if (c.baselines == 0) return QG_OK;
    double deviations[QG_STRATA] = {study->deviation, study->deviation, study->deviation};
    bool known = study->deviation > 0;
    qg_error ignored;
    if (pilot) {
        const qg_status status = qg_report_spread(pilot, deviations, error);
        if (status) return status;
        if (isnan(deviations[QG_BASELINES]))
            return qg_fail(error, QG_ERROR_USAGE,
                           "--pilot: %s has no baseline with two seeds: name a study that has",
                           pilot);
        known = true;
    } else if (!known) {
        known = qg_report_spread(folder, deviations, &ignored) == QG_OK &&
                !isnan(deviations[QG_BASELINES]);
        for (int s = 0; s < QG_STRATA && !known; s++)
            deviations[s] = 1;
    }
    printf("power of 80 %%, ");
    if (known)
        print_deviations(deviations);
    else
        printf("in deviations of a run, which --pilot takes from the folder of a study, or "
               "`verdicts: {deviation: D}` states:\n");
    print_kind(&c, study->rule.compare, QG_FREE, deviations, known);
    print_kind(&c, study->rule.compare, QG_FROZEN, deviations, known);
    if (study->rule.compare == QG_COMPARE_PAIRED) return QG_OK; /* more have no partner */
    const double each = (double)(c.arms[QG_FREE] + c.arms[QG_FROZEN]) / (double)c.baselines;
    printf("%.3g arm%s to a baseline: `baseline_seeds: %.0f` would be the best split\n", each,
           each > 1 ? "s" : "", fmax((double)c.seeds, round((double)c.seeds * sqrt(each))));
    return QG_OK;
}
