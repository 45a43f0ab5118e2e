/* The folder of a measurement: one small result, complete or not there. */
#ifndef QG_MEASUREMENT_FOLDER_H
#define QG_MEASUREMENT_FOLDER_H

#include <qgraft/measurement.h>

#include <jansson.h>

/* Makes the result, a new JSON object in *result, NULL after a failure. */
typedef qg_status qg_measure_call(void *context, json_t **result, qg_error *error);

/* What is to be measured. */
typedef struct qg_measurement {
    const char *run;  /* the text of its run.yaml */
    const char *name; /* of the file with the result */
    int64_t steps;    /* that are played */
    qg_measure_call *measure;
    void *context;
} qg_measurement;

/* Does it, unless the folder holds it already. */
qg_status qg_measurement_do(const qg_measurement *measurement, const qg_run_options *options,
                            qg_run_result *result, qg_error *error);

/* The object in FOLDER/`name`, the caller's to json_decref; NULL after a failure. */
qg_status qg_measurement_read(const char *folder, const char *name, json_t **result,
                              qg_error *error);

/* A finite number of the object in *value; false: it has none under `key`. */
bool qg_measurement_real(const json_t *result, const char *key, double *value);

#endif
