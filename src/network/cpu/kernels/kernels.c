/* Kernels of a weighted layer; see kernels.h for the layouts. Built once per instruction set.
 *
 * The core is a tile of rows x 16 sums that stay in registers (6 x 2 vectors of AVX2 leave four of
 * the sixteen registers for two weights and a broadcast; AVX-512 has 12 x 1 of its thirty-two, or
 * 12 x 2 where two panels stand side by side, which share the broadcasts):
 *
 *            k ->                 panel: 16 outputs
 *   row 0   a a a a ...      k    b b b b b b b b b b b b b b b b
 *   row 1   a a a a ...      |    b b ...
 *    ...                     v
 *   row 5   a a a a ...           sums[row][16] += a[row][k] * b[k][16]
 *
 *   forward          rows: pixels             k: inputs         panel: 16 outputs
 *   input gradient   rows: a pixel in images  k: (tap, output)  panel: 16 input channels
 *   weight gradient  rows: k                  k: pixels         panel: 16 outputs
 */
#include "network/cpu/kernels/kernels.h"
#include "network/cpu/kernels/simd.h"

#define INLINE static inline __attribute__((always_inline))
#define KERNEL static __attribute__((noinline)) void /* is not mixed with its caller's numbers */

/* Calls function(rows, ...) with `rows` a constant, so that the sums of a tile are registers. */
#define ROWS_CASE(n, function, ...)                                                                \
    case n:                                                                                        \
        function(n, __VA_ARGS__);                                                                  \
        break;
#if ROWS == 12
#define MORE_ROWS(function, ...)                                                                   \
    ROWS_CASE(12, function, __VA_ARGS__)                                                           \
    ROWS_CASE(11, function, __VA_ARGS__)                                                           \
    ROWS_CASE(10, function, __VA_ARGS__)                                                           \
    ROWS_CASE(9, function, __VA_ARGS__)                                                            \
    ROWS_CASE(8, function, __VA_ARGS__)                                                            \
    ROWS_CASE(7, function, __VA_ARGS__)
#else
#define MORE_ROWS(function, ...)
#endif
#define WITH_ROWS(rows, function, ...)                                                             \
    switch (rows) {                                                                                \
        MORE_ROWS(function, __VA_ARGS__)                                                           \
        ROWS_CASE(6, function, __VA_ARGS__)                                                        \
        ROWS_CASE(5, function, __VA_ARGS__)                                                        \
        ROWS_CASE(4, function, __VA_ARGS__)                                                        \
        ROWS_CASE(3, function, __VA_ARGS__)                                                        \
        ROWS_CASE(2, function, __VA_ARGS__)                                                        \
        ROWS_CASE(1, function, __VA_ARGS__)                                                        \
    }
/* ... and function(rows, panels, ...) with `panels`, 1 or WIDE, a constant too. */
#define WITH_TILE(rows, panels, function, ...)                                                     \
    if (WIDE > 1 && (panels) > 1)                                                                  \
        WITH_ROWS(rows, function, WIDE, __VA_ARGS__)                                               \
    else                                                                                           \
        WITH_ROWS(rows, function, 1, __VA_ARGS__)

typedef panel tile_row[WIDE]; /* the sums of a row: all of them, or the first panel's */

/* A run of k: `size` values from a[row] + offset against b[0 ... size-1][16], and as much for each
 * further panel, b_stride floats on. */
typedef struct run {
    int offset, size;
    const float *b;
    int at; /* of its first k in a chunk; even */
} run;

INLINE void load_panels(const int panels, const float *from, size_t stride, tile_row row)
{
#pragma GCC unroll 2
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            row[p][v] = vec_load(from + (size_t)p * stride + v * LANES);
}

INLINE void store_panels(const int panels, float *to, size_t stride, const tile_row row)
{
#pragma GCC unroll 2
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            vec_store(to + (size_t)p * stride + v * LANES, row[p][v]);
}

INLINE void zero_panels(const int panels, tile_row row)
{
#pragma GCC unroll 2
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            row[p][v] = vec_set(0);
}

