/* What a run wrote while it went on: its CSV files as curves, and what was wrong with them. */
#ifndef QG_RUN_HISTORY_H
#define QG_RUN_HISTORY_H

#include <qgraft/diagnosis.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the reader of a report has to know beside the numbers, a line each. */
typedef struct qg_warnings {
    char **lines;
    size_t count;
} qg_warnings;

/* Adds a line; a line that is there already is not repeated. QG_ERROR_MEMORY. */
qg_status qg_warn(qg_warnings *warnings, qg_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void qg_warnings_free(qg_warnings *warnings);

/* The evaluations of a run: `count` scores at ascending steps, the first before any training. */
typedef struct qg_curve {
    size_t count;
    int64_t *steps;
    double *scores;
    double episodes; /* complete ones, of all evaluations together */
} qg_curve;

/* Reads FOLDER/evaluations.csv. A last line without newline (a killed process, or one that is just
 * writing) is left out, with a warning. QG_ERROR_DATA names file and line: other columns, a step
 * that does not rise, a cell that is no number, no score; QG_ERROR_IO: there is no file; nothing is
 * to be freed after a failure. */
qg_status qg_curve_read(const char *folder, qg_curve *curve, qg_warnings *warnings,
                        qg_error *error);
void qg_curve_free(qg_curve *curve); /* a curve of zero bytes is allowed */

/* What a student's lessons were like, from FOLDER/distillation.csv: divergence from the teacher and
 * agreement with it, over samples. As qg_curve_read; of students of several teachers, whose rows
 * have the same samples, QG_ERROR_DATA. */
qg_status qg_lessons_read(const char *folder, qg_curve *divergence, qg_curve *agreement,
                          qg_warnings *warnings, qg_error *error);

/* The score on `game` at a step, or the last one (step -1), from FOLDER/other_evaluations.csv; NaN:
 * there is none. Fails as qg_curve_read does. */
qg_status qg_other_score_read(const char *folder, const char *game, int64_t step, double *score,
                              qg_warnings *warnings, qg_error *error);

/* The last row of FOLDER/training.csv; all 0 when there is none. */
typedef struct qg_training {
    int64_t step, episodes, updates;
} qg_training;

/* Fails as qg_curve_read does. */
qg_status qg_training_read(const char *folder, qg_training *training, qg_warnings *warnings,
                           qg_error *error);

/* What was measured of each layer at each evaluation, from FOLDER/layers.csv. */
typedef struct qg_layer_history {
    int layer_count;
    char names[QG_MAX_LAYERS][12];
    size_t count;       /* whole evaluations, at least 1 */
    int64_t *steps;     /* [count] ascending */
    qg_layer_row *rows; /* [count][layer_count]; baseline_cka is NaN */
} qg_layer_history;

/* Fails as qg_curve_read does; an evaluation at the end that lacks layers is left out. Freed in any
 * case. */
qg_status qg_layer_history_read(const char *folder, qg_layer_history *history,
                                qg_warnings *warnings, qg_error *error);
void qg_layer_history_free(qg_layer_history *history); /* zero bytes are allowed */

#endif
