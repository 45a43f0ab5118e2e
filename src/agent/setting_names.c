/* What other packages call the settings, for those who type it. */
#include <qgraft/settings.h>

#include <string.h>

static const char *const names[][2] = {
    {"batch_size", "minibatch"},
    {"double_q", "double"},
    {"double_dqn", "double"},
    {"ddqn", "double"},
    {"n_steps", "n_step"},
    {"nstep", "n_step"},
    {"update_horizon", "n_step"},
    {"optimizer", "optimiser"},
    {"adam_eps", "adam_epsilon"},
    {"loss_fn", "loss"},
    {"loss_type", "loss"},
    {"huber_loss", "loss"},
    {"gradient_clip_norm", "max_grad_norm"},
    {"prioritized_replay", "prioritised"},
    {"replay_scheme", "prioritised"},
    {"prioritized_replay_alpha", "priority_alpha"},
    {"prioritized_replay_beta0", "priority_beta"},
    {"prioritized_replay_beta_iters", "priority_beta_steps"},
    {"prioritized_replay_eps", "priority_epsilon"},
    {"target_update_tau", "tau"},
    {"buffer_size", "replay"},
    {"replay_size", "replay"},
    {"replay_capacity", "replay"},
    {"memory_size", "replay"},
    {"gamma", "discount"},
    {"lr", "learning_rate"},
    {"learning_starts", "learn_start"},
    {"min_replay_history", "learn_start"},
    {"train_frequency", "update_every"},
    {"train_freq", "update_every"},
    {"update_freq", "update_every"},
    {"update_period", "update_every"},
    {"target_network_frequency", "target_every"},
    {"target_update_interval", "target_every"},
    {"target_update_period", "target_every"},
    {"target_q", "target_every"},
    {"start_e", "epsilon_start"},
    {"exploration_initial_eps", "epsilon_start"},
    {"end_e", "epsilon_end"},
    {"exploration_final_eps", "epsilon_end"},
    {"epsilon_train", "epsilon_end"},
    {"exploration_fraction", "epsilon_steps"},
    {"epsilon_decay_period", "epsilon_steps"},
    {"eval_freq", "eval_every"},
    {"eval_frequency", "eval_every"},
    {"epsilon_eval", "eval_epsilon"},
    {"frame_stack", "history"},
    {"stack_num", "history"},
    {"frameskip", "frame_skip"},
    {"actrep", "frame_skip"},
    {"repeat_action_probability", "sticky"},
    {"sticky_actions", "sticky"},
    {"sticky_action_prob", "sticky"},
    {"clip_rewards", "clip_reward"},
    {"terminal_on_life_loss", "life_loss_terminal"},
    {"episodic_life", "life_loss_terminal"},
    {"weight_decay", "l2"},
    {"no_op_max", "noop_max"},
    {"full_action_space", "actions"},
    {"max_num_frames_per_episode", "max_episode_frames"},
};

const char *qg_setting_called(const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i][0]) == 0) return names[i][1];
    return NULL;
}
