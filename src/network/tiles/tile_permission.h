/* The processor's tiles: whether there are any, and their configuration. */
#ifndef QG_TILE_PERMISSION_H
#define QG_TILE_PERMISSION_H

#include <stdbool.h>

/* Whether this process may use tiles, AVX-512 and its bf16. The kernel is asked once a process, for
 * all of its threads and children. */
bool qg_tiles_here(void);

#ifdef QG_TILES
/* Every thread, before the first product of a call and behind the last. The calling thread may be
 * anyone's: what is configured outlives no call, and none has to be there when one begins. */
void qg_tiles_begin(void);
void qg_tiles_end(void);

/* Denormal operands and results are zeros between the two; AMX has it always so. */
unsigned qg_tiles_flush(void);
void qg_tiles_unflush(unsigned before);
#endif

#endif
