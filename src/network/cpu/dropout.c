#include "network/cpu/dropout.h"

#include "base/random.h"
#include "network/cpu/bf16.h"

#include <stdio.h>

float qg_dropout_of(const qg_cpu *cpu, const qg_dropout *dropout, int l)
{
    if (l + 1 >= cpu->architecture.layer_count) return 0;
    return cpu->architecture.layers[l].kind == QG_CONV ? dropout->conv : dropout->linear;
}

/* An output that stays, in the format of the layer above. */
static float enlarge(const qg_plan *plan, float output, float scale)
{
    return plan->round_out ? qg_bf16_round(output * scale) : output * scale;
}

static void drop(const qg_cpu *cpu, int l, int image, uint64_t draw, float p)
{
    const qg_plan *plan = &cpu->plans[l];
    char purpose[48];
    snprintf(purpose, sizeof purpose, "dropout/%d/%d", l, image);
    qg_random random = qg_random_stream(draw, purpose);
    const uint64_t threshold = (uint64_t)((double)p * 0x1p32);
    const float scale = 1 / (1 - p);
    float *image_outputs = cpu->activations[l + 1] + (size_t)image * plan->out_image;
    for (int pixel = 0; pixel < plan->pixels; pixel++) {
        float *outputs = image_outputs + plan->pixel_out[pixel];
        for (int n = 0; n < plan->outputs; n += 2) { /* one draw serves two outputs */
            const uint64_t bits = qg_random_u64(&random);
            outputs[n] = bits >> 32 < threshold ? 0 : enlarge(plan, outputs[n], scale);
            outputs[n + 1] =
                (bits & 0xffffffff) < threshold ? 0 : enlarge(plan, outputs[n + 1], scale);
        }
    }
}

void qg_dropout_apply(const qg_cpu *cpu, const qg_dropout *dropout, int l, int begin, int end)
{
    const float p = qg_dropout_of(cpu, dropout, l);
    for (int image = begin; p > 0 && image < end; image++)
        drop(cpu, l, image, dropout->draw, p);
}