/* c += x * w */
INLINE void add_product(const int panels, float x, const tile_row w, tile_row c)
{
    const vec all = vec_set(x);
#pragma GCC unroll 2
    for (int p = 0; p < panels; p++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            c[p][v] = vec_chain(all, w[p][v], c[p][v]);
}

/* A linear layer's weights come from beyond the second cache: they are fetched some k ahead. A tile
 * that is narrower than it could be has no time for more loads. */
enum { AHEAD = 64 * QG_PANEL };

#ifdef QG_BF16
/* One of a chunk's two chains: x += a[row][k] * b[k], every other of `count` k. */
INLINE void multiply_chain(const int rows, const int panels, const float *const *a, long k,
                           int count, const float *b, size_t b_stride, tile_row *x)
{
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        zero_panels(panels, x[i]);
#pragma GCC unroll 4
    for (int j = 0; j < count; j += 2, b += 2 * QG_PANEL) {
        tile_row w;
#pragma GCC unroll 2
        for (int p = 0; p < panels && panels == WIDE; p++)
            __builtin_prefetch(b + (size_t)p * b_stride + AHEAD, 0, 2);
        load_panels(panels, b, b_stride, w);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++)
            add_product(panels, a[i][k + j], w, x[i]);
    }
}

/* c += even + odd */
INLINE void add_chains(const int rows, const int panels, const tile_row *even, const tile_row *odd,
                       tile_row *c)
{
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int p = 0; p < panels; p++)
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                c[i][p][v] = vec_flush(c[i][p][v] + vec_flush(even[i][p][v] + odd[i][p][v]));
}

INLINE void multiply(const int rows, const int panels, const float *const *a, const run *runs,
                     int run_count, size_t b_stride, tile_row *c)
{
    for (const run *r = runs; r < runs + run_count; r++) {
        const float *b = r->b;
        int size = QG_CHUNK - r->at;
        for (int k = 0; k < r->size; k += size, b += (size_t)size * QG_PANEL) {
            if (k) size = QG_CHUNK;
            const int count = r->size - k < size ? r->size - k : size;
            tile_row even[ROWS], odd[ROWS];
            multiply_chain(rows, panels, a, r->offset + k, count, b, b_stride, even);
            multiply_chain(rows, panels, a, r->offset + k + 1, count - 1, b + QG_PANEL, b_stride,
                           odd);
            add_chains(rows, panels, even, odd, c);
        }
    }
}
#else
INLINE void multiply(const int rows, const int panels, const float *const *a, const run *runs,
                     int run_count, size_t b_stride, tile_row *c)
{
    for (const run *r = runs; r < runs + run_count; r++) {
        const float *b = r->b;
        const long end = r->offset + r->size;
#pragma GCC unroll 4
        for (long k = r->offset; k < end; k++, b += QG_PANEL) {
            tile_row w;
#pragma GCC unroll 2
            for (int p = 0; p < panels && panels == WIDE; p++)
                __builtin_prefetch(b + (size_t)p * b_stride + AHEAD, 0, 2);
            load_panels(panels, b, b_stride, w);
#pragma GCC unroll 12
            for (int i = 0; i < rows; i++)
                add_product(panels, a[i][k], w, c[i]);
        }
    }
}
#endif

/* --------------------------------------------------------------------------- empty cells */

/* A bit for each of the row's cells that is not empty. Inputs are not negative: their sum tells. */
INLINE uint64_t full_cells(const float *row, int columns, int cell)
{
    const int rest = cell % LANES;
    uint64_t full = 0;
    for (int x = 0; x < columns; x++, row += cell) {
        vec sum = rest ? vec_load_first(row + cell - rest, rest) : vec_set(0);
        for (int i = 0; i + LANES <= cell; i += LANES)
            sum += vec_load(row + i);
        full |= (uint64_t)vec_any(sum) << x;
    }
    return full;
}

static bool find_cells(const qg_plan *plan, const float *in, uint64_t *windows)
{
    enum { SAMPLE = 8 }; /* rows */
    const int rows = (plan->rows - 1) * plan->stride + plan->kernel;
    const int columns = plan->columns - 1 + plan->cells, cell = plan->cell;
    const int across = plan->columns;
    int empty = 0, seen = 0;
    for (int y = SAMPLE / 2; y < rows; y += SAMPLE, seen += columns)
        empty += columns - __builtin_popcountll(full_cells(in + y * plan->in_row, columns, cell));
    const bool sparse = 8 * empty >= seen;
    memset(windows, sparse ? 0 : 0xff, (size_t)plan->pixels * sizeof *windows);
    const uint64_t mask = (UINT64_C(1) << plan->cells) - 1;
    for (int y = 0; y < rows && sparse; y++) {
        const uint64_t full = full_cells(in + y * plan->in_row, columns, cell);
        for (int ky = y % plan->stride; ky < plan->kernel && ky <= y; ky += plan->stride) {
            const int row = (y - ky) / plan->stride, up = ky * plan->cells;
            if (row >= plan->rows) continue;
            uint64_t *w = windows + row * across;
            for (int x = 0; x < across; x++)
                w[x] |= (full >> x & mask) << up;
        }
    }
    return sparse;
}

