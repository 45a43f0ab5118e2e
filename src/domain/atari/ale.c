/* Finding and opening the emulator. */
#include "domain/atari/ale.h"

#include "base/file.h"
#include "base/shared_object.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HOW_TO_MEND "run 'make atari' or set QGRAFT_ATARI"

qg_status qg_ale_folder(char **folder, qg_error *error)
{
    const char *own = getenv("QGRAFT_ATARI");
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    if (own && *own)
        *folder = strdup(own);
    else if (data && *data)
        *folder = qg_path_join(data, "qgraft/atari");
    else if (home && *home)
        *folder = qg_path_join(home, ".local/share/qgraft/atari");
    else
        return qg_fail(error, QG_ERROR_IO,
                       "no folder with the Atari emulator: neither QGRAFT_ATARI, XDG_DATA_HOME nor "
                       "HOME is set");
    return *folder ? QG_OK : qg_fail_memory(error, "a path", 1);
}

/* The library's table; NULL for a library without one. */
static const qg_ale *find_table(void *library)
{
    const qg_ale *(*table)(void);
    /* POSIX promises that a function's address goes through void *; ISO C does not, hence the
     * copy of the pointer's bytes. */
    void *const symbol = dlsym(library, "qg_ale_table");
    if (!symbol) return NULL;
    memcpy(&table, &symbol, sizeof symbol);
    return table();
}

static qg_status open_library(const char *path, const qg_ale **ale, qg_error *error)
{
    qg_error inner;
    void *library; /* stays open for good once it is in use */
    const qg_status status = qg_shared_object_open(path, &library, &inner);
    if (status != QG_OK)
        return qg_fail(error, status, "no Atari emulator: %.400s: " HOW_TO_MEND, inner.message);
    *ale = find_table(library);
    if (*ale && (*ale)->interface == QG_ALE_INTERFACE) return QG_OK;
    if (*ale)
        qg_fail(error, QG_ERROR_DATA,
                "%.300s: the emulator of another version of qgraft (interface %d; expected %d): "
                "run 'make atari' of this one",
                path, (*ale)->interface, QG_ALE_INTERFACE);
    else
        qg_fail(error, QG_ERROR_DATA, "%.300s: is not the emulator's library: " HOW_TO_MEND, path);
    dlclose(library);
    return QG_ERROR_DATA;
}

/* Whether FOLDER has the library that qgraft used before: no ALE, and with other rules. */
static bool is_of_old(const char *folder)
{
    char *path = qg_path_join(folder, "libale_c.so");
    struct stat info;
    const bool found = path && stat(path, &info) == 0;
    free(path);
    return found;
}

static qg_status open_in_folder(const char *folder, const qg_ale **ale, qg_error *error)
{
    char *path = qg_path_join(folder, "libqgraft_ale.so");
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    qg_status status = open_library(path, ale, error);
    free(path);
    if (status == QG_ERROR_IO && is_of_old(folder))
        status = qg_fail(error, QG_ERROR_DATA,
                         "%.300s: holds the emulator of an earlier qgraft, which is not ALE: run "
                         "'make atari'",
                         folder);
    return status;
}

qg_status qg_ale_open(const char *folder, const qg_ale **ale, qg_error *error)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const qg_ale *opened; /* a failure is not kept: the next call may name a better folder */

    qg_status status = QG_OK;
    pthread_mutex_lock(&lock);
    if (!opened) {
        const qg_ale *found;
        status = open_in_folder(folder, &found, error);
        if (status == QG_OK) opened = found;
    }
    *ale = opened;
    pthread_mutex_unlock(&lock);
    return status;
}
