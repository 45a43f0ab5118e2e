/* The check of a ROM before the emulator sees it: on a file that is not the very ROM it knows, the
 * emulator ends the process or hangs. */
#ifndef QG_ATARI_ROM_H
#define QG_ATARI_ROM_H

#include <qgraft/error.h>

/* Checks that the file `path` is the ROM of `game` with the MD5 `md5` (32 lower-case hexadecimal
 * digits). QG_ERROR_IO when it does not exist, QG_ERROR_DATA when it is not a file (a folder, a
 * FIFO), too large, or another file than that ROM; the message says what was expected. */
qg_status qg_rom_check(const char *path, const char *game, const char *md5, qg_error *error);

#endif