/* ------------------------------------------------------------------------------- forward */

/* One block of k for all pixels of a panel, or of WIDE panels. */
typedef struct forward_block {
    run runs[64]; /* segments, or cells */
    int run_count;
    int panels;
    size_t stride; /* from a panel's weights to the next one's */
    const float *bias;
    bool first, last; /* not the first: the sums so far are in the outputs */
    bool high;        /* the last panel's upper half exists */
} forward_block;

/* What the sums of a panel begin with, and what becomes of them. */
#ifdef QG_BF16
INLINE void begin_outputs(const float *bias, panel sums)
{
    (void)bias;
    for (int v = 0; v < VECTORS; v++)
        sums[v] = vec_set(0);
}

INLINE void end_outputs(const qg_plan *plan, const float *bias, panel sums)
{
    const vec scale = vec_set(plan->in_scale);
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) {
        const vec b = vec_flush(vec_load(bias + v * LANES));
        sums[v] = vec_flush(vec_fma(sums[v], scale, b));
        if (plan->relu) sums[v] = vec_max(sums[v], vec_set(0));
        if (plan->round_out) sums[v] = vec_round(sums[v]);
    }
}
#else
INLINE void begin_outputs(const float *bias, panel sums)
{
    load_halves(bias, true, sums);
}

INLINE void end_outputs(const qg_plan *plan, const float *bias, panel sums)
{
    (void)bias;
    for (int v = 0; v < VECTORS && plan->relu; v++)
        sums[v] = vec_max(sums[v], vec_set(0));
    for (int v = 0; v < VECTORS && plan->round_out; v++)
        sums[v] = vec_round(sums[v]);
}
#endif

INLINE void forward_tile(const int rows, const int panels, const qg_plan *plan,
                         const forward_block *block, const float *const *a, float *const *o)
{
    tile_row c[ROWS];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int p = 0; p < panels; p++)
            if (block->first)
                begin_outputs(block->bias + p * QG_PANEL, c[i][p]);
            else
                load_halves(o[i] + p * QG_PANEL, p + 1 < panels || block->high, c[i][p]);
    multiply(rows, panels, a, block->runs, block->run_count, block->stride, c);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int p = 0; p < panels; p++) {
            float *low = o[i] + p * QG_PANEL;
            if (block->last) end_outputs(plan, block->bias + p * QG_PANEL, c[i][p]);
            store_halves(low, p + 1 < panels || block->high ? low + 8 : NULL, c[i][p]);
        }
}

/* The runs of a kernel's cells that are not empty. */
static void select_cells(const qg_plan *plan, uint64_t window, const float *b, forward_block *block)
{
    int count = 0;
    for (int ky = 0, bit = 0; ky < plan->kernel; ky++)
        for (int cell = 0; cell < plan->cells; cell++, bit++, b += plan->cell * QG_PANEL) {
            if (!(window >> bit & 1)) continue;
            if (cell > 0 && window >> (bit - 1) & 1)
                block->runs[count - 1].size += plan->cell;
            else
                block->runs[count++] = (run){ky * plan->in_row + cell * plan->cell, plan->cell, b,
                                             cell * plan->cell % QG_CHUNK};
        }
    block->run_count = count;
}

static void forward_pixels(const qg_plan *plan, const float *in, const uint64_t *windows,
                           const float *weights, forward_block *block, float *out, int images)
{
    const int total = images * plan->pixels;
    int image = 0, pixel = 0;
    for (int done = 0; done < total;) {
        const int rows = qg_tile_rows(total - done, ROWS);
        const float *a[ROWS];
        float *o[ROWS];
        uint64_t window = 0;
        for (int i = 0; i < rows; i++) {
            if (windows) window |= windows[done + i];
            a[i] = in + (size_t)image * plan->in_image + plan->pixel_in[pixel];
            o[i] = out + (size_t)image * plan->out_image + plan->pixel_out[pixel];
            if (++pixel == plan->pixels) {
                pixel = 0;
                image++;
            }
        }
        if (windows) select_cells(plan, window, weights, block);
        WITH_TILE(rows, block->panels, forward_tile, plan, block, a, o)
        done += rows;
    }
}

