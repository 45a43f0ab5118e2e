/* What became of a layer that was copied, over the training: docs/diagnostics.md has the measures.
 */
#ifndef QG_REPORT_COPIED_LAYERS_H
#define QG_REPORT_COPIED_LAYERS_H

#include "report/run_curves.h"

/* Of layers.csv, what an answer rests on. */
typedef enum qg_layer_curve {
    QG_CURVE_DISTANCE,
    QG_CURVE_CKA,
    QG_CURVE_DORMANT,
    QG_LAYER_CURVES
} qg_layer_curve;

/* Where the words begin and end: conventions, so that the numbers stand beside the words. */
#define QG_STAYED_DISTANCE 0.5 /* at most, from the source */
#define QG_STAYED_CKA_LOSS 0.2 /* at most, since it was copied */
#define QG_DIED_DORMANT    0.5 /* at least, of the units that were not dormant when it was copied */

typedef enum qg_layer_fate {
    QG_LAYER_FROZEN,  /* and it is what it was */
    QG_LAYER_STAYED,  /* it learned, and is near the source in its weights and in what it answers */
    QG_LAYER_DRIFTED, /* it is not */
    QG_LAYER_DIED,    /* it has lost its units, however near it is */
    QG_LAYER_FATES
} qg_layer_fate;

typedef struct qg_copied_layer {
    char name[12];
    int index;                             /* in the network, from 0 */
    qg_run_curves curves[QG_LAYER_CURVES]; /* over seeds; NaN where not all of them tell */
    qg_layer_fate fate;                    /* at the last evaluation that all seeds have */
} qg_copied_layer;

const char *qg_layer_fate_name(qg_layer_fate fate); /* "frozen", "stayed", ... */

/* Means over seeds at the evaluation before the training, and at the last one. */
double qg_layer_copied(const qg_copied_layer *layer, qg_layer_curve curve);
double qg_layer_ended(const qg_copied_layer *layer, qg_layer_curve curve);

/* What became of it, when its curves are finished; `frozen`: by the run's choice. */
qg_layer_fate qg_layer_judge(const qg_copied_layer *layer, bool frozen);

void qg_copied_layers_free(qg_copied_layer *layers, int count);

#endif
