/* Settings in YAML. */
#include <qgraft/settings.h>

#include "agent/settings_yaml.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/text.h"
#include "base/yaml_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Puts FILE:LINE before the message that error holds. */
static qg_status locate(const char *name, int line, qg_error *error)
{
    char message[sizeof error->message];
    memcpy(message, error->message, sizeof message);
    return qg_fail(error, error->code, "%s:%d: %s", name, line, message);
}

/* `network:` given as a list of mappings. */
static qg_status set_network(const qg_yaml *node, qg_settings *settings, qg_error *error)
{
    qg_json_watch();
    json_t *const layers = qg_yaml_to_json(node);
    if (!layers && !qg_json_lacked_memory())
        return qg_fail(error, QG_ERROR_USAGE, "network: not UTF-8 text");
    char *const text = layers ? qg_json_text(layers, 0) : NULL;
    json_decref(layers);
    if (!text) return qg_fail_memory(error, "the list of layers", 0);
    const qg_status status = qg_settings_set_value(settings, "network", text, error);
    free(text);
    return status;
}

static qg_status set_from_node(const qg_yaml *node, bool first, qg_settings *settings,
                               qg_error *error)
{
    if (node->kind == QG_YAML_LIST && strcmp(node->key, "network") == 0)
        return set_network(node, settings, error);
    if (node->kind != QG_YAML_SCALAR)
        return qg_fail(error, QG_ERROR_USAGE, "%s: a single value is needed, not a list or mapping",
                       node->key);
    if (first && strcmp(node->key, "preset") == 0)
        return qg_settings_preset(settings, node->text, error);
    return qg_settings_set_value(settings, node->key, node->text, error);
}

qg_status qg_settings_apply_yaml(qg_settings *settings, const char *name, const qg_yaml *mapping,
                                 qg_error *error)
{
    if (mapping->kind != QG_YAML_MAPPING)
        return qg_fail(error, QG_ERROR_USAGE, "%s:%d: a list of `setting: value` lines is needed",
                       name, mapping->line);
    qg_settings changed = *settings;
    for (size_t i = 0; i < mapping->count; i++)
        if (set_from_node(&mapping->items[i], i == 0, &changed, error))
            return locate(name, mapping->items[i].line, error);
    *settings = changed;
    return QG_OK;
}

qg_status qg_settings_parse_yaml(qg_settings *settings, const char *name, const void *data,
                                 size_t size, qg_error *error)
{
    qg_yaml *root;
    qg_status status = qg_yaml_parse(name, data, size, &root, error);
    if (status) return status;
    status = qg_settings_apply_yaml(settings, name, root, error);
    qg_yaml_free(root);
    return status;
}

qg_status qg_settings_load_yaml(qg_settings *settings, const char *path, qg_error *error)
{
    uint8_t *data;
    size_t size;
    qg_status status = qg_file_read(path, QG_YAML_LARGEST, &data, &size, error);
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
    FILE *stream = qg_text_stream(text, &size);
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
