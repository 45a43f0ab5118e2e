#include "agent/history.h"

#include <assert.h>
#include <stdlib.h>

qg_status qg_history_create(const qg_observation_shape *shape, int length, qg_history *history,
                            qg_error *error)
{
    assert(length >= 1 && length <= QG_MAX_HISTORY);
    *history = (qg_history){
        .length = length, .channels = shape->channels, .size = qg_observation_size(shape)};
    history->memory = calloc((size_t)length, history->size);
    if (!history->memory)
        return qg_fail_memory(error, "the last screens", (size_t)length * history->size);
    return QG_OK;
}

void qg_history_destroy(qg_history *history)
{
    free(history->memory);
    history->memory = NULL;
}

void qg_history_clear(qg_history *history)
{
    history->known = 0;
}

uint8_t *qg_history_next(qg_history *history)
{
    return history->memory + (size_t)((history->newest + 1) % history->length) * history->size;
}

void qg_history_push(qg_history *history)
{
    history->newest = (history->newest + 1) % history->length;
    if (history->known < history->length) history->known++;
}

void qg_history_pass(qg_history *history, qg_tape *tape)
{
    QG_TAPE_PASS(tape, history->known);
    QG_TAPE_PASS(tape, history->newest);
    qg_tape_pass(tape, history->memory, (size_t)history->length * history->size);
    const int length = history->length;
    qg_tape_require(tape, history->known >= 0 && history->known <= length && history->newest >= 0 &&
                              history->newest < length);
}

qg_states qg_history_state(qg_history *history)
{
    for (int age = 0; age < history->length; age++) {
        const int place = (history->newest - age + history->length) % history->length;
        history->screens[history->length - 1 - age] =
            age < history->known ? history->memory + (size_t)place * history->size : NULL;
    }
    return (qg_states){1, history->length, history->channels, history->screens};
}
