#include "base/yaml_tree.h"

#include "base/file_kind.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEEPEST      8
#define MOST_VALUES  20000
#define MOST_ANCHORS 1000
#define MOST_COPIED  QG_YAML_LARGEST /* bytes of text that aliases make */
#define LONGEST_KEY  95              /* a game's name */

/* What an anchor names: a copy, as the tree moves while it grows. */
typedef struct yaml_anchor {
    char *name;
    bool complete; /* its value has been read */
    qg_yaml value;
} yaml_anchor;

typedef struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; its memory belongs to the reader */
    const char *name;   /* of the file, for messages */
    const char *data;
    size_t size;
    size_t values, copied;
    yaml_anchor *anchors; /* [anchor_count], in the order of the file */
    size_t anchor_count;
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

static qg_status fail_memory(const yaml_reader *reader)
{
    return qg_fail_memory(reader->error, "a YAML file", QG_YAML_LARGEST);
}

/* The next event; what no file here needs is refused, once for all places. */
static qg_status next_event(yaml_reader *reader)
{
    yaml_event_delete(&reader->event);
    memset(&reader->event, 0, sizeof reader->event);
    if (!yaml_parser_parse(&reader->parser, &reader->event)) return fail_parse(reader);
    const yaml_event_t *const event = &reader->event;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        tag = event->data.scalar.tag;
        if (strlen((const char *)event->data.scalar.value) != event->data.scalar.length)
            return fail_here(reader, "a NUL character is not allowed");
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        tag = event->data.mapping_start.tag;
    }
    return tag ? fail_here(reader, "tags (!name) are not allowed") : QG_OK;
}

/* ---------------------------------------------------------------------- anchors and aliases */

/* The anchor of the current event, NULL: it has none. */
static const char *event_anchor(const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    if (event->type == YAML_SCALAR_EVENT) anchor = event->data.scalar.anchor;
    if (event->type == YAML_SEQUENCE_START_EVENT) anchor = event->data.sequence_start.anchor;
    if (event->type == YAML_MAPPING_START_EVENT) anchor = event->data.mapping_start.anchor;
    return (const char *)anchor;
}

/* *anchor: the place of what the current event anchors, which is to be completed; -1: nothing. */
static qg_status open_anchor(yaml_reader *reader, ptrdiff_t *anchor)
{
    const char *const name = event_anchor(&reader->event);
    *anchor = -1;
    if (!name) return QG_OK;
    if (reader->anchor_count == MOST_ANCHORS) return fail_here(reader, "too many anchors");
    if (!reader->anchors) reader->anchors = calloc(MOST_ANCHORS, sizeof *reader->anchors);
    if (!reader->anchors) return fail_memory(reader);
    char *const copy = strdup(name);
    if (!copy) return fail_memory(reader);
    *anchor = (ptrdiff_t)reader->anchor_count;
    reader->anchors[reader->anchor_count++] = (yaml_anchor){.name = copy};
    return QG_OK;
}

static qg_status complete_anchor(yaml_reader *reader, ptrdiff_t anchor, const qg_yaml *value)
{
    if (anchor < 0) return QG_OK;
    reader->anchors[anchor].complete = true;
    return qg_yaml_copy(value, &reader->anchors[anchor].value) ? QG_OK : fail_memory(reader);
}

/* What the current event, an alias, stands for: the last of that name before it. */
static qg_status find_anchor(yaml_reader *reader, const qg_yaml **value)
{
    const char *const name = (const char *)reader->event.data.alias.anchor;
    size_t i = reader->anchor_count;
    while (i > 0 && strcmp(reader->anchors[i - 1].name, name) != 0)
        i--;
    if (i == 0)
        return qg_fail(reader->error, QG_ERROR_USAGE,
                       "%s:%d: *%.60s: there is no anchor &%.60s before", reader->name,
                       event_line(reader), name, name);
    if (!reader->anchors[i - 1].complete)
        return qg_fail(reader->error, QG_ERROR_USAGE, "%s:%d: *%.60s stands in what it names",
                       reader->name, event_line(reader), name);
    *value = &reader->anchors[i - 1].value;
    return QG_OK;
}

