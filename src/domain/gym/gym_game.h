/* Gymnasium's environments as games: described by a worker when they are first named, known until
 * the process ends. */
#ifndef QG_GYM_GAME_H
#define QG_GYM_GAME_H

#include "domain/gym/gym_worker.h"
#include "domain/provider.h"

typedef struct qg_gym_game {
    qg_game game; /* the first member; its name is the domain's, normalised */
    qg_game_defaults defaults;
    char *name, *family, *note;
    char *request; /* what its worker is to make (gym_name.h) */
    char **actions;
    bool draws; /* it has pictures */
    struct qg_gym_game *next;
} qg_gym_game;

/* The provider's `resolve`. */
qg_status qg_gym_resolve(const char *name, qg_named_domain *named, qg_error *error);

/* A worker that has made the game's environment. QG_ERROR_DATA: it is another one than before. */
qg_status qg_gym_open(const qg_gym_game *game, qg_worker **worker, qg_error *error);

#endif
