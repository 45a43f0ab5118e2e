/* Names of domains, and the one interface in front of their implementations. */
#include "base/text.h"
#include "domain/domain_class.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MINATAR_GAMES = sizeof qg_minatar_games / sizeof *qg_minatar_games,
    MAX_GAMES = 192,     /* room for 64 of plugins */
    MAX_NUMBER = 999999, /* of a mode, difficulty or level */
};

static qg_game all_games[MAX_GAMES];
static size_t game_count;
static pthread_once_t all_games_once = PTHREAD_ONCE_INIT;

static void gather_games(void)
{
    game_count = MINATAR_GAMES + qg_atari_game_count;
    assert(game_count + 64 <= MAX_GAMES);
    memcpy(all_games, qg_minatar_games, sizeof qg_minatar_games);
    memcpy(all_games + MINATAR_GAMES, qg_atari_games, qg_atari_game_count * sizeof *qg_atari_games);
}

const qg_game *qg_games(size_t *count)
{
    pthread_once(&all_games_once, gather_games);
    *count = game_count;
    return all_games;
}

/* As people write it -> as the catalogue does: "Space-Invaders" -> "space_invaders". */
static void fold(const char *from, char to[QG_DOMAIN_NAME])
{
    size_t i = 0;
    for (; from[i]; i++) {
        const char c = from[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c == '-' || c == ' ' ? '_' : c;
    }
    to[i] = '\0';
}

static qg_status fail_game(const char *name, qg_error *error)
{
    size_t count;
    const qg_game *games = qg_games(&count);
    char folded[QG_DOMAIN_NAME];
    fold(name, folded);
    const char *nearest = qg_text_nearest(folded, games, count, sizeof *games); /* name is first */
    if (nearest)
        return qg_fail(error, QG_ERROR_USAGE,
                       "unknown game '%s': did you mean '%s'? 'qgraft games' lists all", name,
                       nearest);
    return qg_fail(error, QG_ERROR_USAGE, "unknown game '%s': 'qgraft games' lists all", name);
}

static const qg_game *find_game(const char *name)
{
    size_t count;
    const qg_game *games = qg_games(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(games[i].name, name) == 0) return &games[i];
    return NULL;
}

bool qg_domain_add_game(const qg_game *game)
{
    if (find_game(game->name)) return false;
    assert(game_count < MAX_GAMES);
    all_games[game_count++] = *game;
    return true;
}

/* The constructor of one of all_games. */
static qg_domain_create *creator(const qg_game *game)
{
    const size_t index = (size_t)(game - all_games);
    if (index < MINATAR_GAMES) return qg_minatar_create;
    return index < MINATAR_GAMES + qg_atari_game_count ? qg_atari_create : qg_plugin_create;
}

/* One of the settings behind the colon, and the numbers it may take. */
typedef struct setting {
    const char *key;
    const char *plural;
    const int *allowed; /* NULL: all of 1 ... count */
    int count;
    int value;
    bool given;
} setting;

enum { MODE, DIFFICULTY, LEVEL, SETTINGS };

static void list_settings(const qg_game *game, setting settings[SETTINGS])
{
    settings[MODE] = (setting){"mode", "modes", game->modes, game->mode_count, 0, false};
    settings[DIFFICULTY] = (setting){
        "difficulty", "difficulties", game->difficulties, game->difficulty_count, 0, false};
    settings[LEVEL] = (setting){"level", "levels", NULL, game->levels, 1, false};
    for (int i = 0; i < LEVEL; i++)
        if (settings[i].count > 0) settings[i].value = settings[i].allowed[0];
}

static int allowed_number(const setting *s, int i)
{
    return s->allowed ? s->allowed[i] : i + 1;
}

static bool is_allowed(const setting *s, int value)
{
    for (int i = 0; i < s->count; i++)
        if (allowed_number(s, i) == value) return true;
    return false;
}

/* "0, 4, 8" or "1-16, 20", cut with "..." where it grows too long for a message. */
static void print_allowed(const setting *s, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < s->count;) {
        int last = i;
        while (last + 1 < s->count && allowed_number(s, last + 1) == allowed_number(s, last) + 1)
            last++;
        if (last == i + 1) last = i;
        char piece[32];
        int length = snprintf(piece, sizeof piece, "%s%d", i ? ", " : "", allowed_number(s, i));
        if (last > i)
            length += snprintf(piece + length, sizeof piece - (size_t)length, "-%d",
                               allowed_number(s, last));
        if (used + (size_t)length + sizeof ", ..." > size) {
            strcpy(text + used, ", ...");
            return;
        }
        memcpy(text + used, piece, (size_t)length + 1);
        used += (size_t)length;
        i = last + 1;
    }
}

static qg_status fail_value(const qg_game *game, const setting *s, const char *value,
                            qg_error *error)
{
    char allowed[200];
    print_allowed(s, allowed, sizeof allowed);
    if (s->count == 0 || (!s->allowed && s->count == 1))
        return qg_fail(error, QG_ERROR_USAGE, "%s has no %s to choose from (got '%.40s')",
                       game->name, s->plural, value);
    return qg_fail(error, QG_ERROR_USAGE, "%s has no %s '%.40s': its %s are %s", game->name, s->key,
                   value, s->plural, allowed);
}

