/* Games of the user's own: opens a shared object, checks what it says about its game, and puts the
 * common parts (sticky actions, skipped frames, checks, saved states) in front of its methods. */
#include <qgraft/plugin.h>

#include "base/random.h"
#include "base/shared_object.h"
#include "domain/domain_class.h"

#include <assert.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    MAX_PLUGINS = 64,
    MAX_NAME = 40,
    MAX_ACTION_NAME = 23,
    MAX_FAMILY = 100,
    MAX_LIST = 1024,     /* modes or difficulties */
    MAX_NUMBER = 999999, /* of a mode, difficulty or level: what a domain's name can say */
    MAX_SIDE = 1024,     /* also of the channels: eight screens fit a network */
    MAX_VALUES = 1 << 22,
};

static struct {
    void *handle;
    const qg_plugin *plugin;
} plugins[MAX_PLUGINS];
static size_t plugin_count;

/* ----------------------------------------------------------------------- the description */

/* a-z, 0-9 and _, beginning with a letter. */
static bool is_word(const char *text, size_t longest)
{
    if (!text || !(*text >= 'a' && *text <= 'z')) return false;
    const size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return length <= longest && text[length] == '\0';
}

static bool is_line(const char *text)
{
    const size_t length = strnlen(text, MAX_FAMILY + 1);
    if (length == 0 || length > MAX_FAMILY) return false;
    for (const char *c = text; *c; c++)
        if (*c < 0x20 || *c > 0x7e) return false;
    return true;
}

static bool is_list(const int *numbers, int count)
{
    if (count < 0 || count > MAX_LIST || (count > 0 && !numbers)) return false;
    for (int i = 0; i < count; i++)
        if (numbers[i] < 0 || numbers[i] > MAX_NUMBER) return false;
    return true;
}

static qg_status check_actions(const char *path, const qg_game *game, qg_error *error)
{
    if (game->action_count < 1 || game->action_count > QG_MAX_ACTIONS || !game->actions)
        return qg_fail(error, QG_ERROR_DATA, "%s: %s has %d actions; 1 to %d are possible", path,
                       game->name, game->action_count, QG_MAX_ACTIONS);
    for (int i = 0; i < game->action_count; i++) {
        if (!is_word(game->actions[i], MAX_ACTION_NAME))
            return qg_fail(error, QG_ERROR_DATA,
                           "%s: the name of action %d of %s must be 1 to %d characters a-z, 0-9 "
                           "and _, a letter first",
                           path, i, game->name, MAX_ACTION_NAME);
        for (int j = 0; j < i; j++)
            if (strcmp(game->actions[i], game->actions[j]) == 0)
                return qg_fail(error, QG_ERROR_DATA, "%s: actions %d and %d of %s are both '%s'",
                               path, j, i, game->name, game->actions[i]);
    }
    return QG_OK;
}

static qg_status check_game(const char *path, const qg_game *game, qg_error *error)
{
    if (!is_word(game->name, MAX_NAME))
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: the game's name must be 1 to %d characters a-z, 0-9 and _, a letter "
                       "first",
                       path, MAX_NAME);
    if (!game->family || !is_line(game->family) ||
        (game->family_source && !is_line(game->family_source)))
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: the family of %s and its source must be 1 to %d printable characters",
                       path, game->name, MAX_FAMILY);
    if (!is_list(game->modes, game->mode_count) ||
        !is_list(game->difficulties, game->difficulty_count))
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: %s may have up to %d modes and difficulties, numbers of 0 to %d", path,
                       game->name, MAX_LIST, MAX_NUMBER);
    if (game->levels < 1 || game->levels > MAX_NUMBER)
        return qg_fail(error, QG_ERROR_DATA, "%s: %s has %d levels; 1 to %d are possible", path,
                       game->name, game->levels, MAX_NUMBER);
    return check_actions(path, game, error);
}

static bool is_side(int count)
{
    return count >= 1 && count <= MAX_SIDE;
}

static qg_status check_plugin(const char *path, const qg_plugin *plugin, qg_error *error)
{
    if (plugin->version != QG_PLUGIN_VERSION)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: a plugin of version %d, but this is qgraft with version %d: compile it "
                       "with this qgraft's headers",
                       path, (int)plugin->version, QG_PLUGIN_VERSION);
    const qg_status status = check_game(path, &plugin->game, error);
    if (status != QG_OK) return status;
    const qg_observation_shape *s = &plugin->shape;
    if (!is_side(s->height) || !is_side(s->width) || !is_side(s->channels) ||
        qg_observation_size(s) > MAX_VALUES || (s->max != 1 && s->max != 255))
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: screens of %dx%dx%d with values up to %d are not possible: 1 to %d a "
                       "side, %d in all, up to 1 or 255",
                       path, s->height, s->width, s->channels, s->max, MAX_SIDE, MAX_VALUES);
    const qg_domain_class *m = &plugin->methods;
    if (!plugin->create || !m->destroy || !m->reset || !m->step || !m->picture ||
        !m->save != !m->restore)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: create, destroy, reset, step and picture are needed, save and restore "
                       "together or not at all",
                       path);
    return QG_OK;
}

/* ---------------------------------------------------------------------------- the methods */

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
    if (game->plugin->shape.max == 255) return QG_OK;
    const size_t size = qg_observation_size(&game->plugin->shape);
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

static const qg_plugin *find_plugin(const char *name)
{
    size_t i = 0;
    while (i < plugin_count && strcmp(plugins[i].plugin->game.name, name) != 0)
        i++;
    assert(i < plugin_count);
    return plugins[i].plugin;
}

qg_status qg_plugin_create(qg_domain *domain, const qg_variant *variant,
                           const qg_domain_options *options, qg_error *error)
{
    const qg_plugin *plugin = find_plugin(domain->game->name);
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
    domain->shape = plugin->shape;
    return QG_OK;
}

/* -------------------------------------------------------------------------------- loading */

static qg_status add_plugin(const char *path, void *handle, qg_error *error)
{
    const qg_plugin *plugin = dlsym(handle, "qg_plugin_entry");
    if (!plugin)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: not a plugin: it does not export 'qg_plugin_entry'", path);
    qg_status status = check_plugin(path, plugin, error);
    if (status != QG_OK) return status;
    if (plugin_count == MAX_PLUGINS)
        return qg_fail(error, QG_ERROR_USAGE, "%s: no more than %d plugins", path, MAX_PLUGINS);
    qg_game game = plugin->game;
    game.grid = plugin->shape.max == 1;
    if (!qg_domain_add_game(&game))
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: there is a game '%s' already: give this one another name", path,
                       game.name);
    plugins[plugin_count].handle = handle;
    plugins[plugin_count++].plugin = plugin;
    return QG_OK;
}

qg_status qg_plugin_load(const char *path, qg_error *error)
{
    void *handle;
    qg_status status = qg_shared_object_open(path, &handle, error);
    if (status != QG_OK) return status;
    for (size_t i = 0; i < plugin_count; i++)
        if (plugins[i].handle == handle) {
            dlclose(handle); /* the first one stays */
            return QG_OK;
        }
    status = add_plugin(path, handle, error);
    if (status != QG_OK) dlclose(handle);
    return status;
}
