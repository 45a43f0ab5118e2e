#include "study/source_list.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SOURCES = 1000 };

/* Only of students: what else a source says makes another game or another chain of it. */
static bool has_lists(const qg_yaml *source)
{
    return source->kind == QG_YAML_MAPPING && qg_yaml_get(source, "distill");
}

static qg_status count_all(const study_reader *reader, const qg_yaml *sources, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < sources->count; i++) {
        int64_t total = 1;
        const qg_yaml *const source = &sources->items[i];
        const qg_status status =
            has_lists(source) ? qg_run_variant_total(reader, source, &total) : QG_OK;
        if (status) return status;
        *count += (size_t)total;
        if (*count > MOST_SOURCES)
            return qg_study_fail(reader, source->key_line, "sources: more than %d", MOST_SOURCES);
    }
    return QG_OK;
}

/* NAME-VALUE, of several lists NAME-VALUE-VALUE. */
static qg_status name_variant(const study_reader *reader, const qg_run_variant *variant,
                              const qg_yaml *source, char name[QG_STUDY_NAME])
{
    const qg_yaml *const settings = qg_yaml_get(&variant->mapping, "settings");
    bool fits = strlen(source->key) < QG_STUDY_NAME;
    if (fits) strcpy(name, source->key);
    for (int i = variant->multiplied_count - 1; i >= 0 && fits; i--) { /* as they are written */
        const qg_yaml *value = qg_yaml_get(&variant->mapping, variant->multiplied[i]);
        if (!value && settings) value = qg_yaml_get(settings, variant->multiplied[i]);
        fits = value && value->kind == QG_YAML_SCALAR && qg_study_append_id(name, "-") &&
               qg_study_append_id(name, value->text);
    }
    return fits ? QG_OK
                : qg_study_fail(reader, source->key_line,
                                "%.60s: its lists make no names: they hold single values, and the "
                                "names are not longer than %d letters",
                                source->key, QG_STUDY_NAME - 1);
}

static qg_status add_variant(const study_reader *reader, const qg_yaml *source, int64_t index,
                             qg_source_list *list)
{
    const size_t n = list->mapping.count;
    qg_run_variant *const variant = &list->variants[n];
    qg_yaml *const item = &list->mapping.items[n];
    qg_status status = qg_run_variant_make(reader, source, index, variant);
    if (status) return status;
    list->mapping.count++;
    *item = variant->mapping;
    if (variant->multiplied_count == 0) return QG_OK; /* a list of one value is that value */
    status = name_variant(reader, variant, source, list->names[n]);
    item->key = list->names[n];
    item->key_line = source->key_line;
    return status;
}

/* A source may be called what a variant is. */
static qg_status check_names(const study_reader *reader, const qg_yaml *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(sources->items[i].key, sources->items[k].key) == 0)
                return qg_study_fail(reader, sources->items[i].key_line,
                                     "sources: '%s' stands twice, here and in line %d: give one "
                                     "another name",
                                     sources->items[i].key, sources->items[k].key_line);
    return QG_OK;
}

qg_status qg_source_list_make(const study_reader *reader, const qg_yaml *sources,
                              qg_source_list *list)
{
    size_t count;
    *list = (qg_source_list){.mapping = *sources};
    list->mapping.items = NULL;
    list->mapping.count = 0;
    qg_status status = count_all(reader, sources, &count);
    if (status) return status;
    list->mapping.items = calloc(count + 1, sizeof *list->mapping.items);
    list->variants = calloc(count + 1, sizeof *list->variants);
    list->names = calloc(count + 1, sizeof *list->names);
    if (!list->mapping.items || !list->variants || !list->names)
        return qg_fail_memory(reader->error, "a study", count * sizeof *list->variants);
    for (size_t i = 0; i < sources->count && !status; i++) {
        const qg_yaml *const source = &sources->items[i];
        int64_t total = 1;
        if (!has_lists(source)) {
            list->mapping.items[list->mapping.count++] = *source;
            continue;
        }
        status = qg_run_variant_total(reader, source, &total);
        for (int64_t k = 0; k < total && !status; k++)
            status = add_variant(reader, source, k, list);
    }
    return status ? status : check_names(reader, &list->mapping);
}

void qg_source_list_free(qg_source_list *list)
{
    for (size_t i = 0; list->variants && i < list->mapping.count; i++)
        qg_run_variant_free(&list->variants[i]);
    free(list->mapping.items);
    free(list->variants);
    free(list->names);
    *list = (qg_source_list){0};
}
