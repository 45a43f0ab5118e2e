/* A map of a study's games by the transfer between them, and which measure of two games predicts it
 * (affinity.h, scaling.h). */
#ifndef QG_GAME_MAP_H
#define QG_GAME_MAP_H

#include <qgraft/domain.h>
#include <qgraft/statistics.h>

#include "report/affinity.h"

enum {
    QG_FEWEST_GAMES = 5,      /* of a map */
    QG_MEASURES_OF_GRADE = 4, /* actions, family, looks, and their mean, the grade */
    QG_MOST_PREDICTORS = QG_MEASURES_OF_GRADE + 8,
    QG_MAP_DRAWS = 1000
};

/* Two games with experiments between them, in either direction. */
typedef struct qg_game_pair {
    int games[2];
    size_t experiments;
    qg_estimate affinity;                /* with the bootstrap's interval; NaN: too few seeds */
    double measures[QG_MOST_PREDICTORS]; /* NaN: not known */
} qg_game_pair;

typedef struct qg_predictor {
    char name[32];
    qg_prediction prediction; /* NaN where not all pairs have the measure, or it tells none apart */
} qg_predictor;

typedef struct qg_game_map {
    char problem[320]; /* why there is no map; empty: there is one */
    int game_count;
    const char *games[QG_MOST_GAMES];
    qg_game_pair *pairs;
    size_t pair_count;
    size_t experiments;
    double points[QG_MOST_GAMES][2];
    double share;                      /* of the eigenvalues that the plane has */
    size_t draw_count;                 /* 0: too few seeds */
    double (*draws)[QG_MOST_GAMES][2]; /* [draw_count] of the bootstrap, turned to the points */
    qg_prediction alone;               /* by kind, source and target alone */
    qg_predictor predictors[QG_MOST_PREDICTORS];
    size_t predictor_count;
} qg_game_map;

#endif
