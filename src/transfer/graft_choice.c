/* The choice of layers as text: in options, study files, run files, tables. */
#include <qgraft/graft.h>
#include <qgraft/settings.h>

#include "base/text.h"
#include "transfer/graft_learning.h"
#include "transfer/graft_reuse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const way_names[] = {[QG_CHOOSE_NONE] = "none",
                                        [QG_CHOOSE_FIRST] = "first",
                                        [QG_CHOOSE_LAST] = "last",
                                        [QG_CHOOSE_LAYERS] = "layers",
                                        [QG_CHOOSE_PART] = "part"};

const char *qg_graft_way_name(qg_graft_way way)
{
    return way_names[way];
}

/* -------------------------------------------------------------------------------- writing */

__attribute__((format(printf, 2, 3))) static void add(char text[QG_GRAFT_CHOICE_TEXT],
                                                      const char *format, ...)
{
    const size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, QG_GRAFT_CHOICE_TEXT - used, format, arguments);
    va_end(arguments);
}

static void add_layers(char text[QG_GRAFT_CHOICE_TEXT], uint32_t layers, const char *separator)
{
    const char *between = "";
    for (int l = 0; l < QG_MAX_LAYERS; l++)
        if (layers & UINT32_C(1) << l) {
            add(text, "%s%d", between, l + 1);
            between = separator;
        }
}

static void add_what(char text[QG_GRAFT_CHOICE_TEXT], const qg_graft_choice *choice,
                     const char *separator)
{
    if (choice->way == QG_CHOOSE_FIRST || choice->way == QG_CHOOSE_LAST)
        add(text, "%d", choice->count);
    if (choice->way == QG_CHOOSE_LAYERS) add_layers(text, choice->layers, separator);
    if (choice->way == QG_CHOOSE_PART) add(text, "%.*s", QG_PART_NAME - 1, choice->part);
}

static void add_flags(char text[QG_GRAFT_CHOICE_TEXT], const qg_graft_choice *choice,
                      const char *separator)
{
    if (choice->frozen) add(text, "%sfrozen", *text ? separator : "");
    if (choice->match == QG_MATCH_INDEX) add(text, "%sindex", *text ? separator : "");
}

/* The name of a part says that it is one. */
static void add_way(char text[QG_GRAFT_CHOICE_TEXT], const qg_graft_choice *choice,
                    const char *separator)
{
    if (choice->way != QG_CHOOSE_NONE && choice->way != QG_CHOOSE_PART)
        add(text, "%s%s", way_names[choice->way], separator);
}

/* How layers learn, and what else is taken of the source. */
static void format_details(const qg_graft_choice *choice, const char *separator,
                           char text[QG_GRAFT_CHOICE_TEXT])
{
    char reuse[QG_GRAFT_CHOICE_TEXT];
    qg_graft_learning_format(&choice->learning, separator, text);
    qg_graft_reuse_format(&choice->reuse, separator, reuse);
    if (*reuse) add(text, "%s%s", *text ? separator : "", reuse);
}

void qg_graft_choice_label(const qg_graft_choice *choice, char text[QG_GRAFT_CHOICE_TEXT])
{
    char details[QG_GRAFT_CHOICE_TEXT];
    const bool copied = choice->way != QG_CHOOSE_NONE;
    text[0] = '\0';
    add_way(text, choice, " ");
    add_what(text, choice, " ");
    format_details(choice, " ", details);
    if (*details) add(text, copied ? " (%s)" : "%s", details);
}

void qg_graft_choice_name(const qg_graft_choice *choice, char text[QG_GRAFT_CHOICE_TEXT])
{
    text[0] = '\0';
    add_way(text, choice, "");
    add_what(text, choice, "-");
    add_flags(text, choice, "-");
    char details[QG_GRAFT_CHOICE_TEXT];
    format_details(choice, "-", details);
    for (char *c = details; *c; c++)
        if (strchr("=:,", *c)) *c = '-';
    if (*details) add(text, "%s%s", *text ? "-" : "", details);
}

void qg_graft_choice_format(const qg_graft_choice *choice, char text[QG_GRAFT_CHOICE_TEXT])
{
    text[0] = '\0';
    add(text, "%s%s", way_names[choice->way], choice->way == QG_CHOOSE_NONE ? "" : " ");
    add_what(text, choice, ",");
    add_flags(text, choice, " ");
    char details[QG_GRAFT_CHOICE_TEXT];
    format_details(choice, " ", details);
    if (*details) add(text, " %s", details);
}

/* -------------------------------------------------------------------------------- reading */

