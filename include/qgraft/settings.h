/* Settings of training: every knob of the agent, its presets, and how they are read and written.
 *
 * One table (qg_settings_table) names every setting with its type, range and meaning; setting by
 * text, YAML, help and JSON all go through it. A preset fills all settings; what is set after it
 * changes single ones. All strings are static or in the struct; nothing is to be freed but what
 * qg_settings_format_yaml gives. */
#ifndef QGRAFT_SETTINGS_H
#define QGRAFT_SETTINGS_H

#include <qgraft/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QG_MAX_HISTORY 8

typedef struct qg_settings {
    char preset[16];
    char network[1024]; /* "nature", "grid", ..., or a list of layers as JSON, one line */
    int history;        /* screens per state */
    char precision[16]; /* name of the engine (engine.h) */

    double discount;
    int n_step;        /* steps of a transition */
    char optimiser[8]; /* "rmsprop", "adam" */
    double learning_rate;
    double rms_decay, rms_epsilon;               /* centred RMSProp */
    double adam_beta1, adam_beta2, adam_epsilon; /* Adam */
    char loss[8];                                /* "clipped", "huber", "mse": see td_learner.h */
    double clip_error;                   /* TD errors are clipped to +-clip_error; 0: not clipped */
    char reduction[8];                   /* of the gradients of a minibatch: "sum", "mean" */
    double max_grad_norm;                /* of a minibatch's gradient; 0: any */
    double l2;                           /* weight decay; 0: none */
    double dropout_conv, dropout_linear; /* of hidden outputs while learning; 0: none */
    int minibatch;                       /* transitions per update */

    /* Counts of agent steps. */
    int64_t replay;                                         /* capacity */
    double priority_alpha, priority_beta, priority_epsilon; /* of prioritised replay */
    int64_t priority_beta_steps; /* from learn_start on, until priority_beta is 1; 0: to the end */
    int64_t learn_start;         /* no update before */
    int64_t update_every;        /* steps per update */
    int64_t target_every;        /* steps per update of the target network */
    char target_update[8];       /* "copy", "soft": target += tau (online - target) */
    double tau;
    double epsilon_start, epsilon_end;
    int64_t epsilon_steps; /* linear from start to end */
    char epsilon_from[12]; /* "learn_start", "start": where they begin */
    int64_t eval_every, eval_steps;
    double eval_epsilon;
    int64_t validation_size; /* transitions kept for the validation Q and TD error */
    int64_t log_every;       /* steps per row of training.csv */
    int layer_states;        /* that layers.csv looks at layers on; 0: there is none */

    int noop_max;                /* 1 ... noop_max no-op frames begin an episode; 0: none */
    int frame_skip;              /* frames per step */
    double sticky;               /* probability that the last action is repeated instead */
    char actions[8];             /* name of an action set (domain.h) */
    char max_episode_frames[24]; /* after which a game is truncated, "0": none; or "xitari" */
    bool clip_reward;            /* to [-1, 1], in training only */
    bool life_loss_terminal;     /* a lost life ends the episode, in training only */
    bool double_q;               /* double DQN */
    bool prioritised;            /* transitions are drawn by priority */

    bool eval_steps_set; /* not a setting: eval_steps was set, it is not the preset's */
} qg_settings;

typedef enum qg_setting_type {
    QG_SETTING_TEXT,    /* char[size] */
    QG_SETTING_INT,     /* int */
    QG_SETTING_COUNT,   /* int64_t */
    QG_SETTING_REAL,    /* double */
    QG_SETTING_BOOLEAN, /* bool */
} qg_setting_type;

/* One row of the table: where a setting lies in qg_settings and what it may be. */
typedef struct qg_setting {
    const char *name;
    qg_setting_type type;
    size_t offset, size;
    double minimum, maximum; /* both allowed; numbers only */
    const char *before;  /* of a setting that is newer than studies: the value that all had before
                            there was one, at which nothing tells of it; NULL: an old one */
    const char *choices; /* the words that it may be, "a, b, c"; NULL: others */
    const char *help;    /* one line */
} qg_setting;

/* All settings in the order of the struct, `preset` first; static storage. */
const qg_setting *qg_settings_table(size_t *count);

/* The value of one setting as text that qg_settings_set_value reads back to the same bits. */
void qg_setting_format(const qg_settings *settings, const qg_setting *setting, char *text,
                       size_t size);

/* Whether `value` is what all runs had before there was the setting, so that it tells nothing. */
bool qg_setting_is_old(const qg_setting *setting, const char *value);

/* Whether all values are the same; the preset's name is none. */
bool qg_settings_equal(const qg_settings *a, const qg_settings *b);

/* Fills all of `settings`. Presets: "dqn3" (the paper's DQN), "machado" (the same under
 * the rules of Machado et al. 2018), "grid" (games on small grids), "cleanrl" and "sb3" (those
 * libraries' DQN on Atari) and "vector" (vectors of floats); QG_ERROR_USAGE names them for another
 * one. */
qg_status qg_settings_preset(qg_settings *settings, const char *preset, qg_error *error);

/* Names of the presets, in a static array that ends with NULL. */
const char *const *qg_settings_presets(void);

/* The setting that other packages (CleanRL, Stable-Baselines3, Dopamine, ALE) call `name`, as
 * "gamma" or "batch_size"; NULL: none. */
const char *qg_setting_called(const char *name);

/* Changes one setting, from "key=value" or from both parts. The settings stay as they were when it
 * fails (always QG_ERROR_USAGE). `preset` cannot be changed this way: it would undo the others. */
qg_status qg_settings_set(qg_settings *settings, const char *assignment, qg_error *error);
qg_status qg_settings_set_value(qg_settings *settings, const char *key, const char *value,
                                qg_error *error);

/* Reads a YAML file, a mapping of settings, over what `settings` holds. `preset` may be the first
 * key and then fills all settings before the others are read; `network` may be a sequence of
 * mappings. Errors begin with FILE:LINE: QG_ERROR_USAGE, also for what is no YAML; QG_ERROR_IO. A
 * failure leaves `settings` as they were. */
qg_status qg_settings_load_yaml(qg_settings *settings, const char *path, qg_error *error);

/* The same from memory; `name` stands for the file in messages. */
qg_status qg_settings_parse_yaml(qg_settings *settings, const char *name, const void *data,
                                 size_t size, qg_error *error);

/* All settings as YAML that loads back to the same struct, in *text (the caller frees it).
 * QG_ERROR_MEMORY. */
qg_status qg_settings_format_yaml(const qg_settings *settings, char **text, qg_error *error);

/* Checks the settings against each other; QG_ERROR_USAGE names both sides. */
qg_status qg_settings_check(const qg_settings *settings, qg_error *error);

/* Lets a short run evaluate in proportion, unless eval_steps was set: where its evaluations at the
 * beginning and the end would play more steps than the run makes (`steps`), each plays half as many
 * as it makes, but 1000 at least. */
void qg_settings_shorten_evaluations(qg_settings *settings, int64_t steps);

/* The step at which a training makes its first update, if `start` steps (learn_start, or what a
 * source plays before) are waited for; a run of `steps` makes it if it is below `steps`. */
int64_t qg_settings_first_update(const qg_settings *settings, int64_t start);

/* A whole number typed by a person ("250k", "25M", "1e6"), from minimum to maximum; `what` names
 * it in the message of QG_ERROR_USAGE. */
qg_status qg_parse_count(const char *what, const char *text, int64_t minimum, int64_t maximum,
                         int64_t *value, qg_error *error);

#ifdef __cplusplus
}
#endif
#endif
