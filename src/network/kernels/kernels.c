/* Kernels of a weighted layer; see kernels.h for the layouts. Built once per instruction set.
 *
 * The core is a tile of ROWS x 16 sums that stay in registers (6 x 2 vectors of AVX2 leave four of
 * the sixteen registers for two weights and a broadcast):
 *
 *            k ->                 panel: 16 outputs
 *   row 0   a a a a ...      k    b b b b b b b b b b b b b b b b
 *   row 1   a a a a ...      |    b b ...
 *    ...                     v
 *   row 5   a a a a ...           sums[row][16] += a[row][k] * b[k][16]
 *
 *   forward          rows: 6 pixels           k: inputs       panel: 16 outputs
 *   input gradient   rows: a pixel in 6 images  k: (tap, output)  panel: 16 input channels
 *   weight gradient  rows: 6 k                k: pixels       panel: 16 outputs
 */
#include "network/kernels/kernels.h"
#include "network/kernels/simd.h"

#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 6 };

typedef vec panel[VECTORS]; /* 16 floats */

/* A run of k: `size` values from a[row] + offset against b[0 ... size-1][16]. */
typedef struct run {
    int offset, size;
    const float *b;
} run;

INLINE void multiply(const int rows, const float *const *a, const run *runs, int run_count,
                     panel *sums)
{
    panel c[ROWS];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            c[i][v] = sums[i][v];
    for (const run *r = runs; r < runs + run_count; r++) {
        const float *b = r->b;
        const long end = r->offset + r->size;
#pragma GCC unroll 4
        for (long k = r->offset; k < end; k++, b += QG_PANEL) {
            panel w;
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                w[v] = vec_load(b + v * LANES);
#pragma GCC unroll 6
            for (int i = 0; i < rows; i++) {
                const vec x = vec_set(a[i][k]);
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; v++)
                    c[i][v] = vec_fma(x, w[v], c[i][v]);
            }
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            sums[i][v] = c[i][v];
}

static void multiply_rows(int rows, const float *const *a, const run *runs, int run_count,
                          panel *sums)
{
    switch (rows) {
    case 6:
        multiply(6, a, runs, run_count, sums);
        break;
    case 5:
        multiply(5, a, runs, run_count, sums);
        break;
    case 4:
        multiply(4, a, runs, run_count, sums);
        break;
    case 3:
        multiply(3, a, runs, run_count, sums);
        break;
    case 2:
        multiply(2, a, runs, run_count, sums);
        break;
    default:
        multiply(1, a, runs, run_count, sums);
        break;
    }
}

/* How many of `left` rows the next tile takes: 6, but no tile of 1 or 2 is left over, whose few
 * sums would wait for each other. */
static int next_rows(int left)
{
    if (left >= 9 || left == 6) return 6;
    return left > 4 ? (left == 5 ? 5 : 4) : left;
}

/* 16 floats at two places of 8 each; the second may be NULL (zeros; not stored). */
INLINE void load_halves(const float *low, const float *high, panel p)
{
    for (int v = 0; v < HALF; v++) {
        p[v] = vec_load(low + v * LANES);
        p[HALF + v] = high ? vec_load(high + v * LANES) : vec_set(0);
    }
}

INLINE void store_halves(float *low, float *high, const panel p)
{
    for (int v = 0; v < HALF; v++) {
        vec_store(low + v * LANES, p[v]);
        if (high) vec_store(high + v * LANES, p[HALF + v]);
    }
}

/* ------------------------------------------------------------------------------- forward */

enum { BLOCK_RUNS = 16 };

/* One block of k for all pixels of a panel: begins with the bias or with the sums so far, ends with
 * the ReLU if it is the last. */
static void forward_block(const qg_plan *plan, const float *in, const run *runs, int run_count,
                          const float *bias, float *out, bool high, int images, bool first,
                          bool last)
{
    const int total = images * plan->pixels;
    int image = 0, pixel = 0;
    for (int done = 0; done < total;) {
        const int rows = next_rows(total - done);
        const float *a[ROWS];
        float *o[ROWS];
        panel sums[ROWS];
        for (int i = 0; i < rows; i++) {
            a[i] = in + (size_t)image * plan->in_image + plan->pixel_in[pixel];
            o[i] = out + (size_t)image * plan->out_image + plan->pixel_out[pixel];
            if (first)
                load_halves(bias, bias + 8, sums[i]);
            else
                load_halves(o[i], high ? o[i] + 8 : NULL, sums[i]);
            if (++pixel == plan->pixels) {
                pixel = 0;
                image++;
            }
        }
        multiply_rows(rows, a, runs, run_count, sums);
        for (int i = 0; i < rows; i++) {
            if (last && plan->relu)
                for (int v = 0; v < VECTORS; v++)
                    sums[i][v] = vec_max(sums[i][v], vec_set(0));
            store_halves(o[i], high ? o[i] + 8 : NULL, sums[i]);
        }
        done += rows;
    }
}

static void forward_panel(const qg_plan *plan, const float *in, const float *weights,
                          const float *bias, float *out, int images, int index)
{
    const float *b = weights + (size_t)index * (size_t)plan->k_count * QG_PANEL;
    const bool high = plan->outputs - index * QG_PANEL > 8;
    /* The block's weights (at most about 32 KB) stay in the first cache while all pixels pass. */
    for (int s = 0; s < plan->segment_count;) {
        run runs[BLOCK_RUNS];
        int count = 0, size = 0;
        const bool first = s == 0;
        while (s < plan->segment_count && count < BLOCK_RUNS &&
               (size == 0 || size + plan->segments[s].size <= 2 * QG_SEGMENT_MAX)) {
            runs[count++] = (run){plan->segments[s].offset, plan->segments[s].size, b};
            b += (size_t)plan->segments[s].size * QG_PANEL;
            size += plan->segments[s++].size;
        }
        forward_block(plan, in, runs, count, bias + index * QG_PANEL, out + index * QG_PANEL, high,
                      images, first, s == plan->segment_count);
    }
}

/* One pixel of one image (acting): a single row against 4 panels at once, since the sums of one
 * panel would wait for each other. The chains are the same. */
static void forward_single(const qg_plan *plan, const float *in, const float *weights,
                           const float *bias, float *out, int index)
{
    const size_t stride = (size_t)plan->k_count * QG_PANEL;
    const float *b = weights + (size_t)index * stride;
    const float *a = in + plan->pixel_in[0];
    panel c[4];
    for (int p = 0; p < 4; p++)
        load_halves(bias + (index + p) * QG_PANEL, bias + (index + p) * QG_PANEL + 8, c[p]);
    for (int s = 0; s < plan->segment_count; s++) {
        const float *x = a + plan->segments[s].offset;
#pragma GCC unroll 2
        for (int k = 0; k < plan->segments[s].size; k++, b += QG_PANEL) {
            const vec value = vec_set(x[k]);
#pragma GCC unroll 4
            for (int p = 0; p < 4; p++)
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; v++)
                    c[p][v] = vec_fma(value, vec_load(b + (size_t)p * stride + v * LANES), c[p][v]);
        }
    }
    for (int p = 0; p < 4; p++) {
        const bool high = plan->outputs - (index + p) * QG_PANEL > 8;
        float *o = out + plan->pixel_out[0] + (index + p) * QG_PANEL;
        if (plan->relu)
            for (int v = 0; v < VECTORS; v++)
                c[p][v] = vec_max(c[p][v], vec_set(0));
        store_halves(o, high ? o + 8 : NULL, c[p]);
    }
}

