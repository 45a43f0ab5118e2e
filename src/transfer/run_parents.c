/* The networks that a run began from: whether they are still the ones, and where they are. */
#include <qgraft/run_file.h>

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the file holds the network of that sum, "": that is not known. */
static qg_status holds_network(const char *path, const char *sha256, bool *holds, qg_error *error)
{
    qg_network network;
    qg_network_info info;
    char sum[65];
    *holds = false;
    if (!*sha256) return QG_OK;
    const qg_status status = qg_network_load(path, &network, &info, error);
    if (status) return status;
    qg_network_sha256(&network, sum);
    *holds = strcmp(sum, sha256) == 0;
    qg_network_free(&network);
    return QG_OK;
}

/* Whether `path` is the run's parent of that index; any file is where no SHA-256 is known. */
static qg_status check_parent(const qg_run_file *file, int index, const char *path, qg_error *error)
{
    const char *const expected = file->parent_sha256[index];
    char sha256[65];
    bool same = true;
    if (!*expected) return QG_OK;
    qg_status status = qg_sha256_file(path, sha256, error);
    if (!status && strcmp(sha256, expected) != 0)
        status = holds_network(path, file->parent_network_sha256[index], &same, error);
    if (status) return status;
    return same ? QG_OK
                : qg_fail(error, QG_ERROR_USAGE,
                          "%s: is not the network that the run began from: its SHA-256 is %s, "
                          "not %s",
                          path, sha256, expected);
}

qg_status qg_run_file_check(const qg_run_file *file, qg_error *error)
{
    qg_status status = QG_OK;
    if (*file->initial_network_sha256)
        return qg_fail(error, QG_ERROR_USAGE,
                       "initial_network_sha256: the run began from a network in memory, which no "
                       "file holds: only who has it can do it again, with initial=... in Python");
    for (int i = 0; i < file->parent_count && !status; i++)
        status = check_parent(file, i, file->parents[i], error);
    return status;
}

/* What a study's run is called by starts from the study's folder, and the run lies in runs/ID/sSEED
 * of that. */
static qg_status find_parent(qg_run_file *file, int index, const char *folder, qg_error *error)
{
    char **const name = &file->parents[index], *path;
    const bool there = access(*name, F_OK) == 0;
    const qg_status status = check_parent(file, index, *name, error);
    if (**name == '/' || strcmp(*name, "random") == 0 || (there && !status)) return status;
    if (asprintf(&path, "%s/../../../%s", folder, *name) < 0)
        return qg_fail_memory(error, "a path", strlen(folder));
    qg_error other;
    const qg_status found =
        access(path, F_OK) == 0 ? check_parent(file, index, path, &other) : QG_ERROR_IO;
    if (found == QG_OK || (!there && found != QG_ERROR_IO)) {
        free(*name);
        *name = path;
        if (found) *error = other;
        return found;
    }
    free(path);
    return status;
}

qg_status qg_run_file_find(qg_run_file *file, const char *folder, qg_error *error)
{
    qg_status status = QG_OK;
    qg_error other;
    for (int i = 0; i < file->parent_count; i++) {
        const qg_status found = find_parent(file, i, folder, status ? &other : error);
        if (!status) status = found;
    }
    return status;
}
