#include "network/tiles/tile_memory.h"

#include "network/cpu/geometry.h"
#include "network/cpu/heads.h"
#include "network/optimiser.h"
#include "network/tiles/tile_product.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ------------------------------------------------------------------------- shapes */

static void set_layer(const qg_tiles *tiles, int l, qg_tile_layer *layer)
{
    const qg_plan *plan = &tiles->plans[l];
    layer->conv = tiles->architecture.layers[l].kind == QG_CONV;
    layer->channels = layer->conv ? plan->in_channels : plan->k_count;
    layer->run = plan->kernel * plan->in_channels;
    layer->kernel_rows = plan->kernel;
    layer->run_chunks = (layer->run + QG_CHUNK - 1) / QG_CHUNK;
    layer->chunks = layer->kernel_rows * layer->run_chunks;
    layer->groups = (tiles->architecture.layers[l].outputs + 31) / 32;
    layer->in_row = plan->in_row;
    layer->in_lines = layer->conv ? (plan->in_row + 1) / 2 : layer->chunks * 16;
    layer->phases = plan->in_step % 2 != 0 && plan->pixels > 1;
    const size_t rows = (size_t)(plan->in_rows + 2 * plan->padding);
    layer->in_k = rows * (size_t)layer->in_row;
    layer->in_pairs = rows * (size_t)layer->in_lines;
}

static size_t align(size_t size, size_t to)
{
    return (size + to - 1) / to * to;
}

static void place_parameters(qg_tiles *tiles)
{
    size_t at = 0, bytes = 0;
    const int last = qg_tiles_last(tiles);
    for (int l = 0; l < last; l++) {
        qg_tile_layer *layer = &tiles->layers[l];
        set_layer(tiles, l, layer);
        const size_t weights = (size_t)(layer->chunks * 32) * (size_t)(layer->groups * 32);
        layer->weights_at = at;
        layer->biases_at = at += weights;
        at += (size_t)layer->groups * 32;
        layer->forward_at = bytes;
        layer->act_at = bytes += 2 * weights;
        layer->backward_at = bytes += layer->conv ? 2 * weights : 0;
        const int kernel = tiles->plans[l].kernel;
        if (layer->conv)
            bytes += align((size_t)layer->channels, 32) / 16 *
                     (size_t)(kernel * kernel * layer->groups) * TILE;
    }
    const qg_plan *plan = &tiles->plans[last];
    tiles->last_weights_at = at;
    tiles->last_biases_at = at += (size_t)plan->panels * (size_t)plan->k_count * QG_PANEL;
    tiles->parameter_count = at + (size_t)plan->panels * QG_PANEL;
    tiles->operand_size = bytes;
}

/* ------------------------------------------------------------------------- the block */

/* Stores to one place of a page block loads of the next block's same place: each begins elsewhere.
 */
static void *take(const qg_tiles *tiles, size_t *used, size_t bytes)
{
    enum { SKEW = 1344 };
    char *place = tiles->memory ? tiles->memory + *used : NULL;
    *used += align(bytes, LINE) + SKEW;
    return place;
}

enum { SLACK = TILE }; /* the last chunk of the last row may read as much further */

static void take_norm(qg_tiles *tiles, int l, size_t columns, size_t *used)
{
    const qg_plan *plan = &tiles->plans[l];
    const size_t outputs = (size_t)(plan->pixels * plan->outputs);
    tiles->normed[l] = take(tiles, used, columns * outputs * LINE);
    tiles->moments[l] = take(tiles, used, columns * 2 * LINE);
}

