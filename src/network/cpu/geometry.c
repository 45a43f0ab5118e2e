#include "network/cpu/geometry.h"

#include <stdlib.h>

void qg_plan_free(qg_plan *plan)
{
    free(plan->segments);
    free(plan->pixel_in);
    free(plan->pixel_out);
    free(plan->k_tiles);
    free(plan->gathers);
    *plan = (qg_plan){0};
}

/* Channels of the layer's input as stored: the network's own input is not padded. */
static int stored_channels(const qg_architecture *a, int index)
{
    return index ? qg_round_up(a->layers[index].in_channels, 8) : a->layers[index].in_channels;
}

static void set_shape(const qg_architecture *a, int index, qg_plan *plan)
{
    const qg_layer *layer = &a->layers[index];
    const int channels = stored_channels(a, index);
    plan->outputs = qg_round_up(layer->outputs, 8);
    plan->panels = (plan->outputs + QG_PANEL - 1) / QG_PANEL;
    plan->relu = index + 1 < a->layer_count && !layer->norm; /* or it comes behind that */
    plan->rows = layer->out_height;
    plan->columns = layer->out_width;
    plan->pixels = plan->rows * plan->columns;
    if (layer->kind == QG_CONV) {
        plan->kernel = layer->kernel;
        plan->stride = layer->stride;
        plan->padding = layer->padding;
        plan->in_rows = layer->in_height;
        plan->in_columns = layer->in_width;
        plan->in_channels = channels;
    } else { /* all inputs are the channels of one pixel */
        plan->kernel = plan->stride = plan->in_rows = plan->in_columns = 1;
        plan->in_channels = layer->in_height * layer->in_width * channels;
    }
    plan->k_count = plan->kernel * plan->kernel * plan->in_channels;
    plan->in_row = (plan->in_columns + 2 * plan->padding) * plan->in_channels;
    plan->in_image = (size_t)(plan->in_rows + 2 * plan->padding) * (size_t)plan->in_row;
    plan->in_step = plan->stride * plan->in_channels;
    plan->in_row_step = plan->stride * plan->in_row;
    /* A distance of 256 bytes between pixels (2048 between images) would use a fraction of the
     * first cache's sets. */
    plan->grad_pixel = (plan->panels + 1) * QG_PANEL;
    plan->grad_image = (size_t)plan->pixels * (size_t)plan->grad_pixel;
}

/* The network's own input is divided into cells of a row, as wide as the stride, if a kernel's row
 * is some of them and they are worth while. */
static void set_cells(qg_plan *plan)
{
    enum { LEAST = 8 }; /* floats */
    const int cells = plan->kernel / plan->stride;
    if (plan->pixels == 1 || plan->kernel % plan->stride || plan->in_step < LEAST) return;
    if (plan->columns - 1 + cells > 64 || plan->kernel * cells > 64) return; /* bits */
    if (plan->kernel > QG_BLOCK_SEGMENTS || plan->kernel * plan->in_channels > QG_SEGMENT_MAX ||
        plan->k_count > QG_BLOCK_K)
        return; /* more than one block */
    plan->cell = plan->in_step;
    plan->cells = cells;
}

/* Where outputs go: the next layer's input, inside its border. */
static void set_outputs(qg_plan *plan, const qg_plan *next)
{
    const int padding = next ? next->padding : 0;
    const int row = (plan->columns + 2 * padding) * plan->outputs;
    plan->out_image = next ? next->in_image : (size_t)plan->pixels * (size_t)plan->outputs;
    for (int y = 0; y < plan->rows; y++)
        for (int x = 0; x < plan->columns; x++)
            plan->pixel_out[y * plan->columns + x] =
                (y + padding) * row + (x + padding) * plan->outputs;
}

static void set_inputs(qg_plan *plan, int tile_rows)
{
    for (int y = 0; y < plan->rows; y++)
        for (int x = 0; x < plan->columns; x++)
            plan->pixel_in[y * plan->columns + x] = y * plan->in_row_step + x * plan->in_step;
    const int run = plan->kernel * plan->in_channels; /* one row of the kernel is contiguous */
    for (int ky = 0; ky < plan->kernel; ky++) {
        for (int k = 0; k < run; k += QG_SEGMENT_MAX)
            plan->segments[plan->segment_count++] = (qg_segment){
                ky * plan->in_row + k, run - k < QG_SEGMENT_MAX ? run - k : QG_SEGMENT_MAX};
        for (int k = 0; k < run;) {
            const int part = plan->cells ? plan->cell - k % plan->cell : run - k;
            const int size = qg_tile_rows(part, tile_rows);
            plan->k_tiles[plan->k_tile_count++] =
                (qg_k_tile){ky * run + k, size, ky * plan->in_row + k};
            k += size;
        }
    }
}

