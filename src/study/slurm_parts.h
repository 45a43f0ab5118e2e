/* What the files about Slurm share. */
#ifndef QG_SLURM_PARTS_H
#define QG_SLURM_PARTS_H

#include <qgraft/slurm.h>

/* Runs a command on `input` (NULL: nothing) and takes what it prints; *output is the caller's to
 * free. Any code but 0 is a failure with the command's messages in one line. */
qg_status qg_slurm_call(char *const *arguments, const char *input, char **output, qg_error *error);

/* The seeds of all tasks, rising, each once: the place of a task's is its index in the array.
 * malloc'ed, NULL: no memory. */
uint64_t *qg_slurm_seeds(const qg_study *study, int *count);

/* The name of a run's array, or of the report (run -1); malloc'ed, NULL: no memory. */
char *qg_slurm_name(const qg_study *study, int run);

/* slurm.json: the number of the array of each run [run_count], 0 where it has none, and behind them
 * that of the report. Read, *numbers is the caller's to free; NULL where the study was never
 * submitted. */
qg_status qg_slurm_write_numbers(const qg_study *study, const char *folder, const int64_t *numbers,
                                 qg_error *error);
qg_status qg_slurm_read_numbers(const qg_study *study, const char *folder, int64_t **numbers,
                                qg_error *error);

/* QG_ERROR_BUSY, with the numbers, while jobs of an earlier submission wait or run. */
qg_status qg_slurm_check_idle(const qg_study *study, const char *folder, qg_error *error);

#endif
