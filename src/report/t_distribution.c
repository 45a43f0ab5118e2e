/* Student's distribution for whole degrees of freedom, and the intervals that stand on it. */
#include "report/t_distribution.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* P(|T| <= t) with t = sqrt(degrees) tan(angle), angle in [0, pi/2]: the finite series of
 * Abramowitz and Stegun, 26.7.3 (odd degrees) and 26.7.4 (even). All its terms are positive. */
static double student_probability(size_t degrees, double angle)
{
    const double cosine = cos(angle), square = cosine * cosine;
    const size_t odd = degrees % 2;
    double term = odd ? cosine : 1, sum = degrees > 1 ? term : 0;
    for (size_t k = 2 + odd; k < degrees; k += 2) {
        term *= square * (double)(k - 1) / (double)k;
        sum += term;
    }
    return odd ? (angle + sin(angle) * sum) * M_2_PI : sin(angle) * sum;
}

double qg_student_quantile(size_t degrees_of_freedom, double confidence)
{
    assert(degrees_of_freedom > 0 && confidence > 0 && confidence < 1);
    double low = 0, high = M_PI_2;
    for (;;) { /* halves the angle's interval until no double is left within */
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) return sqrt((double)degrees_of_freedom) * tan(low);
        if (student_probability(degrees_of_freedom, middle) < confidence)
            low = middle;
        else
            high = middle;
    }
}

static double mean(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return sum / (double)count;
}

/* The square of the standard error of the values' mean; NaN for a single value. */
static double squared_error(const double *values, size_t count)
{
    const double centre = mean(values, count);
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - centre) * (values[i] - centre);
    return squares / (double)(count - 1) / (double)count;
}

qg_estimate qg_student_over_tasks(const qg_tasks *tasks)
{
    const double count = (double)tasks->task_count;
    double means = 0, errors = 0, largest = 0;
    for (size_t t = 0; t < tasks->task_count; t++) {
        assert(tasks->counts[t] > 0);
        const double error = squared_error(tasks->values[t], tasks->counts[t]);
        means += mean(tasks->values[t], tasks->counts[t]);
        errors += error;
        largest = fmax(largest, error);
    }
    const double effect = means / count;
    if (!isfinite(errors) || !isfinite(effect))
        return (qg_estimate){effect, (double)NAN, (double)NAN};
    if (errors == 0) return (qg_estimate){effect, effect, effect};
    double shares = 0; /* of the largest error: squares of small and large ones have no double */
    for (size_t t = 0; t < tasks->task_count; t++) {
        const double error = squared_error(tasks->values[t], tasks->counts[t]) / largest;
        shares += error * error / (double)(tasks->counts[t] - 1);
    }
    const double sum = errors / largest;
    const double degrees = sum * sum / shares + 1e-9; /* not one less by rounding */
    const double reach = qg_student_quantile((size_t)degrees, QG_CONFIDENCE) * sqrt(errors) / count;
    return (qg_estimate){effect, effect - reach, effect + reach};
}

qg_estimate qg_mean_of(const double *values, size_t count)
{
    return qg_student_over_tasks(&(qg_tasks){1, &count, &values});
}

qg_status qg_curve_of(const qg_curves *curves, qg_estimate *curve, qg_error *error)
{
    const size_t seeds = curves->seed_count;
    double *scores = calloc(seeds, sizeof *scores);
    if (!scores) return qg_fail_memory(error, "a curve", seeds * sizeof *scores);
    for (size_t i = 0; i < curves->point_count; i++) {
        for (size_t s = 0; s < seeds; s++)
            scores[s] = curves->scores[s][i];
        curve[i] = qg_mean_of(scores, seeds);
    }
    free(scores);
    return QG_OK;
}
