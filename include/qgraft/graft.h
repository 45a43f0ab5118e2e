/* Grafting: copying weighted layers of a trained network into a new one.
 *
 * What the paper does (Shachaf, Ziv, Zahavy) and Yosinski et al. 2014 before it: the first n or the
 * last n weighted layers, weights and biases, are copied into a randomly initialised network; then
 * it is trained on another domain, the copied layers frozen or free. qg_graft_run does it all. */
#ifndef QGRAFT_GRAFT_H
#define QGRAFT_GRAFT_H

#include <qgraft/agent.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------- the choice of layers */

typedef enum qg_graft_way {
    QG_CHOOSE_NONE,   /* nothing is copied: what zero bytes mean; with `reuse` alone */
    QG_CHOOSE_FIRST,  /* the first `count` weighted layers */
    QG_CHOOSE_LAST,   /* the last `count` weighted layers */
    QG_CHOOSE_LAYERS, /* the layers of the target in the set `layers` */
    QG_CHOOSE_PART,   /* the part of a split network called `part` */
} qg_graft_way;

#define QG_EWC_SAMPLES 1000

/* Reuse of the source's policy, beside copied layers or instead of them: the rivals to copying. The
 * source plays and judges the target game; actions go as the rows of a last layer do. Zero bytes:
 * nothing of it. docs/transfer.md has the formulas. */
typedef struct qg_graft_reuse {
    int64_t kickstart; /* steps of learning over which the weight of a distillation falls to 0 in
                          a line (Schmitt et al. 2018); 0: none */
    double distill_weight; /* at its beginning; 0: QG_DISTILL_WEIGHT */
    double distill_tau;    /* temperature of both policies; 0: QG_DISTILL_TAU */
    int64_t warm_replay; /* the first steps of the run: the source plays, nothing learns; 0: none */
    int64_t qdagger;     /* updates behind them, before the steps go on (Agarwal et al. 2022) */
    double policy_reuse; /* probability of the source's action at an episode's first step
                            (Fernandez & Veloso 2006); 0: none */
    double policy_reuse_decay; /* its factor from step to step; 0: QG_POLICY_REUSE_DECAY */
} qg_graft_reuse;

#define QG_DISTILL_WEIGHT     1.0
#define QG_DISTILL_TAU        0.1  /* Agarwal et al. 2022 */
#define QG_POLICY_REUSE_DECAY 0.95 /* Fernandez & Veloso 2006 */

/* How layers learn between free and frozen. Zero bytes: nothing of it. `layer` counts from 0. */
typedef struct qg_graft_learning {
    /* Frozen layers learn from step `thaw` on (0: never); with `thaw_every` gradually, the topmost
     * at `thaw` and each below so many steps after the one above it (Howard & Ruder 2018). */
    int64_t thaw, thaw_every;
    uint32_t scaled; /* bit l: layer l has a factor of the learning rate: */
    double lr_scale[QG_MAX_LAYERS];
    double l2_sp; /* pull of what was copied towards what it was (Li et al. 2018): on d, a sum over
                     the minibatch, as the setting l2; 0: none */
    double ewc;   /* the same, times the parameter's Fisher information (fisher.h); 0: none */
    int64_t ewc_samples; /* states that it is measured on; 0: QG_EWC_SAMPLES */
} qg_graft_learning;

/* Which layers are copied and whether they learn. Holds no pointer: copied like a number. */
typedef struct qg_graft_choice {
    qg_graft_way way;
    union {
        int count;       /* from 1 */
        uint32_t layers; /* bit l: weighted layer l, from 0 */
        char part[QG_PART_NAME];
    };
    bool frozen; /* the copied layers do not learn */
    /* How rows of the last layer are paired: by the meaning of their actions, or by position. */
    enum { QG_MATCH_MEANING, QG_MATCH_INDEX } match;
    qg_graft_learning learning;
    qg_graft_reuse reuse;
} qg_graft_choice;

#define QG_GRAFT_CHOICE_TEXT 1024 /* bytes of a choice as text, with the NUL */

/* "first", "last", "layers", "part"; "none". */
const char *qg_graft_way_name(qg_graft_way way);

/* What was copied, for titles and tables: "first 3", "layers 1 3" (counted from 1), "decision",
 * "first 3 (thaw=500000)", "kickstart=100000". */
void qg_graft_choice_label(const qg_graft_choice *choice, char text[QG_GRAFT_CHOICE_TEXT]);

/* The whole choice, for the names of folders: "first3", "layers1-3-frozen", "last1-index". */
void qg_graft_choice_name(const qg_graft_choice *choice, char text[QG_GRAFT_CHOICE_TEXT]);

/* The whole choice: "first 3", "last 1 frozen", "layers 1,3 index", "part decision frozen", "first
 * 2 frozen thaw=500000 lr_scale=1:0.1,5:2", "none kickstart=100000". Equal choices have equal
 * texts. */
void qg_graft_choice_format(const qg_graft_choice *choice, char text[QG_GRAFT_CHOICE_TEXT]);

