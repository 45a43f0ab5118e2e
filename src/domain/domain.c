/* From a name to a domain: which provider's game it is, and how it is opened. */
#include "domain/stepping.h"

#include "domain/game_variant.h"

#include <stdlib.h>
#include <string.h>

typedef const qg_domain_provider *const *provider_place; /* in qg_domain_providers */

static qg_status fail_game(const char *name, qg_error *error)
{
    bool same;
    const qg_game *const game = qg_game_like(name, &same);
    if (!game) return qg_fail(error, QG_ERROR_USAGE, "unknown game '%s': `games` lists all", name);
    return qg_fail(error, QG_ERROR_USAGE, "unknown game '%s': %s '%s'%s `games` lists all", name,
                   same ? "here it is" : "did you mean", game->name, same ? ";" : "?");
}

static const qg_game *find_game(const qg_domain_provider *provider, const char *name)
{
    const qg_game *game;
    for (size_t i = 0; (game = provider->game(i)) && strcmp(game->name, name) != 0; i++)
        continue;
    return game;
}

static bool has_prefix(const char *name, const qg_domain_provider *provider)
{
    return strncmp(name, provider->prefix, strlen(provider->prefix)) == 0;
}

/* `name`: of a listed game, cut up on the way. */
static qg_status resolve_listed(char *name, const qg_domain_provider **provider,
                                qg_named_domain *named, qg_error *error)
{
    char *settings = strchr(name, ':');
    if (settings) *settings++ = '\0';
    named->game = NULL;
    for (provider_place p = qg_domain_providers; *p && !named->game; p++)
        if (has_prefix(name, *p)) {
            *provider = *p;
            named->game = find_game(*p, name);
        }
    if (!named->game) {
        if (settings) settings[-1] = ':';
        return fail_game(name, error);
    }
    const qg_status status = qg_variant_parse(named->game, settings, &named->variant, error);
    if (status == QG_OK) qg_variant_format(named->game, &named->variant, named->name);
    return status;
}

static qg_status resolve(const char *name, const qg_domain_provider **provider,
                         qg_named_domain *named, qg_error *error)
{
    char copy[QG_DOMAIN_NAME];
    const size_t length = strlen(name);
    if (length >= sizeof copy)
        return qg_fail(error, QG_ERROR_USAGE,
                       "'%.40s...': %zu characters; the name of a game has at most %zu", name,
                       length, sizeof copy - 1);
    if (length == 0)
        return qg_fail(error, QG_ERROR_USAGE, "'': expected the name of a game, `games` lists all");
    for (provider_place p = qg_domain_providers; *p; p++)
        if ((*p)->resolve && has_prefix(name, *p)) {
            *provider = *p;
            return (*p)->resolve(name, named, error);
        }
    memcpy(copy, name, length + 1);
    return resolve_listed(copy, provider, named, error);
}

qg_status qg_domain_resolve(const char *name, const qg_game **game, char normalised[QG_DOMAIN_NAME],
                            qg_error *error)
{
    const qg_domain_provider *provider;
    qg_named_domain named;
    const qg_status status = resolve(name, &provider, &named, error);
    if (status != QG_OK) return status;
    *game = named.game;
    strcpy(normalised, named.name);
    return QG_OK;
}

/* ------------------------------------------------------------------------------- action sets */

static const char *const *actions_of(const qg_domain_provider *provider, const qg_game *game,
                                     qg_action_set set, int *count)
{
    const char *const *other = NULL;
    if (set != QG_ACTIONS_MINIMAL && provider->actions) other = provider->actions(game, set, count);
    if (other || set == QG_ACTIONS_FULL) return other;
    *count = game->action_count;
    return game->actions;
}

const char *const *qg_game_actions(const qg_game *game, qg_action_set set, int *count)
{
    const qg_domain_provider *provider;
    qg_named_domain named;
    qg_error ignored; /* a game's name is known */
    return resolve(game->name, &provider, &named, &ignored)
               ? NULL
               : actions_of(provider, game, set, count);
}

/* ----------------------------------------------------------------------------------- opening */

static qg_status create(const qg_domain_provider *provider, const qg_named_domain *named,
                        const qg_domain_options *options, qg_open_domain *opened, qg_error *error)
{
    qg_domain *const d = &opened->domain;
    d->game = named->game;
    d->shape = named->game->shape;
    strcpy(d->name, named->name);
    d->actions = actions_of(provider, d->game, options->actions, &d->action_count);
    if (!d->actions)
        return qg_fail(error, QG_ERROR_USAGE, "%s: has no action set '%s', only the minimal one",
                       d->name, qg_action_set_name(options->actions));
    const qg_status status = qg_stepping_begin(opened, provider, options, error);
    return status ? status : provider->create(d, &named->variant, options, error);
}

qg_status qg_domain_open(const char *name, const qg_domain_options *options, qg_domain **domain,
                         qg_error *error)
{
    *domain = NULL;
    const qg_domain_provider *provider;
    qg_named_domain named;
    qg_status status = resolve(name, &provider, &named, error);
    if (status != QG_OK) return status;
    qg_open_domain *opened = calloc(1, sizeof *opened);
    if (!opened) return qg_fail_memory(error, "a domain", sizeof *opened);
    status = create(provider, &named, options, opened, error);
    if (status != QG_OK) {
        free(opened);
        return status;
    }
    *domain = &opened->domain;
    return QG_OK;
}

void qg_domain_close(qg_domain *domain)
{
    if (!domain) return;
    domain->methods->destroy(domain->self);
    free(domain);
}

void qg_domains_release(void)
{
    for (provider_place p = qg_domain_providers; *p; p++)
        if ((*p)->release) (*p)->release();
}
