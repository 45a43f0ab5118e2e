/* Gymnasium's environments as games: described by a worker when they are first named, and again
 * when they are named behind a release; a description stays until the process ends. */
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
    bool fresh; /* described since the last release */
    int users;  /* domains that are open: as long as there are some the description stays */
    struct qg_gym_game *next;
} qg_gym_game;

/* The provider's `resolve`. */
qg_status qg_gym_resolve(const char *name, qg_named_domain *named, qg_error *error);

/* The provider's `release`: ends the workers that rest. The code of an environment may be another
 * one when it is named again. */
void qg_gym_release(void);

/* A worker that has made the game's environment. QG_ERROR_DATA: it is another one than before. */
qg_status qg_gym_open(const qg_gym_game *game, qg_worker **worker, qg_error *error);
void qg_gym_close(const qg_gym_game *game, qg_worker *worker);

#endif
