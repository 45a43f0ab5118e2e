#include "report/affinity.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

bool qg_is_between(const qg_transfer *t, const int pair[2])
{
    return pair && ((t->source == pair[0] && t->target == pair[1]) ||
                    (t->source == pair[1] && t->target == pair[0]));
}

/* Pairs are the edges of a graph from sources to targets: as many as it has independent circles. */
int qg_spare_pairs(const qg_transfer *transfers, size_t count)
{
    bool seen[QG_MOST_GAMES][QG_MOST_GAMES] = {{false}};
    int part[2 * QG_MOST_GAMES]; /* of the graph: of each source, behind them of each target */
    int spare = 0;
    for (int g = 0; g < 2 * QG_MOST_GAMES; g++)
        part[g] = g;
    for (size_t i = 0; i < count; i++) {
        const int source = transfers[i].source, target = transfers[i].target;
        const int from = part[source], to = part[QG_MOST_GAMES + target];
        if (seen[source][target]) continue;
        seen[source][target] = true;
        spare += from == to;
        for (int g = 0; g < 2 * QG_MOST_GAMES; g++)
            if (part[g] == to) part[g] = from;
    }
    return spare;
}

/* The three factors of a transfer. */
enum { KIND, SOURCE, TARGET, FACTORS, LEVELS = QG_MOST_KINDS };

static int level_of(const qg_transfer *t, int factor)
{
    return factor == KIND ? t->kind : factor == SOURCE ? t->source : t->target;
}

/* One round of a factor: the mean rest of each of its levels is its effect; returns the largest. */
static double sweep(const qg_transfer *transfers, size_t count, const int pair[2], int factor,
                    double *rest)
{
    double sums[LEVELS] = {0}, counts[LEVELS] = {0}, largest = 0;
    for (size_t i = 0; i < count; i++)
        if (!qg_is_between(&transfers[i], pair)) {
            sums[level_of(&transfers[i], factor)] += rest[i];
            counts[level_of(&transfers[i], factor)]++;
        }
    for (int l = 0; l < LEVELS; l++) {
        if (counts[l] > 0) sums[l] /= counts[l];
        largest = fmax(largest, fabs(sums[l]));
    }
    for (size_t i = 0; i < count; i++)
        rest[i] -= sums[level_of(&transfers[i], factor)];
    return largest;
}

/* Sweeping the factors in turn (backfitting: Buja, Hastie and Tibshirani 1989) converges to the
 * projection. */
void qg_take_out(const qg_transfer *transfers, const double *values, size_t count,
                 const int pair[2], double *rest)
{
    enum { MOST_ROUNDS = 2000 };
    double mean = 0, fitted = 0, scale = 0;
    for (size_t i = 0; i < count; i++)
        if (!qg_is_between(&transfers[i], pair)) {
            mean += values[i];
            fitted++;
            scale = fmax(scale, fabs(values[i]));
        }
    for (size_t i = 0; i < count; i++)
        rest[i] = values[i] - (fitted > 0 ? mean / fitted : 0);
    double change = INFINITY;
    for (int round = 0; round < MOST_ROUNDS && change > 1e-14 * scale; round++) {
        change = 0;
        for (int factor = 0; factor < FACTORS; factor++)
            change = fmax(change, sweep(transfers, count, pair, factor, rest));
    }
}

void qg_affinities_of(const qg_transfer *transfers, const double *rest, size_t count, int games,
                      double *affinities)
{
    double counts[QG_MOST_GAMES * QG_MOST_GAMES] = {0};
    for (int k = 0; k < games * games; k++)
        affinities[k] = 0;
    for (size_t i = 0; i < count; i++) {
        const int a = transfers[i].source, b = transfers[i].target;
        const int places[2] = {a * games + b, b * games + a};
        for (int k = 0; k < 2; k++) {
            affinities[places[k]] += rest[i];
            counts[places[k]]++;
        }
    }
    for (int k = 0; k < games * games; k++)
        affinities[k] = k % (games + 1) ? affinities[k] / counts[k] : 0;
}

/* ------------------------------------------------------------------------------ predictions */

/* Of what is left of the effects on what is left of the measure, over what was fitted. A measure
 * that the factors tell in full has no say. */
static double slope_of(const qg_transfer *transfers, const double *y, const double *x, size_t count,
                       const int pair[2], double scale)
{
    double xy = 0, xx = 0;
    for (size_t i = 0; i < count; i++)
        if (!qg_is_between(&transfers[i], pair)) {
            xy += x[i] * y[i];
            xx += x[i] * x[i];
        }
    return xx > 1e-18 * scale * scale * (double)count ? xy / xx : 0;
}

static double largest_of(const double *values, size_t count)
{
    double largest = 0;
    for (size_t i = 0; values && i < count; i++)
        largest = fmax(largest, fabs(values[i]));
    return largest;
}

qg_status qg_predict(const qg_transfer *transfers, const double *effects, const double *measure,
                     size_t count, int games, qg_prediction *prediction, qg_error *error)
{
    *prediction = (qg_prediction){NAN, NAN};
    double *const y = calloc(2 * count + 1, sizeof *y);
    if (!y) return qg_fail_memory(error, "a prediction", 2 * count * sizeof *y);
    double *const x = y + count;
    const double scale = largest_of(measure, count);
    double squares = 0;
    for (int a = 0; a < games; a++)
        for (int b = 0; b < a; b++) {
            const int pair[2] = {a, b};
            qg_take_out(transfers, effects, count, pair, y);
            if (measure) qg_take_out(transfers, measure, count, pair, x);
            const double slope = slope_of(transfers, y, x, count, pair, scale);
            for (size_t i = 0; i < count; i++)
                if (qg_is_between(&transfers[i], pair))
                    squares += (y[i] - slope * x[i]) * (y[i] - slope * x[i]);
        }
    qg_take_out(transfers, effects, count, NULL, y);
    if (measure) qg_take_out(transfers, measure, count, NULL, x);
    *prediction = (qg_prediction){slope_of(transfers, y, x, count, NULL, scale),
                                  sqrt(squares / (double)count)};
    free(y);
    return QG_OK;
}
