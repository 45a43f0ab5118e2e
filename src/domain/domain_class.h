/* What an implementation of a domain offers to qg_domain_open: its games and a constructor. */
#ifndef QG_DOMAIN_CLASS_H
#define QG_DOMAIN_CLASS_H

#include <qgraft/domain.h>

/* What stands behind the colon of a domain's name; a mode or difficulty that was not given holds
 * the game's default, level 1. Already checked against the catalogue. */
typedef struct qg_variant {
    int mode, difficulty, level;
} qg_variant;

/* Fills domain->methods, self and shape; `name` and `game` are set already. */
typedef qg_status qg_domain_create(qg_domain *domain, const qg_variant *variant,
                                   const qg_domain_options *options, qg_error *error);

extern const qg_game qg_minatar_games[5];
qg_domain_create qg_minatar_create;

extern const qg_game qg_atari_games[];
extern const size_t qg_atari_game_count;
qg_domain_create qg_atari_create;

#endif
