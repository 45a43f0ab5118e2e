/* The agent: deep Q-learning on a domain, and the evaluation of a network.
 *
 * A run is a folder that one process writes: run.yaml (what determines the result),
 * evaluations.csv, training.csv, best.safetensors, last.safetensors, TensorBoard events. It is a
 * function of its settings and seed: the same bits whatever the number of threads, and however
 * often it was killed and resumed. */
#ifndef QGRAFT_AGENT_H
#define QGRAFT_AGENT_H

#include <qgraft/domain.h>
#include <qgraft/engine.h>
#include <qgraft/settings.h>

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a run is doing, for people who watch it. */
typedef struct qg_progress {
    int64_t step, steps;
    double seconds;  /* since the run started */
    double epsilon;  /* of the behaviour policy */
    bool restoring;  /* a checkpoint is read: an Atari game is played again from its start */
    bool evaluating; /* the next evaluation is being played */
    int64_t evaluation_step, evaluation_steps;
    double last_score;  /* of the last evaluation; NaN: none yet */
    double last_return; /* mean return of the latest training episodes; NaN: none yet */
} qg_progress;

/* What a run of any kind is told. */
typedef struct qg_run_options {
    uint64_t seed; /* of everything random */
    qg_machine machine;
    const char *folder; /* created; one that holds a run is refused unless: */
    bool overwrite;     /* ... it is replaced */
    bool resume;       /* ... it is this run, which goes on from its last checkpoint; without one it
                          begins anew */
    bool plain_replay; /* screens are kept as they are, not compressed; changes no result */
    bool keep_replay;  /* of a training: the replay memory stays, as FOLDER/replay.data */
    double checkpoint_minutes; /* between two checkpoints at most, beside those after evaluations;
                                  0: 10 */
    const volatile sig_atomic_t *stop; /* becomes non-zero: end cleanly, QG_STOPPED; may be NULL */
} qg_run_options;

/* How far it came, and how. */
typedef struct qg_run_result {
    int64_t step;                  /* agent steps; of a distillation samples learned from */
    double best_score, last_score; /* NaN: no evaluation */
    double confirmed_score; /* of the best network, played once more at the end of the run with
                               seeds of its own: best_score is the highest of noisy ones, this one
                               chose nothing. NaN: the run has not ended */
    int64_t best_step;
    double seconds;
    double steps_per_second; /* since learning began, without evaluations */
    int64_t begun_at;    /* the step of the checkpoint from which this call went on; 0: it began */
    bool was_complete;   /* the run that was to be resumed had ended: nothing was done */
    int inexact_resumes; /* how often it went on from a fresh episode, as the domain did not come to
                            where it was: the result is not the one without interruption */
    char warning[512];   /* a checkpoint was damaged, or none can be written; no episode has ended;
                            empty: none */
} qg_run_result;

#define QG_MAX_OTHER_GAMES 8

typedef struct qg_reuse qg_reuse; /* of a policy that is there already: agent/reuse.h */

/* What the layers of a run are compared with in layers.csv (diagnosis.h); determines nothing else.
 */
typedef struct qg_layer_source {
    const qg_network *network; /* that layers were copied from */
    int history;               /* screens that it sees at a time; 0: not known */
    int layers[QG_MAX_LAYERS]; /* by the run's layers: the one of it to compare with, -1: none */
    const qg_network *copied;  /* of the run's architecture: what was copied, as it was; NaN for
                                  parameters that were not */
} qg_layer_source;

