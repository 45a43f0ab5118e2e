/* Outputs of a layer, and which cells of its input are empty. */
#include "network/cpu/kernels/parts.h"
#include "network/cpu/kernels/tile.h"

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

bool QG_PART(find_cells)(const qg_plan *plan, const float *in, uint64_t *windows)
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

void QG_PART(forward)(const qg_plan *plan, const float *in, const uint64_t *windows,
                      const float *weights, const float *bias, float *out, int images, int panel0,
                      int panel1)
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
