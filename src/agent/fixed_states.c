#include "agent/fixed_states.h"

#include <qgraft/agent.h>

#include "agent/history.h"
#include "agent/random_play.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct collector {
    const qg_fixed_states_plan *plan;
    qg_fixed_states *fixed;
    qg_history history;
    size_t pixels; /* of a screen */
    size_t own;    /* bytes of a pixel of the game's screens */
    size_t kept;   /* and of those that are kept */
    int taken;
} collector;

/* With the first screen, which says their size. */
static qg_status make_room(collector *c, const qg_domain *domain, qg_error *error)
{
    const qg_fixed_states_plan *plan = c->plan;
    const qg_observation_shape *shape = &domain->shape;
    if (plan->seen_by) {
        const qg_status status = qg_network_sees(plan->seen_by, domain, plan->parts, error);
        if (status) return status;
    }
    const int channels = plan->part_channels > 0 ? plan->part_channels : shape->channels;
    const size_t parts = (size_t)plan->count * (size_t)plan->parts;
    assert(channels >= shape->channels);
    c->pixels = (size_t)shape->height * (size_t)shape->width;
    c->own = qg_observation_size(shape) / c->pixels;
    c->kept = c->own / (size_t)shape->channels * (size_t)channels;
    c->fixed->memory = calloc(parts, c->pixels * c->kept);
    c->fixed->screens = calloc(parts, sizeof *c->fixed->screens);
    if (!c->fixed->memory || !c->fixed->screens)
        return qg_fail_memory(error, "states", parts * c->pixels * c->kept);
    for (size_t k = 0; k < parts; k++)
        c->fixed->screens[k] = c->fixed->memory + k * c->pixels * c->kept;
    c->fixed->states = (qg_states){plan->count, plan->parts, channels, c->fixed->screens};
    return qg_history_create(shape, plan->parts, &c->history, error);
}

static void keep_state(collector *c)
{
    const qg_states state = qg_history_state(&c->history);
    const size_t parts = (size_t)c->plan->parts;
    uint8_t *to = c->fixed->memory + (size_t)c->taken * parts * c->pixels * c->kept;
    for (size_t part = 0; part < parts; part++, to += c->pixels * c->kept)
        for (size_t k = 0; k < c->pixels && state.screens[part]; k++)
            memcpy(to + k * c->kept, state.screens[part] + k * c->own, c->own);
    c->taken++;
}

static qg_status visit(void *context, qg_domain *domain, int64_t step, const uint8_t *observation,
                       qg_error *error)
{
    collector *c = context;
    const qg_status status = c->fixed->memory ? QG_OK : make_room(c, domain, error);
    if (status) return status;
    if (step < 0) qg_history_clear(&c->history);
    memcpy(qg_history_next(&c->history), observation, qg_observation_size(&domain->shape));
    qg_history_push(&c->history);
    if (c->taken < c->plan->count && step == c->taken * c->plan->steps / c->plan->count)
        keep_state(c);
    return QG_OK;
}

qg_status qg_fixed_states_create(const qg_fixed_states_plan *plan, qg_fixed_states *fixed,
                                 qg_error *error)
{
    assert(plan->count > 0 && plan->parts > 0 && plan->steps >= plan->count);
    const qg_play_watch watch = {.stop = plan->stop};
    collector c = {.plan = plan, .fixed = fixed};
    *fixed = (qg_fixed_states){0};
    const qg_status status =
        qg_random_play(plan->domain, plan->steps, plan->seed, &watch, visit, &c, error);
    qg_history_destroy(&c.history);
    if (status) qg_fixed_states_free(fixed);
    return status;
}

void qg_fixed_states_free(qg_fixed_states *fixed)
{
    free(fixed->memory);
    free(fixed->screens);
    *fixed = (qg_fixed_states){0};
}
