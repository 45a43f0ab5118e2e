#include <qgraft/agent.h>

qg_learning qg_learning_of(const qg_settings *settings)
{
    return (qg_learning){.discount = (float)settings->discount,
                         .clip_error = (float)settings->clip_error,
                         .learning_rate = (float)settings->learning_rate,
                         .rms_decay = (float)settings->rms_decay,
                         .rms_epsilon = (float)settings->rms_epsilon,
                         .l2 = (float)settings->l2,
                         .dropout_conv = (float)settings->dropout_conv,
                         .dropout_linear = (float)settings->dropout_linear};
}
