#include "network/cpu/dropout.h"

#include "network/cpu/bf16.h"

#include <stdio.h>

float qg_dropout_of(const qg_architecture *architecture, const qg_dropout *dropout, int l)
{
    if (l + 1 >= architecture->layer_count) return 0;
    return architecture->layers[l].kind == QG_CONV ? dropout->conv : dropout->linear;
}

qg_drops qg_drops_of(const qg_dropout *dropout, int l, int image, float probability)
{
    char purpose[48];
    snprintf(purpose, sizeof purpose, "dropout/%d/%d", l, image);
    return (qg_drops){.random = qg_random_stream(dropout->draw, purpose),
                      .threshold = (uint64_t)((double)probability * 0x1p32),
                      .scale = 1 / (1 - probability)};
}

float qg_drops_next(qg_drops *drops)
{
    if (!drops->second) drops->bits = qg_random_u64(&drops->random);
    const uint64_t half = drops->second ? drops->bits & 0xffffffff : drops->bits >> 32;
    drops->second = !drops->second;
    return half < drops->threshold ? 0 : drops->scale;
}

static void drop(const qg_cpu *cpu, const qg_dropout *dropout, int l, int image, float p)
{
    const qg_plan *plan = &cpu->plans[l];
    qg_drops drops = qg_drops_of(dropout, l, image, p);
    float *image_outputs = cpu->activations[l + 1] + (size_t)image * plan->out_image;
    for (int pixel = 0; pixel < plan->pixels; pixel++) {
        float *outputs = image_outputs + plan->pixel_out[pixel];
        for (int n = 0; n < plan->outputs; n++) {
            const float scale = qg_drops_next(&drops), output = scale > 0 ? outputs[n] * scale : 0;
            outputs[n] = cpu->rounds[l] ? qg_bf16_round(output) : output;
        }
    }
}

void qg_dropout_apply(const qg_cpu *cpu, const qg_dropout *dropout, int l, int begin, int end)
{
    const float p = qg_dropout_of(&cpu->architecture, dropout, l);
    for (int image = begin; p > 0 && image < end; image++)
        drop(cpu, dropout, l, image, p);
}
