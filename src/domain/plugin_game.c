/* The games of plugins as domains: the common parts (sticky actions, skipped frames, checks, saved
 * states) in front of a plugin's own methods. */
#include "domain/plugin_game.h"

#include "base/random.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

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

/* What the library keeps of a game beside its own state. */
typedef struct plugin_progress {
    int32_t last; /* the action that was played last */
    qg_random random;
} plugin_progress;

typedef struct own_game {
    const qg_plugin *plugin;
    const char *name; /* the domain's */
    void *self;       /* the plugin's */
    double sticky;
    int frame_skip;
    bool break_on_life;
    plugin_progress progress;
} own_game;

/* The plugin's error under the name of its game. */
static qg_status blame(const char *name, qg_status code, qg_error *inner, qg_error *error)
{
    if (code < QG_ERROR_USAGE || code > QG_ERROR_BUSY) code = QG_ERROR_DATA;
    inner->message[sizeof inner->message - 1] = '\0';
    return qg_fail(error, code, "%s: %s", name,
                   inner->message[0] ? inner->message : "the plugin failed and does not say why");
}

static qg_status check_screen(const own_game *game, const uint8_t *observation, qg_error *error)
{
    if (!qg_observation_is_grid(&game->plugin->game.shape)) return QG_OK;
    const size_t size = qg_observation_size(&game->plugin->game.shape);
    for (size_t i = 0; i < size; i++)
        if (observation[i] > 1)
            return qg_fail(error, QG_ERROR_DATA,
                           "%s: the plugin gave a screen with the value %d at %zu; its values are "
                           "0 and 1",
                           game->name, observation[i], i);
    return QG_OK;
}

static void destroy(void *object)
{
    own_game *game = object;
    game->plugin->methods.destroy(game->self);
    free(game);
}

static qg_status reset(void *object, int noops, uint8_t *observation, qg_error *error)
{
    const own_game *game = object;
    qg_error inner = {0};
    const qg_status status = game->plugin->methods.reset(game->self, noops, observation, &inner);
    if (status != QG_OK) return blame(game->name, status, &inner, error);
    return check_screen(game, observation, error);
}

/* One frame; its reward is added. */
static qg_status play_frame(own_game *game, int action, qg_step *sum, uint8_t *observation,
                            qg_error *error)
{
    plugin_progress *p = &game->progress;
    if (game->sticky > 0 && qg_random_uniform(&p->random) < game->sticky) action = p->last;
    p->last = action;
    qg_step frame = {0};
    qg_error inner = {0};
    const qg_status status =
        game->plugin->methods.step(game->self, action, &frame, observation, &inner);
    if (status != QG_OK) return blame(game->name, status, &inner, error);
    if (!isfinite(frame.reward))
        return qg_fail(error, QG_ERROR_DATA, "%s: the plugin gave a reward that is no number",
                       game->name);
    sum->reward += frame.reward;
    sum->end = frame.end;
    sum->life_lost |= frame.life_lost;
    return QG_OK;
}

static qg_status step(void *object, int action, qg_step *result, uint8_t *observation,
                      qg_error *error)
{
    own_game *game = object;
    *result = (qg_step){0};
    for (int i = 0; i < game->frame_skip; i++) {
        const qg_status status = play_frame(game, action, result, observation, error);
        if (status != QG_OK) return status;
        if (result->end || (result->life_lost && game->break_on_life)) break;
    }
    return check_screen(game, observation, error);
}

/* A saved state: this header, the plugin's bytes, the CRC-32 of both. */
typedef struct plugin_header {
    char magic[8];
    char name[QG_DOMAIN_NAME];
    plugin_progress progress;
} plugin_header;

static const char saved_magic[8] = "QGPLUG1";

