#include "report/run_facts.h"

#include "base/file.h"
#include "base/yaml_tree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static qg_yaml *read_yaml(const char *folder, const char *name)
{
    qg_error ignored;
    uint8_t *data = NULL;
    size_t size;
    qg_yaml *root = NULL;
    char *path = qg_path_join(folder, name);
    if (path && qg_file_read(path, QG_YAML_LARGEST, &data, &size, &ignored) == QG_OK &&
        qg_yaml_parse(path, data, size, &root, &ignored) != QG_OK)
        root = NULL;
    free(data);
    free(path);
    return root;
}

static void get_text(const qg_yaml *mapping, const char *key, char *text, size_t size)
{
    const qg_yaml *item = mapping->kind == QG_YAML_MAPPING ? qg_yaml_get(mapping, key) : NULL;
    if (item && item->kind == QG_YAML_SCALAR) snprintf(text, size, "%s", item->text);
}

static void get_list(const qg_yaml *mapping, const char *key, char *text, size_t size)
{
    const qg_yaml *item = mapping->kind == QG_YAML_MAPPING ? qg_yaml_get(mapping, key) : NULL;
    size_t used = 0;
    for (size_t i = 0; item && item->kind == QG_YAML_LIST && i < item->count && used < size; i++)
        if (item->items[i].kind == QG_YAML_SCALAR)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "," : "",
                                     item->items[i].text);
}

void qg_run_facts_read(const char *folder, qg_run_facts *facts)
{
    *facts = (qg_run_facts){0};
    qg_yaml *run = read_yaml(folder, "run.yaml"), *process = read_yaml(folder, "process.yaml");
    if (run) {
        char unchanged[8] = "", parent[16] = "";
        get_text(run, "qgraft", facts->version, sizeof facts->version);
        get_text(run, "parent_domain", facts->parent_domain, sizeof facts->parent_domain);
        get_text(run, "parent_file", parent, sizeof parent);
        facts->random = strcmp(parent, "random") == 0;
        get_text(run, "copied", facts->copied, sizeof facts->copied);
        get_list(run, "frozen", facts->frozen, sizeof facts->frozen);
        get_text(run, "frozen_unchanged", unchanged, sizeof unchanged);
        facts->frozen_unchanged = strcmp(unchanged, "true") == 0;
    }
    if (process) {
        char threads[16] = "", inexact[16] = "";
        get_text(process, "host", facts->host, sizeof facts->host);
        get_text(process, "instruction_set", facts->instruction_set, sizeof facts->instruction_set);
        get_text(process, "started", facts->started, sizeof facts->started);
        get_text(process, "threads", threads, sizeof threads);
        facts->threads = (int)strtol(threads, NULL, 10);
        get_text(process, "inexact_resumes", inexact, sizeof inexact);
        facts->inexact_resumes = (int)strtol(inexact, NULL, 10);
    }
    qg_yaml_free(run);
    qg_yaml_free(process);
}

double qg_confirmed_score(const char *folder)
{
    qg_error ignored;
    qg_architecture architecture;
    qg_network_info info = {.confirmed_score = NAN};
    char *path = qg_path_join(folder, "best.safetensors");
    if (path && qg_network_look(path, &architecture, &info, &ignored) != QG_OK)
        info.confirmed_score = NAN;
    free(path);
    return info.confirmed_score;
}

/* ---------------------------------------------------------------------------------- layers */

/* The item "NAME" or "NAME(...)" of a list with commas; NULL: it has none. */
static const char *find_item(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (const char *item = list; item; item = strchr(item, ',')) {
        if (*item == ',') item++;
        if (strncmp(item, name, length) == 0 && strchr(",(", item[length])) return item;
    }
    return NULL;
}

static void describe_layer(const qg_layer *layer, const qg_run_facts *facts, qg_layer_fact *fact)
{
    *fact = (qg_layer_fact){.parameters = qg_layer_weights(layer) + (size_t)layer->outputs,
                            .frozen = find_item(facts->frozen, layer->name) != NULL};
    snprintf(fact->name, sizeof fact->name, "%s", layer->name);
    if (layer->kind == QG_CONV)
        snprintf(fact->shape, sizeof fact->shape, "%d x %d x %d x %d", layer->outputs,
                 layer->in_channels, layer->kernel, layer->kernel);
    else
        snprintf(fact->shape, sizeof fact->shape, "%d x %zu", layer->outputs,
                 qg_layer_fan_in(layer));
    /* Random layers are the baseline's own. */
    const char *item = facts->random ? NULL : find_item(facts->copied, layer->name);
    const char *rows = item ? item + strlen(layer->name) : "";
    if (*rows == '(')
        snprintf(fact->origin, sizeof fact->origin, "copied, %.*s", (int)strcspn(rows + 1, ")"),
                 rows + 1);
    else
        snprintf(fact->origin, sizeof fact->origin, item ? "copied" : "fresh");
}

int qg_layer_facts(const char *folder, const qg_run_facts *facts,
                   qg_layer_fact layers[QG_MAX_LAYERS])
{
    static const char *const names[] = {"best.safetensors", "last.safetensors"};
    int count = 0;
    for (size_t i = 0; i < 2 && count == 0; i++) {
        qg_error ignored;
        qg_architecture architecture;
        qg_network_info info;
        char *path = qg_path_join(folder, names[i]);
        if (path && qg_network_look(path, &architecture, &info, &ignored) == QG_OK) {
            count = architecture.layer_count;
            for (int l = 0; l < count; l++)
                describe_layer(&architecture.layers[l], facts, &layers[l]);
        }
        free(path);
    }
    return count;
}
