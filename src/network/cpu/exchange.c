#include "network/cpu/exchange.h"

#include "network/cpu/geometry.h"
#include "network/optimiser.h"

#include <string.h>

/* Where the k-th weight of output n of layer `l`, in PyTorch's order, lies in a parameter block. */
static size_t place_of(const qg_cpu *cpu, int l, int n, int k)
{
    const qg_layer *layer = &cpu->architecture.layers[l];
    const int height = layer->kind == QG_CONV ? layer->kernel : layer->in_height;
    const int width = layer->kind == QG_CONV ? layer->kernel : layer->in_width;
    const int other = layer->heads && n > 0 ? (int)qg_layer_fan_in(layer) : 0; /* stream */
    const int c = k / (height * width) + other, y = k / width % height, x = k % width;
    return cpu->weights_at[l] + qg_plan_weight(&cpu->plans[l], layer, n, c, y, x);
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

void qg_cpu_write(qg_cpu *cpu, qg_parameter_set set, const qg_network *network)
{
    float *ours = cpu->parameters[set];
    for (int l = 0; l < cpu->architecture.layer_count; l++) {
        const qg_layer *layer = &cpu->architecture.layers[l];
        const int fan_in = (int)qg_layer_fan_in(layer);
        const float *weight = network->weights[l];
        for (int n = 0; n < layer->outputs; n++)
            for (int k = 0; k < fan_in; k++)
                ours[place_of(cpu, l, n, k)] = *weight++;
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

void qg_cpu_read(const qg_cpu *cpu, qg_parameter_set set, qg_network *network)
{
    const float *ours = cpu->parameters[set];
    for (int l = 0; l < cpu->architecture.layer_count; l++) {
        const qg_layer *layer = &cpu->architecture.layers[l];
        const int fan_in = (int)qg_layer_fan_in(layer);
        float *weight = network->weights[l];
        for (int n = 0; n < layer->outputs; n++)
            for (int k = 0; k < fan_in; k++)
                *weight++ = ours[place_of(cpu, l, n, k)];
        memcpy(network->biases[l], ours + cpu->biases_at[l],
               (size_t)layer->outputs * sizeof(float));
    }
}
