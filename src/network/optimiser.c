#include "network/optimiser.h"

#include <assert.h>

/* What an optimiser keeps beside the parameters: moments in sets of their own, and whether a step
 * depends on its number. */
static const struct {
    int moments;
    bool counts;
} kept[] = {[QG_NO_OPTIMISER] = {0, false}, [QG_RMSPROP_CENTRED] = {2, false}};

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
