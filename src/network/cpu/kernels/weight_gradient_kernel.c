/* Gradients of a layer's weights and biases. */
#include "network/cpu/kernels/parts.h"
#include "network/cpu/kernels/tile.h"

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

/* c += a pixel's inputs * its gradient */
INLINE void add_pixel(const int k_rows, const int panels, const float *a, const float *g,
                      tile_row *c)
{
    tile_row dy;
    load_panels(panels, g, QG_PANEL, dy);
#pragma GCC unroll 12
    for (int i = 0; i < k_rows; i++)
        add_product(panels, a[i], dy, c[i]);
}

#ifdef QG_BF16
/* A chunk's images at rows x columns pixels, one tile. */
typedef struct walk {
    int images, rows, columns;
    size_t in_image, in_step, in_row, grad_image, grad_step, grad_row;
    bool first, last; /* the sums begin; they end */
    float scale;
} walk;

/* c += a chunk: the images at one pixel */
INLINE void add_images(const int k_rows, const int panels, const walk *w, const float *a,
                       const float *g, tile_row *c)
{
    tile_row even[ROWS], odd[ROWS];
    zero_chains(k_rows, panels, even, odd);
    int j = 0;
#pragma GCC unroll 2
    for (; j + 1 < w->images; j += 2, a += 2 * w->in_image, g += 2 * w->grad_image) {
        add_pixel(k_rows, panels, a, g, even);
        add_pixel(k_rows, panels, a + w->in_image, g + w->grad_image, odd);
    }
    if (j < w->images) add_pixel(k_rows, panels, a, g, even);
    add_chains(k_rows, panels, even, odd, c);
}

INLINE void accumulate(const int k_rows, const int panels, const walk *w, const float *in,
                       const float *gradient, float *d, size_t d_stride)
{
    tile_row c[ROWS];
    const vec scale = vec_set(w->scale);
#pragma GCC unroll 12
    for (int i = 0; i < k_rows; i++)
        if (w->first)
            zero_panels(panels, c[i]);
        else
            load_panels(panels, d + i * QG_PANEL, d_stride, c[i]);
    for (int y = 0; y < w->rows; y++) {
        const float *a = in + (size_t)y * w->in_row, *g = gradient + (size_t)y * w->grad_row;
        for (int x = 0; x < w->columns; x++, a += w->in_step, g += w->grad_step)
            add_images(k_rows, panels, w, a, g, c);
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
void QG_PART(weight_gradient)(const qg_plan *plan, const float *in, const uint64_t *windows,
                              const float *gradient, float *result, int images, int tile0,
                              int tile1, int panel0, int panel1)
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

void QG_PART(bias_gradient)(const qg_plan *plan, const float *gradient, float *result, int images,
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
        for (int x = w->columns; x > 0; x--, a += in_step, g += grad_step)
            add_pixel(k_rows, panels, a, g, c);
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
    for (const spot *s = spots; s < spots + count; s++)
        add_pixel(k_rows, panels, in + s->in, gradient + s->gradient, c);
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

void QG_PART(weight_gradient)(const qg_plan *plan, const float *in, const uint64_t *windows,
                              const float *gradient, float *result, int images, int tile0,
                              int tile1, int panel0, int panel1)
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

void QG_PART(bias_gradient)(const qg_plan *plan, const float *gradient, float *result, int images,
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
