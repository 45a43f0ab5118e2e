#include "domain/gym/gym_name.h"

#include "base/json_text.h"
#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PAIRS = 32, MOST_SIDE = 1024, MOST_ACTION_NAME = 23 };

/* KEY=VALUE, in the name that is being read. */
typedef struct keyed_value {
    char *key, *value;
} keyed_value;

static qg_status fail_form(const char *name, const char *what, qg_error *error)
{
    return qg_fail(
        error, QG_ERROR_USAGE,
        "'%.95s': %s: expected gym:ID, gym:ID[KEY=VALUE,...] or gym:ID:SETTING=VALUE,... "
        "(settings: grey, size, observe, actions)",
        name, what);
}

/* Letters, digits and what else stands in values; no quotes that a shell or YAML would take. */
static bool is_sound(const char *text)
{
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("_-+./:[]=,\"{}", *text)) return false;
    return true;
}

static bool is_id(const char *text)
{
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_-.:/", *c)) return false;
    return *text && text[strlen(text) - 1] != ':' && *text != ':';
}

static bool is_key(const char *text)
{
    if (!isalpha((unsigned char)*text) && *text != '_') return false;
    while (isalnum((unsigned char)*text) || *text == '_')
        text++;
    return !*text;
}

/* Cuts "KEY=VALUE,..." up at the commas outside brackets; -1: it is none. */
static int cut_pairs(char *text, keyed_value pairs[MOST_PAIRS])
{
    int count = 0;
    while (text && *text) {
        int depth = 0;
        char *end = text;
        for (; *end && (depth > 0 || *end != ','); end++)
            depth += (*end == '[' || *end == '{') - (*end == ']' || *end == '}');
        char *const next = *end ? end + 1 : NULL;
        *end = '\0';
        char *const equals = strchr(text, '=');
        if (!equals || count == MOST_PAIRS || (next && !*next)) return -1;
        *equals = '\0';
        pairs[count++] = (keyed_value){text, equals + 1};
        if (!is_key(text) || !equals[1]) return -1;
        text = next;
    }
    return count;
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const keyed_value *)a)->key, ((const keyed_value *)b)->key);
}

/* A list of pairs in order, no key twice. */
static int read_pairs(char *text, keyed_value pairs[MOST_PAIRS])
{
    const int count = cut_pairs(text, pairs);
    if (count > 0) qsort(pairs, (size_t)count, sizeof *pairs, compare_pairs);
    for (int i = 1; i < count; i++)
        if (strcmp(pairs[i - 1].key, pairs[i].key) == 0) return -1;
    return count;
}

/* What a value of a keyword argument is in JSON; NULL: no memory. */
static json_t *value_of(char *text)
{
    for (size_t i = 0; i < 2; i++)
        if (strcasecmp(text, i ? "true" : "false") == 0) {
            strcpy(text, i ? "true" : "false");
            return json_boolean(i);
        }
    if (strcasecmp(text, "none") == 0 || strcasecmp(text, "null") == 0) {
        strcpy(text, "none");
        return json_null();
    }
    /* .5 and +5 are numbers to whoever writes them, if not in JSON. */
    const bool plus = *text == '+' && isdigit((unsigned char)text[1]);
    double number;
    json_error_t ignored;
    json_t *const read = json_loads(text + plus, JSON_DECODE_ANY, &ignored);
    if (read) return read;
    return strchr(text, '.') && qg_text_to_real(text, &number) ? json_real(number)
                                                               : json_string(text);
}

static json_t *size_of(const char *text)
{
    char *end;
    const long height = strtol(text, &end, 10);
    const bool two = end > text && *end == 'x';
    const char *const second = end + 1;
    const long width = two ? strtol(second, &end, 10) : height;
    if (end == text || (two && end == second) || *end || height < 1 || height > MOST_SIDE ||
        width < 1 || width > MOST_SIDE || !isdigit((unsigned char)*text))
        return NULL;
    return json_pack("[i, i]", (int)height, (int)width);
}

static bool is_action(const char *text, size_t length)
{
    if (length < 1 || length > MOST_ACTION_NAME || !islower((unsigned char)*text)) return false;
    for (size_t i = 0; i < length; i++)
        if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) && text[i] != '_')
            return false;
    return true;
}

/* "left+right"; NULL: not names of actions, all different. */
static json_t *actions_of(const char *text)
{
    json_t *names = json_array();
    for (const char *at = text; names; at++) {
        const size_t length = strcspn(at, "+");
        bool good = is_action(at, length);
        for (size_t i = 0; i < json_array_size(names) && good; i++) {
            const char *other = json_string_value(json_array_get(names, i));
            good = strlen(other) != length || strncmp(other, at, length) != 0;
        }
        if (!good || json_array_append_new(names, json_stringn(at, length))) {
            json_decref(names);
            return NULL;
        }
        at += length;
        if (!*at) return names;
    }
    return NULL;
}

