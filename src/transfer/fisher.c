#include "transfer/fisher.h"

#include "agent/episode.h"
#include "agent/history.h"
#include "agent/policy.h"
#include "base/clock.h"

#include <stdlib.h>

typedef struct fisher_play {
    const qg_fisher_options *options;
    qg_engine *engine;
    qg_episode episode;
    qg_history history;
    qg_random policy;
    qg_network gradient; /* room */
    double *sums;        /* [parameters] of squares */
    double told;         /* of the progress */
} fisher_play;

static int history_of(const qg_fisher_options *o, const qg_domain *domain)
{
    return qg_network_history(o->info, &o->network->architecture, domain);
}

qg_status qg_fisher_domain(const qg_fisher_options *o, qg_domain **domain, qg_error *error)
{
    if (!o->info->domain[0])
        return qg_fail(error, QG_ERROR_USAGE,
                       "`ewc`: the source does not say its game, on whose play the Fisher "
                       "information is measured");
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    qg_status status = qg_domain_resolve(o->info->domain, &game, name, error);
    if (status) return status;
    qg_domain_options how = qg_domain_options_of(o->settings);
    qg_random random = qg_random_stream(o->seed, "fisher/domain");
    how.seed = (uint32_t)qg_random_u64(&random);
    how.actions = qg_network_action_set(o->info, &o->network->architecture, game);
    status = qg_domain_open(o->info->domain, &how, domain, error);
    if (status) return status;
    status = qg_network_fits(&o->network->architecture, *domain, history_of(o, *domain), error);
    int outputs[QG_MAX_ACTIONS];
    if (!status && qg_network_outputs(o->info, *domain, outputs) == QG_OUTPUTS_MOVED)
        status =
            qg_fail(error, QG_ERROR_USAGE,
                    "`ewc`: the source names the actions of %s in another order than the game: "
                    "save it with its outputs in that of the game",
                    (*domain)->name);
    if (status) qg_domain_close(*domain);
    return status;
}

/* The output whose gradient is wanted. */
static void choose_output(void *context, int size, const float *q_values, float *gradient)
{
    (void)size, (void)q_values;
    gradient[*(const int *)context] = 1;
}

/* Adds the squares of a state's gradients: a step of the learning rate 0 leaves the network as it
 * is. */
static qg_status add_state(fisher_play *p, const qg_states *state, qg_error *error)
{
    static const qg_learning still = {
        .optimiser = {QG_RMSPROP_CENTRED, .learning_rate = 0, .rmsprop = {0, 1}}};
    const size_t count = qg_architecture_parameters(&p->gradient.architecture);
    for (int a = 0; a < p->gradient.architecture.actions; a++) {
        const qg_descent descent = {.learning = &still,
                                    .states = *state,
                                    .loss = choose_output,
                                    .context = &a,
                                    .keep_gradient = true};
        qg_status status = qg_engine_descend(p->engine, &descent, error);
        if (!status) status = qg_engine_read(p->engine, QG_GRADIENT, &p->gradient, error);
        if (status) return status;
        for (size_t i = 0; i < count; i++)
            p->sums[i] += (double)p->gradient.parameters[i] * (double)p->gradient.parameters[i];
    }
    return QG_OK;
}

static qg_status play_step(fisher_play *p, int64_t step, qg_error *error)
{
    const qg_fisher_options *o = p->options;
    const int actions = o->network->architecture.actions;
    qg_status status = QG_OK;
    if (o->progress && qg_clock_tells(step, &p->told)) o->progress(o->context);
    if (o->stop && *o->stop) return qg_fail(error, QG_STOPPED, "stopped before the first step");
    if (p->episode.over) {
        qg_history_clear(&p->history);
        status = qg_episode_begin(&p->episode, qg_history_next(&p->history), error);
        if (!status) qg_history_push(&p->history);
    }
    if (status) return status;
    const qg_states state = qg_history_state(&p->history);
    if (step % QG_FISHER_APART == 0) status = add_state(p, &state, error);
    int action;
    if (!status && !qg_explore(&p->policy, o->settings->eval_epsilon, actions, &action))
        status = qg_exploit(&p->policy, p->engine, &state, &action, error);
    qg_step result;
    if (!status)
        status = qg_episode_step(&p->episode, action, &result, qg_history_next(&p->history), error);
    if (!status) qg_history_push(&p->history);
    return status;
}

static qg_status open_play(fisher_play *p, qg_domain *domain, qg_error *error)
{
    const qg_fisher_options *o = p->options;
    const qg_architecture *a = &o->network->architecture;
    p->policy = qg_random_stream(o->seed, "fisher/policy");
    p->episode =
        qg_episode_of(domain, o->settings->noop_max, qg_random_stream(o->seed, "fisher/noops"));
    qg_status status = qg_history_create(&domain->shape, history_of(o, domain), &p->history, error);
    if (!status) status = qg_network_create(a, &p->gradient, error);
    if (status) return status;
    const size_t count = qg_architecture_parameters(a);
    p->sums = calloc(count, sizeof *p->sums);
    if (!p->sums) return qg_fail_memory(error, "the Fisher information", count * sizeof *p->sums);
    status = qg_engine_create(&(qg_engine_options){.architecture = a,
                                                   .max_batch = 1,
                                                   .machine = {.threads = o->machine.threads},
                                                   .optimiser = QG_RMSPROP_CENTRED},
                              &p->engine, error);
    return status ? status : qg_engine_write(p->engine, QG_ONLINE, o->network, error);
}

qg_status qg_fisher(const qg_fisher_options *options, qg_network *fisher, qg_error *error)
{
    fisher_play p = {.options = options};
    qg_domain *domain;
    qg_status status = qg_fisher_domain(options, &domain, error);
    if (status) return status;
    status = open_play(&p, domain, error);
    for (int64_t step = 0; step < options->samples * QG_FISHER_APART && !status; step++)
        status = play_step(&p, step, error);
    for (size_t i = 0; i < qg_architecture_parameters(&fisher->architecture) && !status; i++)
        fisher->parameters[i] = (float)(p.sums[i] / (double)options->samples);
    qg_history_destroy(&p.history);
    qg_engine_destroy(p.engine);
    qg_network_free(&p.gradient);
    free(p.sums);
    qg_domain_close(domain);
    return status;
}
