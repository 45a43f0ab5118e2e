#include "network/cpu/norm.h"

#include "network/cpu/bf16.h"

#include <math.h>
#include <string.h>

enum { CHAINS = 8 }; /* outputs are stored in eights */

/* The normalised outputs [pixel][outputs], then 1 / deviation. */
size_t qg_norm_image(const qg_plan *plan)
{
    return (size_t)(plan->pixels * plan->outputs) + 1;
}

static float *kept_of(const qg_cpu *cpu, int l, int image)
{
    return cpu->normed[l] + (size_t)image * qg_norm_image(&cpu->plans[l]);
}

static double add_chains(const double chains[CHAINS])
{
    double sum = 0;
    for (int i = 0; i < CHAINS; i++)
        sum += chains[i];
    return sum;
}

/* What pads an image's outputs: zeros also behind inputs that are not finite. */
static void clear_padding(const qg_plan *plan, int units, float *outputs)
{
    for (int pixel = 0; pixel < plan->pixels; pixel++)
        for (int n = units; n < plan->outputs; n++)
            outputs[plan->pixel_out[pixel] + n] = 0;
}

/* Mean and 1 / deviation of an image's outputs; what pads is zeros. */
static void find_moments(const qg_plan *plan, const float *outputs, int count, double *mean,
                         double *inverse)
{
    double sums[CHAINS] = {0}, squares[CHAINS] = {0};
    for (int pixel = 0; pixel < plan->pixels; pixel++) {
        const float *x = outputs + plan->pixel_out[pixel];
        for (int n = 0; n < plan->outputs; n += CHAINS)
            for (int i = 0; i < CHAINS; i++) {
                sums[i] += (double)x[n + i];
                squares[i] += (double)x[n + i] * (double)x[n + i];
            }
    }
    *mean = add_chains(sums) / count;
    *inverse = 1 / sqrt(fmax(add_chains(squares) / count - *mean * *mean, 0) + 1e-5);
}

static void norm_image(const qg_cpu *cpu, int l, float *outputs, float *kept)
{
    const qg_plan *plan = &cpu->plans[l];
    const int units = cpu->architecture.layers[l].outputs;
    double mean, inverse;
    clear_padding(plan, units, outputs);
    find_moments(plan, outputs, plan->pixels * units, &mean, &inverse);
    const float centre = (float)mean, scale = (float)inverse;
    for (int pixel = 0; pixel < plan->pixels; pixel++) {
        float *x = outputs + plan->pixel_out[pixel];
        for (int n = 0; n < units; n++)
            x[n] = (x[n] - centre) * scale;
        if (kept) memcpy(kept + pixel * plan->outputs, x, (size_t)units * sizeof *x);
        for (int n = 0; n < units; n++)
            x[n] = x[n] > 0 ? x[n] : 0;
        for (int n = 0; n < units && cpu->rounds[l]; n++)
            x[n] = qg_bf16_round(x[n]);
    }
    if (kept) kept[plan->pixels * plan->outputs] = (float)inverse;
}

void qg_norm_forward(const qg_cpu *cpu, int l, int begin, int end, bool keep)
{
    if (!cpu->architecture.layers[l].norm) return;
    for (int image = begin; image < end; image++)
        norm_image(cpu, l, cpu->activations[l + 1] + (size_t)image * cpu->plans[l].out_image,
                   keep && cpu->normed[l] ? kept_of(cpu, l, image) : NULL);
}

/* d -> (d - mean d - x mean(d x)) / deviation */
static void backward_image(const qg_cpu *cpu, int l, float *gradient, const float *kept)
{
    const qg_plan *plan = &cpu->plans[l];
    const int units = cpu->architecture.layers[l].outputs, count = plan->pixels * units;
    const bool rounded = cpu->bf16 && l + 1 < cpu->architecture.layer_count;
    double sums[CHAINS] = {0}, products[CHAINS] = {0};
    for (int pixel = 0; pixel < plan->pixels; pixel++) {
        const float *d = gradient + pixel * plan->grad_pixel, *x = kept + pixel * plan->outputs;
        for (int n = 0; n < plan->outputs; n += CHAINS)
            for (int i = 0; i < CHAINS; i++) {
                sums[i] += (double)d[n + i];
                products[i] += (double)d[n + i] * (double)x[n + i];
            }
    }
    const float mean = (float)(add_chains(sums) / count);
    const float along = (float)(add_chains(products) / count);
    const float inverse = kept[plan->pixels * plan->outputs];
    for (int pixel = 0; pixel < plan->pixels; pixel++) {
        float *d = gradient + pixel * plan->grad_pixel;
        const float *x = kept + pixel * plan->outputs;
        for (int n = 0; n < units; n++)
            d[n] = (d[n] - mean - x[n] * along) * inverse;
        for (int n = 0; n < units && rounded; n++)
            d[n] = qg_bf16_round(d[n]);
    }
}

void qg_norm_backward(const qg_cpu *cpu, int l, int begin, int end)
{
    for (int image = begin; image < end; image++)
        backward_image(cpu, l, cpu->gradients[l] + (size_t)image * cpu->plans[l].grad_image,
                       kept_of(cpu, l, image));
}