static qg_status save(void *object, uint8_t **state, size_t *size, qg_error *error)
{
    const own_game *game = object;
    if (!game->plugin->methods.save)
        return qg_fail(error, QG_ERROR_USAGE, "%s: its plugin cannot save a game", game->name);
    qg_error inner = {0};
    uint8_t *bare = NULL;
    size_t bare_size = 0;
    const qg_status status = game->plugin->methods.save(game->self, &bare, &bare_size, &inner);
    if (status != QG_OK) return blame(game->name, status, &inner, error);

    plugin_header header = {.progress = game->progress};
    uint32_t crc;
    const size_t total = sizeof header + bare_size + sizeof crc;
    uint8_t *data = malloc(total);
    if (!data) {
        free(bare);
        return qg_fail_memory(error, "a saved game", total);
    }
    memcpy(header.magic, saved_magic, sizeof header.magic);
    memcpy(header.name, game->name, strlen(game->name));
    memcpy(data, &header, sizeof header);
    if (bare_size > 0) memcpy(data + sizeof header, bare, bare_size);
    free(bare);
    crc = (uint32_t)crc32_z(0, data, total - sizeof crc);
    memcpy(data + total - sizeof crc, &crc, sizeof crc);
    *state = data;
    *size = total;
    return QG_OK;
}

static qg_status restore(void *object, const uint8_t *state, size_t size, qg_error *error)
{
    own_game *game = object;
    plugin_header header;
    uint32_t crc;
    if (!game->plugin->methods.restore)
        return qg_fail(error, QG_ERROR_USAGE, "%s: its plugin cannot restore a game", game->name);
    if (size < sizeof header + sizeof crc || memcmp(state, saved_magic, sizeof saved_magic) != 0)
        return qg_fail(error, QG_ERROR_DATA, "%s: this is not a saved game of a plugin",
                       game->name);
    memcpy(&crc, state + size - sizeof crc, sizeof crc);
    if (crc != (uint32_t)crc32_z(0, state, size - sizeof crc))
        return qg_fail(error, QG_ERROR_DATA, "%s: the saved game is damaged (wrong checksum)",
                       game->name);
    memcpy(&header, state, sizeof header);
    header.name[sizeof header.name - 1] = '\0';
    if (strcmp(header.name, game->name) != 0)
        return qg_fail(error, QG_ERROR_DATA, "%s: the saved game is of %s", game->name,
                       header.name);
    if (header.progress.last < 0 || header.progress.last >= game->plugin->game.action_count)
        return qg_fail(error, QG_ERROR_DATA, "%s: the saved game holds an action it does not have",
                       game->name);
    qg_error inner = {0};
    const qg_status status = game->plugin->methods.restore(
        game->self, state + sizeof header, size - sizeof header - sizeof crc, &inner);
    if (status != QG_OK) return blame(game->name, status, &inner, error);
    game->progress = header.progress;
    return QG_OK;
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

static const qg_domain_class own_class = {
    .destroy = destroy,
    .reset = reset,
    .step = step,
    .save = save,
    .restore = restore,
    .picture = picture,
    .ram = ram,
};

static qg_status create(qg_domain *domain, const qg_variant *variant,
                        const qg_domain_options *options, qg_error *error)
{
    const qg_plugin *plugin = find_plugin(domain->game);
    if (options->frame_skip < 0)
        return qg_fail(error, QG_ERROR_USAGE, "%s: frame_skip is %d; it must be 0 or more",
                       domain->name, options->frame_skip);
    if (!(options->sticky <= 1))
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: sticky is %g; it must be a probability, or negative for the default",
                       domain->name, options->sticky);
    own_game *game = calloc(1, sizeof *game);
    if (!game) return qg_fail_memory(error, "a game", sizeof *game);
    *game = (own_game){.plugin = plugin,
                       .name = domain->name,
                       .sticky = options->sticky,
                       .frame_skip = options->frame_skip > 0 ? options->frame_skip : 1,
                       .break_on_life = options->break_on_life,
                       .progress.random = qg_random_stream(options->seed, "sticky")};
    qg_error inner = {0};
    const qg_status status = plugin->create(options->seed, variant, &game->self, &inner);
    if (status != QG_OK) {
        free(game);
        return blame(domain->name, status, &inner, error);
    }
    domain->methods = &own_class;
    domain->self = game;
    return QG_OK;
}

const qg_domain_provider qg_plugin_provider = {.prefix = "", .game = game_at, .create = create};