static void forward(const qg_plan *plan, const float *in, const float *weights, const float *bias,
                    float *out, int images, int panel0, int panel1)
{
    int index = panel0;
    if (images == 1 && plan->pixels == 1)
        for (; index + 4 <= panel1; index += 4)
            forward_single(plan, in, weights, bias, out, index);
    for (; index < panel1; index++)
        forward_panel(plan, in, weights, bias, out, images, index);
}

/* ------------------------------------------------------------------------ input gradient */

/* b[tap][output][16 channels]: the weights of input channels c0 ... c0+15, turned so that the
 * channels are the panel. Channels beyond the last (a multiple of 8) are zeros. */
static void turn_weights(const qg_plan *plan, const float *weights, int c0, float *b)
{
    const int taps = plan->kernel * plan->kernel;
    const bool high = plan->in_channels - c0 > 8;
    for (int tap = 0; tap < taps; tap++)
        for (int n = 0; n < plan->outputs; n += 8) {
            const float *w = weights + (size_t)(n / QG_PANEL) * (size_t)plan->k_count * QG_PANEL +
                             (size_t)(tap * plan->in_channels + c0) * QG_PANEL + n % QG_PANEL;
            float *o = b + (size_t)(tap * plan->outputs + n) * QG_PANEL;
            transpose_8x8(w, QG_PANEL, o, QG_PANEL);
            if (high)
                transpose_8x8(w + 8 * QG_PANEL, QG_PANEL, o + 8, QG_PANEL);
            else
                for (int j = 0; j < 8; j++)
                    memset(o + j * QG_PANEL + 8, 0, 8 * sizeof *o);
        }
}

