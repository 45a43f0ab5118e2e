#include "transfer/measurement_folder.h"

#include "agent/run_folder.h"
#include "base/clock.h"
#include "base/json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_RESULT ((size_t)1 << 16)

/* The result, and behind it the mark that it is there. */
static qg_status write_result(qg_run_folder *folder, const char *name, const json_t *result,
                              qg_error *error)
{
    char *text = qg_json_text(result, JSON_INDENT(2));
    if (!text) return qg_fail_memory(error, name, 1024);
    qg_status status = qg_run_folder_text(folder, name, text, error);
    free(text);
    const qg_train_options options = {.run.machine = {.threads = 1}};
    const qg_run_result how = {.seconds = qg_clock_wall() - folder->started};
    return status ? status : qg_run_folder_process(folder, &options, &how, "finished", error);
}

static qg_status measure_into(qg_run_folder *folder, const char *run, const char *name,
                              qg_measure_call *measure, void *context, qg_error *error)
{
    json_t *result = NULL;
    qg_status status = qg_run_folder_begin(folder, run, error);
    if (!status) status = measure(context, &result, error);
    if (!status) status = write_result(folder, name, result, error);
    json_decref(result);
    return status;
}

qg_status qg_measurement_do(const qg_measurement_options *options, const char *run,
                            const char *name, qg_measure_call *measure, void *context,
                            bool *was_complete, qg_error *error)
{
    const qg_run_claim claim = {options->folder, run, options->overwrite, options->resume};
    qg_run_folder folder;
    qg_status status = qg_run_folder_create(&folder, &claim, error);
    if (status) return status;
    *was_complete = options->resume && folder.found == QG_FOUND_COMPLETE;
    if (!*was_complete) status = measure_into(&folder, run, name, measure, context, error);
    qg_run_folder_close(&folder);
    return status;
}

qg_status qg_measurement_read(const char *folder, const char *name, json_t **result,
                              qg_error *error)
{
    *result = NULL;
    char *path = qg_path_join(folder, name);
    if (!path) return qg_fail_memory(error, "a path", strlen(folder));
    qg_status status = qg_json_read_object(path, LARGEST_RESULT, result, error);
    if (!status && !*result) status = qg_fail(error, QG_ERROR_IO, "%s: is not there", path);
    free(path);
    return status;
}

bool qg_measurement_real(const json_t *result, const char *key, double *value)
{
    const json_t *number = json_object_get(result, key);
    *value = json_number_value(number);
    return json_is_number(number) && isfinite(*value);
}