/* Digits only, at most MAX_NUMBER; -1 for anything else. */
static int parse_number(const char *text)
{
    int value = 0;
    if (!*text) return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return -1;
        value = value * 10 + (*text - '0');
        if (value > MAX_NUMBER) return -1;
    }
    return value;
}

/* `text`: "KEY=VALUE", cut in two here. */
static qg_status parse_setting(const qg_game *game, char *text, setting settings[SETTINGS],
                               qg_error *error)
{
    char *const equals = strchr(text, '=');
    if (equals) *equals = '\0';
    setting *s = settings;
    while (s < settings + SETTINGS && strcmp(s->key, text) != 0)
        s++;
    if (s == settings + SETTINGS || !equals)
        return qg_fail(error, QG_ERROR_USAGE,
                       "%s: expected mode=M, difficulty=D or level=L behind the colon, got '%.40s'",
                       game->name, text);
    if (s->given)
        return qg_fail(error, QG_ERROR_USAGE, "%s: %s is given twice", game->name, s->key);
    const int value = parse_number(equals + 1);
    if (value < 0 || !is_allowed(s, value)) return fail_value(game, s, equals + 1, error);
    s->given = true;
    s->value = value;
    return QG_OK;
}

/* "GAME:KEY=VALUE,..." with the settings that are not the game's default, in a fixed order. */
static void normalise(const qg_game *game, const setting settings[SETTINGS],
                      char normalised[QG_DOMAIN_NAME])
{
    int used = snprintf(normalised, QG_DOMAIN_NAME, "%s", game->name);
    char separator = ':';
    for (int i = 0; i < SETTINGS; i++) {
        const setting *s = &settings[i];
        if (s->count == 0 || s->value == allowed_number(s, 0)) continue;
        used += snprintf(normalised + used, (size_t)(QG_DOMAIN_NAME - used), "%c%s=%d", separator,
                         s->key, s->value);
        assert(used < QG_DOMAIN_NAME);
        separator = ',';
    }
}

static qg_status resolve(const char *name, const qg_game **game, qg_variant *variant,
                         char normalised[QG_DOMAIN_NAME], qg_error *error)
{
    char copy[QG_DOMAIN_NAME];
    const size_t length = strlen(name);
    if (length == 0 || length >= sizeof copy)
        return qg_fail(error, QG_ERROR_USAGE,
                       "'%.40s%s': expected the name of a game, 'qgraft games' lists all", name,
                       length ? "..." : "");
    memcpy(copy, name, length + 1);
    char *rest = strchr(copy, ':');
    if (rest) *rest++ = '\0';
    const qg_game *const found = find_game(copy);
    if (!found) return fail_game(copy, error);

    setting settings[SETTINGS];
    list_settings(found, settings);
    while (rest) {
        char *const text = rest;
        rest = strchr(text, ',');
        if (rest) *rest++ = '\0';
        const qg_status status = parse_setting(found, text, settings, error);
        if (status != QG_OK) return status;
    }
    *game = found;
    *variant =
        (qg_variant){settings[MODE].value, settings[DIFFICULTY].value, settings[LEVEL].value};
    normalise(found, settings, normalised);
    return QG_OK;
}

qg_status qg_domain_resolve(const char *name, const qg_game **game, char normalised[QG_DOMAIN_NAME],
                            qg_error *error)
{
    qg_variant variant;
    return resolve(name, game, &variant, normalised, error);
}

qg_status qg_domain_open(const char *name, const qg_domain_options *options, qg_domain **domain,
                         qg_error *error)
{
    *domain = NULL;
    qg_domain *opened = calloc(1, sizeof *opened);
    if (!opened) return qg_fail_memory(error, "a domain", sizeof *opened);
    qg_variant variant;
    qg_status status = resolve(name, &opened->game, &variant, opened->name, error);
    if (status == QG_OK) status = creator(opened->game)(opened, &variant, options, error);
    if (status != QG_OK) {
        free(opened);
        return status;
    }
    *domain = opened;
    return QG_OK;
}

void qg_domain_close(qg_domain *domain)
{
    if (!domain) return;
    domain->methods->destroy(domain->self);
    free(domain);
}

qg_status qg_domain_reset(qg_domain *domain, int noops, uint8_t *observation, qg_error *error)
{
    assert(noops >= 0);
    return domain->methods->reset(domain->self, noops, observation, error);
}

qg_status qg_domain_step(qg_domain *domain, int action, qg_step *step, uint8_t *observation,
                         qg_error *error)
{
    assert(action >= 0 && action < domain->game->action_count);
    return domain->methods->step(domain->self, action, step, observation, error);
}

qg_status qg_domain_save(qg_domain *domain, uint8_t **state, size_t *size, qg_error *error)
{
    return domain->methods->save(domain->self, state, size, error);
}

qg_status qg_domain_restore(qg_domain *domain, const uint8_t *state, size_t size, qg_error *error)
{
    return domain->methods->restore(domain->self, state, size, error);
}

void qg_domain_picture(qg_domain *domain, qg_picture *picture)
{
    domain->methods->picture(domain->self, picture);
}

const uint8_t *qg_domain_ram(qg_domain *domain, size_t *size)
{
    if (!domain->methods->ram) {
        *size = 0;
        return NULL;
    }
    return domain->methods->ram(domain->self, size);
}
