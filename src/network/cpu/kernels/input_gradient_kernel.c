/* Gradients of a layer's inputs. */
#include "network/cpu/kernels/parts.h"
#include "network/cpu/kernels/tile.h"

/* b[tap][output][16 channels]: the weights of input channels c0 ... c0+15, turned so that the
 * channels are the panel. Channels beyond the last (a multiple of 8) are zeros. The next channels'
 * weights are fetched meanwhile. */
static void turn_weights(const qg_plan *plan, const float *weights, int c0, float *b)
{
    const int taps = plan->kernel * plan->kernel;
    const bool high = plan->in_channels - c0 > 8;
    for (int tap = 0; tap < taps; tap++)
        for (int n = 0; n < plan->outputs; n += 8) {
            const float *w = weights + (size_t)(n / QG_PANEL) * (size_t)plan->k_count * QG_PANEL +
                             (size_t)(tap * plan->in_channels + c0) * QG_PANEL + n % QG_PANEL;
            float *o = b + (size_t)(tap * plan->outputs + n) * QG_PANEL;
            for (int line = 0; line < 8; line++)
                __builtin_prefetch(w + (QG_PANEL + 2 * line) * QG_PANEL, 0, 2);
            transpose_8x8(w, QG_PANEL, o, QG_PANEL);
            if (high)
                transpose_8x8(w + 8 * QG_PANEL, QG_PANEL, o + 8, QG_PANEL);
            else
                for (int j = 0; j < 8; j++)
                    memset(o + j * QG_PANEL + 8, 0, 8 * sizeof *o);
        }
}

static void set_taps(const qg_plan *plan, const qg_gather *g, const float *b, run *runs)
{
    const size_t tap_size = (size_t)plan->outputs * QG_PANEL;
    for (int y = 0; y < g->rows; y++)
        for (int x = 0; x < g->columns; x++) {
            const int tap = g->tap + plan->stride * (y * plan->kernel + x);
            const int pixel = g->pixel - y * plan->columns - x;
            *runs++ = (run){pixel * plan->grad_pixel, plan->outputs, b + (size_t)tap * tap_size, 0};
        }
}

/* Offset, in the layer below's gradient, of channels c ... c+7 of input pixel `pixel`. */
static size_t below_offset(const qg_plan *plan, int pixel, int c)
{
    const int inner = c / plan->below_channels; /* a linear layer: the pixel below */
    return (size_t)(pixel + inner) * (size_t)plan->below_grad_pixel +
           (size_t)(c - inner * plan->below_channels);
}

/* One input pixel of several images. */
typedef struct gather_tile {
    const run *runs;
    int run_count;
    size_t b_stride;             /* from a panel's turned weights to the next one's */
    const float *gradient[ROWS]; /* of the images */
    const float *in;             /* of the first image: of the pixel */
    float *low[WIDE];            /* for each panel two times 8 channels of the gradient below; */
    float *high[WIDE];           /* the last of these may be NULL */
    size_t in_image, below_image;
    float scale;
    bool round;
} gather_tile;

INLINE vec below_gradient(const gather_tile *t, vec scale, vec sum, vec in)
{
    vec gradient = vec_where_positive(sum * scale, in);
#ifdef QG_BF16
    gradient = vec_flush(gradient);
#endif
    return t->round ? vec_round(gradient) : gradient;
}

INLINE void input_gradient_tile(const int rows, const int panels, const gather_tile *t)
{
    tile_row c[ROWS];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        __builtin_prefetch(t->in + (size_t)i * t->in_image);
        __builtin_prefetch(t->low[0] + (size_t)i * t->below_image, 1);
        zero_panels(panels, c[i]);
    }
    multiply(rows, panels, t->gradient, t->runs, t->run_count, t->b_stride, c);
    const vec scale = vec_set(t->scale);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int p = 0; p < panels; p++) {
            const float *active = t->in + (size_t)i * t->in_image + p * QG_PANEL;
            const size_t to = (size_t)i * t->below_image;
            panel mask;
            load_halves(active, t->high[p] != NULL, mask);
            for (int v = 0; v < VECTORS; v++)
                c[i][p][v] = below_gradient(t, scale, c[i][p][v], mask[v]);
            store_halves(t->low[p] + to, t->high[p] ? t->high[p] + to : NULL, c[i][p]);
        }
}

/* Floats of a panel's turned weights. */
static size_t turned_size(const qg_plan *plan)
{
    return (size_t)(plan->kernel * plan->kernel * plan->outputs) * QG_PANEL;
}

/* Input pixels [first, last) of the panels from channel c0 on: image by image, as many as a tile
 * has rows, so that their gradients are in the second cache and the taps of one phase in the first.
 */
static void gather_panels(const qg_plan *plan, const float *gradient, const float *in, float *below,
                          float scale, int images, int c0, int panels, const qg_gather *first,
                          const qg_gather *last, const float *b)
{
    run runs[64 * 64]; /* the largest kernel */
    for (int image = 0, rows; image < images; image += rows) {
        rows = qg_tile_rows(images - image, ROWS);
        gather_tile tile = {.runs = runs,
                            .b_stride = turned_size(plan),
                            .in_image = plan->in_image,
                            .below_image = plan->below_grad_image,
                            .scale = scale,
                            .round = plan->round_below};
        for (int i = 0; i < rows; i++)
            tile.gradient[i] = gradient + (size_t)(image + i) * plan->grad_image;
        float *to = below + (size_t)image * plan->below_grad_image;
        for (const qg_gather *g = first; g < last; g++) {
            set_taps(plan, g, b, runs);
            tile.run_count = g->rows * g->columns;
            tile.in = in + (size_t)image * plan->in_image + g->in + c0;
            for (int p = 0, c = c0; p < panels; p++, c += QG_PANEL) {
                const bool high = plan->in_channels - c > 8;
                tile.low[p] = to + below_offset(plan, g->in_pixel, c);
                tile.high[p] = high ? to + below_offset(plan, g->in_pixel, c + 8) : NULL;
            }
            WITH_TILE(rows, panels, input_gradient_tile, &tile)
        }
    }
}

void QG_PART(input_gradient)(const qg_plan *plan, const float *gradient, const float *weights,
                             const float *in, float *below, float scale, int images, int item0,
                             int item1, float *scratch)
{
    const int pixels = plan->in_rows * plan->in_columns;
    for (int item = item0, next; item < item1; item = next) {
        const int from = item / pixels * pixels, c0 = item / pixels * WIDE * QG_PANEL;
        const int panels = plan->in_channels - c0 > QG_PANEL ? WIDE : 1;
        next = item1 < from + pixels ? item1 : from + pixels;
        for (int p = 0; p < panels; p++)
            turn_weights(plan, weights, c0 + p * QG_PANEL, scratch + (size_t)p * turned_size(plan));
        gather_panels(plan, gradient, in, below, scale, images, c0, panels,
                      plan->gathers + (item - from), plan->gathers + (next - from), scratch);
    }
}