static void forward_panels(const qg_plan *plan, const float *in, const uint64_t *windows,
                           const float *weights, const float *bias, float *out, int images,
                           int index, int panels)
{
    const size_t stride = (size_t)plan->k_count * QG_PANEL;
    const float *b = weights + (size_t)index * stride;
    /* The block's weights (at most 32 KB a panel) stay in the caches while all pixels pass. */
    for (int s = 0, size = 0; s < plan->segment_count; size = 0) {
        forward_block block = {.panels = panels,
                               .stride = stride,
                               .bias = bias + index * QG_PANEL,
                               .first = s == 0,
                               .high = plan->outputs - (index + panels - 1) * QG_PANEL > 8};
        const float *first = b;
        while (s < plan->segment_count && block.run_count < QG_BLOCK_SEGMENTS &&
               (size == 0 || size + plan->segments[s].size <= QG_BLOCK_K)) {
            block.runs[block.run_count++] =
                (run){plan->segments[s].offset, plan->segments[s].size, b, 0};
            b += (size_t)plan->segments[s].size * QG_PANEL;
            size += plan->segments[s++].size;
        }
        block.last = s == plan->segment_count;
        forward_pixels(plan, in, windows, first, &block, out + index * QG_PANEL, images);
    }
}

/* c += x * b, 4 panels. */
INLINE void add_single(float x, const float *b, size_t stride, panel *c)
{
    const vec value = vec_set(x);
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++)
            c[p][v] = vec_chain(value, vec_load(b + (size_t)p * stride + v * LANES), c[p][v]);
}

INLINE void multiply_single(const float *x, int size, const float *b, size_t stride, panel *c)
{
#ifdef QG_BF16
    for (int k = 0; k < size; k += QG_CHUNK) {
        const int count = size - k < QG_CHUNK ? size - k : QG_CHUNK;
        panel chains[2][4];
        for (int p = 0; p < 8; p++)
            for (int v = 0; v < VECTORS; v++)
                chains[p / 4][p % 4][v] = vec_set(0);
        for (int j = 0; j + 1 < count; j += 2, b += 2 * QG_PANEL) {
            add_single(x[k + j], b, stride, chains[0]);
            add_single(x[k + j + 1], b + QG_PANEL, stride, chains[1]);
        }
        if (count % 2) add_single(x[k + count - 1], b, stride, chains[0]);
        for (int p = 0; p < 4; p++)
            for (int v = 0; v < VECTORS; v++)
                c[p][v] = vec_flush(c[p][v] + vec_flush(chains[0][p][v] + chains[1][p][v]));
    }
#else
#pragma GCC unroll 2
    for (int k = 0; k < size; k++, b += QG_PANEL)
        add_single(x[k], b, stride, c);
#endif
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
        begin_outputs(bias + (index + p) * QG_PANEL, c[p]);
    for (int s = 0; s < plan->segment_count; s++) {
        const float *x = a + plan->segments[s].offset;
        multiply_single(x, plan->segments[s].size, b, stride, c);
        b += plan->segments[s].size * QG_PANEL;
    }
    for (int p = 0; p < 4; p++) {
        const bool high = plan->outputs - (index + p) * QG_PANEL > 8;
        float *o = out + plan->pixel_out[0] + (index + p) * QG_PANEL;
        end_outputs(plan, bias + (index + p) * QG_PANEL, c[p]);
        store_halves(o, high ? o + 8 : NULL, c[p]);
    }
}

KERNEL forward(const qg_plan *plan, const float *in, const uint64_t *windows, const float *weights,
               const float *bias, float *out, int images, int panel0, int panel1)
{
    int index = panel0;
    if (images == 1 && plan->pixels == 1)
        for (; index + 4 <= panel1; index += 4)
            forward_single(plan, in, weights, bias, out, index);
    for (int panels; index < panel1; index += panels) {
        panels = panel1 - index < WIDE ? 1 : WIDE;
        forward_panels(plan, in, windows, weights, bias, out, images, index, panels);
    }
}

/* ------------------------------------------------------------------------ input gradient */

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

KERNEL input_gradient(const qg_plan *plan, const float *gradient, const float *weights,
                      const float *in, float *below, float scale, int images, int item0, int item1,
                      float *scratch)
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

/* ----------------------------------------------------------------------- weight gradient */

