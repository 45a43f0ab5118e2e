#include "agent/random_play.h"

#include "base/clock.h"
#include "base/random.h"

#include <stdlib.h>

/* QG_STOPPED when it is to end. */
static qg_status watch_step(const qg_play_watch *watch, int64_t step, double *told, qg_error *error)
{
    if (!watch) return QG_OK;
    if (watch->progress && qg_clock_tells(step, told)) watch->progress(watch->context, step);
    return watch->stop && *watch->stop ? qg_fail(error, QG_STOPPED, "stopped during random play")
                                       : QG_OK;
}

static qg_status play(qg_domain *domain, int64_t steps, uint32_t seed, const qg_play_watch *watch,
                      uint8_t *observation, qg_random_play_visit *visit, void *context,
                      qg_error *error)
{
    qg_random random = qg_random_stream(seed, "rollout");
    const uint64_t actions = (uint64_t)domain->action_count;
    bool ended = true;
    double told = 0;
    for (int64_t i = 0; i < steps; i++) {
        qg_status status = watch_step(watch, i, &told, error);
        if (status) return status;
        if (ended) {
            status = qg_domain_reset(domain, 0, observation, error);
            if (!status) status = visit(context, domain, -1, observation, error);
            if (status) return status;
        }
        qg_step step;
        const int action = (int)qg_random_below(&random, actions);
        status = qg_domain_step(domain, action, &step, observation, error);
        if (!status) status = visit(context, domain, i, observation, error);
        if (status) return status;
        ended = qg_step_is_last(&step);
    }
    return QG_OK;
}

qg_status qg_random_play(const char *name, int64_t steps, uint32_t seed, const qg_play_watch *watch,
                         qg_random_play_visit *visit, void *context, qg_error *error)
{
    const qg_domain_options options = {.seed = seed, .sticky = -1};
    qg_domain *domain;
    qg_status status = qg_domain_open(name, &options, &domain, error);
    if (status) return status;
    const size_t size = qg_observation_size(&domain->shape);
    uint8_t *observation = malloc(size);
    status = observation ? play(domain, steps, seed, watch, observation, visit, context, error)
                         : qg_fail_memory(error, "a screen", size);
    free(observation);
    qg_domain_close(domain);
    return status;
}