static void take_layer(qg_tiles *tiles, int l, size_t blocks, size_t *used)
{
    const qg_tile_layer *layer = &tiles->layers[l];
    const qg_plan *plan = &tiles->plans[l];
    const size_t pairs = 2 * layer->in_pairs * LINE;
    tiles->k[l] = take(tiles, used, blocks * pairs + SLACK);
    if (layer->phases) tiles->k_odd = take(tiles, used, blocks * pairs + SLACK);
    /* Products read 16 pixels, of which a row may have fewer. */
    const size_t beyond = 2 * (16 * (size_t)plan->in_step + 64);
    tiles->act[l] = take(tiles, used, 2 * layer->in_k + beyond);
    if (tiles->architecture.layers[l].norm) take_norm(tiles, l, 2 * blocks, used);
    if (!layer->conv) tiles->n[l] = take(tiles, used, blocks * 2 * (size_t)layer->chunks * TILE);
    if (!tiles->learns) return;
    const size_t outputs = (size_t)(plan->pixels * layer->groups) * 32;
    tiles->p[l] = take(tiles, used, blocks * layer->in_k * LINE + 2 * SLACK);
    tiles->gp[l] = take(tiles, used, blocks * outputs * LINE);
    tiles->gk[l] = take(tiles, used, blocks * outputs * LINE);
    tiles->gv[l] = take(tiles, used, blocks * outputs * LINE);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What a member needs for itself; its floats are sums of a linear layer's block, or turned weights
 * of the last layer, or its gradients, or a row of 16 screens and its bytes. */
static void set_own_size(qg_tiles *tiles)
{
    const qg_plan *last = &tiles->plans[qg_tiles_last(tiles)];
    const size_t side = (size_t)tiles->float32->panels * QG_PANEL;
    const size_t of_last =
        (size_t)last->outputs * side + (size_t)(last->panels * last->k_count) * QG_PANEL;
    const size_t row = ((size_t)tiles->plans[0].in_row + 128) * 16;
    size_t list = 0, tails = 0;
    for (int l = 0; l < qg_tiles_last(tiles); l++) {
        const qg_tile_layer *layer = &tiles->layers[l];
        const int taps = tiles->plans[l].kernel * tiles->plans[l].kernel;
        list = larger(list, larger((size_t)layer->chunks, (size_t)(taps * layer->groups)));
        tails = larger(tails, (size_t)layer->kernel_rows);
    }
    tiles->list_size = align(list * sizeof(tile_chunk), LINE);
    tiles->tails_size = 2 * tails * TILE;
    const size_t floats = larger(larger(of_last, row), QG_TILE_SUMS);
    tiles->own_size = tiles->list_size + tiles->tails_size + align(floats * sizeof(float), LINE);
}

static size_t divide(qg_tiles *tiles, const qg_engine_options *options, int threads)
{
    const int last = qg_tiles_last(tiles);
    const qg_plan *plan = &tiles->plans[last];
    const size_t blocks = (size_t)tiles->blocks, images = blocks * QG_TILE_IMAGES;
    size_t used = 0;
    for (qg_parameter_set set = QG_ONLINE; set < QG_PARAMETER_SETS; set++)
        if (qg_engine_holds(options, set))
            tiles->parameters[set] = take(tiles, &used, tiles->parameter_count * sizeof(float));
    for (qg_parameter_set set = QG_ONLINE; set <= QG_TARGET; set++)
        if (qg_engine_holds(options, set))
            tiles->operands[set] = take(tiles, &used, tiles->operand_size + SLACK);
    for (int l = 0; l < last; l++)
        take_layer(tiles, l, blocks, &used);
    if (qg_architecture_is_normed(&tiles->architecture)) {
        size_t outputs = 0;
        for (int l = 0; l < last; l++)
            outputs = larger(outputs, tiles->plans[l].out_image);
        tiles->means = take(tiles, &used, blocks * 4 * LINE);
        tiles->act_normed = take(tiles, &used, outputs * sizeof(float) + SLACK);
    }
    tiles->hidden = take(tiles, &used, images * plan->in_image * sizeof(float) + SLACK);
    tiles->q_values = take(tiles, &used, images * plan->out_image * sizeof(float));
    set_own_size(tiles);
    tiles->own = take(tiles, &used, (size_t)threads * tiles->own_size);
    if (!tiles->learns) return used;
    tiles->last_gradient = take(tiles, &used, images * plan->grad_image * sizeof(float));
    if (last > 0)
        tiles->hidden_gradient =
            take(tiles, &used, images * plan->below_grad_image * sizeof(float) + SLACK);
    tiles->loss =
        take(tiles, &used, 2 * images * (size_t)tiles->architecture.actions * sizeof(float));
    return used;
}

static qg_status make_plans(qg_tiles *tiles, const qg_engine_options *options, qg_error *error)
{
    tiles->architecture = *options->architecture;
    tiles->max_batch = options->max_batch;
    tiles->blocks = qg_tiles_blocks(options->max_batch);
    tiles->learns = options->optimiser != QG_NO_OPTIMISER;
    tiles->float32 = qg_kernels_select("avx512", false);
    const qg_status status =
        qg_plan_make(&tiles->architecture, tiles->float32->rows, tiles->plans, error);
    if (status) return status;
    const int last = qg_tiles_last(tiles);
    for (int l = 0; l < last; l++)
        tiles->plans[l].in_scale = l == 0 && tiles->architecture.input_max > 1 ? 1 / 255.0f : 1;
    tiles->plans[last].round_below = last > 0;
    place_parameters(tiles);
    return QG_OK;
}

static void free_plans(qg_tiles *tiles)
{
    for (int l = 0; l < QG_MAX_LAYERS; l++)
        qg_plan_free(&tiles->plans[l]);
}

/* One state at a time is not worth waking others for. */
static int threads_of(const qg_engine_options *options)
{
    const bool alone = options->max_batch == 1 && options->optimiser == QG_NO_OPTIMISER;
    return options->machine.threads && !alone ? options->machine.threads : 1;
}

qg_status qg_tiles_bytes(const qg_engine_options *options, size_t *bytes, qg_error *error)
{
    qg_tiles tiles = {0};
    const qg_status status = make_plans(&tiles, options, error);
    if (!status) *bytes = sizeof tiles + divide(&tiles, options, threads_of(options));
    free_plans(&tiles);
    return status;
}

static qg_status allocate(qg_tiles *tiles, const qg_engine_options *options, qg_error *error)
{
    const size_t page = (size_t)2 << 20;
    const int threads = qg_team_size(tiles->team);
    tiles->memory_size = align(divide(tiles, options, threads), page);
    tiles->memory = aligned_alloc(page, tiles->memory_size);
    if (!tiles->memory) return qg_fail_memory(error, "an engine", tiles->memory_size);
    madvise(tiles->memory, tiles->memory_size, MADV_HUGEPAGE);
    memset(tiles->memory, 0, tiles->memory_size);
    divide(tiles, options, threads);
    return QG_OK;
}

qg_status qg_tiles_create(const qg_engine_options *options, qg_tiles **result, qg_error *error)
{
    qg_tiles *tiles = calloc(1, sizeof *tiles);
    if (!tiles) return qg_fail_memory(error, "an engine", sizeof *tiles);
    qg_status status = make_plans(tiles, options, error);
    if (!status) status = qg_team_create(threads_of(options), &tiles->team, error);
    if (!status) status = allocate(tiles, options, error);
    if (status)
        qg_tiles_destroy(tiles);
    else
        *result = tiles;
    return status;
}

void qg_tiles_destroy(qg_tiles *tiles)
{
    free_plans(tiles);
    free(tiles->memory);
    qg_team_destroy(tiles->team);
    free(tiles);
}

/* ------------------------------------------------------------------------- parameters */

/* Where the k-th weight of output n, in PyTorch's order, and the bias lie in a parameter block. */
static size_t weight_at(const qg_tiles *tiles, int l, int n, int k)
{
    const qg_layer *layer = &tiles->architecture.layers[l];
    const qg_plan *plan = &tiles->plans[l];
    const int height = layer->kind == QG_CONV ? layer->kernel : layer->in_height;
    const int width = layer->kind == QG_CONV ? layer->kernel : layer->in_width;
    const int c = k / (height * width), y = k / width % height, x = k % width;
    if (l == qg_tiles_last(tiles))
        return tiles->last_weights_at +
               qg_plan_weight(plan, layer, n, qg_heads_inputs(layer, n) + c, y, x);
    const qg_tile_layer *own = &tiles->layers[l];
    const int stored = plan->k_count / (height * width);
    const int at =
        own->conv ? y * own->run_chunks * 32 + x * stored + c : (y * width + x) * stored + c;
    const int panel = own->conv ? n / 16 : n / 32 * 2 + n % 2;
    const int column = own->conv ? n % 16 : n % 32 / 2;
    return own->weights_at + ((size_t)panel * (size_t)own->chunks * 32 + (size_t)at) * 16 +
           (size_t)column;
}

static size_t bias_at(const qg_tiles *tiles, int l, int n)
{
    if (l == qg_tiles_last(tiles)) return tiles->last_biases_at + (size_t)n;
    const qg_tile_layer *own = &tiles->layers[l];
    const int place = own->conv ? n : n / 32 * 32 + n % 2 * 16 + n % 32 / 2;
    return own->biases_at + (size_t)place;
}

void qg_tiles_turn_weights(const qg_tiles *tiles, qg_parameter_set set, int l, int chunk, int group)
{
    const qg_tile_layer *layer = &tiles->layers[l];
    const int kernel = tiles->plans[l].kernel, taps = kernel * kernel;
    const size_t panel_size = (size_t)layer->chunks * 512;
    const float *w = tiles->parameters[set] + layer->weights_at + (size_t)(2 * group) * panel_size +
                     (size_t)chunk * 512;
    char *forward = tiles->operands[set] + layer->forward_at +
                    ((size_t)(2 * group * layer->chunks) + (size_t)chunk) * TILE;
    for (int panel = 0; panel < 2; panel++) {
        const float *from = w + (size_t)panel * panel_size;
        char *to = forward + (size_t)(panel * layer->chunks) * TILE;
        __m512i r[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            r[i] = interleave(
                round_two(_mm512_loadu_ps(from + i * 32 + 16), _mm512_loadu_ps(from + i * 32)));
        if (layer->conv) {
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                line_store(to + (layer->act_at - layer->forward_at) + i * LINE, r[i]);
            transpose16(r);
        }
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            line_store(to + i * LINE, r[i]);
    }
    if (!layer->conv) return;
    const int first = chunk % layer->run_chunks * 32, ky = chunk / layer->run_chunks;
    char *backward = tiles->operands[set] + layer->backward_at;
    for (int k = 0; k < 32 && first + k < layer->run; k++) {
        const int kx = (first + k) / layer->channels, c = (first + k) % layer->channels;
        const size_t tile = (size_t)((c / 16 * taps + ky * kernel + kx) * layer->groups + group);
        line_store(
            backward + tile * TILE + c % 16 * LINE,
            round_two(_mm512_loadu_ps(w + panel_size + k * 16), _mm512_loadu_ps(w + k * 16)));
    }
}

static void turn_all(qg_tiles *tiles, qg_parameter_set set)
{
    for (int l = 0; l < qg_tiles_last(tiles); l++)
        for (int chunk = 0; chunk < tiles->layers[l].chunks; chunk++)
            for (int group = 0; group < tiles->layers[l].groups; group++)
                qg_tiles_turn_weights(tiles, set, l, chunk, group);
}

void qg_tiles_write(qg_tiles *tiles, qg_parameter_set set, const qg_network *network)
{
    float *ours = tiles->parameters[set];
    for (int l = 0; l < tiles->architecture.layer_count; l++) {
        const qg_layer *layer = &tiles->architecture.layers[l];
        const int fan_in = (int)qg_layer_fan_in(layer);
        const float *weight = network->weights[l];
        for (int n = 0; n < layer->outputs; n++) {
            for (int k = 0; k < fan_in; k++)
                ours[weight_at(tiles, l, n, k)] = *weight++;
            ours[bias_at(tiles, l, n)] = network->biases[l][n];
        }
    }
    if (set <= QG_TARGET) turn_all(tiles, set);
}

void qg_tiles_read(const qg_tiles *tiles, qg_parameter_set set, qg_network *network)
{
    const float *ours = tiles->parameters[set];
    for (int l = 0; l < tiles->architecture.layer_count; l++) {
        const qg_layer *layer = &tiles->architecture.layers[l];
        const int fan_in = (int)qg_layer_fan_in(layer);
        float *weight = network->weights[l];
        for (int n = 0; n < layer->outputs; n++) {
            for (int k = 0; k < fan_in; k++)
                *weight++ = ours[weight_at(tiles, l, n, k)];
            network->biases[l][n] = ours[bias_at(tiles, l, n)];
        }
    }
}

void qg_tiles_copy_to_target(qg_tiles *tiles)
{
    memcpy(tiles->parameters[QG_TARGET], tiles->parameters[QG_ONLINE],
           tiles->parameter_count * sizeof(float));
    memcpy(tiles->operands[QG_TARGET], tiles->operands[QG_ONLINE], tiles->operand_size);
}

void qg_tiles_mix_into_target(qg_tiles *tiles, float tau)
{
    qg_mix(tiles->parameters[QG_TARGET], tiles->parameters[QG_ONLINE], tau, tiles->parameter_count);
    turn_all(tiles, QG_TARGET);
}
