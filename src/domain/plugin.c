/* Opens a shared object with a game of the user's own and checks what it says about it. */
#include <qgraft/plugin.h>

#include "base/shared_object.h"
#include "domain/plugin_game.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <string.h>

enum {
    MAX_NAME = 40,
    MAX_ACTION_NAME = 23,
    MAX_ACTION_NAMES = 4096, /* with commas: what a network's file holds */
    MAX_FAMILY = 100,
    MAX_LIST = 1024,     /* modes or difficulties */
    MAX_NUMBER = 999999, /* of a mode, difficulty or level: what a domain's name can say */
    MAX_SIDE = 1024,     /* also of the channels: eight screens fit a network */
    MAX_VALUES = 1 << 22,
    MAX_PRESET = 15,
    MAX_SAMPLES = 1000000000,
    MAX_THREADS = 256,
};
#define MAX_STEPS INT64_C(1000000000000)

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
    size_t length = 0;
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
        length += strlen(game->actions[i]) + 1;
    }
    if (length > MAX_ACTION_NAMES)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: the names of the actions of %s have %zu characters together; at most "
                       "%d are possible",
                       path, game->name, length, MAX_ACTION_NAMES);
    return QG_OK;
}

static bool is_side(int count)
{
    return count >= 1 && count <= MAX_SIDE;
}

static qg_status check_shape(const char *path, const qg_observation_shape *s, qg_error *error)
{
    if (is_side(s->height) && is_side(s->width) && is_side(s->channels) &&
        qg_observation_size(s) <= MAX_VALUES && (s->max == 1 || s->max == 255))
        return QG_OK;
    return qg_fail(error, QG_ERROR_DATA,
                   "%s: screens of %dx%dx%d with values up to %d are not possible: 1 to %d a side, "
                   "%d in all, up to 1 or 255",
                   path, s->height, s->width, s->channels, s->max, MAX_SIDE, MAX_VALUES);
}

/* Whether there is a preset of that name is seen when it is used. */
static qg_status check_defaults(const char *path, const qg_game_defaults *d, qg_error *error)
{
    if (!d || (is_word(d->preset, MAX_PRESET) && d->steps >= 1 && d->steps <= MAX_STEPS &&
               d->samples >= 1 && d->samples <= MAX_SAMPLES && d->threads >= 0 &&
               d->threads <= MAX_THREADS && d->fps >= 0.01 && d->fps <= 1000))
        return QG_OK;
    return qg_fail(error, QG_ERROR_DATA,
                   "%s: the defaults must be a preset's name, 1 to %" PRId64 " steps, 1 to %d "
                   "samples, 0 to %d threads and 0.01 to 1000 frames a second, or NULL",
                   path, MAX_STEPS, MAX_SAMPLES, MAX_THREADS);
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
    qg_status status = check_actions(path, game, error);
    if (status == QG_OK) status = check_shape(path, &game->shape, error);
    return status == QG_OK ? check_defaults(path, game->defaults, error) : status;
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
    const qg_domain_class *m = &plugin->methods;
    if (!plugin->create || !m->destroy || !m->start || !m->play || !m->observe || !m->picture ||
        !m->save != !m->restore)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: create, destroy, start, play, observe and picture are needed, save and "
                       "restore together or not at all",
                       path);
    return QG_OK;
}

/* The object at `handle`, which stays open only if a game was added. */
static qg_status add_plugin(const char *path, void *handle, bool *added, qg_error *error)
{
    const qg_plugin *plugin = dlsym(handle, "qg_plugin_entry");
    if (!plugin)
        return qg_fail(error, QG_ERROR_DATA,
                       "%s: not a plugin: it does not export 'qg_plugin_entry'", path);
    if (qg_plugin_is_added(plugin)) return QG_OK;
    const qg_status status = check_plugin(path, plugin, error);
    if (status != QG_OK) return status;
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    qg_error unknown;
    if (qg_domain_resolve(plugin->game.name, &game, name, &unknown) == QG_OK)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: there is a game '%s' already: give this one another name", path, name);
    *added = qg_plugin_add(plugin);
    return *added ? QG_OK
                  : qg_fail(error, QG_ERROR_USAGE, "%s: no more than %d plugins", path,
                            QG_MAX_PLUGINS);
}

qg_status qg_plugin_load(const char *path, qg_error *error)
{
    void *handle;
    bool added = false;
    qg_status status = qg_shared_object_open(path, &handle, error);
    if (status != QG_OK) return status;
    status = add_plugin(path, handle, &added, error);
    if (!added) dlclose(handle);
    return status;
}
