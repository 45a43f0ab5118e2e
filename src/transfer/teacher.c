#include "transfer/teacher.h"

#include "agent/history.h"
#include "agent/policy.h"
#include "base/file.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------- open */

/* Opens the domain once for what its name does not tell. */
static qg_status look_at_domain(qg_teacher *t, const qg_settings *settings, qg_error *error)
{
    if (!t->info.domain[0])
        return qg_fail(error, QG_ERROR_USAGE, "%s: does not say its game, so it cannot play",
                       t->path);
    const qg_domain_options options = {.frame_skip = settings->frame_skip,
                                       .sticky = settings->sticky};
    qg_domain *domain;
    qg_status status = qg_domain_open(t->info.domain, &options, &domain, error);
    if (status) return status;
    t->game = domain->game;
    t->shape = domain->shape;
    snprintf(t->domain, sizeof t->domain, "%s", domain->name);
    t->history = qg_network_history(&t->info, &t->network.architecture, domain);
    qg_error inner;
    if (qg_network_fits(&t->network.architecture, domain, t->history, &inner))
        status = qg_fail(error, QG_ERROR_USAGE, "%s: %s", t->path, inner.message);
    qg_domain_close(domain);
    return status;
}

static void describe_source(qg_teacher *t, const qg_distillation_options *options)
{
    const qg_settings *settings = &options->settings;
    t->source = (qg_sample_source){.seed = options->seed,
                                   .count = options->samples + qg_held_out(options->samples),
                                   .epsilon = options->epsilon,
                                   .sticky = settings->sticky,
                                   .frame_skip = settings->frame_skip,
                                   .noop_max = settings->noop_max,
                                   .history = t->history,
                                   .actions = t->game->action_count,
                                   .height = t->shape.height,
                                   .width = t->shape.width,
                                   .channels = t->shape.channels,
                                   .max = t->shape.max};
    snprintf(t->source.teacher, sizeof t->source.teacher, "%s", t->sha256);
    snprintf(t->source.domain, sizeof t->source.domain, "%s", t->domain);
    snprintf(t->source.isa, sizeof t->source.isa, "%s", qg_engine_isa(t->engine));
}

qg_status qg_teacher_open(const qg_distillation_options *options, int index, qg_teacher *t,
                          qg_error *error)
{
    *t = (qg_teacher){.path = options->teachers[index]};
    qg_status status = qg_network_load(t->path, &t->network, &t->info, error);
    if (!status) status = qg_sha256_file(t->path, t->sha256, error);
    if (!status) status = look_at_domain(t, &options->settings, error);
    if (!status)
        status = qg_engine_create(&t->network.architecture, 1, 1, options->isa, &t->engine, error);
    if (status) return status;
    qg_engine_write(t->engine, QG_ONLINE, &t->network);
    describe_source(t, options);
    return QG_OK;
}

void qg_teacher_close(qg_teacher *t)
{
    qg_sample_set_close(t->samples);
    qg_engine_destroy(t->engine);
    qg_network_free(&t->network);
    *t = (qg_teacher){0};
}

/* ---------------------------------------------------------------------------------- play */

typedef struct play {
    qg_teacher *teacher;
    qg_domain *domain;
    qg_history history;
    qg_random policy, noops;
    bool end; /* the next step begins an episode */
} play;

static qg_status begin_episode(play *p, qg_error *error)
{
    const int noop_max = p->teacher->source.noop_max;
    const int noops = noop_max ? 1 + (int)qg_random_below(&p->noops, (uint64_t)noop_max) : 0;
    qg_history_clear(&p->history);
    const qg_status status = qg_domain_reset(p->domain, noops, qg_history_next(&p->history), error);
    if (!status) qg_history_push(&p->history);
    return status;
}

/* Stores the newest state and plays on from it. */
static qg_status play_step(play *p, qg_error *error)
{
    const qg_teacher *t = p->teacher;
    float q_values[QG_MAX_ACTIONS];
    const bool first = p->end;
    qg_status status = first ? begin_episode(p, error) : QG_OK;
    if (status) return status;
    const qg_states state = qg_history_state(&p->history);
    qg_engine_forward(t->engine, QG_ONLINE, &state, q_values);
    qg_sample_set_add(t->samples, state.screens[state.parts - 1], first, q_values);
    int action;
    if (!qg_explore(&p->policy, t->source.epsilon, t->source.actions, &action))
        action = qg_greedy_action(q_values, t->source.actions, qg_random_uniform(&p->policy));
    qg_step step;
    status = qg_domain_step(p->domain, action, &step, qg_history_next(&p->history), error);
    if (status) return status;
    qg_history_push(&p->history);
    p->end = step.end;
    return QG_OK;
}

static qg_status play_all(play *p, const volatile sig_atomic_t *stop, qg_teacher_report *report,
                          void *context, qg_error *error)
{
    const int64_t count = p->teacher->source.count;
    qg_status status = QG_OK;
    for (int64_t i = 0; i < count && !status; i++) {
        if (stop && *stop)
            return qg_fail(error, QG_STOPPED,
                           "stopped while the teacher played, after %lld samples", (long long)i);
        if (report && i % 256 == 0) report(context, i, count);
        status = play_step(p, error);
    }
    return status ? status : qg_sample_set_finish(p->teacher->samples, error);
}

qg_status qg_teacher_play(qg_teacher *teacher, const volatile sig_atomic_t *stop,
                          qg_teacher_report *report, void *context, qg_error *error)
{
    const qg_sample_source *source = &teacher->source;
    qg_random random = qg_random_stream(source->seed, "distillation/domain");
    const qg_domain_options options = {.seed = (uint32_t)qg_random_u64(&random),
                                       .frame_skip = source->frame_skip,
                                       .sticky = source->sticky};
    play p = {.teacher = teacher,
              .policy = qg_random_stream(source->seed, "distillation/policy"),
              .noops = qg_random_stream(source->seed, "distillation/noops"),
              .end = true};
    qg_status status = qg_domain_open(teacher->domain, &options, &p.domain, error);
    if (status) return status;
    status = qg_history_create(&teacher->shape, teacher->history, &p.history, error);
    if (!status) status = play_all(&p, stop, report, context, error);
    qg_history_destroy(&p.history);
    qg_domain_close(p.domain);
    return status;
}
