#include "agent/layer_measures.h"

#include <math.h>

const char *qg_layer_measure_name(qg_layer_measure measure)
{
    static const char *const names[] = {[QG_START_DISTANCE] = "start_distance",
                                        [QG_START_COSINE] = "start_cosine",
                                        [QG_SOURCE_DISTANCE] = "source_distance",
                                        [QG_SOURCE_COSINE] = "source_cosine",
                                        [QG_SOURCE_CKA] = "source_cka",
                                        [QG_DORMANT] = "dormant",
                                        [QG_DEAD] = "dead",
                                        [QG_EFFECTIVE_RANK] = "effective_rank",
                                        [QG_SRANK] = "srank",
                                        [QG_UPDATE_SIZE] = "update_size",
                                        [QG_GRADIENT_NOISE] = "gradient_noise",
                                        [QG_CLIPPED_ERRORS] = "clipped_errors",
                                        [QG_BASELINE_CKA] = "baseline_cka"};
    return names[measure];
}

qg_layer_row qg_layer_row_empty(void)
{
    qg_layer_row row;
    for (int m = 0; m < QG_LAYER_MEASURES; m++)
        row.values[m] = NAN;
    return row;
}

size_t qg_layer_parameters(const qg_layer *layer)
{
    return qg_layer_weights(layer) + (size_t)layer->outputs;
}

/* ------------------------------------------------------------------------------ parameters */

void qg_measure_drift(const float *now, const float *reference, size_t count, double *distance,
                      double *cosine)
{
    double own = 0, other = 0, apart = 0, product = 0;
    for (size_t i = 0; i < count; i++) {
        const double a = (double)now[i], b = (double)reference[i];
        if (isnan(b)) continue;
        own += a * a;
        other += b * b;
        apart += (a - b) * (a - b);
        product += a * b;
    }
    *distance = other > 0 ? sqrt(apart / other) : NAN;
    *cosine = own > 0 && other > 0 ? product / sqrt(own * other) : NAN;
}

/* -------------------------------------------------------------------------------- features */

void qg_measure_dormancy(const float *features, size_t n, const qg_layer *layer, double *dormant,
                         double *dead)
{
    const size_t units = (size_t)layer->outputs;
    const size_t places = qg_layer_width(layer) / units;
    double all = 0;
    for (size_t i = 0; i < n * units * places; i++)
        all += fabs((double)features[i]);
    const double mean = all / (double)units; /* of a unit, summed over states and places */
    size_t low = 0, none = 0;
    for (size_t u = 0; u < units; u++) {
        double sum = 0;
        for (size_t s = 0; s < n; s++)
            for (size_t k = 0; k < places; k++)
                sum += fabs((double)features[(s * units + u) * places + k]);
        low += sum <= QG_DORMANT_SCORE * mean;
        none += sum == 0;
    }
    *dormant = (double)low / (double)units;
    *dead = (double)none / (double)units;
}

/* ------------------------------------------------------------------------------- gradients */

void qg_gradient_sums_add(qg_gradient_sums *sums, const qg_network *gradient)
{
    const qg_architecture *a = &gradient->architecture;
    double *sum = sums->sum;
    sums->count++;
    for (int l = 0; l < a->layer_count; l++) {
        const size_t count = qg_layer_parameters(&a->layers[l]);
        for (size_t i = 0; i < count; i++) {
            const double g = (double)gradient->weights[l][i];
            sum[i] += g;
            sums->squares[l] += g * g;
        }
        sum += count;
    }
}

double qg_gradient_noise(const qg_gradient_sums *sums, const qg_network *network, int layer)
{
    const size_t first = (size_t)(network->weights[layer] - network->parameters);
    const size_t count = qg_layer_parameters(&network->architecture.layers[layer]);
    const double n = sums->count;
    double signal = 0; /* squared norm of the mean gradient */
    if (sums->count < 2 || !(sums->squares[layer] > 0)) return NAN;
    for (size_t i = first; i < first + count; i++)
        signal += sums->sum[i] / n * (sums->sum[i] / n);
    return fmax(0, (1 - signal / (sums->squares[layer] / n)) * n / (n - 1));
}

double qg_update_size(const qg_network *before, const qg_network *after, int layer)
{
    double distance, cosine;
    qg_measure_drift(after->weights[layer], before->weights[layer],
                     qg_layer_parameters(&before->architecture.layers[layer]), &distance, &cosine);
    return distance;
}
