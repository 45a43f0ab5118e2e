/* What a comparison can see, before it is made. */
#include <qgraft/statistics.h>

#include "report/distributions.h"

#include <assert.h>
#include <math.h>

/* How many variances of alike groups one is worth at most: all of them where they are moderated,
 * which takes three (qg_verdicts_of). */
static double worth(const qg_design *design, size_t groups)
{
    return design->compare != QG_COMPARE_MODERATED || groups < 3 ? 1 : (double)groups;
}

/* What alpha and QG_POWER leave of an effect whose square of error this is. */
static double visible(double square, double degrees, double alpha)
{
    const double reach = qg_student_reach(degrees, alpha);
    return (reach + qg_student_reach(degrees, 2 * (1 - QG_POWER))) * sqrt(square);
}

double qg_visible_effect(const qg_design *design, double alpha)
{
    assert(design->arms >= 1 && design->baselines >= 1 && design->deviation >= 0 &&
           design->baseline_deviation >= 0);
    const double n = (double)design->seeds, m = (double)design->baseline_seeds;
    if (n < 2 || m < 2) return INFINITY;
    if (design->compare == QG_COMPARE_PAIRED) { /* baselines without a partner do not count */
        const double pairs = fmin(n, m);
        const double square = design->deviation * design->deviation +
                              design->baseline_deviation * design->baseline_deviation;
        return visible(square / pairs, pairs - 1, alpha);
    }
    const double arm = design->deviation * design->deviation / n;
    const double baseline = design->baseline_deviation * design->baseline_deviation / m;
    const double square = arm + baseline, share = arm / square;
    if (square <= 0) return 0;
    const double degrees =
        1 / (share * share / ((n - 1) * worth(design, design->arms)) +
             (1 - share) * (1 - share) / ((m - 1) * worth(design, design->baselines)));
    return visible(square, degrees, alpha);
}

size_t qg_seeds_for(qg_design design, double effect, double alpha)
{
    const double root = sqrt((double)design.arms / (double)design.baselines);
    for (design.seeds = 2; design.seeds < 10000; design.seeds++) {
        design.baseline_seeds = (size_t)lround((double)design.seeds * root);
        if (design.baseline_seeds < design.seeds || design.compare == QG_COMPARE_PAIRED)
            design.baseline_seeds = design.seeds;
        if (qg_visible_effect(&design, alpha) <= effect) break;
    }
    return design.seeds;
}
