#include "network/optimiser.h"

#include <assert.h>
#include <math.h>

/* What an optimiser keeps beside the parameters: moments in sets of their own, and whether a step
 * depends on its number. */
static const struct {
    int moments;
    bool counts;
} kept[] = {
    [QG_NO_OPTIMISER] = {0, false}, [QG_RMSPROP_CENTRED] = {2, false}, [QG_ADAM] = {2, true}};

bool qg_engine_holds(const qg_engine_options *options, qg_parameter_set set)
{
    switch (set) {
    case QG_ONLINE:
        return true;
    case QG_TARGET:
        return options->target;
    case QG_ANCHOR:
    case QG_PULL:
        return options->anchored;
    case QG_GRADIENT:
        return options->optimiser != QG_NO_OPTIMISER;
    default:
        return (int)set < QG_MOMENT1 + kept[options->optimiser].moments;
    }
}

void qg_mix(float *target, const float *online, float tau, size_t count)
{
    for (size_t i = 0; i < count; i++)
        target[i] += tau * (online[i] - target[i]);
}

/* By products alone: pow's last bit is the C library's. */
static double power(double base, uint64_t exponent)
{
    double result = 1;
    for (; exponent; exponent /= 2, base *= base)
        if (exponent % 2) result *= base;
    return result;
}

void qg_list_adam(const qg_learning *learning, int layers, const uint64_t *steps,
                  qg_adam adam[QG_MAX_LAYERS])
{
    const double beta1 = learning->optimiser.adam.beta1, beta2 = learning->optimiser.adam.beta2;
    double bias1 = 0, bias2 = 0;
    for (int l = 0; l < layers; l++) {
        if (l == 0 || steps[l] != steps[l - 1]) {
            bias1 = 1 - power(beta1, steps[l]);
            bias2 = 1 - power(beta2, steps[l]);
        }
        const qg_optimiser optimiser = qg_optimiser_of_layer(learning, l);
        adam[l] = (qg_adam){.rate = (float)((double)optimiser.learning_rate / bias1),
                            .beta1 = (float)beta1,
                            .rest1 = (float)(1 - beta1),
                            .beta2 = (float)beta2,
                            .rest2 = (float)(1 - beta2),
                            .scale = (float)(1 / sqrt(bias2)),
                            .epsilon = (float)optimiser.adam.epsilon};
    }
}

size_t qg_list_slots(const qg_engine_options *options, uint64_t *steps, qg_slot slots[QG_MAX_SLOTS])
{
    static const char *const names[] = {"online", "target", "moment1", "moment2", "anchor", "pull"};
    size_t count = 0;
    for (qg_parameter_set set = QG_ONLINE; set < QG_GRADIENT; set++)
        if (qg_engine_holds(options, set)) slots[count++] = (qg_slot){names[set], set, NULL};
    if (kept[options->optimiser].counts)
        slots[count++] = (qg_slot){.name = "steps", .counter = steps};
    assert(count <= QG_MAX_SLOTS);
    return count;
}

qg_optimiser qg_optimiser_of_layer(const qg_learning *learning, int layer)
{
    qg_optimiser optimiser = learning->optimiser;
    if (learning->layer_rates) optimiser.learning_rate *= learning->layer_rates[layer];
    return optimiser;
}

void qg_pull_back(const float *weights, const float *anchor, const float *pull, float *gradient,
                  size_t count)
{
    for (size_t i = 0; i < count; i++)
        gradient[i] -= pull[i] * (weights[i] - anchor[i]);
}
