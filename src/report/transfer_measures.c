/* The measures of one run are levels in the game's points; those of a transfer are the differences
 * from the baseline with the same seed. */
#include <qgraft/statistics.h>

#include "report/order.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *const measure_names[] = {
    [QG_ZERO_SHOT] = "zero_shot", [QG_JUMPSTART] = "jumpstart", [QG_EARLY] = "early",
    [QG_LATE] = "late",           [QG_ASYMPTOTE] = "asymptote", [QG_MAXIMUM] = "maximum",
    [QG_AREA] = "area",
};

const char *qg_measure_name(qg_measure measure)
{
    assert(measure < QG_MEASURES);
    return measure_names[measure];
}

/* ------------------------------------------------------------------------------ one curve */

/* The points whose steps are above `after` and at most `until` percent of the last one:
 * [first, end). Exact for steps below 2^53 / 100. */
static void find_window(const int64_t *steps, size_t points, int after, int until, size_t *first,
                        size_t *end)
{
    const double last = (double)steps[points - 1];
    for (*first = 0; 100 * (double)steps[*first] <= after * last;)
        ++*first;
    for (*end = *first; *end < points && 100 * (double)steps[*end] <= until * last;)
        ++*end;
}

static double mean(const double *scores, size_t first, size_t end)
{
    double sum = 0;
    for (size_t i = first; i < end; i++)
        sum += scores[i];
    return sum / (double)(end - first);
}

/* Of a window that holds at least its first point, however far apart the evaluations are. */
static double window_mean(const int64_t *steps, const double *scores, size_t points, int after,
                          int until)
{
    size_t first, end;
    find_window(steps, points, after, until, &first, &end);
    return mean(scores, first, end > first ? end : first + 1);
}

static double mean_of_area(const int64_t *steps, const double *scores, size_t points)
{
    double area = 0;
    for (size_t i = 1; i < points; i++)
        area += (double)(steps[i] - steps[i - 1]) * (scores[i] + scores[i - 1]) / 2;
    return area / (double)(steps[points - 1] - steps[0]);
}

static void measure(const int64_t *steps, const double *scores, size_t points,
                    double measures[QG_MEASURES])
{
    const size_t trained = steps[0] == 0 ? 1 : 0;
    double best = scores[trained];
    for (size_t i = trained; i < points; i++)
        best = fmax(best, scores[i]);
    measures[QG_ZERO_SHOT] = steps[0] == 0 ? scores[0] : (double)NAN;
    measures[QG_JUMPSTART] = window_mean(steps, scores, points, 0, QG_JUMPSTART_PERCENT);
    measures[QG_EARLY] = window_mean(steps, scores, points, 0, QG_EARLY_PERCENT);
    measures[QG_LATE] = window_mean(steps, scores, points, QG_EARLY_PERCENT, 100);
    measures[QG_ASYMPTOTE] = window_mean(steps, scores, points, QG_ASYMPTOTE_PERCENT, 100);
    measures[QG_MAXIMUM] = best;
    measures[QG_AREA] = mean_of_area(steps, scores, points);
}

/* The moving mean of a point and those before it; the first points have none. */
static size_t smoothed_count(size_t points)
{
    return points < QG_SMOOTHED ? points : QG_SMOOTHED;
}

static double smoothed(const double *scores, size_t points, size_t i)
{
    return mean(scores, i + 1 - smoothed_count(points), i + 1);
}

static int64_t time_to_threshold(const int64_t *steps, const double *scores, size_t points,
                                 double threshold)
{
    for (size_t i = smoothed_count(points) - 1; i < points; i++)
        if (smoothed(scores, points, i) >= threshold) return steps[i];
    return -1;
}

static int64_t find_crossover(const int64_t *steps, const double *baseline, const double *transfer,
                              size_t points)
{
    for (size_t i = points; i-- > smoothed_count(points) - 1;)
        if (smoothed(transfer, points, i) > smoothed(baseline, points, i)) return steps[i];
    return -1;
}

/* ---------------------------------------------------------------------------------- pairs */

static qg_status check_steps(const qg_curves *curves, const char *name, qg_error *error)
{
    if (curves->point_count < 2)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: %zu evaluations; a curve needs at least two: train for longer", name,
                       curves->point_count);
    for (size_t i = 0; i < curves->point_count; i++)
        if (curves->steps[i] < 0 || (i > 0 && curves->steps[i] <= curves->steps[i - 1]))
            return qg_fail(error, QG_ERROR_DATA, "%s: evaluation %zu at step %lld: steps must rise",
                           name, i + 1, (long long)curves->steps[i]);
    return QG_OK;
}

