/* Settings in YAML: the only file that speaks to libyaml.
 *
 * The event parser is used, not the document loader: it never builds what a hostile file describes
 * (aliases, deep nests), and every event knows its line. */
#include <qgraft/settings.h>

#include "base/file.h"

#include "base/text.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define LARGEST_FILE  ((size_t)1 << 20)
#define DEEPEST       8
#define LARGEST_ITEMS 1000 /* values in one list of layers */

typedef struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; its memory belongs to the reader */
    const char *name;   /* of the file, for messages */
    int items;
    qg_error *error;
} yaml_reader;

static unsigned long long event_line(const yaml_reader *reader)
{
    return (unsigned long long)reader->event.start_mark.line + 1;
}

static qg_status fail_here(yaml_reader *reader, const char *what)
{
    return qg_fail(reader->error, QG_ERROR_USAGE, "%s:%llu: %s", reader->name, event_line(reader),
                   what);
}

/* Puts FILE:LINE before the message that error holds. */
static qg_status locate(yaml_reader *reader, unsigned long long line)
{
    char message[sizeof reader->error->message];
    memcpy(message, reader->error->message, sizeof message);
    return qg_fail(reader->error, reader->error->code, "%s:%llu: %s", reader->name, line, message);
}

/* The next event; what no settings file needs is refused here, once for all places. */
static qg_status next_event(yaml_reader *reader)
{
    yaml_event_delete(&reader->event);
    memset(&reader->event, 0, sizeof reader->event);
    yaml_parser_t *const parser = &reader->parser;
    if (!yaml_parser_parse(parser, &reader->event)) {
        if (parser->error == YAML_MEMORY_ERROR)
            return qg_fail_memory(reader->error, "a YAML file", LARGEST_FILE);
        const size_t line = parser->error == YAML_READER_ERROR ? 0 : parser->problem_mark.line;
        return qg_fail(reader->error, QG_ERROR_USAGE, "%s:%zu: not YAML: %s", reader->name,
                       line + 1, parser->problem ? parser->problem : "unreadable");
    }
    const yaml_event_t *const event = &reader->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        return fail_here(reader, "aliases (*name) are not allowed");
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
            return fail_here(reader, "a NUL character is not allowed");
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor) return fail_here(reader, "anchors (&name) are not allowed");
    if (tag) return fail_here(reader, "tags (!name) are not allowed");
    return QG_OK;
}

/* A scalar as JSON: quoted ones are strings, plain ones what they look like. */
static json_t *scalar_to_json(const yaml_event_t *event)
{
    const char *const text = (const char *)event->data.scalar.value;
    int64_t count;
    double real;
    bool boolean;
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        if (!*text || strcmp(text, "null") == 0 || strcmp(text, "~") == 0) return json_null();
        if (qg_text_to_boolean(text, &boolean)) return json_boolean(boolean);
        if (!strpbrk(text, ".eE") && qg_text_to_count(text, &count)) return json_integer(count);
        if (qg_text_to_real(text, &real)) return json_real(real);
    }
    return json_string(text);
}

static qg_status read_value(yaml_reader *reader, int depth, json_t **value);

static qg_status read_sequence(yaml_reader *reader, int depth, json_t *array)
{
    for (;;) {
        qg_status status = next_event(reader);
        if (status != QG_OK) return status;
        if (reader->event.type == YAML_SEQUENCE_END_EVENT) return QG_OK;
        json_t *item = NULL;
        status = read_value(reader, depth + 1, &item);
        if (status != QG_OK) return status;
        if (json_array_append_new(array, item) != 0)
            return qg_fail_memory(reader->error, "a YAML file", LARGEST_FILE);
    }
}

static qg_status read_mapping(yaml_reader *reader, int depth, json_t *object)
{
    for (;;) {
        qg_status status = next_event(reader);
        if (status != QG_OK) return status;
        if (reader->event.type == YAML_MAPPING_END_EVENT) return QG_OK;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return fail_here(reader, "a key must be a plain word");
        const char *const text = (const char *)reader->event.data.scalar.value;
        char key[64];
        if (strlen(text) >= sizeof key) return fail_here(reader, "a key is too long");
        strcpy(key, text);
        if (json_object_get(object, key))
            return qg_fail(reader->error, QG_ERROR_USAGE, "%s:%llu: the key '%s' stands twice",
                           reader->name, event_line(reader), key);
        json_t *value = NULL;
        if ((status = next_event(reader)) != QG_OK) return status;
        if ((status = read_value(reader, depth + 1, &value)) != QG_OK) return status;
        if (json_object_set_new(object, key, value) != 0)
            return fail_here(reader, "a key is not UTF-8 text");
    }
}

/* The value that begins with the current event; *value is the caller's when QG_OK. */
static qg_status read_value(yaml_reader *reader, int depth, json_t **value)
{
    if (depth > DEEPEST) return fail_here(reader, "nested too deeply");
    if (++reader->items > LARGEST_ITEMS) return fail_here(reader, "too many values");
    json_t *result = NULL;
    qg_status status = QG_OK;
    if (reader->event.type == YAML_SCALAR_EVENT) {
        result = scalar_to_json(&reader->event);
    } else if (reader->event.type == YAML_SEQUENCE_START_EVENT) {
        result = json_array();
        if (result) status = read_sequence(reader, depth, result);
    } else {
        result = json_object();
        if (result) status = read_mapping(reader, depth, result);
    }
    if (!result) return qg_fail_memory(reader->error, "a YAML file", LARGEST_FILE);
    if (status != QG_OK)
        json_decref(result);
    else
        *value = result;
    return status;
}

