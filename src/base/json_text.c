#include "base/json_text.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

json_t *qg_json_parse(const char *name, const void *data, size_t size, qg_error *error)
{
    json_error_t problem;
    json_t *const root = json_loadb(data, size, JSON_REJECT_DUPLICATES, &problem);
    if (!root && !problem.text[0]) /* what jansson leaves when an allocation failed */
        qg_fail_memory(error, name, size);
    else if (!root)
        qg_fail(error, QG_ERROR_DATA, "%s: %s", name, problem.text);
    return root;
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
    json_t *const root = qg_json_parse(path, data, size, error);
    free(data);
    if (!root) return error->code;
    if (!json_is_object(root)) {
        json_decref(root);
        return qg_fail(error, QG_ERROR_DATA, "%s: not a JSON object", path);
    }
    *object = root;
    return QG_OK;
}
