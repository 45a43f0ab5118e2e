/* What a study measures beside its trainings: what random play of a game scores, and how alike two
 * games are.
 *
 * A measurement is a run like a training: a folder that one process writes, locked meanwhile, with
 * run.yaml (what determines the result), the result as one JSON object, and process.yaml, the mark
 * of its end. It is a function of its values: the same file every time. */
#ifndef QGRAFT_MEASUREMENT_H
#define QGRAFT_MEASUREMENT_H

#include <qgraft/agent.h>
#include <qgraft/similarity.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qg_measurement_options {
    qg_run_options run; /* seed below 2^32; the machine and checkpoints do not count */
    /* Called now and then with the steps that were played and those that will be; NULL: not. */
    void (*progress)(void *context, int64_t step, int64_t steps);
    void *context;
} qg_measurement_options;

/* Both measure as the following says, write FOLDER/NAME.json and fail with QG_ERROR_USAGE (an
 * unknown domain, another run in the folder), QG_ERROR_BUSY (another process writes the folder),
 * QG_ERROR_IO, QG_ERROR_DATA, QG_ERROR_MEMORY, QG_STOPPED. `result` tells of steps, seconds and
 * whether it was complete in every case; it has no scores. */

#define QG_RANDOM_SCORE_STEPS 20000

/* random-score.json: `steps` agent steps of random play, as qg_evaluate plays them with epsilon 1.
 * Of the settings count frame_skip, sticky and noop_max. */
qg_status qg_random_score_measure(const char *domain, const qg_settings *settings, int64_t steps,
                                  const qg_measurement_options *options, qg_run_result *result,
                                  qg_error *error);

/* similarity.json: the profiles of two domains (as of qg_profile_create), compared; of games that
 * cannot be compared (they have no pictures) the reason, which is QG_OK, too. */
qg_status qg_similarity_measure(const char *const domains[2], int64_t frames,
                                const qg_measurement_options *options, qg_run_result *result,
                                qg_error *error);

/* What the file of a folder says. QG_ERROR_DATA: it says something else; QG_ERROR_USAGE: the games
 * could not be compared, and why; QG_ERROR_IO (also: there is none), QG_ERROR_MEMORY. */
qg_status qg_random_score_read(const char *folder, double *score, qg_error *error);
qg_status qg_similarity_read(const char *folder, qg_similarity *similarity, qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
