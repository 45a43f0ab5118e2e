#include "cli/plugins.h"

#include <qgraft/plugin.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char option[] = "--domain-plugin";
static const char variable[] = "QGRAFT_PLUGINS";

static qg_status add_to_environment(const char *absolute, qg_error *error)
{
    const char *before = getenv(variable);
    if (!before) before = "";
    const size_t size = strlen(before) + strlen(absolute) + sizeof ":";
    char *all = malloc(size);
    if (!all) return qg_fail_memory(error, variable, size);
    snprintf(all, size, "%s%s%s", before, *before ? ":" : "", absolute);
    const int failed = setenv(variable, all, 1);
    free(all);
    return failed ? qg_fail_memory(error, variable, size) : QG_OK;
}

static qg_status add_plugin(const char *path, qg_error *error)
{
    char *absolute = realpath(path, NULL);
    if (!absolute) return qg_fail_errno(error, "%s", path);
    const qg_status status =
        strchr(absolute, ':') ? qg_fail(error, QG_ERROR_USAGE,
                                        "%s: a plugin's path must not have a ':' in it", absolute)
                              : add_to_environment(absolute, error);
    free(absolute);
    return status;
}

qg_status cli_take_plugins(int *argc, char **argv, qg_error *error)
{
    const size_t length = sizeof option - 1;
    int kept = 0, i = 0;
    for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i], *path = word + length + 1;
        const bool is_option = strncmp(word, option, length) == 0;
        if (!is_option || (word[length] != '\0' && word[length] != '=')) {
            argv[kept++] = argv[i];
            continue;
        }
        if (word[length] == '\0') path = ++i < *argc ? argv[i] : "";
        if (!*path)
            return qg_fail(error, QG_ERROR_USAGE, "%s: name the plugin's file behind it", option);
        const qg_status status = add_plugin(path, error);
        if (status != QG_OK) return status;
    }
    for (; i < *argc; i++)
        argv[kept++] = argv[i];
    argv[kept] = NULL;
    *argc = kept;
    return QG_OK;
}

qg_status cli_load_plugins(qg_error *error)
{
    const char *all = getenv(variable);
    char *copy = all ? strdup(all) : NULL, *rest = copy;
    if (all && !copy) return qg_fail_memory(error, variable, strlen(all) + 1);
    qg_status status = QG_OK;
    for (char *path; (path = strsep(&rest, ":")) && status == QG_OK;)
        if (*path) status = qg_plugin_load(path, error);
    free(copy);
    return status;
}