typedef struct qg_train_options {
    qg_run_options run;
    const char *domain; /* a name, see domain.h */
    qg_settings settings;
    int64_t steps;            /* agent steps in all; 0: the initial network is written, no more */
    const int64_t *snapshots; /* steps whose networks are kept as step-N.safetensors */
    size_t snapshot_count;
    /* The parameters to begin with, of the architecture that the settings make; NULL: fresh ones
     * under the seed. Frozen layers never change: checked at the end. */
    const qg_network *initial;
    bool frozen[QG_MAX_LAYERS];  /* by weighted layer, from 0 */
    int64_t thaw[QG_MAX_LAYERS]; /* the step from which a frozen layer learns; 0: never */
    const float *layer_rates;    /* as in qg_learning */
    /* Fills `pull` (zeros before), how strongly each parameter is pulled back to `initial`
     * (engine.h); called when a run begins, no more when it goes on. NULL: none is. */
    qg_status (*pull)(void *pull_context, qg_network *pull, qg_error *error);
    void *pull_context;
    const qg_reuse *reuse; /* of a graft; NULL: none */
    /* Other games that are played at every evaluation, actions by meaning; their scores go into
     * other_evaluations.csv and determine nothing. */
    const char *const *also_evaluate;
    int also_evaluate_count;       /* 0 ... QG_MAX_OTHER_GAMES */
    const qg_layer_source *source; /* of a graft; NULL: none */
    const char *choice;   /* of a graft: what was copied into `initial`, for run.yaml (graft.h) */
    const qg_note *notes; /* for the networks' metadata and run.yaml */
    size_t note_count;
    /* Called a few times a second from the training thread; NULL: not at all. */
    void (*progress)(void *context, const qg_progress *progress);
    void *context;
} qg_train_options;

/* The training of `domain` (borrowed) as it usually is: preset, steps and threads of the game's
 * defaults (domain.h), seed 1; no folder is named, the rest is zero. The program's and the studies'
 * defaults. QG_ERROR_USAGE: there is no such game. */
qg_status qg_train_options_for(const char *domain, qg_train_options *options, qg_error *error);

/* Trains; returns when it is done, stopped or failed. When it is stopped a checkpoint is written
 * before. QG_ERROR_USAGE (settings that contradict each other, an unknown domain, an `initial` that
 * does not fit, another run to resume than the folder's), QG_ERROR_BUSY (another process writes
 * the folder), QG_ERROR_IO, QG_ERROR_DATA, QG_ERROR_MEMORY, QG_STOPPED. `result` tells how far it
 * came in every case. */
qg_status qg_train(const qg_train_options *options, qg_run_result *result, qg_error *error);

/* What a folder holds. */
typedef struct qg_run_state {
    bool exists;             /* a run */
    bool complete;           /* ... that has ended; all its files are on the disk */
    int64_t checkpoint_step; /* from which it would go on; -1: none */
} qg_run_state;

/* Looks at the run in `folder`, of any kind, without taking it; another process may be at it. A
 * folder that is not there holds none. QG_ERROR_IO, QG_ERROR_DATA, QG_ERROR_MEMORY. */
qg_status qg_run_look(const char *folder, qg_run_state *state, qg_error *error);

/* Removes the networks and all of the state of the run in `folder`, so that to resume it begins it
 * anew. Nobody may be at it. */
void qg_run_forget(const char *folder);

/* What has just been played, for those who watch an evaluation. */
typedef struct qg_moment {
    int64_t step, episode; /* steps played so far; number of the episode, from 1 */
    int action;            /* the index that was played; -1: the episode has just begun */
    qg_step result;        /* of the step */
    int64_t episode_steps;
    double episode_return; /* so far */
} qg_moment;

typedef struct qg_evaluation_options {
    int64_t steps;    /* agent steps to play */
    int64_t episodes; /* ends after so many, too; 0: only the steps count */
    double epsilon;   /* share of random actions */
    int noop_max;     /* 1 ... noop_max no-op frames begin an episode; 0: none */
    int history;      /* screens per state */
    /* [the domain's actions]: the network's output for each, -1: it has none, and only chance plays
     * the action; NULL: output a is action a. */
    const int *outputs;
    uint64_t seed; /* of policy, no-ops and domain */
    /* NULL: none; called now and then with the step reached. */
    void (*progress)(void *context, int64_t step);
    /* NULL: none; called for the beginning of every episode and after every step. Its failure ends
     * the evaluation and is what qg_evaluate returns. */
    qg_status (*watch)(void *context, qg_domain *domain, const qg_moment *moment, qg_error *error);
    void *context;
    const volatile sig_atomic_t *stop; /* becomes non-zero: QG_STOPPED; may be NULL */
} qg_evaluation_options;

