#include "base/yaml_tree.h"

#include "base/file_kind.h"
#include "base/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEEPEST     8
#define MOST_VALUES 20000
#define LONGEST_KEY 63

typedef struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; its memory belongs to the reader */
    const char *name;   /* of the file, for messages */
    const char *data;
    size_t size;
    int values;
    qg_error *error;
} yaml_reader;

static int event_line(const yaml_reader *reader)
{
    return (int)reader->event.start_mark.line + 1;
}

static qg_status fail_here(yaml_reader *reader, const char *what)
{
    return qg_fail(reader->error, QG_ERROR_USAGE, "%s:%d: %s", reader->name, event_line(reader),
                   what);
}

/* What the parser has against the file. Of bytes that are no text it knows only the place. */
static qg_status fail_parse(const yaml_reader *reader)
{
    const yaml_parser_t *const parser = &reader->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return qg_fail_memory(reader->error, "a YAML file", QG_YAML_LARGEST);
    size_t line = parser->problem_mark.line;
    const char *problem = parser->problem ? parser->problem : "unreadable";
    if (parser->error == YAML_READER_ERROR) {
        line = 0;
        for (size_t i = 0; i < parser->problem_offset && i < reader->size; i++)
            line += reader->data[i] == '\n';
        if (parser->problem_value == 0) problem = "a NUL byte, as a crash leaves them";
    }
    return qg_fail(reader->error, QG_ERROR_USAGE, "%s:%zu: not YAML: %s", reader->name, line + 1,
                   problem);
}

