/* The games of plugins as domains: checks in front of a plugin's own methods. */
#include "domain/plugin_game.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const qg_plugin *plugin;
    qg_game game; /* the plugin's, completed */
} added[QG_MAX_PLUGINS];
static size_t added_count;

bool qg_plugin_is_added(const qg_plugin *plugin)
{
    for (size_t i = 0; i < added_count; i++)
        if (added[i].plugin == plugin) return true;
    return false;
}

bool qg_plugin_add(const qg_plugin *plugin)
{
    if (added_count == QG_MAX_PLUGINS) return false;
    added[added_count].plugin = plugin;
    qg_game *const game = &added[added_count++].game;
    *game = plugin->game;
    if (!game->defaults)
        game->defaults =
            qg_observation_is_grid(&game->shape) ? &qg_grid_defaults : &qg_screen_defaults;
    return true;
}

static const qg_game *game_at(size_t index)
{
    return index < added_count ? &added[index].game : NULL;
}

static const qg_plugin *find_plugin(const qg_game *game)
{
    size_t i = 0;
    while (&added[i].game != game)
        i++;
    assert(i < added_count);
    return added[i].plugin;
}

typedef struct own_game {
    const qg_plugin *plugin;
    const char *name; /* the domain's */
    void *self;       /* the plugin's */
    int noop;         /* the action of that name; QG_NOOP: it has none */
} own_game;

/* The plugin's error under the name of its game. */
static qg_status blame(const char *name, qg_status code, qg_error *inner, qg_error *error)
{
    if (code < QG_ERROR_USAGE || code > QG_ERROR_BUSY) code = QG_ERROR_DATA;
    inner->message[sizeof inner->message - 1] = '\0';
    return qg_fail(error, code, "%s: %s", name,
                   inner->message[0] ? inner->message : "the plugin failed and does not say why");
}

static void destroy(void *object)
{
    own_game *game = object;
    game->plugin->methods.destroy(game->self);
    free(game);
}

static qg_status start(void *object, qg_error *error)
{
    const own_game *game = object;
    qg_error inner = {0};
    const qg_status status = game->plugin->methods.start(game->self, &inner);
    return status ? blame(game->name, status, &inner, error) : QG_OK;
}

/* A game without a "noop" stands still in a frame without action. */
static qg_status play(void *object, int action, qg_step *frame, qg_error *error)
{
    const own_game *game = object;
    if (action == QG_NOOP) action = game->noop;
    if (action == QG_NOOP) return QG_OK;
    qg_error inner = {0};
    const qg_status status = game->plugin->methods.play(game->self, action, frame, &inner);
    if (status != QG_OK) return blame(game->name, status, &inner, error);
    if (!isfinite(frame->reward))
        return qg_fail(error, QG_ERROR_DATA, "%s: the plugin gave a reward that is no number",
                       game->name);
    return QG_OK;
}

static qg_status observe(void *object, uint8_t *observation, qg_error *error)
{
    const own_game *game = object;
    const qg_observation_shape *const shape = &game->plugin->game.shape;
    qg_error inner = {0};
    const qg_status status = game->plugin->methods.observe(game->self, observation, &inner);
    if (status != QG_OK) return blame(game->name, status, &inner, error);
    const size_t size = qg_observation_is_grid(shape) ? qg_observation_size(shape) : 0;
    for (size_t i = 0; i < size; i++)
        if (observation[i] > 1)
            return qg_fail(error, QG_ERROR_DATA,
                           "%s: the plugin gave a screen with the value %d at %zu; its values are "
                           "0 and 1",
                           game->name, observation[i], i);
    return QG_OK;
}

static qg_status save(void *object, uint8_t **state, size_t *size, qg_error *error)
{
    const own_game *game = object;
    qg_error inner = {0};
    const qg_status status = game->plugin->methods.save(game->self, state, size, &inner);
    return status ? blame(game->name, status, &inner, error) : QG_OK;
}

static qg_status restore(void *object, const uint8_t *state, size_t size, qg_error *error)
{
    const own_game *game = object;
    qg_error inner = {0};
    const qg_status status = game->plugin->methods.restore(game->self, state, size, &inner);
    return status ? blame(game->name, status, &inner, error) : QG_OK;
}

static void picture(void *object, qg_picture *result)
{
    own_game *game = object;
    game->plugin->methods.picture(game->self, result);
}

static const uint8_t *ram(void *object, size_t *size)
{
    own_game *game = object;
    *size = 0;
    return game->plugin->methods.ram ? game->plugin->methods.ram(game->self, size) : NULL;
}

static const qg_domain_class own_class = {.destroy = destroy,
                                          .start = start,
                                          .play = play,
                                          .observe = observe,
                                          .save = save,
                                          .restore = restore,
                                          .picture = picture,
                                          .ram = ram};

static const qg_domain_class own_class_unsaved = {.destroy = destroy,
                                                  .start = start,
                                                  .play = play,
                                                  .observe = observe,
                                                  .picture = picture,
                                                  .ram = ram};

static int find_noop(const qg_domain *domain)
{
    for (int i = 0; i < domain->action_count; i++)
        if (strcmp(domain->actions[i], "noop") == 0) return i;
    return QG_NOOP;
}

static qg_status create(qg_domain *domain, const qg_variant *variant,
                        const qg_domain_options *options, qg_error *error)
{
    const qg_plugin *plugin = find_plugin(domain->game);
    own_game *game = calloc(1, sizeof *game);
    if (!game) return qg_fail_memory(error, "a game", sizeof *game);
    *game = (own_game){.plugin = plugin, .name = domain->name, .noop = find_noop(domain)};
    qg_error inner = {0};
    const qg_status status = plugin->create(options->seed, variant, &game->self, &inner);
    if (status != QG_OK) {
        free(game);
        return blame(domain->name, status, &inner, error);
    }
    domain->methods = plugin->methods.save ? &own_class : &own_class_unsaved;
    domain->self = game;
    return QG_OK;
}

const qg_domain_provider qg_plugin_provider = {.prefix = "", .game = game_at, .create = create};
