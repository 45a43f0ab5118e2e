/* Which networks a domain can be played with. */
#include <qgraft/agent.h>

#include "base/text.h"

#include <stdio.h>
#include <string.h>

qg_status qg_architecture_for(const qg_settings *settings, const qg_domain *domain,
                              qg_architecture *architecture, qg_error *error)
{
    const qg_observation_shape *shape = &domain->shape;
    return qg_architecture_make(settings->network, settings->history * shape->channels,
                                shape->height, shape->width, shape->max, domain->action_count,
                                architecture, error);
}

qg_action_set qg_network_action_set(const qg_network_info *info,
                                    const qg_architecture *architecture, const qg_game *game)
{
    qg_action_set by_count = QG_ACTIONS_MINIMAL;
    bool counted = info && *info->actions; /* other names are those of no other set */
    for (int i = QG_ACTIONS_MINIMAL; i <= QG_ACTIONS_XITARI; i++) {
        int count;
        char names[sizeof info->actions];
        const qg_action_set set = (qg_action_set)i;
        const char *const *const actions = qg_game_actions(game, set, &count);
        if (!actions || count != architecture->actions) continue;
        if (!counted) by_count = set;
        counted = true;
        qg_text_join(actions, count, names, sizeof names);
        if (info && strcmp(names, info->actions) == 0) return set;
    }
    return by_count;
}

qg_outputs qg_network_outputs(const qg_network_info *info, const qg_domain *domain,
                              int outputs[QG_MAX_ACTIONS])
{
    bool moved = false, other = false;
    for (int a = 0; a < domain->action_count; a++) {
        const char *const name = domain->actions[a];
        outputs[a] = *info->actions ? qg_text_find_name(info->actions, name, strlen(name)) : a;
        moved |= outputs[a] != a;
        other |= outputs[a] < 0 || outputs[a] >= domain->action_count;
    }
    for (int a = 0; a < domain->action_count && other; a++)
        outputs[a] = a;
    return other ? QG_OUTPUTS_OTHER : moved ? QG_OUTPUTS_MOVED : QG_OUTPUTS_IN_ORDER;
}

/* NULL: there is none. The name may have settings behind it that the game does not have. */
static const qg_game *find_game(const char *domain)
{
    const qg_game *game;
    qg_error ignored;
    char name[QG_DOMAIN_NAME], normalised[QG_DOMAIN_NAME];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(domain, ":"), domain);
    return qg_domain_resolve(name, &game, normalised, &ignored) == QG_OK ? game : NULL;
}

const char *qg_game_emulator(const char *domain)
{
    const qg_game *game = find_game(domain);
    return game && game->emulator ? game->emulator : "";
}

bool qg_network_caution(const qg_network_info *info, char text[256])
{
    const qg_game *game = find_game(info->domain);
    if (!game || !game->modes_moved || *info->emulator || !strstr(info->domain, "mode="))
        return false;
    snprintf(text, 256,
             "the network was trained on '%s' by the numbers of the emulator before ALE, where the "
             "modes of %s had others: see docs/fidelity.md",
             info->domain, game->name);
    return true;
}

int qg_network_history(const qg_network_info *info, const qg_architecture *architecture,
                       const qg_domain *domain)
{
    if (info && info->history) return info->history;
    return qg_observation_is_grid(&domain->shape) ? 1
                                                  : architecture->channels / domain->shape.channels;
}

qg_status qg_network_fits(const qg_architecture *a, const qg_domain *domain, int history,
                          qg_error *error)
{
    if (a->actions != domain->action_count)
        return qg_fail(error, QG_ERROR_USAGE,
                       "the network has %d actions, %s has %d: choose a game with as many",
                       a->actions, domain->name, domain->action_count);
    return qg_network_sees(a, domain, history, error);
}

qg_status qg_network_sees(const qg_architecture *a, const qg_domain *domain, int history,
                          qg_error *error)
{
    const qg_observation_shape *shape = &domain->shape;
    if (history < 1 || history > QG_MAX_HISTORY)
        return qg_fail(error, QG_ERROR_USAGE,
                       "the network's input of %d channels makes %d screens of %s: 1 to %d are "
                       "possible",
                       a->channels, history, domain->name, QG_MAX_HISTORY);
    if (a->height != shape->height || a->width != shape->width || a->input_max != shape->max ||
        a->channels < history * shape->channels)
        return qg_fail(error, QG_ERROR_USAGE,
                       "the network sees %dx%d with %d channels (max %d), %s shows %dx%d with %d "
                       "(max %d)",
                       a->height, a->width, a->channels, a->input_max, domain->name, shape->height,
                       shape->width, history * shape->channels, shape->max);
    return QG_OK;
}
