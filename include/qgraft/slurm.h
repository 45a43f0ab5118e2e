/* Slurm: a study as job arrays, what the queue says of them, and a stopped task's way back into it.
 *
 * Each run is one array with a task for each seed; a task's index is the place of its seed among
 * all seeds of the study, so that `aftercorr` pairs equal seeds: seed k of a transfer starts when
 * seed k of its source is finished. The last job writes the report. A submission leaves in the
 * study's folder
 *
 *     slurm.json         when it was, and the number of each job
 *     slurm/ID-K.out     what task K of a run's array printed
 *     slurm/report.out   ... and the last job
 *
 * Slurm's commands are started without a shell. All functions here fail with QG_ERROR_IO when one
 * is not installed or says no; the message is its own. */
#ifndef QGRAFT_SLURM_H
#define QGRAFT_SLURM_H

#include <qgraft/study.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct qg_slurm_options {
    const char *program;                          /* absolute path of qgraft on the nodes */
    const char *partition, *time, *account, *qos; /* NULL: what the cluster says */
    int array_limit;                              /* tasks of an array at once; 0: all */
    char *const *more;                            /* options for sbatch, as given */
    int more_count;
} qg_slurm_options;

/* One call of sbatch. */
typedef struct qg_slurm_job {
    int run;      /* an index into the study's runs; -1: the report */
    char *name;   /* STUDY/ID */
    char *script; /* for bash */
    int64_t id;   /* Slurm's number; 0: not submitted */
} qg_slurm_job;

/* What is to be submitted, parents first, the report last; nothing where all is finished. */
typedef struct qg_slurm_plan {
    const qg_study *study;
    const qg_slurm_options *options;
    char *folder;        /* the study's, absolute */
    qg_task_load *loads; /* [task_count]; of interest: the memory */
    uint64_t *seeds;     /* of all tasks, rising */
    int seed_count;
    qg_slurm_job *jobs;
    int job_count;
} qg_slurm_plan;

/* The jobs for all runs that are not finished, or whose network is lost that others begin from; the
 * folder need not be there. The study and the options must stay. Writes nothing. QG_ERROR_USAGE:
 * the folder's path cannot be told to Slurm; otherwise as qg_study_look and qg_domain_open. */
qg_status qg_slurm_plan_make(const qg_study *study, const char *folder,
                             const qg_slurm_options *options, qg_slurm_plan *plan, qg_error *error);
void qg_slurm_plan_free(qg_slurm_plan *plan);

/* The words of the call, "sbatch" first, for qg_slurm_free_words; NULL: no memory. A dependency on
 * a job that is not submitted yet is written as the job's name in '<' and '>'. */
char **qg_slurm_arguments(const qg_slurm_plan *plan, int job);
void qg_slurm_free_words(char **words); /* NULL is allowed */

/* A word as a shell reads it back; malloc'ed, NULL: no memory. */
char *qg_slurm_quote(const char *word);

/* QG_ERROR_BUSY, with the numbers, while jobs of an earlier submission wait or run, those of which
 * there is no record among them: they read the study in its folder as they begin, so nothing is
 * written there before this. `folder`: absolute; it need not be there. */
qg_status qg_slurm_check_idle(const qg_study *study, const char *folder, qg_error *error);

/* Writes the study into its folder, as qg_study_save, submits the jobs, sets their ids and writes
 * slurm.json after each. When a call fails, the jobs before it are cancelled. QG_ERROR_BUSY:
 * another process runs or submits the study, or jobs of an earlier submission wait or run. */
qg_status qg_slurm_submit(qg_slurm_plan *plan, qg_error *error);

/* What Slurm says of a task. */
typedef struct qg_slurm_state {
    int64_t array; /* the number of its array; 0: none */
    int index;     /* in the array */
    char name[24]; /* "RUNNING", ...; "": Slurm has forgotten it, or never knew it */
    char why[96];  /* "Dependency", ...; "": nothing to say */
} qg_slurm_state;

/* Of every task: states [task_count]; *submitted is false where the study never was. */
qg_status qg_slurm_states(const qg_study *study, const char *folder, bool *submitted,
                          qg_slurm_state *states, qg_error *error);

/* Puts the array task in which this process runs back into the queue, unless somebody has cancelled
 * it. The caller then ends at once: Slurm is about to kill it. */
qg_status qg_slurm_requeue(qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
