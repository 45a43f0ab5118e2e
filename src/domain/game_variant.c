/* Reads the settings behind the colon of a domain's name, and writes them. */
#include "domain/game_variant.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NUMBER = 999999 }; /* of a mode, difficulty or level */

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

qg_status qg_variant_parse(const qg_game *game, char *text, qg_variant *variant, qg_error *error)
{
    setting settings[SETTINGS];
    list_settings(game, settings);
    while (text) {
        char *const one = text;
        text = strchr(one, ',');
        if (text) *text++ = '\0';
        const qg_status status = parse_setting(game, one, settings, error);
        if (status != QG_OK) return status;
    }
    *variant =
        (qg_variant){settings[MODE].value, settings[DIFFICULTY].value, settings[LEVEL].value};
    return QG_OK;
}

void qg_variant_format(const qg_game *game, const qg_variant *variant, char name[QG_DOMAIN_NAME])
{
    setting settings[SETTINGS];
    list_settings(game, settings);
    const int values[SETTINGS] = {variant->mode, variant->difficulty, variant->level};
    int used = snprintf(name, QG_DOMAIN_NAME, "%s", game->name);
    char separator = ':';
    for (int i = 0; i < SETTINGS; i++) {
        if (settings[i].value == values[i]) continue;
        used += snprintf(name + used, (size_t)(QG_DOMAIN_NAME - used), "%c%s=%d", separator,
                         settings[i].key, values[i]);
        assert(used < QG_DOMAIN_NAME);
        separator = ',';
    }
}
