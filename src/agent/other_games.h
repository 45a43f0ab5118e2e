/* Evaluations of a training on games that it does not train on, zero-shot: what it still knows of
 * earlier ones and knows already of later ones. Actions go by their meaning. */
#ifndef QG_OTHER_GAMES_H
#define QG_OTHER_GAMES_H

#include <qgraft/agent.h>

#include "agent/run.h"

typedef struct qg_other_game {
    char name[QG_DOMAIN_NAME];   /* normalised */
    int outputs[QG_MAX_ACTIONS]; /* of the network for each of its actions, -1: none */
} qg_other_game;

typedef struct qg_other_games {
    qg_other_game games[QG_MAX_OTHER_GAMES];
    int count;
    int table; /* of the run's folder */
} qg_other_games;

#define QG_OTHER_EVALUATIONS_COLUMNS "step,game,score,episodes,deviation,minimum,maximum"

/* options->also_evaluate for a network of `architecture` that plays `own`. QG_ERROR_USAGE: too
 * many, one twice or the own one; it cannot be seen by the network; no action in common. As
 * qg_domain_open. */
qg_status qg_other_games_open(const qg_train_options *options, const qg_domain *own,
                              const qg_architecture *architecture, qg_other_games *games,
                              qg_error *error);

/* Plays them with the network as it is; evaluations [count]. */
qg_status qg_other_games_play(const qg_other_games *games, qg_run *run, qg_engine *engine,
                              qg_evaluation *evaluations, qg_error *error);

/* Appends their rows. */
qg_status qg_other_games_write(const qg_other_games *games, const qg_run *run,
                               const qg_evaluation *evaluations, qg_error *error);

#endif
