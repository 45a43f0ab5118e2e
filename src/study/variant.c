/* Lists that multiply: {first: [1, 2], freeze: [false, true]} stands for four runs. */
#include "study/reader.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MOST_VARIANTS 10000

/* The lists of a mapping, those in `settings` among them. */
static bool multiplies(const qg_yaml *item)
{
    static const char *const whole[] = {"seeds", "also_evaluate", "distill"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strcmp(item->key, whole[i]) == 0) return false;
    if (item->kind != QG_YAML_LIST) return false;
    const bool layers = item->count && item->items[0].kind == QG_YAML_MAPPING;
    return !(layers && strcmp(item->key, "network") == 0);
}

static bool holds_settings(const qg_yaml *item)
{
    return item->kind == QG_YAML_MAPPING && strcmp(item->key, "settings") == 0;
}

qg_status qg_run_variant_total(const study_reader *reader, const qg_yaml *mapping, int64_t *total)
{
    int64_t product = 1;
    for (size_t i = 0; i < mapping->count; i++) {
        const qg_yaml *const item = &mapping->items[i];
        int64_t factor = 1;
        if (holds_settings(item)) {
            const qg_status status = qg_run_variant_total(reader, item, &factor);
            if (status) return status;
        } else if (multiplies(item)) {
            factor = (int64_t)item->count;
            if (!factor)
                return qg_study_fail(reader, item->line, "%s: the list is empty", item->key);
        }
        if (factor > MOST_VARIANTS || product * factor > MOST_VARIANTS)
            return qg_study_fail(reader, item->line, "%s: the lists make more than %d runs",
                                 item->key, MOST_VARIANTS);
        product *= factor;
    }
    *total = product;
    return QG_OK;
}

static qg_status choose(const study_reader *reader, const qg_yaml *from, qg_yaml *to,
                        int64_t *index, qg_run_variant *variant)
{
    *to = *from;
    to->items = NULL;
    to->count = 0;
    qg_yaml *const items = calloc(from->count + 1, sizeof *items);
    if (!items) return qg_fail_memory(reader->error, "a study", from->count * sizeof *items);
    to->items = items;
    to->count = from->count;
    for (size_t i = from->count; i-- > 0;) {
        const qg_yaml *const item = &from->items[i];
        items[i] = *item;
        if (holds_settings(item)) {
            const qg_status status = choose(reader, item, &items[i], index, variant);
            if (status) return status;
        } else if (multiplies(item)) {
            items[i] = item->items[*index % (int64_t)item->count];
            items[i].key = item->key;
            items[i].key_line = item->key_line;
            *index /= (int64_t)item->count;
            if (item->count == 1) continue;
            assert(variant->multiplied_count < QG_MOST_LISTS);
            variant->multiplied[variant->multiplied_count++] = item->key;
        }
    }
    return QG_OK;
}

qg_status qg_run_variant_make(const study_reader *reader, const qg_yaml *mapping, int64_t index,
                              qg_run_variant *variant)
{
    *variant = (qg_run_variant){0};
    const qg_status status = choose(reader, mapping, &variant->mapping, &index, variant);
    if (status) qg_run_variant_free(variant);
    return status;
}

void qg_run_variant_free(qg_run_variant *variant)
{
    const qg_yaml *const settings = qg_yaml_get(&variant->mapping, "settings");
    if (settings && settings->kind == QG_YAML_MAPPING) free(settings->items);
    free(variant->mapping.items);
    *variant = (qg_run_variant){0};
}
