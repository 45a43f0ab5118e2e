#include "network/cpu/exchange.h"

#include "network/cpu/geometry.h"
#include "network/cpu/heads.h"
#include "network/optimiser.h"

#include <string.h>

/* The weights of output n of a layer, in PyTorch's order, as they lie in a parameter block: width
 * times height times channels of them, each kind so far apart. */
typedef struct weight_row {
    size_t first, column, line;
    int channels, height, width;
} weight_row;

static weight_row row_of(const qg_cpu *cpu, int l, int n)
{
    const qg_layer *layer = &cpu->architecture.layers[l];
    const qg_plan *plan = &cpu->plans[l];
    const int height = layer->kind == QG_CONV ? layer->kernel : layer->in_height;
    const int width = layer->kind == QG_CONV ? layer->kernel : layer->in_width;
    const size_t first = qg_plan_weight(plan, layer, n, qg_heads_inputs(layer, n), 0, 0);
    const size_t column = (size_t)(plan->k_count / (width * height)) * QG_PANEL;
    return (weight_row){.first = cpu->weights_at[l] + first,
                        .column = column,
                        .line = (size_t)width * column,
                        .channels = (int)qg_layer_fan_in(layer) / (height * width),
                        .height = height,
                        .width = width};
}

/* A set's parameters in the form that products take. */
static void find_operands(const qg_cpu *cpu, qg_parameter_set set)
{
    const float *from = cpu->parameters[set];
    float *to = cpu->operands[set];
    for (int l = 0; l < cpu->architecture.layer_count && cpu->bf16; l++) {
        const size_t weights = cpu->weights_at[l], biases = cpu->biases_at[l];
        cpu->kernels[l]->round(from + weights, to + weights, biases - weights);
        memcpy(to + biases, from + biases, (size_t)cpu->plans[l].panels * QG_PANEL * sizeof(float));
    }
}

/* The weight behind the row. */
static const float *write_row(float *ours, weight_row r, const float *weight)
{
    for (int c = 0; c < r.channels; c++)
        for (int y = 0; y < r.height; y++)
            for (int x = 0; x < r.width; x++)
                ours[r.first + (size_t)c * QG_PANEL + (size_t)y * r.line + (size_t)x * r.column] =
                    *weight++;
    return weight;
}

void qg_cpu_write(qg_cpu *cpu, qg_parameter_set set, const qg_network *network)
{
    float *ours = cpu->parameters[set];
    for (int l = 0; l < cpu->architecture.layer_count; l++) {
        const qg_layer *layer = &cpu->architecture.layers[l];
        const float *weight = network->weights[l];
        for (int n = 0; n < layer->outputs; n++)
            weight = write_row(ours, row_of(cpu, l, n), weight);
        memcpy(ours + cpu->biases_at[l], network->biases[l],
               (size_t)layer->outputs * sizeof(float));
    }
    if (set <= QG_TARGET) find_operands(cpu, set);
}

void qg_cpu_copy_to_target(qg_cpu *cpu)
{
    const size_t size = cpu->parameter_count * sizeof(float);
    memcpy(cpu->parameters[QG_TARGET], cpu->parameters[QG_ONLINE], size);
    if (cpu->bf16) memcpy(cpu->operands[QG_TARGET], cpu->operands[QG_ONLINE], size);
}

void qg_cpu_mix_into_target(qg_cpu *cpu, float tau)
{
    qg_mix(cpu->parameters[QG_TARGET], cpu->parameters[QG_ONLINE], tau, cpu->parameter_count);
    find_operands(cpu, QG_TARGET);
}

static float *read_row(const float *ours, weight_row r, float *weight)
{
    for (int c = 0; c < r.channels; c++)
        for (int y = 0; y < r.height; y++)
            for (int x = 0; x < r.width; x++)
                *weight++ = ours[r.first + (size_t)c * QG_PANEL + (size_t)y * r.line +
                                 (size_t)x * r.column];
    return weight;
}

void qg_cpu_read(const qg_cpu *cpu, qg_parameter_set set, qg_network *network)
{
    const float *ours = cpu->parameters[set];
    for (int l = 0; l < cpu->architecture.layer_count; l++) {
        const qg_layer *layer = &cpu->architecture.layers[l];
        float *weight = network->weights[l];
        for (int n = 0; n < layer->outputs; n++)
            weight = read_row(ours, row_of(cpu, l, n), weight);
        memcpy(network->biases[l], ours + cpu->biases_at[l],
               (size_t)layer->outputs * sizeof(float));
    }
}
