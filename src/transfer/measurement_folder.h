/* The folder of a measurement: one small result, complete or not there. */
#ifndef QG_MEASUREMENT_FOLDER_H
#define QG_MEASUREMENT_FOLDER_H

#include <qgraft/measurement.h>

#include <jansson.h>

/* Makes the result, a new JSON object in *result, NULL after a failure. */
typedef qg_status qg_measure_call(void *context, json_t **result, qg_error *error);

/* Does the measurement that `run`, the text of its run.yaml, describes, unless the folder holds it
 * already: calls `measure` and writes what it makes as FOLDER/`name`. */
qg_status qg_measurement_do(const qg_measurement_options *options, const char *run,
                            const char *name, qg_measure_call *measure, void *context,
                            bool *was_complete, qg_error *error);

/* The object in FOLDER/`name`, the caller's to json_decref; NULL after a failure. */
qg_status qg_measurement_read(const char *folder, const char *name, json_t **result,
                              qg_error *error);

/* A finite number of the object in *value; false: it has none under `key`. */
bool qg_measurement_real(const json_t *result, const char *key, double *value);

#endif
