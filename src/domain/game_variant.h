/* The settings behind the colon of a game's name: mode, difficulty and level, as the game has them.
 */
#ifndef QG_GAME_VARIANT_H
#define QG_GAME_VARIANT_H

#include <qgraft/domain.h>

/* Reads `text`, "KEY=VALUE,..." (NULL: none are given), and cuts it up. Fails with QG_ERROR_USAGE
 * and a message that names what the game allows. */
qg_status qg_variant_parse(const qg_game *game, char *text, qg_variant *variant, qg_error *error);

/* "GAME:KEY=VALUE,..." with the settings that are not the game's default, in a fixed order. */
void qg_variant_format(const qg_game *game, const qg_variant *variant, char name[QG_DOMAIN_NAME]);

#endif