/* Reads what qg_graft_choice_format writes. QG_ERROR_USAGE. */
qg_status qg_graft_choice_parse(const char *text, qg_graft_choice *choice, qg_error *error);

/* Sets one thing of a choice, as options and files name it: `first`, `last` (a number), `layers`
 * ("1,3"), `part` (a name), each of which is the way from then on; `freeze` (true or false),
 * `match` (meaning or index); `thaw`, `thaw_every`, `ewc_samples` (counts), `l2_sp`, `ewc`
 * (numbers), `lr_scale` ("1:0.1,2:0.3"); what qg_graft_reuse has. QG_ERROR_USAGE: a wrong value
 * (the message begins with "KEY: ") or another key. */
qg_status qg_graft_choice_set(qg_graft_choice *choice, const char *key, const char *value,
                              qg_error *error);

bool qg_graft_choice_equal(const qg_graft_choice *a, const qg_graft_choice *b);

/* Whether anything of the source's policy is reused. */
bool qg_graft_reuses(const qg_graft_choice *choice);

/* Whether the choice makes sense by itself, for a run of `steps` steps (0: it makes none) with
 * these settings (NULL: not known) of a network with `layers` layers (0: not known); QG_ERROR_USAGE
 * names what contradicts what. `random`: its layers are no source's. */
qg_status qg_graft_choice_check(const qg_graft_choice *choice, bool random, int64_t steps,
                                const qg_settings *settings, int layers, qg_error *error);

/* ------------------------------------------------------------------------------------- grafting */

/* What happened to a layer of the target. */
typedef struct qg_grafted_layer {
    int source; /* the source's layer that it came from; -1: fresh */
    int rows;   /* outputs copied; fewer than all in a last layer between action sets */
    bool frozen;
    int64_t thaw;    /* the step from which it learns nevertheless; 0: none */
    double lr_scale; /* factor of its learning rate */
} qg_grafted_layer;

/* What qg_graft would make of each layer, but for the rows, which go by the names of actions; fails
 * as it does for layers and shapes. */
qg_status qg_graft_pair(const qg_architecture *source, const qg_architecture *target,
                        const qg_graft_choice *choice, qg_grafted_layer grafted[QG_MAX_LAYERS],
                        qg_error *error);

/* Copies layers of `source` into `target`, which was initialised before (those that are not copied
 * keep what they hold); `grafted` gets what happened to each layer of the target. The actions are
 * the names in the order of the outputs, separated by commas, as in qg_network_info. Layers are
 * paired from the front (first, layers), from the back (last) or in the order of a part. Where both
 * networks' last layers are paired, rows go by the meaning of the actions ("noop,fire,..."): a row
 * whose action the source does not have stays fresh. QG_ERROR_USAGE: a number out of range, a shape
 * that does not fit (both layers and both shapes are named), no action in common. */
qg_status qg_graft(const qg_network *source, const char *source_actions, qg_network *target,
                   const char *target_actions, const qg_graft_choice *choice,
                   qg_grafted_layer grafted[QG_MAX_LAYERS], qg_error *error);

/* A run that begins with copied layers. */
typedef struct qg_graft_options {
    /* A network file; NULL: the control, whose "copied" layers are the fresh ones themselves, so
     * that it differs from its baseline by the freezing alone. */
    const char *source;
    qg_graft_choice choice;
    bool reinit; /* the fresh layers come from `reinit_seed` instead of `train.seed` */
    uint64_t reinit_seed;
    /* Everything else, as for a training from fresh weights; `initial`, `frozen` and `notes` are
     * made here. `settings.network` must fit the source: its own architecture (qg_network_look)
     * does wherever the game's screens have its size. */
    qg_train_options train;
} qg_graft_options;

/* What such a run begins with. */
typedef struct qg_graft_plan {
    qg_architecture source; /* layer_count 0: the control */
    qg_architecture target;
    qg_grafted_layer layers[QG_MAX_LAYERS]; /* of the target */
} qg_graft_plan;

/* What qg_graft_run would begin with, or why it would refuse to: as qg_network_load,
 * qg_domain_open, qg_architecture_for, qg_graft and qg_graft_choice_check; QG_ERROR_USAGE also for
 * a control that is not frozen, and for `ewc` of a source whose game cannot be played. Writes
 * nothing.
 */
qg_status qg_graft_look(const qg_graft_options *options, qg_graft_plan *plan, qg_error *error);

/* What such a run begins with in full, for those who look at it later. Not to be moved in memory.
 */
typedef struct qg_graft_beginning {
    qg_network start, source, copied; /* the control has no source */
    qg_layer_source compared;         /* points at them */
} qg_graft_beginning;

/* Fails as qg_graft_look. The caller frees it; one of zero bytes is allowed. */
qg_status qg_graft_begin(const qg_graft_options *options, qg_graft_beginning *beginning,
                         qg_error *error);
void qg_graft_beginning_free(qg_graft_beginning *beginning);

/* Grafts and trains. The networks and run.yaml get the pedigree: the source's file, SHA-256, game,
 * step and score, and what was copied. Fails as qg_graft_look and qg_train. */
qg_status qg_graft_run(const qg_graft_options *options, qg_run_result *result, qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
