#include "agent/minibatch.h"

#include <stdlib.h>
#include <string.h>

qg_status qg_minibatch_create(const qg_transition_form *form, int size, qg_minibatch *minibatch,
                              qg_error *error)
{
    const size_t n = (size_t)size, pointers = 2 * n * (size_t)form->history;
    const size_t screens = n * (size_t)form->row;
    const size_t bytes = form->is_mapped ? 1 : screens * form->room;
    *minibatch = (qg_minibatch){.screens = calloc(pointers, sizeof *minibatch->screens),
                                .actions = calloc(n, sizeof *minibatch->actions),
                                .rewards = calloc(n, sizeof *minibatch->rewards),
                                .terminals = calloc(n, 1),
                                .discounts = calloc(n, sizeof *minibatch->discounts),
                                .weights = calloc(n, sizeof *minibatch->weights),
                                .drawn = calloc(n, sizeof *minibatch->drawn),
                                .wanted = calloc(screens, sizeof *minibatch->wanted),
                                .room = malloc(bytes)};
    if (!minibatch->screens || !minibatch->actions || !minibatch->rewards ||
        !minibatch->terminals || !minibatch->discounts || !minibatch->weights ||
        !minibatch->drawn || !minibatch->wanted || !minibatch->room) {
        qg_minibatch_destroy(minibatch);
        return qg_fail_memory(error, "a minibatch", bytes);
    }
    const qg_states half = {size, form->history, form->channels, minibatch->screens};
    minibatch->batch = (qg_batch){.states = half,
                                  .next_states = half,
                                  .actions = minibatch->actions,
                                  .rewards = minibatch->rewards,
                                  .terminals = minibatch->terminals,
                                  .discounts = form->span > 1 ? minibatch->discounts : NULL};
    minibatch->batch.next_states.screens += pointers / 2;
    return QG_OK;
}

void qg_minibatch_destroy(qg_minibatch *minibatch)
{
    free(minibatch->screens);
    free(minibatch->actions);
    free(minibatch->rewards);
    free(minibatch->terminals);
    free(minibatch->discounts);
    free(minibatch->weights);
    free(minibatch->drawn);
    free(minibatch->wanted);
    free(minibatch->room);
    *minibatch = (qg_minibatch){0};
}

qg_status qg_minibatch_detach(const qg_transition_form *form, qg_minibatch *minibatch,
                              qg_error *error)
{
    if (!form->is_mapped) return QG_OK; /* the screens were read into its own memory */
    const size_t count = 2 * (size_t)minibatch->batch.states.size * (size_t)form->history;
    uint8_t *copy = malloc(count * form->pixels);
    if (!copy) return qg_fail_memory(error, "validation transitions", count * form->pixels);
    for (size_t i = 0; i < count; i++)
        if (minibatch->screens[i])
            minibatch->screens[i] =
                memcpy(copy + i * form->pixels, minibatch->screens[i], form->pixels);
    free(minibatch->room);
    minibatch->room = copy;
    return QG_OK;
}

qg_status qg_minibatch_pass(const qg_transition_form *form, qg_tape *tape, int size, int actions,
                            qg_minibatch *minibatch, qg_error *error)
{
    const size_t n = (size_t)size, count = 2 * n * (size_t)form->history;
    if (tape->reading) {
        const qg_status status = qg_minibatch_create(form, size, minibatch, error);
        if (status) return status;
        free(minibatch->room);
        minibatch->room = malloc(count * form->pixels);
        if (!minibatch->room)
            return qg_fail_memory(error, "validation transitions", count * form->pixels);
    }
    qg_tape_pass(tape, minibatch->actions, n * sizeof *minibatch->actions);
    qg_tape_pass(tape, minibatch->rewards, n * sizeof *minibatch->rewards);
    qg_tape_pass(tape, minibatch->terminals, n);
    if (form->span > 1) qg_tape_pass(tape, minibatch->discounts, n * sizeof *minibatch->discounts);
    for (size_t i = 0; i < n; i++)
        qg_tape_require(tape, minibatch->actions[i] >= 0 && minibatch->actions[i] < actions);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = minibatch->screens[i] ? form->pixels : 0; /* none: a screen of zeros */
        const uint8_t *screen = qg_tape_pass_blob(tape, minibatch->screens[i], &bytes);
        if (!tape->reading) continue;
        qg_tape_require(tape, screen && (bytes == 0 || bytes == form->pixels));
        if (tape->good && screen && bytes > 0)
            minibatch->screens[i] =
                memcpy(minibatch->room + i * form->pixels, screen, form->pixels);
    }
    return QG_OK;
}
