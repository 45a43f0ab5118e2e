/* What is done number by number, in either precision: optimisers' steps, screens to floats. */
#include "network/cpu/kernels/parts.h"
#include "network/cpu/kernels/simd.h"

void QG_SET(rmsprop)(const qg_rmsprop *settings, float *weights, float *moment1, float *moment2,
                     const float *gradient, size_t count)
{
    const vec decay = vec_set(settings->decay), rest = vec_set(1 - settings->decay);
    const vec epsilon = vec_set(settings->epsilon), rate = vec_set(settings->learning_rate);
    for (size_t i = 0; i < count; i += LANES) { /* every block is padded to 16 */
        const vec d = vec_load(gradient + i), part = rest * d;
        /* The moments of a unit that has died decay for ever: denormals would stay, each at the
         * price of a hundred operations. */
        const vec m1 = vec_normal(vec_fma(decay, vec_load(moment1 + i), part));
        const vec m2 = vec_normal(vec_fma(decay, vec_load(moment2 + i), part * d));
        vec_store(moment1 + i, m1);
        vec_store(moment2 + i, m2);
        /* Rounding can leave a variance of large gradients slightly negative. */
        const vec variance = vec_max(vec_fma(-m1, m1, m2), vec_set(0));
        vec_store(weights + i, vec_load(weights + i) + rate * d / vec_sqrt(variance + epsilon));
    }
}

void QG_SET(adam)(const qg_adam *step, float *weights, float *moment1, float *moment2,
                  const float *gradient, size_t count)
{
    const vec beta1 = vec_set(step->beta1), rest1 = vec_set(step->rest1);
    const vec beta2 = vec_set(step->beta2), rest2 = vec_set(step->rest2);
    const vec rate = vec_set(step->rate), scale = vec_set(step->scale);
    const vec epsilon = vec_set(step->epsilon);
    for (size_t i = 0; i < count; i += LANES) {
        const vec d = vec_load(gradient + i);
        const vec m1 = vec_normal(vec_fma(beta1, vec_load(moment1 + i), rest1 * d));
        const vec m2 = vec_normal(vec_fma(beta2, vec_load(moment2 + i), rest2 * d * d));
        vec_store(moment1 + i, m1);
        vec_store(moment2 + i, m2);
        const vec change = rate * m1 / vec_fma(vec_sqrt(m2), scale, epsilon);
        vec_store(weights + i, vec_load(weights + i) + change);
    }
}

/* n bytes to floats, value / max correctly rounded. */
static void to_floats(const uint8_t *bytes, int n, int max, float *out)
{
    if (max == 1) {
        for (int i = 0; i < n; i++)
            out[i] = (float)bytes[i];
        return;
    }
    /* A division is slow and a product with 1/255 is one ulp off for half of the values. */
    const float inverse = 1 / 255.0f;
    for (int i = 0; i < n; i++) {
        const float x = (float)bytes[i], q = x * inverse;
        out[i] = fmaf(fmaf(-q, 255.0f, x), inverse, q);
    }
}

void QG_SET(convert)(const uint8_t *const *screens, int parts, int part_channels, int height,
                     int width, int max, int channels, int row, float *out)
{
    static const uint8_t zeros[1024 * 64];
    uint8_t line[4 * 1024];
    for (int y = 0; y < height; y++) {
        const size_t at = (size_t)y * (size_t)(width * part_channels);
        if (parts == 1 && part_channels == channels && screens[0]) {
            to_floats(screens[0] + at, width * channels, max, out + (size_t)y * (size_t)row);
            continue;
        }
        if (parts == 4 && part_channels == 1 && channels == 4) { /* the usual history */
            const uint8_t *s[4];
            for (int p = 0; p < 4; p++)
                s[p] = screens[p] ? screens[p] + at : zeros;
            for (int x = 0; x < width; x++) {
                line[4 * x] = s[0][x];
                line[4 * x + 1] = s[1][x];
                line[4 * x + 2] = s[2][x];
                line[4 * x + 3] = s[3][x];
            }
            to_floats(line, 4 * width, max, out + (size_t)y * (size_t)row);
            continue;
        }
        for (int p = 0; p < parts; p++)
            for (int x = 0; x < width; x++) {
                float *o = out + (size_t)y * (size_t)row + x * channels + p * part_channels;
                if (screens[p])
                    to_floats(screens[p] + at + x * part_channels, part_channels, max, o);
                else
                    memset(o, 0, (size_t)part_channels * sizeof(float));
            }
    }
}
