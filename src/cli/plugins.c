#include "cli/plugins.h"

#include <qgraft/plugin.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A path stays as it is but for the folder it is relative to: where it is a link, what it is called
 * by tells Python which environment it belongs to. */
static qg_status choose_python(const char *path, qg_error *error)
{
    char *folder = *path != '/' && strchr(path, '/') ? getcwd(NULL, 0) : strdup("");
    char *named = NULL;
    if (!folder || asprintf(&named, "%s%s%s", folder, *folder ? "/" : "", path) < 0) named = NULL;
    const int failed = named ? setenv("QGRAFT_PYTHON", named, 1) : 1;
    free(folder);
    free(named);
    return failed ? qg_fail_memory(error, path, strlen(path)) : QG_OK;
}

static const struct {
    const char *option;
    qg_status (*take)(const char *path, qg_error *error);
} taken[] = {{"--domain-plugin", add_plugin}, {"--python", choose_python}};
enum { TAKEN = sizeof taken / sizeof *taken };

/* The place in the table of the option that `word` is, with "=FILE" or without; TAKEN: none. */
static size_t find_option(const char *word)
{
    size_t k = 0;
    for (; k < TAKEN; k++) {
        const size_t length = strlen(taken[k].option);
        if (strncmp(word, taken[k].option, length) == 0 && (!word[length] || word[length] == '='))
            break;
    }
    return k;
}

qg_status cli_take_plugins(int *argc, char **argv, qg_error *error)
{
    int kept = 0, i = 0;
    for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i];
        const size_t k = find_option(word);
        if (k == TAKEN) {
            argv[kept++] = argv[i];
            continue;
        }
        const char *path = strchr(word, '=');
        path = path ? path + 1 : ++i < *argc ? argv[i] : "";
        if (!*path)
            return qg_fail(error, QG_ERROR_USAGE, "%s: name the %s file behind it", taken[k].option,
                           k ? "interpreter's" : "plugin's");
        const qg_status status = taken[k].take(path, error);
        if (status != QG_OK) return status;
    }
    for (; i < *argc; i++)
        argv[kept++] = argv[i];
    argv[kept] = NULL;
    *argc = kept;
    return QG_OK;
}

/* Runs of a study start in its folder: the variable is written anew, with paths found from there.
 */
qg_status cli_load_plugins(qg_error *error)
{
    const char *all = getenv(variable);
    char *copy = all ? strdup(all) : NULL, *rest = copy;
    if (all && !copy) return qg_fail_memory(error, variable, strlen(all) + 1);
    if (copy) unsetenv(variable);
    qg_status status = QG_OK;
    for (char *path; (path = strsep(&rest, ":")) && status == QG_OK;) {
        if (!*path) continue;
        char *const absolute = realpath(path, NULL);
        status = qg_plugin_load(path, error);
        if (!status)
            status =
                add_to_environment(absolute && !strchr(absolute, ':') ? absolute : path, error);
        free(absolute);
    }
    free(copy);
    return status;
}
