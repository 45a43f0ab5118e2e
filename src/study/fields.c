/* Fields of a study file, with messages that name file, line and key. */
#include "study/reader.h"

#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SEEDS 10000

qg_status qg_study_locate(const study_reader *reader, int line)
{
    char message[sizeof reader->error->message];
    memcpy(message, reader->error->message, sizeof message);
    return qg_fail(reader->error, reader->error->code, "%s:%d: %s", reader->name, line, message);
}

qg_status qg_study_fail(const study_reader *reader, int line, const char *format, ...)
{
    char message[sizeof reader->error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return qg_fail(reader->error, QG_ERROR_USAGE, "%s:%d: %s", reader->name, line, message);
}

qg_status qg_study_check_keys(const study_reader *reader, const qg_yaml *node, const char *what,
                              const char *const *keys)
{
    size_t key_count = 0;
    while (keys[key_count])
        key_count++;
    if (node->kind != QG_YAML_MAPPING)
        return qg_study_fail(reader, node->line, "%s: `key: value` pairs are needed", what);
    for (size_t i = 0; i < node->count; i++) {
        const qg_yaml *const item = &node->items[i];
        if (node == reader->root && strncmp(item->key, "x-", 2) == 0) continue; /* for anchors */
        size_t k = 0;
        while (k < key_count && strcmp(keys[k], item->key) != 0)
            k++;
        if (k < key_count) continue;
        const char *const near = qg_text_nearest(item->key, keys, key_count, sizeof *keys);
        return qg_study_fail(reader, item->key_line, "%s: there is no key '%s'%s%s%s", what,
                             item->key, near ? "; did you mean '" : " (docs/studies.md)",
                             near ? near : "", near ? "'?" : "");
    }
    return QG_OK;
}

qg_status qg_study_text(const study_reader *reader, const qg_yaml *mapping, const char *key,
                        const char **value)
{
    const qg_yaml *const node = qg_yaml_get(mapping, key);
    if (!node) return QG_OK;
    if (node->kind != QG_YAML_SCALAR)
        return qg_study_fail(reader, node->line, "%s: a single value is needed here", key);
    if (!*node->text) return qg_study_fail(reader, node->line, "%s: has no value", key);
    *value = node->text;
    return QG_OK;
}

qg_status qg_study_count(const study_reader *reader, const qg_yaml *mapping, const char *key,
                         int64_t minimum, int64_t maximum, int64_t *value)
{
    const char *text = NULL;
    const qg_status status = qg_study_text(reader, mapping, key, &text);
    if (status || !text) return status;
    if (qg_parse_count(key, text, minimum, maximum, value, reader->error))
        return qg_study_locate(reader, qg_yaml_get(mapping, key)->line);
    return QG_OK;
}

qg_status qg_study_real(const study_reader *reader, const qg_yaml *mapping, const char *key,
                        double *value)
{
    const char *text = NULL;
    const qg_status status = qg_study_text(reader, mapping, key, &text);
    if (status || !text || qg_text_to_real(text, value)) return status;
    return qg_study_fail(reader, qg_yaml_get(mapping, key)->line, "%s: '%.60s' is not a number",
                         key, text);
}

static int compare_seeds(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static qg_status read_seed_list(const study_reader *reader, const qg_yaml *node, const char *key,
                                uint64_t *seeds)
{
    for (size_t i = 0; i < node->count; i++) {
        const qg_yaml *const item = &node->items[i];
        int64_t seed = 0;
        if (item->kind != QG_YAML_SCALAR)
            return qg_study_fail(reader, item->line, "%s: numbers are needed", key);
        if (qg_parse_count(key, item->text, 0, INT64_MAX, &seed, reader->error))
            return qg_study_locate(reader, item->line);
        seeds[i] = (uint64_t)seed;
    }
    qsort(seeds, node->count, sizeof *seeds, compare_seeds);
    for (size_t i = 1; i < node->count; i++)
        if (seeds[i] == seeds[i - 1])
            return qg_study_fail(reader, node->line, "%s: %llu stands twice", key,
                                 (unsigned long long)seeds[i]);
    return QG_OK;
}

qg_status qg_study_seeds(const study_reader *reader, const qg_yaml *mapping, const char *key,
                         uint64_t **seeds, int *count)
{
    const qg_yaml *const node = qg_yaml_get(mapping, key);
    if (!node) return QG_OK;
    int64_t number = 1; /* at least */
    const bool list = node->kind == QG_YAML_LIST;
    if (!list) {
        const qg_status status = qg_study_count(reader, mapping, key, 1, MOST_SEEDS, &number);
        if (status) return status;
    } else if (node->count == 0 || node->count > MOST_SEEDS) {
        return qg_study_fail(reader, node->line, "%s: 1 to %d are needed", key, MOST_SEEDS);
    } else {
        number = (int64_t)node->count;
    }
    uint64_t *const result = calloc((size_t)number, sizeof *result);
    if (!result) return qg_fail_memory(reader->error, "seeds", (size_t)number * sizeof *result);
    for (int64_t i = 0; i < number; i++)
        result[i] = (uint64_t)i + 1;
    const qg_status status = list ? read_seed_list(reader, node, key, result) : QG_OK;
    if (status) {
        free(result);
        return status;
    }
    free(*seeds);
    *seeds = result;
    *count = (int)number;
    return QG_OK;
}

int64_t qg_study_scaled(const qg_study *study, int64_t count)
{
    const double scaled = rint((double)count * study->scale);
    return scaled < 1 ? 1 : (int64_t)scaled;
}

void *qg_study_append(const study_reader *reader, void *array, int *count, size_t size)
{
    const size_t used = (size_t)*count;
    void *items;
    memcpy(&items, array, sizeof items); /* a pointer of any type, by its bytes */
    if ((used & (used - 1)) == 0) {
        void *const larger = realloc(items, (used ? 2 * used : 1) * size);
        if (!larger) {
            qg_fail_memory(reader->error, "a study", 2 * used * size);
            return NULL;
        }
        items = larger;
        memcpy(array, &items, sizeof items);
    }
    char *const item = (char *)items + used * size;
    memset(item, 0, size);
    ++*count;
    return item;
}