typedef struct qg_evaluation {
    double score; /* mean return of the complete episodes, truncated ones among them; of the only,
                     incomplete one if `episodes` is 0 */
    double deviation, minimum, maximum; /* of the returns of the complete episodes */
    int64_t episodes;                   /* complete ones */
    int64_t steps;
} qg_evaluation;

/* Plays epsilon-greedily with the engine's online network for `steps` steps; a lost life does not
 * end an episode. `domain` was opened without break_on_life. With epsilon 1 no network is asked and
 * `engine` may be NULL; else its architecture must fit (qg_network_fits; with `outputs`
 * qg_network_sees, and one of them is an output). When it was stopped
 * (QG_STOPPED) or failed (memory, the domain, `watch`), `evaluation` holds what was played until
 * then. */
qg_status qg_evaluate(qg_engine *engine, qg_domain *domain, const qg_evaluation_options *options,
                      qg_evaluation *evaluation, qg_error *error);

/* How `settings` let a domain be played; seed 0, and a lost life breaks nothing. */
qg_domain_options qg_domain_options_of(const qg_settings *settings);

/* The architecture that `settings` make for a domain; fails as qg_architecture_make. */
qg_status qg_architecture_for(const qg_settings *settings, const qg_domain *domain,
                              qg_architecture *architecture, qg_error *error);

/* The emulator of a domain's game (qg_game); "" for none, and for a name that nobody knows. */
const char *qg_game_emulator(const char *domain);

/* Whether something is to be said before a network is used: that it was trained in a mode whose
 * number means another one by now. `text` gets it in one line. */
bool qg_network_caution(const qg_network_info *info, char text[256]);

/* Whether a network fits a domain with `history` screens per state: screen and number of actions;
 * QG_ERROR_USAGE names both sides. */
qg_status qg_network_fits(const qg_architecture *architecture, const qg_domain *domain, int history,
                          qg_error *error);

/* The same but for the actions. */
qg_status qg_network_sees(const qg_architecture *architecture, const qg_domain *domain, int history,
                          qg_error *error);

/* Screens per state of a network on a domain: what its file says (`info` may be NULL), otherwise as
 * many as its input channels hold; 1 for grids, whose networks have room for more channels than a
 * game has. Check the result with qg_network_fits. */
int qg_network_history(const qg_network_info *info, const qg_architecture *architecture,
                       const qg_domain *domain);

/* The action set of `game` that a network plays with: the one whose names its file gives.
 * Where the file does not say them (`info` may be NULL) the first that has as many; else the
 * minimal one. */
qg_action_set qg_network_action_set(const qg_network_info *info,
                                    const qg_architecture *architecture, const qg_game *game);

/* What the names in a network's file say of its outputs on a domain that it fits. */
typedef enum qg_outputs {
    QG_OUTPUTS_IN_ORDER, /* they are the domain's actions, or the file names none */
    QG_OUTPUTS_MOVED,    /* they are, in another order */
    QG_OUTPUTS_OTHER     /* they are not: output a is action a for want of better */
} qg_outputs;

/* outputs[a], for each of the domain's actions: the network's output that is meant. */
qg_outputs qg_network_outputs(const qg_network_info *info, const qg_domain *domain,
                              int outputs[QG_MAX_ACTIONS]);

/* The greedy action of q_values [actions], ties broken by `draw` in [0, 1): index of one of the
 * largest values. */
int qg_greedy_action(const float *q_values, int actions, double draw);

#ifdef __cplusplus
}
#endif
#endif
