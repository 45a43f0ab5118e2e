/* What two games have to do with each other beyond what each is to all others: transfer between
 * games with the effects of kinds of copy, sources and targets taken out. */
#ifndef QG_AFFINITY_H
#define QG_AFFINITY_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>

enum { QG_MOST_GAMES = 32, QG_MOST_KINDS = 128 };

/* An experiment: layers of game `source` on game `target`, two different ones. */
typedef struct qg_transfer {
    int kind;           /* of copy: 0 ... QG_MOST_KINDS - 1 */
    int source, target; /* 0 ... QG_MOST_GAMES - 1 */
} qg_transfer;

/* Whether it is of these games, in either direction; pair NULL: it is not. */
bool qg_is_between(const qg_transfer *transfer, const int pair[2]);

/* Degrees of freedom that the ordered pairs of games have behind a mean, sources and targets: with
 * few, what is left is the same of all of them but for its sign. */
int qg_spare_pairs(const qg_transfer *transfers, size_t count);

/* rest[i]: what is left of values[i] behind mean + kind + source + target by least squares, which
 * has no unique effects but a unique rest. Experiments between the games pair[0] and pair[1] are
 * not fitted; their rest is that of what the others predict. pair NULL: all are fitted. */
void qg_take_out(const qg_transfer *transfers, const double *values, size_t count,
                 const int pair[2], double *rest);

/* affinities [games][games], symmetric: the mean rest of the experiments between two games, in
 * either direction; 0 on the diagonal, NaN where there are none. */
void qg_affinities_of(const qg_transfer *transfers, const double *rest, size_t count, int games,
                      double *affinities);

/* How well a measure of two games predicts: rest = slope * (what is left of the measure in the same
 * way), by least squares over the experiments. `error`: the root of the mean squared error, over
 * all experiments, each predicted from those between other pairs of games alone; measure [count]
 * NULL: by mean, kind, source and target alone. */
typedef struct qg_prediction {
    double slope, error;
} qg_prediction;
qg_status qg_predict(const qg_transfer *transfers, const double *effects, const double *measure,
                     size_t count, int games, qg_prediction *prediction, qg_error *error);

#endif