static qg_status check_curves(const qg_curves *curves, const char *name, qg_error *error)
{
    const qg_status status = check_steps(curves, name, error);
    if (status) return status;
    for (size_t s = 0; s < curves->seed_count; s++) {
        const unsigned long long seed = curves->seeds[s];
        for (size_t other = 0; other < s; other++)
            if (curves->seeds[other] == seed)
                return qg_fail(error, QG_ERROR_DATA, "%s: seed %llu is there twice", name, seed);
        for (size_t i = 0; i < curves->point_count; i++)
            if (!isfinite(curves->scores[s][i]))
                return qg_fail(error, QG_ERROR_DATA,
                               "%s: seed %llu: the score at step %lld is no finite number", name,
                               seed, (long long)curves->steps[i]);
    }
    return QG_OK;
}

qg_status qg_levels_measure(const qg_curves *curves, double (*levels)[QG_MEASURES], qg_error *error)
{
    const qg_status status = check_curves(curves, "the run", error);
    for (size_t s = 0; s < curves->seed_count && !status; s++)
        measure(curves->steps, curves->scores[s], curves->point_count, levels[s]);
    return status;
}

static qg_status check_input(const qg_curves *baseline, const qg_curves *transfer,
                             const qg_scale *scale, qg_error *error)
{
    if (!isfinite(scale->random) || !isfinite(scale->reference) || !isfinite(scale->threshold) ||
        scale->reference <= scale->random)
        return qg_fail(error, QG_ERROR_USAGE,
                       "scale: the reference score (%g) must be above the random one (%g)",
                       scale->reference, scale->random);
    qg_status status = check_curves(baseline, "baseline", error);
    if (!status) status = check_curves(transfer, "transfer", error);
    if (status) return status;
    if (baseline->point_count != transfer->point_count ||
        memcmp(baseline->steps, transfer->steps, baseline->point_count * sizeof *baseline->steps) !=
            0)
        return qg_fail(error, QG_ERROR_DATA,
                       "baseline and transfer were not evaluated at the same steps; give both the "
                       "same settings");
    return QG_OK;
}

static void measure_pair(const int64_t *steps, size_t points, const double *baseline,
                         const double *transfer, const qg_scale *scale, qg_pair *pair)
{
    const double span = scale->reference - scale->random;
    measure(steps, baseline, points, pair->baseline);
    measure(steps, transfer, points, pair->transfer);
    for (int m = 0; m < QG_MEASURES; m++)
        pair->difference[m] = (pair->transfer[m] - pair->baseline[m]) / span;
    const double area = (pair->baseline[QG_AREA] - scale->random) / span;
    pair->area_ratio = area > 0 ? pair->difference[QG_AREA] / area : (double)NAN;
    pair->baseline_threshold = time_to_threshold(steps, baseline, points, scale->threshold);
    pair->transfer_threshold = time_to_threshold(steps, transfer, points, scale->threshold);
    pair->crossover = find_crossover(steps, baseline, transfer, points);
}

qg_status qg_pairs_measure(const qg_curves *baseline, const qg_curves *transfer,
                           const qg_scale *scale, qg_pair *pairs, size_t *count, qg_error *error)
{
    const qg_status status = check_input(baseline, transfer, scale, error);
    if (status) return status;
    *count = 0;
    for (size_t t = 0; t < transfer->seed_count; t++)
        for (size_t b = 0; b < baseline->seed_count; b++) {
            if (baseline->seeds[b] != transfer->seeds[t]) continue;
            qg_pair *pair = &pairs[(*count)++];
            pair->seed = transfer->seeds[t];
            measure_pair(transfer->steps, transfer->point_count, baseline->scores[b],
                         transfer->scores[t], scale, pair);
        }
    return QG_OK;
}

/* ---------------------------------------------------------------------- time to threshold */

/* Of the values, followed by `censored` ones that are above all of them. Sorts the values. */
static double censored_median(double *values, size_t count, size_t censored)
{
    const size_t all = count + censored;
    if (2 * count <= all && (censored > 0 || count == 0)) return (double)NAN;
    qg_sort(values, count);
    return (values[(all - 1) / 2] + values[all / 2]) / 2;
}

qg_status qg_threshold_times_of(const qg_pair *pairs, size_t count, qg_threshold_times *times,
                                qg_error *error)
{
    *times = (qg_threshold_times){.pairs = count};
    double *block = calloc(3 * count + 1, sizeof *block);
    if (!block) return qg_fail_memory(error, "times to threshold", 3 * count * sizeof *block);
    double *baseline = block, *transfer = block + count, *differences = block + 2 * count;
    for (size_t i = 0; i < count; i++) {
        const bool b = pairs[i].baseline_threshold >= 0, t = pairs[i].transfer_threshold >= 0;
        const double at_b = (double)pairs[i].baseline_threshold;
        const double at_t = (double)pairs[i].transfer_threshold;
        if (b) baseline[times->baseline_reached++] = at_b;
        if (t) transfer[times->transfer_reached++] = at_t;
        if (b && t) differences[times->both_reached++] = at_t - at_b;
    }
    times->baseline_median =
        censored_median(baseline, times->baseline_reached, count - times->baseline_reached);
    times->transfer_median =
        censored_median(transfer, times->transfer_reached, count - times->transfer_reached);
    times->difference = censored_median(differences, times->both_reached, 0);
    free(block);
    return QG_OK;
}
