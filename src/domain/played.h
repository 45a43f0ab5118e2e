/* The actions of a game since it began: what a game is saved as that is restored by playing it
 * again. */
#ifndef QG_PLAYED_H
#define QG_PLAYED_H

#include <qgraft/error.h>

#include <stddef.h>
#include <stdint.h>

typedef struct qg_played {
    uint8_t *actions; /* [count], owned */
    size_t count, room;
} qg_played; /* all zero: none */

/* QG_ERROR_MEMORY. */
qg_status qg_played_add(qg_played *played, uint8_t action, qg_error *error);
void qg_played_free(qg_played *played);

#endif
