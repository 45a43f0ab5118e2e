/* Finding and opening the emulator. */
#include "domain/atari/ale.h"

#include "base/file.h"
#include "base/shared_object.h"

#include <dlfcn.h>
#include <pthread.h>
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

static qg_status find_functions(qg_ale *ale, const char *path, qg_error *error)
{
    /* POSIX promises that a function's address goes through void *; ISO C does not, hence the
     * copy of the pointer's bytes. */
#define FIND(result, name, arguments)                                                              \
    {                                                                                              \
        void *const symbol = dlsym(ale->library, #name);                                           \
        if (!symbol)                                                                               \
            return qg_fail(error, QG_ERROR_DATA,                                                   \
                           "%.200s: is not the emulator's library (it has no " #name               \
                           "): " HOW_TO_MEND,                                                      \
                           path);                                                                  \
        memcpy(&ale->name, &symbol, sizeof symbol);                                                \
    }
    QG_ALE_FUNCTIONS(FIND)
#undef FIND
    return QG_OK;
}

static qg_status open_library(qg_ale *ale, const char *path, qg_error *error)
{
    qg_error inner;
    qg_status status = qg_shared_object_open(path, &ale->library, &inner);
    if (status != QG_OK)
        return qg_fail(error, status, "no Atari emulator: %.400s: " HOW_TO_MEND, inner.message);
    status = find_functions(ale, path, error);
    if (status != QG_OK) dlclose(ale->library);
    return status;
}

qg_status qg_ale_open(const char *folder, const qg_ale **ale, qg_error *error)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static qg_ale opened;
    static bool is_open; /* a failure is not kept: the next call may name a better folder */

    qg_status status = QG_OK;
    pthread_mutex_lock(&lock);
    if (!is_open) {
        char *path = qg_path_join(folder, "libale_c.so");
        status = path ? open_library(&opened, path, error)
                      : qg_fail_memory(error, "a path", strlen(folder));
        free(path);
        if (status == QG_OK) {
            opened.setLoggerMode(2);
            is_open = true;
        }
    }
    pthread_mutex_unlock(&lock);
    *ale = &opened;
    return status;
}

qg_status qg_ale_check_current_folder(qg_error *error)
{
    static const char *const names[] = {"ale.cfg", "stella.pro", "stella.pal"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat info;
        if (lstat(names[i], &info) == 0)
            return qg_fail(error, QG_ERROR_USAGE,
                           "./%s: the Atari emulator would read this file and play another game: "
                           "remove it or run in another folder",
                           names[i]);
    }
    return QG_OK;
}
