/* Finding and opening the emulator: libqgraft_ale.so (shim/ale_shim.h has its interface), opened
 * with dlopen on first use, so that nothing links to it and the grid games need no emulator. */
#ifndef QG_ATARI_ALE_H
#define QG_ATARI_ALE_H

#include "domain/atari/shim/ale_shim.h"

/* The folder with the emulator and the ROMs: $QGRAFT_ATARI, else $XDG_DATA_HOME/qgraft/atari, else
 * ~/.local/share/qgraft/atari. Fails with QG_ERROR_IO when no variable names one. The caller frees
 * *folder. */
qg_status qg_ale_folder(char **folder, qg_error *error);

/* Opens FOLDER/libqgraft_ale.so; once it is open it serves the whole process, whatever the folder.
 * QG_ERROR_IO when it is missing, QG_ERROR_DATA when it is something else, cut off or of another
 * version of qgraft; all say how to mend it. Safe to call from several threads. */
qg_status qg_ale_open(const char *folder, const qg_ale **ale, qg_error *error);

#endif
