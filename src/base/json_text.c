#include "base/json_text.h"

#include "base/file.h"
#include "base/file_kind.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static _Thread_local bool lacked;

static void *allocate(size_t size)
{
    void *const memory = malloc(size);
    if (!memory) lacked = true;
    return memory;
}

/* For the whole process, but nobody else can tell these from malloc and free. */
__attribute__((constructor)) static void watch_allocations(void)
{
    json_set_alloc_funcs(allocate, free);
}

void qg_json_watch(void)
{
    lacked = false;
}

bool qg_json_lacked_memory(void)
{
    return lacked;
}

json_t *qg_json_parse(const char *name, const void *data, size_t size, qg_error *error)
{
    json_error_t problem;
    qg_json_watch();
    json_t *const root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &problem);
    if (root && !lacked) return root;
    json_decref(root);
    if (lacked)
        qg_fail_memory(error, name, size);
    else
        qg_fail(error, QG_ERROR_DATA, "%s: %s", name, problem.text);
    return NULL;
}

char *qg_json_text(const json_t *json, size_t flags)
{
    qg_json_watch();
    char *const text = json_dumps(json, flags);
    if (!lacked) return text;
    free(text);
    return NULL;
}

qg_status qg_json_read_object(const char *path, size_t limit, json_t **object, qg_error *error)
{
    uint8_t *data;
    size_t size;
    *object = NULL;
    if (access(path, F_OK) != 0)
        return errno == ENOENT || errno == ENOTDIR ? QG_OK : qg_fail_errno(error, "%s", path);
    const qg_status status = qg_file_read(path, limit, &data, &size, error);
    if (status) return status;
    const qg_file_kind kind = qg_file_kind_of(data, size);
    json_t *const root = qg_json_parse(path, data, size, error);
    free(data);
    if (!root && error->code == QG_ERROR_DATA && kind != QG_FILE_OTHER && kind != QG_FILE_TEXT)
        return qg_fail_kind(error, QG_ERROR_DATA, path, "JSON", kind, NULL);
    if (!root) return error->code;
    if (!json_is_object(root)) {
        json_decref(root);
        return qg_fail(error, QG_ERROR_DATA, "%s: not a JSON object", path);
    }
    *object = root;
    return QG_OK;
}
