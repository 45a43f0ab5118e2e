/* What the emulator's side knows of each game beyond what all see of it (qg_game): the
 * checksum of its ROM and the palette of its screen. */
#ifndef QG_ATARI_CATALOGUE_H
#define QG_ATARI_CATALOGUE_H

#include "domain/atari/screen.h"

#include <qgraft/domain.h>

#define QG_ATARI_GAMES 104

/* RGB of the palette indices 0 ... 255. Ten European games use the PAL palette, all others NTSC. */
extern const uint8_t qg_atari_ntsc[256][3];
extern const uint8_t qg_atari_pal[256][3];

/* What all games have in common: initialisers of a qg_game. */
#define QG_ATARI_COMMON                                                                            \
    .shape = {QG_SCREEN_SIDE, QG_SCREEN_SIDE, .channels = 1, .max = 255},                          \
    .defaults = &qg_screen_defaults, .emulator = "ale 0.12.1"

extern const qg_game qg_atari_games[QG_ATARI_GAMES]; /* in alphabetical order */

typedef struct qg_atari_detail {
    char md5[33];                /* of the ROM, lower-case hexadecimal */
    const uint8_t (*palette)[3]; /* [256][3] */
} qg_atari_detail;

extern const qg_atari_detail qg_atari_details[QG_ATARI_GAMES]; /* in the order of qg_atari_games */

#endif
