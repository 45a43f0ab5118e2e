#include "transfer/measurement_folder.h"

#include "agent/run_folder.h"
#include "base/clock.h"
#include "base/json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGEST_RESULT ((size_t)1 << 16)

static qg_status write_json(const qg_run_folder *folder, const char *name, const json_t *json,
                            qg_error *error)
{
    char *text = qg_json_text(json, JSON_INDENT(2)), *lines;
    if (!text || asprintf(&lines, "%s\n", text) < 0) lines = NULL;
    const qg_status status =
        lines ? qg_run_folder_text(folder, name, lines, error) : qg_fail_memory(error, name, 1024);
    free(lines);
    free(text);
    return status;
}

/* The mark that the result is there comes behind it. */
static qg_status measure_into(qg_run_folder *folder, const qg_measurement *m, qg_run_result *result,
                              qg_error *error)
{
    const double begun = qg_clock_seconds();
    json_t *json = NULL;
    qg_status status = qg_run_folder_begin(folder, m->run, error);
    if (!status) status = m->measure(m->context, &json, error);
    if (!status) status = write_json(folder, m->name, json, error);
    json_decref(json);
    result->seconds = qg_clock_seconds() - begun;
    if (status) return status;
    result->step = m->steps;
    result->steps_per_second = (double)m->steps / fmax(result->seconds, 1e-9);
    return qg_run_folder_process(folder, &(qg_machine){.threads = 1}, result, "finished", error);
}

qg_status qg_measurement_do(const qg_measurement *measurement, const qg_run_options *options,
                            qg_run_result *result, qg_error *error)
{
    const qg_run_claim claim = {options->folder, measurement->run, options->overwrite,
                                options->resume};
    qg_run_folder folder = {0};
    *result = (qg_run_result){.best_score = NAN, .last_score = NAN, .confirmed_score = NAN};
    qg_status status = qg_run_folder_create(&folder, &claim, error);
    if (status) return status;
    result->was_complete = options->resume && folder.found == QG_FOUND_COMPLETE;
    if (result->was_complete)
        result->step = measurement->steps;
    else
        status = measure_into(&folder, measurement, result, error);
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
