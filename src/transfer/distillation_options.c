/* A distillation as it usually is: what nobody has to say, and what follows from what was said. */
#include <qgraft/distillation.h>

qg_status qg_distillation_options_for(const char *domain, qg_distillation_options *options,
                                      qg_error *error)
{
    qg_train_options training;
    const qg_game *game;
    char name[QG_DOMAIN_NAME];
    qg_status status = qg_train_options_for(domain, &training, error);
    if (!status) status = qg_domain_resolve(domain, &game, name, error);
    if (status) return status;
    *options = (qg_distillation_options){.run = training.run,
                                         .settings = training.settings,
                                         .order = QG_ORDER_PASS,
                                         .loss = QG_LOSS_KL,
                                         .samples = game->defaults->samples,
                                         .epsilon = 0.05};
    return qg_temperatures_parse(QG_USUAL_TEMPERATURE, &options->temperatures, error);
}

int64_t qg_held_out(int64_t samples)
{
    const int64_t part = samples / 50;
    return part < 1 ? 1 : part > QG_MOST_HELD_OUT ? QG_MOST_HELD_OUT : part;
}