/* Of a few lines aliases of aliases could make more than any memory holds. */
static qg_status read_alias(yaml_reader *reader, int depth, qg_yaml *node)
{
    const qg_yaml *value;
    const qg_status status = find_anchor(reader, &value);
    if (status) return status;
    const qg_yaml_size size = qg_yaml_measure(value);
    reader->values += size.values;
    reader->copied += size.bytes;
    if (depth + size.height > DEEPEST) return fail_here(reader, "nested too deeply");
    if (reader->values > MOST_VALUES || reader->copied > MOST_COPIED)
        return fail_here(reader, "the aliases (*name) make too many values");
    return qg_yaml_copy(value, node) ? QG_OK : fail_memory(reader);
}

/* --------------------------------------------------------------------------------- values */

static qg_status read_value(yaml_reader *reader, int depth, qg_yaml *node);

/* The text of the current event as a key; *merge: it is the merge key. */
static qg_status read_key(yaml_reader *reader, char **key, bool *merge)
{
    const yaml_event_t *const event = &reader->event;
    const qg_yaml *named = NULL;
    *merge = false;
    if (event->type == YAML_ALIAS_EVENT) {
        const qg_status status = find_anchor(reader, &named);
        if (status) return status;
    }
    if (event->type != YAML_SCALAR_EVENT && !(named && named->kind == QG_YAML_SCALAR))
        return fail_here(reader, "a key must be a plain word");
    const char *const text = named ? named->text : (const char *)event->data.scalar.value;
    if (strlen(text) > LONGEST_KEY) return fail_here(reader, "a key is longer than 95 characters");
    *merge =
        !named && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text, "<<") == 0;
    if (!(*key = strdup(text))) return fail_memory(reader);
    ptrdiff_t anchor;
    const qg_status status = open_anchor(reader, &anchor);
    const qg_yaml value = {.kind = QG_YAML_SCALAR, .line = event_line(reader), .text = *key};
    return status ? status : complete_anchor(reader, anchor, &value);
}

/* Moves the items of `from` that `node` lacks behind its own. */
static qg_status merge_items(yaml_reader *reader, qg_yaml *from, qg_yaml *node)
{
    if (from->kind != QG_YAML_MAPPING)
        return qg_fail(reader->error, QG_ERROR_USAGE,
                       "%s:%d: <<: a mapping (*name) or a list of them is needed", reader->name,
                       from->line);
    for (size_t i = 0; i < from->count; i++) {
        if (qg_yaml_get(node, from->items[i].key)) continue;
        qg_yaml *const item = qg_yaml_add(node);
        if (!item) return fail_memory(reader);
        *item = from->items[i];
        item->merged = true;
        from->items[i] = (qg_yaml){0};
    }
    return QG_OK;
}

/* The value of a merge key. */
static qg_status read_merge(yaml_reader *reader, int depth, qg_yaml *node)
{
    qg_yaml value = {0};
    qg_status status = read_value(reader, depth + 1, &value);
    const bool list = value.kind == QG_YAML_LIST;
    for (size_t i = 0; i < (list ? value.count : 1) && !status; i++)
        status = merge_items(reader, list ? &value.items[i] : &value, node);
    qg_yaml_free_contents(&value);
    return status;
}

static qg_status fail_twice(const yaml_reader *reader, const char *key, int line, int first)
{
    return qg_fail(reader->error, QG_ERROR_USAGE, "%s:%d: %s: stands twice, on line %d first%s",
                   reader->name, line, key, first,
                   strcmp(key, "<<") == 0 ? ": merge a list, <<: [*a, *b]" : "");
}

