/* What an implementation of a domain offers to qg_domain_open: its games and a constructor. */
#ifndef QG_DOMAIN_CLASS_H
#define QG_DOMAIN_CLASS_H

#include <qgraft/plugin.h>

/* Fills domain->methods, self and shape; `name` and `game` are set already. */
typedef qg_status qg_domain_create(qg_domain *domain, const qg_variant *variant,
                                   const qg_domain_options *options, qg_error *error);

extern const qg_game qg_minatar_games[5];
qg_domain_create qg_minatar_create;

extern const qg_game qg_atari_games[];
extern const size_t qg_atari_game_count;
qg_domain_create qg_atari_create;

/* Adds a copy of a plugin's game behind all others; its strings and lists are borrowed for good.
 * False: the name is taken. At most 64 games. */
bool qg_domain_add_game(const qg_game *game);
qg_domain_create qg_plugin_create;

#endif
