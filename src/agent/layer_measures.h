/* Measures of a layer from its parameters, from its outputs on some states, and from the gradients
 * of some minibatches; docs/diagnostics.md. */
#ifndef QG_LAYER_MEASURES_H
#define QG_LAYER_MEASURES_H

#include <qgraft/diagnosis.h>

/* Of layers.csv: the names of the measures in their order. */
#define QG_LAYERS_HEADER                                                                           \
    "step,layer,start_distance,start_cosine,source_distance,source_cosine,source_cka,dormant,"     \
    "dead,effective_rank,srank,update_size,gradient_noise,clipped_errors"

qg_layer_row qg_layer_row_empty(void); /* NaN all over */

/* Relative L2 distance and cosine of `now` [count] to `reference`, over those of it that are not
 * NaN; NaN where there are none, or all are 0. */
void qg_measure_drift(const float *now, const float *reference, size_t count, double *distance,
                      double *cosine);

/* Of `layer`: its parameters [weights and biases of a layer] lie together. */
size_t qg_layer_parameters(const qg_layer *layer);

/* Shares of the layer's units (channels of a conv) whose score, their mean |output| over states and
 * places against the layer's mean unit, is at most QG_DORMANT_SCORE, and 0 (Sokar et al. 2023, eq.
 * 1). features [n][width]. A layer that is 0 everywhere is all dead. */
void qg_measure_dormancy(const float *features, size_t n, const qg_layer *layer, double *dormant,
                         double *dead);

/* Gradients of `count` minibatches at the same parameters, summed up. */
typedef struct qg_gradient_sums {
    int count;
    double *sum;                   /* [parameters] */
    double squares[QG_MAX_LAYERS]; /* of their norms, by layer */
} qg_gradient_sums;

void qg_gradient_sums_add(qg_gradient_sums *sums, const qg_network *gradient);

/* Noise's share of a minibatch's squared gradient: the trace of the minibatches' sample covariance
 * over the mean squared norm; 0: all the same, about 1: nothing but noise. NaN for fewer than two
 * minibatches and where there is no gradient. With it McCandlish et al. 2018's simple noise scale
 * is minibatch * share / (1 - share). */
double qg_gradient_noise(const qg_gradient_sums *sums, const qg_network *network, int layer);

/* |after - before| / |before| of a layer's parameters; NaN where they are 0. */
double qg_update_size(const qg_network *before, const qg_network *after, int layer);

#endif
