/* An agent inside another program: loads a network, opens its game and plays an episode greedily.
 *
 *   cc -o embed_agent embed_agent.c $(pkg-config --cflags --libs qgraft)
 *   ./embed_agent runs/minatar-breakout-s1/best.safetensors [./my_game.so] */
#include <qgraft/agent.h>
#include <qgraft/plugin.h>

#include <stdio.h>
#include <string.h>

/* Plays until the game is over, 10,000 steps at most. A state is the last `history` screens, the
 * oldest first; those before the episode began are NULL, which means zeros. */
static qg_status play(qg_engine *engine, qg_domain *domain, int history, qg_error *error)
{
    static uint8_t memory[QG_MAX_HISTORY][1 << 16];
    const uint8_t *screens[QG_MAX_HISTORY] = {NULL};
    const qg_states state = {1, history, domain->shape.channels, screens};
    if (history < 1 || history > QG_MAX_HISTORY || qg_observation_size(&domain->shape) > 1 << 16)
        return qg_fail(error, QG_ERROR_USAGE, "%s: too large for this example", domain->name);
    qg_step step = {0};
    float score = 0, q_values[QG_MAX_ACTIONS] = {0};
    int steps = 0;
    qg_status status = qg_domain_reset(domain, 0, memory[0], error);
    while (!status && !qg_step_is_last(&step) && steps < 10000) {
        memmove(screens, screens + 1, sizeof screens - sizeof *screens);
        screens[history - 1] = memory[steps++ % history];
        status = qg_engine_forward(engine, QG_ONLINE, &state, q_values, error);
        const int action = qg_greedy_action(q_values, domain->action_count, 0);
        if (!status) status = qg_domain_step(domain, action, &step, memory[steps % history], error);
        score += step.reward;
    }
    if (!status) printf("%s: score %g in %d steps\n", domain->name, (double)score, steps);
    return status;
}

int main(int argc, char **argv)
{
    qg_error error;
    qg_network network = {0};
    qg_network_info info;
    qg_domain *domain = NULL;
    qg_engine *engine = NULL;
    const qg_domain_options options = {.seed = 1, .sticky = -1}; /* -1: as the game usually is */
    qg_status status = argc < 2 ? qg_fail(&error, QG_ERROR_USAGE, "name a network") : QG_OK;
    if (!status && argc > 2) status = qg_plugin_load(argv[2], &error);
    if (!status) status = qg_network_load(argv[1], &network, &info, &error);
    if (!status) status = qg_domain_open(info.domain, &options, &domain, &error);
    const qg_architecture *a = &network.architecture;
    const int history = status ? 1 : qg_network_history(&info, a, domain);
    if (!status) status = qg_network_fits(a, domain, history, &error);
    const qg_engine_options acting = {.architecture = a, .max_batch = 1};
    if (!status) status = qg_engine_create(&acting, &engine, &error);
    if (!status) status = qg_engine_write(engine, QG_ONLINE, &network, &error);
    if (!status) status = play(engine, domain, history, &error);
    if (status) fprintf(stderr, "embed_agent: %s\n", error.message);
    qg_engine_destroy(engine);
    qg_domain_close(domain);
    qg_network_free(&network);
    return status ? 1 : 0;
}
