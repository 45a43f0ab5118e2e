/* A run: what training and distilling have in common.
 *
 * It begins in a folder, or goes on from the last checkpoint there; makes its steps; between two of
 * them evaluates, keeps the best network and the last, and writes checkpoints, when that is due;
 * and ends, finished, stopped or failed. What a step is, what is evaluated and what the state
 * consists of says the class of run by a table of functions, whose `self` holds the qg_run. */
#ifndef QG_RUN_H
#define QG_RUN_H

#include <qgraft/agent.h>

#include "agent/checkpoint.h"
#include "agent/run_folder.h"

/* The network of a run, and whose it is. */
typedef struct qg_run_network {
    const qg_network *network;
    const char *domain;         /* "": none of its own */
    const char *const *actions; /* names of its outputs */
} qg_run_network;

typedef struct qg_run_class {
    const char *step_name; /* "step" */

    /* A run that begins: reserves what it needs, before the folder says that there is a run. */
    qg_status (*begin)(void *self, qg_error *error);
    /* What comes before the first step; NULL: nothing. Goes on where it is. */
    qg_status (*prepare)(void *self, qg_error *error);
    /* One step, or several: run->step rises. */
    qg_status (*step)(void *self, qg_error *error);
    /* Plays, and writes what belongs to it; *score is what the best network has most of. */
    qg_status (*evaluate)(void *self, double *score, qg_error *error);
    /* Plays `network`, one that this run has had, with the streams of `purpose`; nothing of what
     * the run goes on with is changed. *score as above. */
    qg_status (*confirm)(void *self, const qg_network *network, const char *purpose, double *score,
                         qg_error *error);
    /* What comes behind the last step; NULL: nothing. */
    qg_status (*finish)(void *self, qg_error *error);

    /* The network as it is; valid until the next step. */
    qg_status (*network)(void *self, qg_run_network *network, qg_error *error);
    /* Passes all that the coming steps depend on over a checkpoint's tape, but for run->step, what
     * was evaluated and the files of run->folder, which the run passes itself. QG_ERROR_USAGE of
     * writing: the domain cannot be saved. */
    qg_status (*pass)(void *self, qg_tape *tape, qg_error *error);
    /* The result of a run that is complete, from its files; NULL: the networks tell all. */
    qg_status (*read_result)(void *self, qg_error *error);

    /* An evaluation has come to `step`, for those who watch. */
    void (*evaluating)(void *self, int64_t step);
} qg_run_class;

typedef struct qg_run {
    const qg_run_class *methods;
    void *self;
    const qg_run_options *options;
    const qg_settings *settings;
    int64_t steps;        /* in all; 0: the networks are written as they are */
    const qg_note *notes; /* for the networks' metadata */
    size_t note_count;
    const int64_t *snapshots; /* steps whose networks are kept */
    size_t snapshot_count;
    int64_t checkpoint_span; /* steps between two checkpoints at most */
    const char *isa;         /* what it computes with, for process.yaml */

    int64_t step; /* so far */
    qg_run_folder folder;
    qg_run_result result;

    /* Of the run itself. */
    bool begun;             /* the files of the folder are this run's */
    int64_t evaluated_step; /* of the last evaluation; -1: none yet */
    bool moved;             /* the network has learned behind this step's files, which stay */
    qg_checkpoints checkpoints;
    bool without_checkpoints; /* the domain cannot be saved */
    int64_t checkpoint_step;  /* of the last one; -1: none yet */
    double started, checkpoint_clock, learning_started, evaluation_seconds;
    int64_t learning_start_step;
} qg_run;

/* A run before its beginning, whose clock starts; the caller adds tables to its folder and sets
 * isa and what is not zero of notes, snapshots and checkpoint_span. All pointers outlive it. */
qg_run qg_run_of(const qg_run_class *methods, void *self, const qg_run_options *options,
                 const qg_settings *settings, int64_t steps);

/* Runs, from the folder's lock to the last file: process.yaml, in which "finished" marks a run that
 * is complete. `yaml` is what run.yaml says. When it is stopped what was learned is kept. Fills
 * run->result in every case. */
qg_status qg_run_execute(qg_run *run, const char *yaml, qg_error *error);

/* Whether there may be a checkpoint that counts on the files of the folder. It counts even where
 * its writer said that it failed: it may have its name. */
bool qg_run_can_go_on(const qg_run *run);

/* Closes the folder, last of all: its lock covers every file in it. */
void qg_run_close(qg_run *run);

/* For the functions of the table. */

bool qg_run_is_stopped(const qg_run *run);
double qg_run_seconds(const qg_run *run); /* since it started */

/* Warns of something that does not end the run; the first warning is the one that is shown. */
void qg_run_warn(qg_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* After a checkpoint was read: says and keeps how often the domain could not come to where it was.
 */
void qg_run_note_losses(qg_run *run, const qg_domain *domain);

/* The steps that come count as learning, for result.steps_per_second. */
void qg_run_learns(qg_run *run);

/* Whether a checkpoint is due by the clock or the span; writes one, unless there can be none. */
bool qg_run_checkpoint_due(const qg_run *run);
qg_status qg_run_checkpoint(qg_run *run, qg_error *error);

/* Plays an evaluation on a domain of its own, with an action set and streams of its own. `outputs`:
 * as in qg_evaluation_options. `purpose` NULL: of this step. One in which no episode ends is warned
 * of. */
qg_status qg_run_play(qg_run *run, qg_engine *engine, const char *domain, qg_action_set actions,
                      const int *outputs, int history, const char *purpose,
                      qg_evaluation *evaluation, qg_error *error);

/* Writes NAME.safetensors; score NaN: none. */
qg_status qg_run_save(qg_run *run, const char *name, const qg_run_network *network, double score,
                      qg_error *error);

#endif
