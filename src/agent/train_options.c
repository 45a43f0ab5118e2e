/* A training as it usually is: what nobody has to say. */
#include <qgraft/agent.h>

#include "base/machine.h"
#include "base/team.h"

/* As many as there are cores for. */
static int count_threads(void)
{
    const int cores = qg_machine_cores();
    return cores < QG_MAX_THREADS ? cores : QG_MAX_THREADS;
}

qg_status qg_train_options_for(const char *domain, qg_train_options *options, qg_error *error)
{
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    const qg_status status = qg_domain_resolve(domain, &game, name, error);
    if (status) return status;
    const qg_game_defaults *usual = game->defaults;
    *options = (qg_train_options){
        .run = {.seed = 1,
                .machine = {.threads = usual->threads ? usual->threads : count_threads()}},
        .domain = domain,
        .steps = usual->steps};
    return qg_settings_preset(&options->settings, usual->preset, error);
}