/* The next event; what no file here needs is refused, once for all places. */
static qg_status next_event(yaml_reader *reader)
{
    yaml_event_delete(&reader->event);
    memset(&reader->event, 0, sizeof reader->event);
    if (!yaml_parser_parse(&reader->parser, &reader->event)) return fail_parse(reader);
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

static qg_status read_value(yaml_reader *reader, int depth, qg_yaml *node);

/* Room for one more item at the end of `node`, cleared. */
static qg_yaml *add_item(qg_yaml *node)
{
    if ((node->count & (node->count - 1)) == 0) { /* full at 0, 1, 2, 4, 8, ... */
        const size_t room = node->count ? 2 * node->count : 1;
        qg_yaml *const items = realloc(node->items, room * sizeof *items);
        if (!items) return NULL;
        node->items = items;
    }
    qg_yaml *const item = &node->items[node->count];
    *item = (qg_yaml){0};
    node->count++;
    return item;
}

static qg_status read_key(yaml_reader *reader, const qg_yaml *node, char **key)
{
    if (reader->event.type != YAML_SCALAR_EVENT)
        return fail_here(reader, "a key must be a plain word");
    const char *const text = (const char *)reader->event.data.scalar.value;
    if (strlen(text) > LONGEST_KEY) return fail_here(reader, "a key is too long");
    if (qg_yaml_get(node, text))
        return qg_fail(reader->error, QG_ERROR_USAGE, "%s:%d: %s: stands twice", reader->name,
                       event_line(reader), text);
    *key = strdup(text);
    return *key ? QG_OK : qg_fail_memory(reader->error, "a YAML file", QG_YAML_LARGEST);
}

/* The items of a list or mapping, whose start is the current event. */
static qg_status read_items(yaml_reader *reader, int depth, qg_yaml *node)
{
    const bool mapping = node->kind == QG_YAML_MAPPING;
    const yaml_event_type_t end = mapping ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    for (;;) {
        qg_status status = next_event(reader);
        if (status) return status;
        if (reader->event.type == end) return QG_OK;
        char *key = NULL;
        const int key_line = event_line(reader);
        if (mapping && ((status = read_key(reader, node, &key)) || (status = next_event(reader)))) {
            free(key);
            return status;
        }
        qg_yaml *const item = add_item(node);
        if (!item) {
            free(key);
            return qg_fail_memory(reader->error, "a YAML file", QG_YAML_LARGEST);
        }
        item->key = key;
        item->key_line = key_line;
        if ((status = read_value(reader, depth + 1, item))) return status;
    }
}

/* The value that begins with the current event. */
static qg_status read_value(yaml_reader *reader, int depth, qg_yaml *node)
{
    if (depth > DEEPEST) return fail_here(reader, "nested too deeply");
    if (++reader->values > MOST_VALUES) return fail_here(reader, "too many values");
    const yaml_event_t *const event = &reader->event;
    node->line = event_line(reader);
    if (event->type != YAML_SCALAR_EVENT) {
        node->kind = event->type == YAML_MAPPING_START_EVENT ? QG_YAML_MAPPING : QG_YAML_LIST;
        return read_items(reader, depth, node);
    }
    node->kind = QG_YAML_SCALAR;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = strdup((const char *)event->data.scalar.value);
    return node->text ? QG_OK : qg_fail_memory(reader->error, "a YAML file", QG_YAML_LARGEST);
}

/* Stream start, document start, value, document end, stream end. */
static qg_status read_document(yaml_reader *reader, qg_yaml *root)
{
    qg_status status = next_event(reader); /* the stream's start */
    if (!status) status = next_event(reader);
    if (status) return status;
    if (reader->event.type == YAML_STREAM_END_EVENT) return fail_here(reader, "nothing in it");
    if ((status = next_event(reader))) return status;
    if ((status = read_value(reader, 0, root))) return status;
    if ((status = next_event(reader))) return status; /* the document's end */
    if ((status = next_event(reader))) return status;
    if (reader->event.type != YAML_STREAM_END_EVENT)
        return fail_here(reader, "a second document is not allowed");
    return QG_OK;
}

qg_status qg_yaml_parse(const char *name, const void *data, size_t size, qg_yaml **root,
                        qg_error *error)
{
    *root = NULL;
    yaml_reader reader = {.name = name, .data = data, .size = size, .error = error};
    if (size > QG_YAML_LARGEST)
        return qg_fail(error, QG_ERROR_USAGE, "%s: larger than %zu bytes", name, QG_YAML_LARGEST);
    const qg_file_kind kind = qg_file_kind_of(data, size);
    if (!qg_file_kind_is_plain(kind) && !qg_file_kind_is_text(kind))
        return qg_fail_kind(error, QG_ERROR_USAGE, name, "YAML", kind, NULL);
    qg_yaml *const node = calloc(1, sizeof *node);
    if (!node || !yaml_parser_initialize(&reader.parser)) {
        free(node);
        return qg_fail_memory(error, "a YAML file", size);
    }
    yaml_parser_set_input_string(&reader.parser, data, size);
    const qg_status status = read_document(&reader, node);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    if (status)
        qg_yaml_free(node);
    else
        *root = node;
    return status;
}

static void free_contents(qg_yaml *node)
{
    for (size_t i = 0; i < node->count; i++)
        free_contents(&node->items[i]);
    free(node->items);
    free(node->key);
    free(node->text);
}

void qg_yaml_free(qg_yaml *root)
{
    if (!root) return;
    free_contents(root);
    free(root);
}

const qg_yaml *qg_yaml_get(const qg_yaml *mapping, const char *key)
{
    for (size_t i = 0; i < mapping->count; i++)
        if (mapping->items[i].key && strcmp(mapping->items[i].key, key) == 0)
            return &mapping->items[i];
    return NULL;
}

static json_t *scalar_to_json(const qg_yaml *node)
{
    const char *const text = node->text;
    int64_t count;
    double real;
    bool boolean;
    if (!node->quoted) {
        if (!*text || strcmp(text, "null") == 0 || strcmp(text, "~") == 0) return json_null();
        if (qg_text_to_boolean(text, &boolean)) return json_boolean(boolean);
        if (!strpbrk(text, ".eE") && qg_text_to_count(text, &count)) return json_integer(count);
        if (qg_text_to_real(text, &real)) return json_real(real);
    }
    return json_string(text);
}

json_t *qg_yaml_to_json(const qg_yaml *node)
{
    if (node->kind == QG_YAML_SCALAR) return scalar_to_json(node);
    const bool mapping = node->kind == QG_YAML_MAPPING;
    json_t *const json = mapping ? json_object() : json_array();
    for (size_t i = 0; json && i < node->count; i++) {
        json_t *const item = qg_yaml_to_json(&node->items[i]);
        const int failed = mapping ? json_object_set_new(json, node->items[i].key, item)
                                   : json_array_append_new(json, item);
        if (failed) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}