/* The tiles and panels of a weight gradient, and where it goes. */
typedef struct weight_tiles {
    const qg_k_tile *first, *last; /* [first, last) */
    int panel0, panel1;
    float *result;
} weight_tiles;

/* Floats of a panel of the result. */
static size_t result_size(const weight_tiles *tiles)
{
    return (size_t)(tiles->last[-1].k + tiles->last[-1].size - tiles->first->k) * QG_PANEL;
}

static float *result_of(const weight_tiles *tiles, const qg_k_tile *tile, int p)
{
    return tiles->result + (size_t)(p - tiles->panel0) * result_size(tiles) +
           (size_t)(tile->k - tiles->first->k) * QG_PANEL;
}

/* How many panels the next tile takes. */
static int tile_panels(const weight_tiles *tiles, int p)
{
    return tiles->panel1 - p < WIDE ? 1 : WIDE;
}

#ifdef QG_BF16
/* A chunk's images at rows x columns pixels, one tile. */
typedef struct walk {
    int images, rows, columns;
    size_t in_image, in_step, in_row, grad_image, grad_step, grad_row;
    bool first, last; /* the sums begin; they end */
    float scale;
} walk;

/* One of a chunk's two chains: every other of `count` images at one pixel. */
INLINE void accumulate_chain(const int k_rows, const int panels, const walk *w, const float *a,
                             const float *g, int count, tile_row *x)
{
#pragma GCC unroll 12
    for (int i = 0; i < k_rows; i++)
        zero_panels(panels, x[i]);
#pragma GCC unroll 4
    for (int j = 0; j < count; j += 2, a += 2 * w->in_image, g += 2 * w->grad_image) {
        tile_row dy;
        load_panels(panels, g, QG_PANEL, dy);
#pragma GCC unroll 12
        for (int i = 0; i < k_rows; i++)
            add_product(panels, a[i], dy, x[i]);
    }
}

