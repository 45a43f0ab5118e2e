/* A distillation as it usually is: what nobody has to say. */
#include <qgraft/distillation.h>

#include <string.h>

qg_status qg_distillation_options_for(const char *domain, qg_distillation_options *options,
                                      qg_error *error)
{
    qg_train_options training;
    qg_status status = qg_train_options_for(domain, &training, error);
    if (status) return status;
    const bool grid = strcmp(training.settings.preset, "grid") == 0;
    *options = (qg_distillation_options){.run = training.run,
                                         .settings = training.settings,
                                         .order = QG_ORDER_PASS,
                                         .samples = grid ? 100000 : 1000000,
                                         .epsilon = 0.05};
    return qg_temperatures_parse(QG_USUAL_TEMPERATURE, &options->temperatures, error);
}