static qg_status set_layers(qg_graft_choice *choice, const char *value, qg_error *error)
{
    uint32_t layers = 0;
    for (const char *c = value;; c++) {
        char *end;
        const long layer = strtol(c, &end, 10);
        if (end == c || (*end && *end != ',') || layer < 1 || layer > QG_MAX_LAYERS)
            return qg_fail(error, QG_ERROR_USAGE,
                           "layers: '%.60s' is not of the form \"1,3\", from 1 to %d", value,
                           QG_MAX_LAYERS);
        layers |= UINT32_C(1) << (layer - 1);
        c = end;
        if (!*c) break;
    }
    choice->way = QG_CHOOSE_LAYERS;
    choice->layers = layers;
    return QG_OK;
}

static qg_status set_part(qg_graft_choice *choice, const char *value, qg_error *error)
{
    const size_t length = strlen(value);
    if (!length || length >= sizeof choice->part ||
        strspn(value, "abcdefghijklmnopqrstuvwxyz") < length)
        return qg_fail(error, QG_ERROR_USAGE,
                       "part: '%.60s' cannot be the name of a part: 1 to %d small letters", value,
                       QG_PART_NAME - 1);
    choice->way = QG_CHOOSE_PART;
    memcpy(choice->part, value, length + 1);
    return QG_OK;
}

static qg_status set_count(qg_graft_choice *choice, qg_graft_way way, const char *value,
                           qg_error *error)
{
    int64_t count;
    const qg_status status = qg_parse_count(way_names[way], value, 1, QG_MAX_LAYERS, &count, error);
    if (status) return status;
    choice->way = way;
    choice->count = (int)count;
    return QG_OK;
}

/* Of how layers learn, and of what else is taken of the source. */
static qg_status set_detail(qg_graft_choice *choice, const char *key, const char *value,
                            qg_error *error)
{
    return qg_graft_reuse_knows(key) ? qg_graft_reuse_set(&choice->reuse, key, value, error)
                                     : qg_graft_learning_set(&choice->learning, key, value, error);
}

qg_status qg_graft_choice_set(qg_graft_choice *choice, const char *key, const char *value,
                              qg_error *error)
{
    if (strcmp(key, "first") == 0) return set_count(choice, QG_CHOOSE_FIRST, value, error);
    if (strcmp(key, "last") == 0) return set_count(choice, QG_CHOOSE_LAST, value, error);
    if (strcmp(key, "layers") == 0) return set_layers(choice, value, error);
    if (strcmp(key, "part") == 0) return set_part(choice, value, error);
    if (strcmp(key, "freeze") == 0) {
        if (qg_text_to_boolean(value, &choice->frozen)) return QG_OK;
        return qg_fail(error, QG_ERROR_USAGE, "freeze: '%.60s' is neither true nor false", value);
    }
    if (strcmp(key, "match") == 0) {
        choice->match = strcmp(value, "index") == 0 ? QG_MATCH_INDEX : QG_MATCH_MEANING;
        if (choice->match == QG_MATCH_INDEX || strcmp(value, "meaning") == 0) return QG_OK;
        return qg_fail(error, QG_ERROR_USAGE, "match: 'meaning' or 'index', not '%.60s'", value);
    }
    return set_detail(choice, key, value, error);
}

/* A word behind the way and what belongs to it, or KEY=VALUE. */
static bool set_word(qg_graft_choice *choice, char *word)
{
    char *const equals = strchr(word, '=');
    qg_error ignored;
    if (equals) {
        *equals = '\0';
        return set_detail(choice, word, equals + 1, &ignored) == QG_OK;
    }
    if (strcmp(word, "frozen") == 0)
        choice->frozen = true;
    else if (strcmp(word, "index") == 0)
        choice->match = QG_MATCH_INDEX;
    else
        return false;
    return true;
}

qg_status qg_graft_choice_parse(const char *text, qg_graft_choice *choice, qg_error *error)
{
    char copy[QG_GRAFT_CHOICE_TEXT], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    const char *const way = strtok_r(copy, " ", &rest);
    const bool nothing = way && strcmp(way, way_names[QG_CHOOSE_NONE]) == 0;
    const char *const what = nothing ? "" : strtok_r(NULL, " ", &rest);
    bool sound = strlen(text) < sizeof copy && way && what && strcmp(way, "freeze") != 0 &&
                 strcmp(way, "match") != 0;
    *choice = (qg_graft_choice){0};
    if (sound && !nothing) {
        const qg_status status = qg_graft_choice_set(choice, way, what, error);
        if (status) return status;
    }
    for (char *word; sound && (word = strtok_r(NULL, " ", &rest));)
        sound = set_word(choice, word);
    if (sound) return QG_OK;
    return qg_fail(error, QG_ERROR_USAGE,
                   "'%.60s' is no choice of layers, as \"first 3\", \"layers 1,3 frozen\" or "
                   "\"last 1 frozen index\"",
                   text);
}

bool qg_graft_choice_equal(const qg_graft_choice *a, const qg_graft_choice *b)
{
    char x[QG_GRAFT_CHOICE_TEXT], y[QG_GRAFT_CHOICE_TEXT];
    qg_graft_choice_format(a, x);
    qg_graft_choice_format(b, y);
    return strcmp(x, y) == 0;
}