/* The taps whose output pixel exists, for input pixel (y, x). */
static int find_taps(const qg_plan *plan, int y, int x, const float *b, run *runs)
{
    int count = 0;
    const int stride = plan->stride;
    y += plan->padding;
    x += plan->padding;
    for (int ky = y % stride; ky < plan->kernel && ky <= y; ky += stride) {
        const int row = (y - ky) / stride;
        if (row >= plan->rows) continue;
        for (int kx = x % stride; kx < plan->kernel && kx <= x; kx += stride) {
            const int column = (x - kx) / stride;
            if (column >= plan->columns) continue;
            const int tap = ky * plan->kernel + kx;
            runs[count++] = (run){(row * plan->columns + column) * plan->grad_pixel, plan->outputs,
                                  b + (size_t)tap * (size_t)plan->outputs * QG_PANEL};
        }
    }
    return count;
}

/* Offset, in the layer below's gradient, of channels c ... c+7 of input pixel `pixel`. */
static size_t below_offset(const qg_plan *plan, int pixel, int c)
{
    const int inner = c / plan->below_channels; /* a linear layer: the pixel below */
    return (size_t)(pixel + inner) * (size_t)plan->below_grad_pixel +
           (size_t)(c - inner * plan->below_channels);
}

static void input_gradient_pixel(const qg_plan *plan, const float *gradient, const float *in,
                                 float *below, float scale, int images, int pixel, int c0,
                                 const float *b)
{
    run runs[64 * 64]; /* the largest kernel */
    const int y = pixel / plan->in_columns, x = pixel % plan->in_columns;
    const int count = find_taps(plan, y, x, b, runs);
    const bool high = plan->in_channels - c0 > 8;
    const size_t low_offset = below_offset(plan, pixel, c0);
    const size_t high_offset = high ? below_offset(plan, pixel, c0 + 8) : 0;
    in += (size_t)(y + plan->padding) * (size_t)plan->in_row +
          (size_t)((x + plan->padding) * plan->in_channels + c0);
    for (int image = 0; image < images;) {
        const int rows = next_rows(images - image);
        const float *a[ROWS];
        panel sums[ROWS];
        for (int i = 0; i < rows; i++) {
            a[i] = gradient + (size_t)(image + i) * plan->grad_image;
            for (int v = 0; v < VECTORS; v++)
                sums[i][v] = vec_set(0);
        }
        multiply_rows(rows, a, runs, count, sums);
        for (int i = 0; i < rows; i++) {
            const float *active = in + (size_t)(image + i) * plan->in_image;
            float *o = below + (size_t)(image + i) * plan->below_grad_image;
            panel mask;
            load_halves(active, high ? active + 8 : NULL, mask);
            for (int v = 0; v < VECTORS; v++)
                sums[i][v] = vec_where_positive(sums[i][v] * vec_set(scale), mask[v]);
            store_halves(o + low_offset, high ? o + high_offset : NULL, sums[i]);
        }
        image += rows;
    }
}