/* The taps that reach outputs along one axis from input position `at`, the border included. */
typedef struct axis {
    int tap, output, count;
} axis;

static axis find_taps(const qg_plan *plan, int at, int outputs)
{
    const int taps = (plan->kernel - 1 - at % plan->stride) / plan->stride; /* behind the first */
    const int newest = at / plan->stride; /* the output that begins at `at` or just before */
    const int skipped = newest < outputs ? 0 : newest - outputs + 1;
    const int last = taps < newest ? taps : newest;
    if (at % plan->stride >= plan->kernel || last < skipped) return (axis){0};
    return (axis){at % plan->stride + skipped * plan->stride, newest - skipped, last - skipped + 1};
}

/* Pixels of one phase (position modulo stride) use the same taps: one phase after the other. */
static void set_gathers(qg_plan *plan)
{
    qg_gather *gather = plan->gathers;
    for (int phase = 0; phase < plan->stride * plan->stride; phase++)
        for (int y = phase / plan->stride; y < plan->in_rows; y += plan->stride)
            for (int x = phase % plan->stride; x < plan->in_columns; x += plan->stride) {
                const axis v = find_taps(plan, y + plan->padding, plan->rows);
                const axis u = find_taps(plan, x + plan->padding, plan->columns);
                *gather++ = (qg_gather){
                    .in_pixel = y * plan->in_columns + x,
                    .in = (y + plan->padding) * plan->in_row +
                          (x + plan->padding) * plan->in_channels,
                    .tap = v.tap * plan->kernel + u.tap,
                    .pixel = v.output * plan->columns + u.output,
                    .rows = v.count,
                    .columns = u.count,
                };
            }
}

static qg_status make_plan(qg_plan *plan, int tile_rows, qg_error *error)
{
    const size_t run = (size_t)(plan->kernel * plan->in_channels), kernel = (size_t)plan->kernel;
    const size_t segments = kernel * (run / QG_SEGMENT_MAX + 1);
    const size_t tiles = kernel * (run / 2 + 1 + (size_t)plan->cells); /* of 2 k at least */
    const size_t pixels = (size_t)plan->pixels;
    const size_t in_pixels = (size_t)plan->in_rows * (size_t)plan->in_columns;
    plan->segments = calloc(segments, sizeof *plan->segments);
    plan->k_tiles = calloc(tiles, sizeof *plan->k_tiles);
    plan->pixel_in = calloc(pixels, sizeof *plan->pixel_in);
    plan->pixel_out = calloc(pixels, sizeof *plan->pixel_out);
    plan->gathers = calloc(in_pixels, sizeof *plan->gathers);
    if (!plan->segments || !plan->k_tiles || !plan->pixel_in || !plan->pixel_out || !plan->gathers)
        return qg_fail_memory(error, "a layer's plan", tiles * sizeof *plan->k_tiles);
    set_inputs(plan, tile_rows);
    set_gathers(plan);
    return QG_OK;
}

qg_status qg_plan_make(const qg_architecture *a, int tile_rows, qg_plan plans[QG_MAX_LAYERS],
                       qg_error *error)
{
    for (int i = 0; i < a->layer_count; i++) {
        plans[i] = (qg_plan){0};
        set_shape(a, i, &plans[i]);
        if (i == 0) set_cells(&plans[i]);
    }
    for (int i = 0; i < a->layer_count; i++) {
        const qg_status status = make_plan(&plans[i], tile_rows, error);
        if (status) return status;
        set_outputs(&plans[i], i + 1 < a->layer_count ? &plans[i + 1] : NULL);
        if (i == 0) continue;
        plans[i].below_channels = plans[i - 1].outputs;
        plans[i].below_grad_pixel = plans[i - 1].grad_pixel;
        plans[i].below_grad_image = plans[i - 1].grad_image;
    }
    return QG_OK;
}

size_t qg_plan_weight(const qg_plan *plan, const qg_layer *layer, int output, int c, int ky, int kx)
{
    const int width = layer->kind == QG_CONV ? layer->kernel : layer->in_width;
    const int height = layer->kind == QG_CONV ? layer->kernel : layer->in_height;
    const int channels = plan->k_count / (width * height);
    const size_t k = (size_t)((ky * width + kx) * channels + c);
    return ((size_t)(output / QG_PANEL) * (size_t)plan->k_count + k) * QG_PANEL +
           (size_t)(output % QG_PANEL);
}
