#include "domain/played.h"

#include <stdlib.h>

qg_status qg_played_add(qg_played *played, uint8_t action, qg_error *error)
{
    if (played->count == played->room) {
        const size_t room = 2 * played->room + 1024;
        uint8_t *actions = realloc(played->actions, room);
        if (!actions) return qg_fail_memory(error, "the actions of a game", room);
        played->actions = actions;
        played->room = room;
    }
    played->actions[played->count++] = action;
    return QG_OK;
}

void qg_played_free(qg_played *played)
{
    free(played->actions);
    *played = (qg_played){0};
}
