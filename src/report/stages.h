/* How results come about: each stage fills its part of them from those before it. */
#ifndef QG_REPORT_STAGES_H
#define QG_REPORT_STAGES_H

#include "report/results.h"

/* 1. What the folders hold: statuses, facts, trainings, runs. QG_ERROR_USAGE: the study is not
 * finished and the results are not to be partial (the message says what is missing). */
qg_status qg_results_read(qg_results *results, qg_error *error);

/* 2. Between which scores those of each game are normalised. */
qg_status qg_results_find_scales(qg_results *results, qg_error *error);

/* 3. The experiments: pairs. */
qg_status qg_results_compare(qg_results *results, qg_error *error);

/* 4. The verdicts on them. */
qg_status qg_results_find_verdicts(qg_results *results, qg_error *error);

/* 4a. Of a study that looks several times: what its looks have decided stands, whatever the data
 * say now. */
void qg_results_apply_looks(qg_results *results);

/* The level of the next look into study->rule, and its share of the information; and the look
 * itself, added to the study, when the verdicts have been found by that rule. */
qg_status qg_results_begin_look(qg_study *study, double *fraction, qg_error *error);
qg_status qg_results_look(const qg_results *results, qg_study *study, double fraction,
                          qg_error *error);

/* 5. All experiments together, and the claims held against them. */
qg_status qg_results_judge(qg_results *results, qg_error *error);

/* 6. How alike the two games of each experiment are. */
qg_status qg_results_find_similarities(qg_results *results, qg_error *error);

/* 6a. The games by the transfer between them, and which measure of two games predicts it. */
qg_status qg_results_find_map(qg_results *results, qg_error *error);

/* 7. What the sources' networks score. */
qg_status qg_results_find_source_scores(qg_results *results, qg_error *error);

/* 7a. How students among them follow their teachers. */
qg_status qg_results_find_student_scores(qg_results *results, qg_error *error);

/* 7b. What became of the layers that were copied. */
qg_status qg_results_find_copied_layers(qg_results *results, qg_error *error);

/* 8. What chains of grafts have forgotten and knew before (continual.h). */
qg_status qg_results_find_continual(qg_results *results, qg_error *error);

/* 9. What runs take over all steps, where a run reuses its source's policy or the study has long
 * baselines. */
qg_status qg_results_find_budgets(qg_results *results, qg_error *error);

/* The deviation of the normalised area in each stratum, over all groups; NaN: none. */
void qg_results_find_spread(const qg_results *results, double deviations[QG_STRATA]);

/* The folder of a measurement of the study in *folder, the caller's to free; NULL where it has not
 * been made (of which qg_results_read warns). */
qg_status qg_results_measurement(const qg_results *results, qg_run_kind kind, const char *game,
                                 const char *other_game, char **folder, qg_error *error);

/* What cannot be used is an error, or a warning that `what` was left out where what there is will
 * do. */
qg_status qg_results_do_without(qg_results *results, const char *what, qg_status status,
                                qg_error *error);

/* Room for `count` things of `size` bytes, zeroed, and one more; NULL: no memory. */
void *qg_results_memory(size_t count, size_t size, qg_error *error);

#endif