static json_t *setting_of(const keyed_value *p)
{
    if (strcmp(p->key, "grey") == 0 && strcmp(p->value, "1") == 0) return json_true();
    if (strcmp(p->key, "size") == 0) return size_of(p->value);
    if (strcmp(p->key, "observe") == 0) return json_string(p->value);
    if (strcmp(p->key, "actions") == 0) return actions_of(p->value);
    return NULL;
}

/* "ns/CartPole-v1" -> "CartPole". */
static void name_family(const char *id, char family[QG_DOMAIN_NAME])
{
    const char *last = id;
    for (const char *c = id; *c; c++)
        if (*c == ':' || *c == '/') last = c + 1;
    strcpy(family, last);
    char *version = strrchr(family, '-');
    if (version && version > family && version[1] == 'v' && isdigit((unsigned char)version[2]))
        *version = '\0';
}

/* The parts of a name: *arguments and *settings are "" where there are none. False: it has not the
 * form. */
static bool cut_name(char *text, char **arguments, char **settings)
{
    char *const begin = strchr(text, '['), *const end = begin ? strrchr(text, ']') : NULL;
    *arguments = *settings = text + strlen(text);
    if (begin) {
        if (!end || end < begin || (end[1] && end[1] != ':') || (end[1] && !end[2])) return false;
        *settings = end[1] ? end + 2 : end + 1;
        *begin = *end = '\0';
        *arguments = begin + 1;
        return true;
    }
    char *const equals = strchr(text, '=');
    if (!equals) return true;
    char *colon = equals;
    while (colon > text && *colon != ':')
        colon--;
    *settings = colon + 1;
    *colon = '\0';
    return colon > text;
}

static void append(char normalised[QG_DOMAIN_NAME], const char *before, const keyed_value *pairs,
                   int count, const char *after)
{
    for (int i = 0; i < count; i++)
        qg_text_add(normalised, QG_DOMAIN_NAME, "%s%s=%s", i ? "," : before, pairs[i].key,
                    pairs[i].value);
    if (count > 0) qg_text_add(normalised, QG_DOMAIN_NAME, "%s", after);
}

static qg_status read_parts(const char *name, char *text, qg_gym_name *read, json_t *arguments,
                            json_t *settings, qg_error *error)
{
    char *given, *own;
    keyed_value pairs[MOST_PAIRS], chosen[MOST_PAIRS];
    if (!is_sound(text) || !cut_name(text, &given, &own) || !is_id(text))
        return fail_form(name, "not the name of an environment", error);
    const int count = read_pairs(given, pairs), settings_count = read_pairs(own, chosen);
    if (count < 0) return fail_form(name, "its keyword arguments cannot be read", error);
    if (settings_count < 0) return fail_form(name, "its settings cannot be read", error);
    for (int i = 0; i < count; i++)
        if (json_object_set_new(arguments, pairs[i].key, value_of(pairs[i].value)))
            return qg_fail_memory(error, "a name", strlen(name));
    for (int i = 0; i < settings_count; i++) {
        json_t *const value = setting_of(&chosen[i]);
        if (!value)
            return qg_fail(
                error, QG_ERROR_USAGE,
                "'%.95s': no setting '%.40s=%.40s'; there are grey=1, size=HxW (sides of "
                "1 to %d), observe=KEY, actions=NAME+NAME+... (a-z, 0-9 and _)",
                name, chosen[i].key, chosen[i].value, MOST_SIDE);
        if (json_object_set_new(settings, chosen[i].key, value))
            return qg_fail_memory(error, "a name", strlen(name));
    }
    snprintf(read->normalised, sizeof read->normalised, "%s%s", QG_GYM_PREFIX, text);
    append(read->normalised, "[", pairs, count, "]");
    append(read->normalised, ":", chosen, settings_count, "");
    name_family(text, read->family);
    json_t *const request =
        json_pack("{s:s, s:O, s:O}", "id", text, "arguments", arguments, "settings", settings);
    read->request = request ? qg_json_text(request, JSON_COMPACT) : NULL;
    json_decref(request);
    return read->request ? QG_OK : qg_fail_memory(error, "a name", strlen(name));
}

qg_status qg_gym_name_read(const char *name, qg_gym_name *read, qg_error *error)
{
    char text[QG_DOMAIN_NAME];
    *read = (qg_gym_name){.request = NULL};
    strcpy(text, name + strlen(QG_GYM_PREFIX));
    json_t *const arguments = json_object(), *const settings = json_object();
    const qg_status status = arguments && settings
                                 ? read_parts(name, text, read, arguments, settings, error)
                                 : qg_fail_memory(error, "a name", strlen(name));
    json_decref(arguments);
    json_decref(settings);
    return status;
}
