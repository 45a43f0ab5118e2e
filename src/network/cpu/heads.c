#include "network/cpu/heads.h"

#include "network/cpu/kernels/kernels.h"

static float sum_of(const float *numbers, int count)
{
    float sum = 0;
    for (int i = 0; i < count; i++)
        sum += numbers[i];
    return sum;
}

void qg_heads_join(const float *heads, int actions, float *q_values)
{
    const float base = heads[0] - sum_of(heads + 1, actions) / (float)actions;
    for (int a = 0; a < actions; a++)
        q_values[a] = base + heads[1 + a];
}

void qg_heads_split(const float *gradient, int actions, float *heads)
{
    const float sum = sum_of(gradient, actions), mean = sum / (float)actions;
    heads[0] = sum;
    for (int a = 0; a < actions; a++)
        heads[1 + a] = gradient[a] - mean;
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