INLINE void accumulate(const int k_rows, const int panels, const walk *w, const float *in,
                       const float *gradient, float *d, size_t d_stride)
{
    tile_row c[ROWS], even[ROWS], odd[ROWS];
    const vec scale = vec_set(w->scale);
#pragma GCC unroll 12
    for (int i = 0; i < k_rows; i++)
        if (w->first)
            zero_panels(panels, c[i]);
        else
            load_panels(panels, d + i * QG_PANEL, d_stride, c[i]);
    for (int y = 0; y < w->rows; y++) {
        const float *a = in + (size_t)y * w->in_row, *g = gradient + (size_t)y * w->grad_row;
        for (int x = 0; x < w->columns; x++, a += w->in_step, g += w->grad_step) {
            accumulate_chain(k_rows, panels, w, a, g, w->images, even);
            accumulate_chain(k_rows, panels, w, a + w->in_image, g + w->grad_image, w->images - 1,
                             odd);
            add_chains(k_rows, panels, even, odd, c);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < k_rows; i++) {
        for (int p = 0; p < panels && w->last; p++)
            for (int v = 0; v < VECTORS; v++) /* + 0: no zero keeps a sign */
                c[i][p][v] = vec_flush(vec_fma(c[i][p][v], scale, vec_set(0)));
        store_panels(panels, d + i * QG_PANEL, d_stride, c[i]);
    }
}

static void accumulate_tiles(const weight_tiles *tiles, const float *in, const float *gradient,
                             const walk *w)
{
    const size_t stride = result_size(tiles);
    for (int p = tiles->panel0, panels; p < tiles->panel1; p += panels) {
        panels = tile_panels(tiles, p);
        for (const qg_k_tile *t = tiles->first; t < tiles->last; t++)
            WITH_TILE(t->size, panels, accumulate, w, in + t->offset, gradient + p * QG_PANEL,
                      result_of(tiles, t, p), stride)
    }
}

/* A row of output pixels at a time: what its tiles read stays in the second cache. */
KERNEL weight_gradient(const qg_plan *plan, const float *in, const uint64_t *windows,
                       const float *gradient, float *result, int images, int tile0, int tile1,
                       int panel0, int panel1)
{
    (void)windows;
    if (tile0 >= tile1) return;
    const weight_tiles tiles = {plan->k_tiles + tile0, plan->k_tiles + tile1, panel0, panel1,
                                result};
    walk w = {.rows = 1,
              .columns = plan->columns,
              .in_image = plan->in_image,
              .in_step = (size_t)plan->in_step,
              .in_row = (size_t)plan->in_row_step,
              .grad_image = plan->grad_image,
              .grad_step = (size_t)plan->grad_pixel,
              .grad_row = (size_t)(plan->columns * plan->grad_pixel),
              .scale = plan->in_scale};
    for (int image = 0; image < images; image += QG_CHUNK)
        for (int row = 0; row < plan->rows; row += w.rows) {
            w.images = images - image < QG_CHUNK ? images - image : QG_CHUNK;
            w.first = image + row == 0;
            w.last = image + QG_CHUNK >= images && row + w.rows >= plan->rows;
            accumulate_tiles(&tiles, in + (size_t)image * plan->in_image + (size_t)row * w.in_row,
                             gradient + (size_t)image * plan->grad_image + (size_t)row * w.grad_row,
                             &w);
        }
}

static void add_bias_chain(const float *g, size_t grad_image, int count, panel x)
{
    for (int v = 0; v < VECTORS; v++)
        x[v] = vec_set(0);
    for (int j = 0; j < count; j += 2, g += 2 * grad_image)
        for (int v = 0; v < VECTORS; v++)
            x[v] = vec_flush(x[v] + vec_load(g + v * LANES));
}

KERNEL bias_gradient(const qg_plan *plan, const float *gradient, float *result, int images,
                     int panel0, int panel1)
{
    for (int p = panel0; p < panel1; p++) {
        panel sum = {vec_set(0)}, even, odd;
        for (int v = 1; v < VECTORS; v++)
            sum[v] = vec_set(0);
        for (int image = 0; image < images; image += QG_CHUNK) {
            const int count = images - image < QG_CHUNK ? images - image : QG_CHUNK;
            const float *g = gradient + (size_t)image * plan->grad_image + p * QG_PANEL;
            for (int pixel = 0; pixel < plan->pixels; pixel++, g += plan->grad_pixel) {
                add_bias_chain(g, plan->grad_image, count, even);
                add_bias_chain(g + plan->grad_image, plan->grad_image, count - 1, odd);
                for (int v = 0; v < VECTORS; v++)
                    sum[v] = vec_flush(sum[v] + vec_flush(even[v] + odd[v]));
            }
        }
        for (int v = 0; v < VECTORS; v++)
            sum[v] += vec_set(0);
        store_halves(result + p * QG_PANEL, result + p * QG_PANEL + 8, sum);
    }
}
#else
/* Memory that is needed soon: with every tile the next `step` bytes of each are fetched. */
typedef struct ahead {
    const char *at[2];
    size_t step[2];
} ahead;

static void set_ahead(ahead *next, int i, const float *at, size_t floats, int tiles)
{
    const size_t lines = (floats * sizeof(float) + 63) / 64;
    next->at[i] = (const char *)at;
    next->step[i] = (lines + (size_t)tiles - 1) / (size_t)tiles * 64;
}

INLINE void fetch(ahead *next)
{
    for (int i = 0; i < 2; i++) {
        for (size_t at = 0; at < next->step[i]; at += 64)
            __builtin_prefetch(next->at[i] + at, 0, 3);
        next->at[i] += next->step[i];
    }
}

/* rows x columns pixels of one image (or one pixel of `columns` images), one tile. */
typedef struct walk {
    int rows, columns;
    size_t in_step, in_row, grad_step, grad_row;
    bool first; /* the sums begin */
} walk;

INLINE void load_sums(const int k_rows, const int panels, bool first, const float *d,
                      size_t d_stride, tile_row *c)
{
#pragma GCC unroll 12
    for (int i = 0; i < k_rows; i++)
        if (first)
            zero_panels(panels, c[i]);
        else
            load_panels(panels, d + i * QG_PANEL, d_stride, c[i]);
}

INLINE void accumulate(const int k_rows, const int panels, const float *in, const float *gradient,
                       const walk *w, float *d, size_t d_stride)
{
    tile_row c[ROWS];
    load_sums(k_rows, panels, w->first, d, d_stride, c);
    const size_t in_step = w->in_step, grad_step = w->grad_step;
    for (int y = 0; y < w->rows; y++) {
        const float *a = in + (size_t)y * w->in_row, *g = gradient + (size_t)y * w->grad_row;
#pragma GCC unroll 4
        for (int x = w->columns; x > 0; x--, a += in_step, g += grad_step) {
            tile_row dy;
            load_panels(panels, g, QG_PANEL, dy);
#pragma GCC unroll 12
            for (int i = 0; i < k_rows; i++)
                add_product(panels, a[i], dy, c[i]);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < k_rows; i++)
        store_panels(panels, d + i * QG_PANEL, d_stride, c[i]);
}

/* A pixel whose cell is not empty: offsets of its inputs and of its gradient. */
typedef struct spot {
    int in, gradient;
} spot;

INLINE void accumulate_spots(const int k_rows, const int panels, const float *in,
                             const float *gradient, const spot *spots, int count, bool first,
                             float *d, size_t d_stride)
{
    tile_row c[ROWS];
    load_sums(k_rows, panels, first, d, d_stride, c);
#pragma GCC unroll 4
    for (const spot *s = spots; s < spots + count; s++) {
        const float *a = in + s->in, *g = gradient + s->gradient;
        tile_row dy;
        load_panels(panels, g, QG_PANEL, dy);
#pragma GCC unroll 12
        for (int i = 0; i < k_rows; i++)
            add_product(panels, a[i], dy, c[i]);
    }
#pragma GCC unroll 12
    for (int i = 0; i < k_rows; i++)
        store_panels(panels, d + i * QG_PANEL, d_stride, c[i]);
}

static void accumulate_tiles(const weight_tiles *tiles, const float *in, const float *gradient,
                             const walk *w, ahead *next)
{
    const size_t stride = result_size(tiles);
    for (int p = tiles->panel0, panels; p < tiles->panel1; p += panels) {
        panels = tile_panels(tiles, p);
        for (const qg_k_tile *t = tiles->first; t < tiles->last; t++) {
            fetch(next);
            WITH_TILE(t->size, panels, accumulate, in + t->offset, gradient + p * QG_PANEL, w,
                      result_of(tiles, t, p), stride)
        }
    }
}

/* Blocks of some rows: their inputs and gradients stay in the caches for all tiles, and the next
 * block's are fetched meanwhile. */
enum { BLOCK_PIXELS = 84 };

static void conv_weight_gradient(const qg_plan *plan, const weight_tiles *tiles, const float *in,
                                 const float *gradient, int images)
{
    const int block = plan->columns >= BLOCK_PIXELS ? 1 : BLOCK_PIXELS / plan->columns;
    const int steps =
        (int)(tiles->last - tiles->first) * ((tiles->panel1 - tiles->panel0 + WIDE - 1) / WIDE);
    const size_t grad_row = (size_t)(plan->columns * plan->grad_pixel);
    const size_t in_row = (size_t)plan->in_row_step;
    for (int image = 0; image < images; image++)
        for (int row = 0; row < plan->rows; row += block) {
            const int rows = plan->rows - row < block ? plan->rows - row : block;
            const walk w = {
                rows,     plan->columns,   (size_t)plan->in_step, in_row, (size_t)plan->grad_pixel,
                grad_row, image + row == 0};
            const float *from = in + (size_t)image * plan->in_image + (size_t)row * in_row;
            const float *g = gradient + (size_t)image * plan->grad_image + (size_t)row * grad_row;
            const size_t known = plan->kernel > plan->stride /* rows that both blocks read */
                                     ? (size_t)((plan->kernel - plan->stride) * plan->in_row)
                                     : 0;
            ahead next = {0};
            set_ahead(&next, 0, g + (size_t)rows * grad_row, (size_t)rows * grad_row, steps);
            set_ahead(&next, 1, from + (size_t)rows * in_row + known, (size_t)rows * in_row, steps);
            accumulate_tiles(tiles, from, g, &w, &next);
        }
}

/* The same, of the pixels whose cells are not empty: one list for all tiles of a cell. */
static void cell_weight_gradient(const qg_plan *plan, const weight_tiles *tiles, const float *in,
                                 const uint64_t *windows, const float *gradient, int images)
{
    const size_t stride = result_size(tiles);
    spot spots[BLOCK_PIXELS];
    for (int begin = 0; begin < images * plan->pixels;) {
        const int image = begin / plan->pixels, pixel = begin % plan->pixels;
        const int left = plan->pixels - pixel, size = left < BLOCK_PIXELS ? left : BLOCK_PIXELS;
        const float *from = in + (size_t)image * plan->in_image;
        const float *g = gradient + (size_t)image * plan->grad_image;
        int listed = -1, count = 0;
        for (const qg_k_tile *t = tiles->first; t < tiles->last; t++) {
            if (t->k / plan->cell != listed) {
                listed = t->k / plan->cell;
                count = 0;
                for (int i = pixel; i < pixel + size; i++) {
                    spots[count] = (spot){plan->pixel_in[i], i * plan->grad_pixel};
                    count += (int)(windows[image * plan->pixels + i] >> listed & 1);
                }
            }
            for (int p = tiles->panel0, panels; p < tiles->panel1 && (count || !begin);
                 p += panels) {
                panels = tile_panels(tiles, p);
                WITH_TILE(t->size, panels, accumulate_spots, from + t->offset, g + p * QG_PANEL,
                          spots, count, begin == 0, result_of(tiles, t, p), stride)
            }
        }
        begin += size;
    }
}

KERNEL weight_gradient(const qg_plan *plan, const float *in, const uint64_t *windows,
                       const float *gradient, float *result, int images, int tile0, int tile1,
                       int panel0, int panel1)
{
    if (tile0 >= tile1) return;
    const weight_tiles tiles = {plan->k_tiles + tile0, plan->k_tiles + tile1, panel0, panel1,
                                result};
    if (plan->pixels == 1) { /* the images are the pixels */
        const walk w = {1, images, plan->in_image, 0, plan->grad_image, 0, true};
        accumulate_tiles(&tiles, in, gradient, &w, &(ahead){0});
    } else if (windows)
        cell_weight_gradient(plan, &tiles, in, windows, gradient, images);
    else
        conv_weight_gradient(plan, &tiles, in, gradient, images);
}

KERNEL bias_gradient(const qg_plan *plan, const float *gradient, float *result, int images,
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
#endif

/* ------------------------------------------------------------------------------- the rest */

static void rmsprop(const qg_rmsprop *settings, float *weights, float *moment1, float *moment2,
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

static void adam(const qg_adam *step, float *weights, float *moment1, float *moment2,
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

static void round_numbers(const float *numbers, float *rounded, size_t count)
{
#ifdef QG_BF16
    for (size_t i = 0; i < count; i += LANES) /* every block is padded to 16 */
        vec_store(rounded + i, vec_round(vec_load(numbers + i)));
#else
    memmove(rounded, numbers, count * sizeof *rounded);
#endif
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

/* Denormals are flushed while products are made, and nowhere else. */
#ifdef QG_BF16
#define FLUSHED(name, parameters, arguments)                                                       \
    static void flushed_##name parameters                                                          \
    {                                                                                              \
        const unsigned before = flush_denormals();                                                 \
        name arguments;                                                                            \
        restore_denormals(before);                                                                 \
    }
FLUSHED(forward,
        (const qg_plan *plan, const float *in, const uint64_t *windows, const float *weights,
         const float *bias, float *out, int images, int panel0, int panel1),
        (plan, in, windows, weights, bias, out, images, panel0, panel1))
FLUSHED(input_gradient,
        (const qg_plan *plan, const float *gradient, const float *weights, const float *in,
         float *below, float scale, int images, int item0, int item1, float *scratch),
        (plan, gradient, weights, in, below, scale, images, item0, item1, scratch))
FLUSHED(weight_gradient,
        (const qg_plan *plan, const float *in, const uint64_t *windows, const float *gradient,
         float *result, int images, int tile0, int tile1, int panel0, int panel1),
        (plan, in, windows, gradient, result, images, tile0, tile1, panel0, panel1))
FLUSHED(bias_gradient,
        (const qg_plan *plan, const float *gradient, float *result, int images, int panel0,
         int panel1),
        (plan, gradient, result, images, panel0, panel1))
#define PRODUCT(name) flushed_##name
#define TABLE_(isa)   qg_kernels_bf16_##isa
#else
#define PRODUCT(name) name
#define TABLE_(isa)   qg_kernels_##isa
#endif
#define TABLE(isa) TABLE_(isa)
#define TEXT_(isa) #isa
#define TEXT(isa)  TEXT_(isa)

const qg_kernels TABLE(QG_ISA) = {
    .name = TEXT(QG_ISA),
    .rows = ROWS,
    .panels = WIDE,
    .find_cells = find_cells,
    .forward = PRODUCT(forward),
    .input_gradient = PRODUCT(input_gradient),
    .weight_gradient = PRODUCT(weight_gradient),
    .bias_gradient = PRODUCT(bias_gradient),
    .rmsprop = rmsprop,
    .adam = adam,
    .round = round_numbers,
    .convert = convert,
};