static void input_gradient(const qg_plan *plan, const float *gradient, const float *weights,
                           const float *in, float *below, float scale, int images, int item0,
                           int item1, float *scratch)
{
    const int pixels = plan->in_rows * plan->in_columns;
    int turned = -1;
    for (int item = item0; item < item1; item++) {
        const int c0 = item / pixels * QG_PANEL;
        if (c0 != turned) turn_weights(plan, weights, turned = c0, scratch);
        input_gradient_pixel(plan, gradient, in, below, scale, images, item % pixels, c0, scratch);
    }
}

/* ----------------------------------------------------------------------- weight gradient */

/* rows x columns pixels of one image (or one pixel of `columns` images), one tile. */
typedef struct walk {
    int rows, columns;
    size_t in_step, in_row, grad_step, grad_row;
} walk;

INLINE void accumulate(const int k_rows, const float *in, const float *gradient, const walk *w,
                       float *d)
{
    panel c[ROWS];
#pragma GCC unroll 6
    for (int i = 0; i < k_rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            c[i][v] = vec_load(d + i * QG_PANEL + v * LANES);
    const size_t in_step = w->in_step, grad_step = w->grad_step;
    for (int y = 0; y < w->rows; y++) {
        const float *a = in + (size_t)y * w->in_row, *g = gradient + (size_t)y * w->grad_row;
#pragma GCC unroll 4
        for (int x = w->columns; x > 0; x--, a += in_step, g += grad_step) {
            panel dy;
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                dy[v] = vec_load(g + v * LANES);
#pragma GCC unroll 6
            for (int i = 0; i < k_rows; i++) {
                const vec value = vec_set(a[i]);
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; v++)
                    c[i][v] = vec_fma(value, dy[v], c[i][v]);
            }
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < k_rows; i++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            vec_store(d + i * QG_PANEL + v * LANES, c[i][v]);
}

static void accumulate_rows(int k_rows, const float *in, const float *gradient, const walk *w,
                            float *d)
{
    switch (k_rows) {
    case 6:
        accumulate(6, in, gradient, w, d);
        break;
    case 5:
        accumulate(5, in, gradient, w, d);
        break;
    case 4:
        accumulate(4, in, gradient, w, d);
        break;
    case 3:
        accumulate(3, in, gradient, w, d);
        break;
    case 2:
        accumulate(2, in, gradient, w, d);
        break;
    default:
        accumulate(1, in, gradient, w, d);
        break;
    }
}

static void accumulate_tiles(const qg_plan *plan, const float *in, const float *gradient,
                             const walk *w, float *result, size_t panel_stride, int tile0,
                             int tile1)
{
    for (int p = 0; p < plan->panels; p++) {
        float *d = result + (size_t)p * panel_stride;
        for (const qg_k_tile *t = plan->k_tiles + tile0; t < plan->k_tiles + tile1; t++) {
            accumulate_rows(t->size, in + t->offset, gradient + p * QG_PANEL, w, d);
            d += t->size * QG_PANEL;
        }
    }
}

static void weight_gradient(const qg_plan *plan, const float *in, const float *gradient,
                            float *result, size_t panel_stride, int images, int tile0, int tile1)
{
    if (tile0 >= tile1) return;
    const qg_k_tile *last = plan->k_tiles + tile1 - 1;
    const size_t k_count = (size_t)(last->k + last->size - plan->k_tiles[tile0].k);
    for (int p = 0; p < plan->panels; p++)
        memset(result + (size_t)p * panel_stride, 0, k_count * QG_PANEL * sizeof(float));
    if (plan->pixels == 1) { /* the images are the pixels */
        const walk w = {1, images, plan->in_image, 0, plan->grad_image, 0};
        accumulate_tiles(plan, in, gradient, &w, result, panel_stride, tile0, tile1);
        return;
    }
    /* Blocks of about 64 pixels: inputs and gradients stay in the first cache for all tiles. */
    const int block = plan->columns >= 64 ? 1 : 64 / plan->columns;
    for (int image = 0; image < images; image++)
        for (int row = 0; row < plan->rows; row += block) {
            const walk w = {plan->rows - row < block ? plan->rows - row : block,
                            plan->columns,
                            (size_t)plan->in_step,
                            (size_t)plan->in_row_step,
                            (size_t)plan->grad_pixel,
                            (size_t)(plan->columns * plan->grad_pixel)};
            accumulate_tiles(
                plan, in + (size_t)image * plan->in_image + (size_t)row * (size_t)plan->in_row_step,
                gradient + (size_t)image * plan->grad_image + (size_t)row * w.grad_row, &w, result,
                panel_stride, tile0, tile1);
        }
}

static void bias_gradient(const qg_plan *plan, const float *gradient, float *result, int images,
                          int panel0, int panel1)
{
    for (int p = panel0; p < panel1; p++) {
        panel sum;
        for (int v = 0; v < VECTORS; v++)
            sum[v] = vec_set(0);
        for (int image = 0; image < images; image++) {
            const float *g = gradient + (size_t)image * plan->grad_image + p * QG_PANEL;
            for (int pixel = 0; pixel < plan->pixels; pixel++, g += plan->grad_pixel)
                for (int v = 0; v < VECTORS; v++)
                    sum[v] += vec_load(g + v * LANES);
        }
        store_halves(result + p * QG_PANEL, result + p * QG_PANEL + 8, sum);
    }
}

/* ------------------------------------------------------------------------------- the rest */

static void rmsprop(const qg_rmsprop *settings, float *weights, float *moment1, float *moment2,
                    const float *gradient, size_t count)
{
    const vec decay = vec_set(settings->decay), rest = vec_set(1 - settings->decay);
    const vec epsilon = vec_set(settings->epsilon), rate = vec_set(settings->learning_rate);
    for (size_t i = 0; i < count; i += LANES) { /* every block is padded to 16 */
        const vec d = vec_load(gradient + i), part = rest * d;
        const vec m1 = vec_fma(decay, vec_load(moment1 + i), part);
        const vec m2 = vec_fma(decay, vec_load(moment2 + i), part * d);
        vec_store(moment1 + i, m1);
        vec_store(moment2 + i, m2);
        /* Rounding can leave a variance of large gradients slightly negative. */
        const vec variance = vec_max(vec_fma(-m1, m1, m2), vec_set(0));
        vec_store(weights + i, vec_load(weights + i) + rate * d / vec_sqrt(variance + epsilon));
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

static void convert(const uint8_t *const *screens, int parts, int part_channels, int height,
                    int width, int max, int channels, int row, float *out)
{
    static const uint8_t zeros[1024 * 64];
    uint8_t line[4 * 1024];
    for (int y = 0; y < height; y++) {
        const size_t at = (size_t)y * (size_t)(width * part_channels);
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

#define TABLE_(isa) qg_kernels_##isa
#define TABLE(isa)  TABLE_(isa)
#define TEXT_(isa)  #isa
#define TEXT(isa)   TEXT_(isa)

const qg_kernels TABLE(QG_ISA) = {
    .name = TEXT(QG_ISA),
    .forward = forward,
    .input_gradient = input_gradient,
    .weight_gradient = weight_gradient,
    .bias_gradient = bias_gradient,
    .rmsprop = rmsprop,
    .convert = convert,
};
