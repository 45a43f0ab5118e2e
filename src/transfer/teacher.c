#include "transfer/teacher.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

/* Opens the domain once for what its name does not tell. */
static qg_status look_at_domain(qg_teacher *t, const qg_settings *settings, qg_error *error)
{
    if (!t->info.domain[0])
        return qg_fail(error, QG_ERROR_USAGE, "%s: does not say its game, so it cannot play",
                       t->path);
    const qg_game *game;
    qg_domain *domain;
    qg_domain_options options = qg_domain_options_of(settings);
    qg_status status = qg_domain_resolve(t->info.domain, &game, t->domain, error);
    if (status) return status;
    t->action_set = qg_network_action_set(&t->info, &t->network.architecture, game);
    options.actions = t->action_set;
    status = qg_domain_open(t->info.domain, &options, &domain, error);
    if (status) return status;
    t->actions = domain->actions;
    t->shape = domain->shape;
    t->history = qg_network_history(&t->info, &t->network.architecture, domain);
    qg_error inner;
    int outputs[QG_MAX_ACTIONS];
    if (qg_network_fits(&t->network.architecture, domain, t->history, &inner))
        status = qg_fail(error, QG_ERROR_USAGE, "%s: %s", t->path, inner.message);
    else if (qg_network_outputs(&t->info, domain, outputs) == QG_OUTPUTS_MOVED)
        status = qg_fail(error, QG_ERROR_USAGE,
                         "%s: names the actions of %s in another order than the game: save it with "
                         "its outputs in that of the game",
                         t->path, t->domain);
    qg_domain_close(domain);
    return status;
}

static void describe_source(qg_teacher *t, const qg_distillation_options *options)
{
    const qg_settings *settings = &options->settings;
    t->source =
        (qg_sample_source){.seed = options->run.seed,
                           .count = options->samples + qg_held_out(options->samples),
                           .epsilon = options->epsilon,
                           .sticky = settings->sticky,
                           .max_episode_frames = qg_domain_options_of(settings).max_episode_frames,
                           .frame_skip = settings->frame_skip,
                           .noop_max = settings->noop_max,
                           .history = t->history,
                           .actions = t->network.architecture.actions,
                           .height = t->shape.height,
                           .width = t->shape.width,
                           .channels = t->shape.channels,
                           .max = t->shape.max};
    qg_network_sha256(&t->network, t->source.teacher);
    snprintf(t->source.domain, sizeof t->source.domain, "%s", t->domain);
    snprintf(t->source.precision, sizeof t->source.precision, "%s", t->engine->methods->name);
}

qg_status qg_teacher_open(const qg_distillation_options *options, int index, qg_teacher *t,
                          qg_error *error)
{
    *t = (qg_teacher){.path = options->teachers[index]};
    qg_status status = qg_network_load(t->path, &t->network, &t->info, error);
    if (!status) status = qg_sha256_file(t->path, t->sha256, error);
    if (!status) status = look_at_domain(t, &options->settings, error);
    if (!status)
        status = qg_engine_create(&(qg_engine_options){.architecture = &t->network.architecture,
                                                       .precision = options->settings.precision,
                                                       .max_batch = 1,
                                                       .machine = options->run.machine},
                                  &t->engine, error);
    if (!status) status = qg_engine_write(t->engine, QG_ONLINE, &t->network, error);
    if (!status) describe_source(t, options);
    return status;
}

void qg_teacher_close(qg_teacher *t)
{
    qg_sample_set_close(t->samples);
    qg_engine_destroy(t->engine);
    qg_network_free(&t->network);
    *t = (qg_teacher){0};
}
