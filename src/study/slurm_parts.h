/* What the files about Slurm share. */
#ifndef QG_SLURM_PARTS_H
#define QG_SLURM_PARTS_H

#include <qgraft/slurm.h>

#include "base/program.h"

/* Runs a command on `input` (NULL: nothing), whatever its code will be. */
qg_status qg_slurm_try(char *const *arguments, const char *input, qg_program_result *result,
                       qg_error *error);

/* What a command that failed has said, in one line, its errors before all else; QG_ERROR_IO. */
qg_status qg_slurm_fail(const char *command, const qg_program_result *result, qg_error *error);

/* Runs a command that must succeed and takes what it prints; *output is the caller's to free. */
qg_status qg_slurm_call(char *const *arguments, const char *input, char **output, qg_error *error);

/* The number of the job in what sbatch and its wrappers printed: the last line that is one, as
 * "1234" or "1234;CLUSTER", otherwise the last "Submitted batch job 1234"; *several: others stand
 * there, too. 0: none. */
int64_t qg_slurm_read_answer(const char *answer, bool *several);

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

/* The job of that name that writes into the folder and waits or runs; *job is 0 where there is
 * none. */
qg_status qg_slurm_find_job(const char *folder, const char *name, int64_t *job, qg_error *error);

#endif