/* The place of a mapping's new item; `key` becomes its own. What was merged gives way. */
static qg_status place_item(yaml_reader *reader, qg_yaml *node, char *key, int line, qg_yaml **item)
{
    qg_status status = QG_OK;
    *item = qg_yaml_get(node, key);
    if (*item && !(*item)->merged)
        status = fail_twice(reader, key, line, (*item)->key_line);
    else if (*item)
        qg_yaml_free_contents(*item);
    else if (!(*item = qg_yaml_add(node)))
        status = fail_memory(reader);
    if (status)
        free(key);
    else
        **item = (qg_yaml){.key = key, .key_line = line};
    return status;
}

/* The items of a mapping, whose start is the current event. */
static qg_status read_mapping(yaml_reader *reader, int depth, qg_yaml *node)
{
    for (int merge_line = 0;;) {
        qg_status status = next_event(reader);
        if (status || reader->event.type == YAML_MAPPING_END_EVENT) return status;
        const int line = event_line(reader);
        char *key = NULL;
        bool merge;
        qg_yaml *item;
        status = read_key(reader, &key, &merge);
        if (!status) status = next_event(reader);
        if (!status && merge && merge_line) status = fail_twice(reader, key, line, merge_line);
        if (status || merge) free(key);
        if (status) return status;
        if (merge) {
            merge_line = line;
            status = read_merge(reader, depth, node);
        } else {
            status = place_item(reader, node, key, line, &item);
            if (!status) status = read_value(reader, depth + 1, item);
        }
        if (status) return status;
    }
}

static qg_status read_list(yaml_reader *reader, int depth, qg_yaml *node)
{
    for (;;) {
        qg_status status = next_event(reader);
        if (status || reader->event.type == YAML_SEQUENCE_END_EVENT) return status;
        qg_yaml *const item = qg_yaml_add(node);
        if (!item) return fail_memory(reader);
        if ((status = read_value(reader, depth + 1, item))) return status;
    }
}

/* 010 is 8 to those who read YAML 1.1, and 10 to those who read 1.2. */
static bool is_octal(const qg_yaml *node)
{
    const char *digits = node->text + strspn(node->text, "+-");
    return !node->quoted && digits[0] == '0' && digits[1] && !digits[strspn(digits, "0123456789_")];
}

static qg_status read_scalar(yaml_reader *reader, qg_yaml *node)
{
    const yaml_event_t *const event = &reader->event;
    node->kind = QG_YAML_SCALAR;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = strdup((const char *)event->data.scalar.value);
    if (!node->text) return fail_memory(reader);
    return is_octal(node) ? fail_here(reader, "a number begins with 0: leave it out, or write the "
                                              "text in quotes")
                          : QG_OK;
}

/* The value that begins with the current event. */
static qg_status read_value(yaml_reader *reader, int depth, qg_yaml *node)
{
    if (depth > DEEPEST) return fail_here(reader, "nested too deeply");
    if (reader->event.type == YAML_ALIAS_EVENT) return read_alias(reader, depth, node);
    if (++reader->values > MOST_VALUES) return fail_here(reader, "too many values");
    ptrdiff_t anchor;
    qg_status status = open_anchor(reader, &anchor);
    if (status) return status;
    node->line = event_line(reader);
    const yaml_event_type_t type = reader->event.type;
    node->kind = type == YAML_MAPPING_START_EVENT ? QG_YAML_MAPPING : QG_YAML_LIST;
    if (type == YAML_SCALAR_EVENT)
        status = read_scalar(reader, node);
    else if (type == YAML_MAPPING_START_EVENT)
        status = read_mapping(reader, depth, node);
    else
        status = read_list(reader, depth, node);
    return status ? status : complete_anchor(reader, anchor, node);
}

static void free_anchors(yaml_reader *reader)
{
    for (size_t i = 0; i < reader->anchor_count; i++) {
        free(reader->anchors[i].name);
        qg_yaml_free_contents(&reader->anchors[i].value);
    }
    free(reader->anchors);
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
    free_anchors(&reader);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    if (status)
        qg_yaml_free(node);
    else
        *root = node;
    return status;
}
