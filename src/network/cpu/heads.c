#include "network/cpu/heads.h"

#include "network/cpu/kernels/kernels.h"

#include <string.h>

static float sum_of(const float *numbers, int count)
{
    float sum = 0;
    for (int i = 0; i < count; i++)
        sum += numbers[i];
    return sum;
}

static void join(const float *heads, int actions, float *q_values)
{
    const float base = heads[0] - sum_of(heads + 1, actions) / (float)actions;
    for (int a = 0; a < actions; a++)
        q_values[a] = base + heads[1 + a];
}

void qg_heads_join(const qg_architecture *architecture, const float *outputs, size_t row, int size,
                   float *q_values)
{
    const int actions = architecture->actions;
    const bool dueling = qg_architecture_is_dueling(architecture);
    for (int i = 0; i < size; i++, outputs += row, q_values += actions)
        if (dueling)
            join(outputs, actions, q_values);
        else
            memcpy(q_values, outputs, (size_t)actions * sizeof *q_values);
}

static void split(const float *gradient, int actions, float *heads)
{
    const float sum = sum_of(gradient, actions), mean = sum / (float)actions;
    heads[0] = sum;
    for (int a = 0; a < actions; a++)
        heads[1 + a] = gradient[a] - mean;
}

void qg_heads_loss(const qg_descent *descent, const qg_architecture *architecture,
                   const float *outputs, size_t row, float *room, float *gradient, size_t grad_row)
{
    const int size = descent->states.size, actions = architecture->actions;
    const size_t count = (size_t)size * (size_t)actions;
    const bool dueling = qg_architecture_is_dueling(architecture);
    float *q_values = room, *slopes = room + count;
    qg_heads_join(architecture, outputs, row, size, q_values);
    memset(slopes, 0, count * sizeof *slopes);
    descent->loss(descent->context, size, q_values, slopes);
    memset(gradient, 0, (size_t)size * grad_row * sizeof *gradient);
    for (int i = 0; i < size; i++, gradient += grad_row, slopes += actions)
        if (dueling)
            split(slopes, actions, gradient);
        else
            memcpy(gradient, slopes, (size_t)actions * sizeof *gradient);
}

int qg_heads_inputs(const qg_layer *layer, int n)
{
    return layer->heads && n > 0 ? (int)qg_layer_fan_in(layer) : 0;
}

void qg_heads_mask(float *gradient, int panel0, int panel1, int k0, int count, int units)
{
    for (int p = panel0; p < panel1; p++)
        for (int k = k0; k < k0 + count; k++, gradient += QG_PANEL)
            for (int lane = 0; lane < QG_PANEL; lane++) {
                const bool value = p == 0 && lane == 0;
                if (value != (k < units)) gradient[lane] = 0;
            }
}
