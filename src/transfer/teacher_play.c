#include "transfer/teacher_play.h"

#include "agent/checkpoint.h"
#include "agent/policy.h"

qg_status qg_play_open(qg_teacher *teacher, qg_play *p, qg_error *error)
{
    const qg_sample_source *source = &teacher->source;
    qg_random random = qg_random_stream(source->seed, "distillation/domain");
    const qg_domain_options options = {.seed = (uint32_t)qg_random_u64(&random),
                                       .frame_skip = source->frame_skip,
                                       .sticky = source->sticky,
                                       .actions = teacher->action_set,
                                       .max_episode_frames = source->max_episode_frames};
    *p = (qg_play){.teacher = teacher,
                   .policy = qg_random_stream(source->seed, "distillation/policy")};
    const qg_status status = qg_domain_open(teacher->domain, &options, &p->domain, error);
    if (status) return status;
    p->episode = qg_episode_of(p->domain, source->noop_max,
                               qg_random_stream(source->seed, "distillation/noops"));
    return qg_history_create(&teacher->shape, teacher->history, &p->history, error);
}

void qg_play_close(qg_play *p)
{
    qg_history_destroy(&p->history);
    qg_domain_close(p->domain);
    *p = (qg_play){0};
}

static qg_status begin_episode(qg_play *p, qg_error *error)
{
    qg_history_clear(&p->history);
    const qg_status status = qg_episode_begin(&p->episode, qg_history_next(&p->history), error);
    if (!status) qg_history_push(&p->history);
    return status;
}

/* Stores the newest state and plays on from it. */
qg_status qg_play_step(qg_play *p, qg_error *error)
{
    const qg_teacher *t = p->teacher;
    float q_values[QG_MAX_ACTIONS];
    const bool first = p->episode.over;
    qg_status status = first ? begin_episode(p, error) : QG_OK;
    if (status) return status;
    const qg_states state = qg_history_state(&p->history);
    status = qg_engine_forward(t->engine, QG_ONLINE, &state, q_values, error);
    if (status) return status;
    status = qg_sample_set_add(t->samples, state.screens[state.parts - 1], first, q_values, error);
    if (status) return status;
    int action;
    if (!qg_explore(&p->policy, t->source.epsilon, t->source.actions, &action))
        action = qg_greedy_action(q_values, t->source.actions, qg_random_uniform(&p->policy));
    qg_step step;
    status = qg_episode_step(&p->episode, action, &step, qg_history_next(&p->history), error);
    if (!status) qg_history_push(&p->history);
    return status;
}

qg_status qg_play_pass(qg_play *p, qg_tape *tape, qg_error *error)
{
    qg_tape_pass_random(tape, &p->policy);
    qg_history_pass(&p->history, tape);
    return qg_episode_pass(&p->episode, tape, error);
}