/* `network:` given as a sequence of mappings. */
static qg_status read_network(yaml_reader *reader, qg_settings *settings)
{
    const unsigned long long line = event_line(reader);
    json_t *layers = NULL;
    reader->items = 0;
    qg_status status = read_value(reader, 1, &layers);
    if (status != QG_OK) return status;
    char *const text = json_dumps(layers, 0);
    json_decref(layers);
    if (!text) return qg_fail_memory(reader->error, "a list of layers", LARGEST_FILE);
    status = qg_settings_set_value(settings, "network", text, reader->error);
    free(text);
    return status == QG_OK ? QG_OK : locate(reader, line);
}

/* The value of `key`, which begins with the current event. */
static qg_status read_setting(yaml_reader *reader, const char *key, bool first,
                              qg_settings *settings)
{
    const unsigned long long line = event_line(reader);
    if (reader->event.type == YAML_SEQUENCE_START_EVENT && strcmp(key, "network") == 0)
        return read_network(reader, settings);
    if (reader->event.type != YAML_SCALAR_EVENT) {
        qg_fail(reader->error, QG_ERROR_USAGE,
                "%s: a single value is needed, not a list or mapping", key);
        return locate(reader, line);
    }
    const char *const value = (const char *)reader->event.data.scalar.value;
    const qg_status status = first && strcmp(key, "preset") == 0
                                 ? qg_settings_preset(settings, value, reader->error)
                                 : qg_settings_set_value(settings, key, value, reader->error);
    return status == QG_OK ? QG_OK : locate(reader, line);
}

/* All pairs of the top mapping, whose start is the current event. */
static qg_status read_settings(yaml_reader *reader, qg_settings *settings)
{
    char seen[64][32]; /* more keys than there are settings: the table has fewer rows */
    size_t count = 0;
    for (;;) {
        qg_status status = next_event(reader);
        if (status != QG_OK) return status;
        if (reader->event.type == YAML_MAPPING_END_EVENT) return QG_OK;
        if (reader->event.type != YAML_SCALAR_EVENT)
            return fail_here(reader, "a setting's name must be a plain word");
        char key[sizeof seen[0]];
        const char *const text = (const char *)reader->event.data.scalar.value;
        const unsigned long long line = event_line(reader);
        snprintf(key, sizeof key, "%s", text);
        for (size_t i = 0; i < count; i++)
            if (strcmp(seen[i], key) == 0) {
                qg_fail(reader->error, QG_ERROR_USAGE, "%s: stands twice", key);
                return locate(reader, line);
            }
        if ((status = next_event(reader)) != QG_OK) return status;
        status = read_setting(reader, key, count == 0, settings);
        if (status != QG_OK) return status;
        if (count < sizeof seen / sizeof *seen) strcpy(seen[count++], key);
    }
}

/* Stream start, document start, mapping, document end, stream end; an empty file is refused. */
static qg_status read_document(yaml_reader *reader, qg_settings *settings)
{
    qg_status status = next_event(reader); /* the stream's start */
    if (status == QG_OK) status = next_event(reader);
    if (status != QG_OK) return status;
    if (reader->event.type == YAML_STREAM_END_EVENT) return fail_here(reader, "no settings in it");
    if ((status = next_event(reader)) != QG_OK) return status;
    if (reader->event.type != YAML_MAPPING_START_EVENT)
        return fail_here(reader, "a list of `setting: value` lines is needed");
    if ((status = read_settings(reader, settings)) != QG_OK) return status;
    if ((status = next_event(reader)) != QG_OK) return status; /* the document's end */
    if ((status = next_event(reader)) != QG_OK) return status;
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return fail_here(reader, "a second document is not allowed");
    return QG_OK;
}

qg_status qg_settings_parse_yaml(qg_settings *settings, const char *name, const void *data,
                                 size_t size, qg_error *error)
{
    yaml_reader reader = {.name = name, .error = error};
    if (size > LARGEST_FILE)
        return qg_fail(error, QG_ERROR_USAGE, "%s: larger than %zu bytes", name, LARGEST_FILE);
    if (!yaml_parser_initialize(&reader.parser)) return qg_fail_memory(error, "a YAML file", size);
    yaml_parser_set_input_string(&reader.parser, data, size);
    qg_settings changed = *settings;
    const qg_status status = read_document(&reader, &changed);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    if (status == QG_OK) *settings = changed;
    return status;
}

qg_status qg_settings_load_yaml(qg_settings *settings, const char *path, qg_error *error)
{
    uint8_t *data;
    size_t size;
    qg_status status = qg_file_read(path, LARGEST_FILE, &data, &size, error);
    if (status != QG_OK) return status;
    status = qg_settings_parse_yaml(settings, path, data, size, error);
    free(data);
    return status;
}

/* Every value is written as it would be typed: a list of layers in JSON is a YAML sequence too. */
qg_status qg_settings_format_yaml(const qg_settings *settings, char **text, qg_error *error)
{
    size_t rows, size = 0;
    const qg_setting *const table = qg_settings_table(&rows);
    FILE *stream = open_memstream(text, &size);
    if (!stream) return qg_fail_memory(error, "the settings", sizeof *settings);
    for (size_t i = 0; i < rows; i++) {
        char value[sizeof settings->network];
        qg_setting_format(settings, &table[i], value, sizeof value);
        fprintf(stream, "%s: %s\n", table[i].name, value);
    }
    const int failed = ferror(stream);
    if (fclose(stream) != 0 || failed) {
        free(*text);
        return qg_fail_memory(error, "the settings", sizeof *settings);
    }
    return QG_OK;
}
