#include "base/yaml_node.h"

#include "base/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

qg_yaml *qg_yaml_add(qg_yaml *node)
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

void qg_yaml_free_contents(qg_yaml *node)
{
    for (size_t i = 0; i < node->count; i++)
        qg_yaml_free_contents(&node->items[i]);
    free(node->items);
    free(node->key);
    free(node->text);
}

void qg_yaml_free(qg_yaml *root)
{
    if (!root) return;
    qg_yaml_free_contents(root);
    free(root);
}

qg_yaml *qg_yaml_get(const qg_yaml *mapping, const char *key)
{
    for (size_t i = 0; i < mapping->count; i++)
        if (mapping->items[i].key && strcmp(mapping->items[i].key, key) == 0)
            return &mapping->items[i];
    return NULL;
}

qg_yaml_size qg_yaml_measure(const qg_yaml *node)
{
    qg_yaml_size size = {1, node->text ? strlen(node->text) : 0, 0};
    for (size_t i = 0; i < node->count; i++) {
        const qg_yaml *const item = &node->items[i];
        const qg_yaml_size part = qg_yaml_measure(item);
        size.values += part.values;
        size.bytes += part.bytes + (item->key ? strlen(item->key) : 0);
        if (part.height + 1 > size.height) size.height = part.height + 1;
    }
    return size;
}

bool qg_yaml_copy(const qg_yaml *from, qg_yaml *to)
{
    to->kind = from->kind;
    to->quoted = from->quoted;
    to->line = from->line;
    if (from->text && !(to->text = strdup(from->text))) return false;
    for (size_t i = 0; i < from->count; i++) {
        const qg_yaml *const item = &from->items[i];
        qg_yaml *const place = qg_yaml_add(to);
        if (!place) return false;
        place->key_line = item->key_line;
        place->merged = item->merged;
        if (item->key && !(place->key = strdup(item->key))) return false;
        if (!qg_yaml_copy(item, place)) return false;
    }
    return true;
}

static bool is_null(const char *text)
{
    static const char *const names[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) return true;
    return false;
}

static json_t *scalar_to_json(const qg_yaml *node)
{
    const char *const text = node->text;
    int64_t count;
    double real;
    bool boolean;
    if (!node->quoted) {
        if (is_null(text)) return json_null();
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
