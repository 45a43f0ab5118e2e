#include "report/run_curves.h"

#include <stdlib.h>
#include <string.h>

qg_status qg_run_curves_create(qg_run_curves *run, size_t seeds, qg_error *error)
{
    run->read = calloc(seeds + 1, sizeof *run->read);
    run->seeds = calloc(seeds + 1, sizeof *run->seeds);
    run->scores = calloc(seeds + 1, sizeof *run->scores);
    if (run->read && run->seeds && run->scores) return QG_OK;
    return qg_fail_memory(error, "a run's curves", seeds * sizeof *run->read);
}

bool qg_run_curves_fit(const qg_run_curves *run, const qg_curve *curve)
{
    if (run->curves.seed_count == 0) return true;
    const qg_curve *first = &run->read[0];
    const size_t common = curve->count < first->count ? curve->count : first->count;
    return memcmp(curve->steps, first->steps, common * sizeof *curve->steps) == 0;
}

void qg_run_curves_add(qg_run_curves *run, uint64_t seed, const qg_curve *curve)
{
    const size_t at = run->curves.seed_count++;
    run->read[at] = *curve;
    run->seeds[at] = seed;
    run->scores[at] = curve->scores;
    if (at == 0 || curve->count < run->curves.point_count) run->curves.point_count = curve->count;
}

qg_status qg_run_curves_finish(qg_run_curves *run, qg_error *error)
{
    qg_curves *curves = &run->curves;
    if (curves->seed_count == 0) return QG_OK;
    curves->seeds = run->seeds;
    curves->steps = run->read[0].steps;
    curves->scores = (const double *const *)run->scores;
    run->band = calloc(curves->point_count + 1, sizeof *run->band);
    if (!run->band)
        return qg_fail_memory(error, "a run's band", curves->point_count * sizeof *run->band);
    return qg_curve_of(curves, run->band, error);
}

void qg_run_curves_free(qg_run_curves *run)
{
    for (size_t s = 0; s < run->curves.seed_count; s++)
        qg_curve_free(&run->read[s]);
    free(run->read);
    free(run->seeds);
    free(run->scores);
    free(run->levels);
    free(run->band);
}
