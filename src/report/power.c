/* What a comparison can see, before it is made. */
#include <qgraft/statistics.h>

#include "report/effects.h"

#include <assert.h>
#include <math.h>

/* The squared error of a mean of so many runs: the variance is that of all of its alike groups
 * where they are moderated, which takes three (qg_verdicts_of). */
static qg_variance of_mean(const qg_design *design, double variance, double runs, size_t groups)
{
    const bool moderated = design->compare == QG_COMPARE_MODERATED && groups >= 3;
    return (qg_variance){variance / runs, (runs - 1) * (moderated ? (double)groups : 1), moderated};
}

/* What alpha and QG_POWER leave to be seen of an effect that has this error. */
static double visible(const qg_effect *none, double alpha)
{
    return qg_effect_interval(none, alpha).high + qg_effect_interval(none, 2 * (1 - QG_POWER)).high;
}

double qg_visible_effect(const qg_design *design, double alpha)
{
    assert(design->arms >= 1 && design->baselines >= 1 && design->deviation >= 0 &&
           design->baseline_deviation >= 0);
    const double n = (double)design->seeds, m = (double)design->baseline_seeds;
    if (n < 2 || m < 2) return INFINITY;
    const double arm = design->deviation * design->deviation;
    const double baseline = design->baseline_deviation * design->baseline_deviation;
    if (arm + baseline <= 0) return 0;
    if (design->compare == QG_COMPARE_PAIRED) { /* baselines without a partner do not count */
        const double pairs = fmin(n, m);
        return visible(&(qg_effect){.error = sqrt((arm + baseline) / pairs), .degrees = pairs - 1},
                       alpha);
    }
    const qg_effect none = qg_effect_of_means(0, of_mean(design, baseline, m, design->baselines),
                                              of_mean(design, arm, n, design->arms));
    return visible(&none, alpha);
}

static qg_design with_seeds(qg_design design, size_t seeds)
{
    const double root = sqrt((double)design.arms / (double)design.baselines);
    design.seeds = seeds;
    design.baseline_seeds = (size_t)lround((double)seeds * root);
    if (design.baseline_seeds < seeds || design.compare == QG_COMPARE_PAIRED)
        design.baseline_seeds = seeds;
    return design;
}

size_t qg_seeds_for(qg_design design, double effect, double alpha)
{
    size_t low = 1, high = 10000; /* too few, and the most that is looked for */
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        const qg_design tried = with_seeds(design, middle);
        if (qg_visible_effect(&tried, alpha) <= effect)
            high = middle;
        else
            low = middle;
    }
    return high;
}
