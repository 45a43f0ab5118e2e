/* Code loaded while the program runs: games of the user's own, the Atari emulator. */
#ifndef QG_SHARED_OBJECT_H
#define QG_SHARED_OBJECT_H

#include <qgraft/error.h>

/* Opens the shared object `path` with dlopen, all symbols bound, none of them global. Refused with
 * "PATH: why": what is no regular file (a FIFO would hang), what the dynamic linker does not take,
 * and a file that was cut off (a broken download, a full disk), of which it would die by SIGBUS.
 * Its code is run, so that this is no defence against those who wrote it. The caller owns *handle.
 */
qg_status qg_shared_object_open(const char *path, void **handle, qg_error *error);

#endif
