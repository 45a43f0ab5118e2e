/* The presets: the values of all settings that a run starts from. */
#include <qgraft/settings.h>

#include "base/text.h"

#include <string.h>

/* What all have in common; much of it counts only where something asks for it. */
#define ALL                                                                                        \
    .precision = "float32", .discount = 0.99, .rms_decay = 0.95, .rms_epsilon = 0.01,              \
    .adam_beta1 = 0.9, .adam_beta2 = 0.999, .adam_epsilon = 1e-8, .priority_alpha = 0.6,           \
    .priority_beta = 0.4, .priority_epsilon = 1e-6, .tau = 0.005, .epsilon_start = 1,              \
    .layer_states = 128

/* The learner of DQN 3.0. */
#define DQN3_LEARNER                                                                               \
    .optimiser = "rmsprop", .loss = "clipped", .clip_error = 1, .reduction = "sum", .n_step = 1,   \
    .target_update = "copy", .epsilon_from = "learn_start", .minibatch = 32, .update_every = 4,    \
    .validation_size = 500

/* That of CleanRL's dqn_atari.py and Stable-Baselines3's DQN. */
#define PYTORCH_LEARNER                                                                            \
    .optimiser = "adam", .learning_rate = 0.0001, .reduction = "mean", .n_step = 1,                \
    .target_update = "copy", .epsilon_from = "start", .minibatch = 32, .update_every = 4

/* Atari as all four of its presets play it, and their schedule. */
#define ATARI                                                                                      \
    .history = 4, .replay = 1000000, .epsilon_steps = 1000000, .eval_every = 250000,               \
    .eval_steps = 125000, .log_every = 10000, .frame_skip = 4, .clip_reward = true

/* Games as they are. */
#define PLAIN                                                                                      \
    .history = 1, .log_every = 1000, .noop_max = 0, .frame_skip = 1, .actions = "minimal",         \
    .max_episode_frames = "0", .clip_reward = false, .life_loss_terminal = false

/* The paper's DQN 3.0. */
static const qg_settings dqn3 = {
    .preset = "dqn3",
    ALL,
    DQN3_LEARNER,
    ATARI,
    .network = "nature",
    .learning_rate = 0.00025,
    .learn_start = 50000,
    .target_every = 10000,
    .epsilon_end = 0.1,
    .eval_epsilon = 0.05,
    .noop_max = 30,
    .sticky = 0,
    .actions = "minimal",
    .max_episode_frames = "xitari",
    .life_loss_terminal = true,
};

/* The learner of dqn3 under the rules of Machado et al. 2018 (sticky actions instead of no-ops, all
 * actions, the end of a game as the only end, 30 minutes), evaluated as Dopamine does. */
static const qg_settings machado = {
    .preset = "machado",
    ALL,
    DQN3_LEARNER,
    ATARI,
    .network = "nature",
    .learning_rate = 0.00025,
    .learn_start = 50000,
    .target_every = 10000,
    .epsilon_end = 0.01,
    .eval_epsilon = 0.001,
    .noop_max = 0,
    .sticky = 0.25,
    .actions = "full",
    .max_episode_frames = "108000",
    .life_loss_terminal = false,
};

/* For the built-in 10x10 games: MinAtar's sizes and schedule, the paper's learner. */
static const qg_settings grid = {
    .preset = "grid",
    ALL,
    DQN3_LEARNER,
    PLAIN,
    .network = "grid",
    .learning_rate = 0.002,
    .replay = 100000,
    .learn_start = 5000,
    .target_every = 1000,
    .epsilon_end = 0.1,
    .epsilon_steps = 100000,
    .eval_every = 50000,
    .eval_steps = 20000,
    .eval_epsilon = 0.05,
    .sticky = 0.1,
};

/* CleanRL 2.0.0b1, cleanrl/dqn_atari.py at fe8d8a0 (April 2026), at its 10 million steps; evaluated
 * as cleanrl_utils/evals/dqn_eval.py is called. */
static const qg_settings cleanrl = {
    .preset = "cleanrl",
    ALL,
    PYTORCH_LEARNER,
    ATARI,
    .network = "nature-pad0",
    .loss = "mse",
    .clip_error = 0,
    .learn_start = 80000,
    .target_every = 1000,
    .epsilon_end = 0.01,
    .eval_epsilon = 0.01,
    .validation_size = 500,
    .noop_max = 30,
    .sticky = 0,
    .actions = "minimal",
    .max_episode_frames = "108000",
    .life_loss_terminal = true,
};

/* Stable-Baselines3 2.9.2, the defaults of DQN and AtariWrapper, over 10 million steps; evaluated
 * as evaluate_policy does. */
static const qg_settings sb3 = {
    .preset = "sb3",
    ALL,
    PYTORCH_LEARNER,
    ATARI,
    .network = "nature-pad0",
    .loss = "huber",
    .clip_error = 1,
    .max_grad_norm = 10,
    .learn_start = 100,
    .target_every = 10000,
    .epsilon_end = 0.05,
    .eval_epsilon = 0,
    .validation_size = 100,
    .noop_max = 30,
    .sticky = 0,
    .actions = "minimal",
    .max_episode_frames = "108000",
    .life_loss_terminal = true,
};

/* For vectors of floats, such as Gymnasium's classic control: double DQN of three steps with Adam,
 * a target that follows slowly, no frames skipped. What it learns stands in docs/domains.md. */
static const qg_settings vector = {
    .preset = "vector",
    ALL,
    PLAIN,
    .network = "vector",
    .optimiser = "adam",
    .learning_rate = 0.0005,
    .loss = "huber",
    .clip_error = 1,
    .reduction = "mean",
    .double_q = true,
    .n_step = 3,
    .max_grad_norm = 10,
    .target_update = "soft",
    .epsilon_from = "learn_start",
    .minibatch = 128,
    .replay = 50000,
    .learn_start = 1000,
    .update_every = 1,
    .target_every = 1,
    .epsilon_end = 0.05,
    .epsilon_steps = 20000,
    .eval_every = 5000,
    .eval_steps = 5000,
    .eval_epsilon = 0,
    .validation_size = 500,
    .sticky = 0,
};

static const char *const preset_names[] = {"dqn3", "machado", "grid", "cleanrl",
                                           "sb3",  "vector",  NULL};
enum { PRESETS = sizeof preset_names / sizeof *preset_names - 1 };
static const qg_settings *const presets[] = {&dqn3, &machado, &grid, &cleanrl, &sb3, &vector};

const char *const *qg_settings_presets(void)
{
    return preset_names;
}

qg_status qg_settings_preset(qg_settings *settings, const char *preset, qg_error *error)
{
    for (size_t i = 0; i < PRESETS; i++)
        if (strcmp(preset, preset_names[i]) == 0) {
            *settings = *presets[i];
            return QG_OK;
        }
    char names[128] = "";
    for (int i = 0; i < PRESETS; i++)
        qg_text_add(names, sizeof names, "%s%s", i ? ", " : "", preset_names[i]);
    return qg_fail(error, QG_ERROR_USAGE, "preset: there is no '%.60s'; allowed: %s", preset,
                   names);
}
