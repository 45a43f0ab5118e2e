#include "report/copied_layers.h"

#include <stdlib.h>

const char *qg_layer_fate_name(qg_layer_fate fate)
{
    static const char *const names[] = {[QG_LAYER_FROZEN] = "frozen",
                                        [QG_LAYER_STAYED] = "stayed",
                                        [QG_LAYER_DRIFTED] = "drifted away from the source",
                                        [QG_LAYER_DIED] = "died"};
    return names[fate];
}

double qg_layer_copied(const qg_copied_layer *layer, qg_layer_curve curve)
{
    return layer->curves[curve].band[0].value;
}

double qg_layer_ended(const qg_copied_layer *layer, qg_layer_curve curve)
{
    const qg_run_curves *const c = &layer->curves[curve];
    return c->band[c->curves.point_count - 1].value;
}

qg_layer_fate qg_layer_judge(const qg_copied_layer *layer, bool frozen)
{
    const double distance = qg_layer_ended(layer, QG_CURVE_DISTANCE);
    const double dormant = qg_layer_ended(layer, QG_CURVE_DORMANT);
    const double asleep = qg_layer_copied(layer, QG_CURVE_DORMANT); /* already */
    const double lost = qg_layer_copied(layer, QG_CURVE_CKA) - qg_layer_ended(layer, QG_CURVE_CKA);
    if (frozen && distance == 0) return QG_LAYER_FROZEN; /* not one that has thawed */
    if ((dormant - asleep) / (1 - asleep) >= QG_DIED_DORMANT) return QG_LAYER_DIED;
    if (distance <= QG_STAYED_DISTANCE && !(lost > QG_STAYED_CKA_LOSS)) return QG_LAYER_STAYED;
    return QG_LAYER_DRIFTED;
}

void qg_copied_layers_free(qg_copied_layer *layers, int count)
{
    for (int l = 0; l < count; l++)
        for (int c = 0; c < QG_LAYER_CURVES; c++)
            qg_run_curves_free(&layers[l].curves[c]);
    free(layers);
}
