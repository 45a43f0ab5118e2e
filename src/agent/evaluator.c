/* Evaluation: the network plays almost greedily, nothing is learned. */
#include <qgraft/agent.h>

#include "agent/episode.h"
#include "agent/history.h"
#include "agent/policy.h"
#include "base/clock.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Sums over the complete episodes. */
typedef struct returns {
    int64_t count;
    double sum, squares, minimum, maximum;
} returns;

static void add_return(returns *all, double value)
{
    all->minimum = all->count ? fmin(all->minimum, value) : value;
    all->maximum = all->count ? fmax(all->maximum, value) : value;
    all->count++;
    all->sum += value;
    all->squares += value * value;
}

static void summarise(const returns *all, double unfinished, qg_evaluation *evaluation)
{
    const double n = (double)all->count;
    evaluation->episodes = all->count;
    evaluation->score = all->count ? all->sum / n : unfinished;
    evaluation->minimum = all->count ? all->minimum : unfinished;
    evaluation->maximum = all->count ? all->maximum : unfinished;
    evaluation->deviation =
        all->count > 1 ? sqrt(fmax(0, (all->squares - all->sum * all->sum / n) / (n - 1))) : 0;
}

typedef struct player {
    qg_engine *engine;
    const qg_evaluation_options *options;
    qg_episode episode;
    qg_history history;
    qg_random policy;
    qg_moment moment;
    double told; /* of the progress */
} player;

static qg_status show(player *p, qg_error *error)
{
    const qg_evaluation_options *options = p->options;
    p->moment.episode_steps = p->episode.steps;
    p->moment.episode_return = p->episode.game_return;
    if (!options->watch) return QG_OK;
    return options->watch(options->context, p->episode.domain, &p->moment, error);
}

static qg_status begin_episode(player *p, qg_error *error)
{
    p->moment = (qg_moment){.step = p->moment.step, .episode = p->moment.episode + 1, .action = -1};
    qg_history_clear(&p->history);
    const qg_status status = qg_episode_begin(&p->episode, qg_history_next(&p->history), error);
    if (status) return status;
    qg_history_push(&p->history);
    return show(p, error);
}

/* The best of those actions that the network has an output for. */
static qg_status exploit_by_meaning(player *p, const qg_states *state, int *action, qg_error *error)
{
    const int *outputs = p->options->outputs;
    float q_values[QG_MAX_ACTIONS], known[QG_MAX_ACTIONS];
    int actions[QG_MAX_ACTIONS], count = 0;
    const qg_status status = qg_engine_forward(p->engine, QG_ONLINE, state, q_values, error);
    if (status) return status;
    for (int a = 0; a < p->episode.domain->action_count; a++) {
        if (outputs[a] < 0) continue;
        known[count] = q_values[outputs[a]];
        actions[count++] = a;
    }
    assert(count > 0);
    *action = actions[qg_greedy_action(known, count, qg_random_uniform(&p->policy))];
    return QG_OK;
}

static qg_status choose(player *p, int *action, qg_error *error)
{
    const int actions = p->episode.domain->action_count;
    if (qg_explore(&p->policy, p->options->epsilon, actions, action)) return QG_OK;
    const qg_states state = qg_history_state(&p->history);
    return p->options->outputs ? exploit_by_meaning(p, &state, action, error)
                               : qg_exploit(&p->policy, p->engine, &state, action, error);
}

static qg_status play_step(player *p, qg_error *error)
{
    qg_moment *m = &p->moment;
    qg_status status = choose(p, &m->action, error);
    if (!status)
        status = qg_episode_step(&p->episode, m->action, &m->result, qg_history_next(&p->history),
                                 error);
    if (status) return status;
    qg_history_push(&p->history);
    m->step++;
    return show(p, error);
}

static qg_status play(player *p, returns *all, qg_error *error)
{
    const qg_evaluation_options *options = p->options;
    const qg_moment *m = &p->moment;
    qg_status status = QG_OK;
    while (!status && m->step < options->steps &&
           (!options->episodes || all->count < options->episodes)) {
        if (options->stop && *options->stop)
            return qg_fail(error, QG_STOPPED, "stopped during an evaluation");
        if (options->progress && qg_clock_tells(m->step, &p->told))
            options->progress(options->context, m->step);
        if (p->episode.over) status = begin_episode(p, error);
        if (!status) status = play_step(p, error);
        if (!status && p->episode.over) add_return(all, p->episode.game_return);
    }
    return status;
}

qg_status qg_evaluate(qg_engine *engine, qg_domain *domain, const qg_evaluation_options *options,
                      qg_evaluation *evaluation, qg_error *error)
{
    assert(engine || options->epsilon >= 1);
    *evaluation = (qg_evaluation){0};
    player p = {.engine = engine,
                .options = options,
                .episode = qg_episode_of(domain, options->noop_max,
                                         qg_random_stream(options->seed, "noops")),
                .policy = qg_random_stream(options->seed, "policy")};
    qg_status status = qg_history_create(&domain->shape, options->history, &p.history, error);
    if (status) return status;
    returns all = {0};
    status = play(&p, &all, error);
    summarise(&all, p.episode.over ? 0 : p.episode.game_return, evaluation);
    evaluation->steps = p.moment.step;
    qg_history_destroy(&p.history);
    return status;
}
