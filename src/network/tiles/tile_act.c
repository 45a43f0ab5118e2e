/* Rows of the left factor are 16 output pixels of one row of a convolution, as they lie: inputs are
 * [y][x][c] of bf16, with their border, and a kernel's row of each is 32s of k that follow each
 * other. A linear layer's are 16 times the state. Right factors are weights, [16 k pairs][16 o][2].
 */
#include "network/tiles/tile_act.h"

#include "network/tiles/tile_norm.h"
#include "network/tiles/tile_permission.h"
#include "network/tiles/tile_product.h"

void qg_tiles_act_row(const qg_tiles *tiles, int y, const uint8_t *bytes)
{
    const qg_plan *plan = &tiles->plans[0];
    const qg_architecture *a = &tiles->architecture;
    const int count = a->width * a->channels;
    const int at = tiles->layers[0].conv
                       ? (y + plan->padding) * plan->in_row + plan->padding * a->channels
                       : y * count;
    uint16_t *to = tiles->act[0] + at;
    for (int i = 0; i < count; i += 32) {
        const __mmask32 there = count - i >= 32 ? ~(__mmask32)0 : (1u << (count - i)) - 1;
        const __m512i low = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(bytes + i)));
        const __m512i high = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(bytes + i + 16)));
        _mm512_mask_storeu_epi16(to + i, there,
                                 round_two(_mm512_cvtepi32_ps(high), _mm512_cvtepi32_ps(low)));
    }
}

ALWAYS void store_floats(float *to, __mmask32 there, __m512 low, __m512 high)
{
    _mm512_mask_storeu_ps(to, (__mmask16)there, low);
    _mm512_mask_storeu_ps(to + 16, (__mmask16)(there >> 16), high);
}

ALWAYS __mmask32 first_of(int left)
{
    return left >= 32 ? ~(__mmask32)0 : (1u << left) - 1;
}

/* 32 outputs from `at` on of the next layer's input: those of `there`. */
ALWAYS void place_outputs(const qg_tiles *tiles, int l, size_t at, __mmask32 there, __m512 low,
                          __m512 high)
{
    if (l + 1 < qg_tiles_last(tiles))
        _mm512_mask_storeu_epi16(tiles->act[l + 1] + at, there, round_two(high, low));
    else
        store_floats(tiles->hidden + at, there, low, high);
}

/* 32 sums from `at` on (of the next layer's input): of those outputs that there are. */
ALWAYS void store_outputs(const qg_tiles *tiles, int l, size_t at, int left, __m512 low,
                          __m512 high)
{
    const __m512 zero = _mm512_setzero_ps();
    if (tiles->architecture.layers[l].norm)
        store_floats(tiles->act_normed + at, first_of(left), low, high);
    else
        place_outputs(tiles, l, at, first_of(left), _mm512_max_ps(low, zero),
                      _mm512_max_ps(high, zero));
}

/* What a layer's norm makes of its sums. */
static void act_norm(const qg_tiles *tiles, int l)
{
    const qg_plan *plan = &tiles->plans[l];
    qg_tile_norm_state(tiles, l, tiles->act_normed);
    for (int pixel = 0; pixel < plan->pixels; pixel++)
        for (int n = 0; n < plan->outputs; n += 32) {
            const size_t at = (size_t)(plan->pixel_out[pixel] + n);
            place_outputs(tiles, l, at, first_of(plan->outputs - n),
                          _mm512_loadu_ps(tiles->act_normed + at),
                          _mm512_loadu_ps(tiles->act_normed + at + 16));
        }
}

ALWAYS __m512 output_of(const float *sums, float scale, const float *bias)
{
    return _mm512_fmadd_ps(_mm512_load_ps(sums), _mm512_set1_ps(scale), _mm512_loadu_ps(bias));
}

/* 16 pixels of an output row. */
typedef struct unit {
    int y, x;
} unit;

static void store_unit(const qg_tiles *tiles, int l, unit u, int group, const float *sums,
                       const float *bias)
{
    const qg_plan *plan = &tiles->plans[l];
    const int count = plan->columns - u.x < 16 ? plan->columns - u.x : 16;
    for (int i = 0; i < count; i++) {
        const size_t at =
            (size_t)plan->pixel_out[u.y * plan->columns + u.x + i] + (size_t)(32 * group);
        store_outputs(tiles, l, at, plan->outputs - 32 * group,
                      output_of(sums + i * 16, plan->in_scale, bias),
                      output_of(sums + 256 + i * 16, plan->in_scale, bias + 16));
    }
}

/* A row's last chunk with zeros behind its end: see tile_forward.c. */
static void copy_tail(const uint16_t *from, size_t step, int tail, char *to)
{
    for (int i = 0; i < 16; i++, from += step)
        line_store(to + i * LINE, _mm512_maskz_loadu_epi16((1u << tail) - 1, from));
    TILE_FENCE();
}

static void act_units(const qg_tiles *tiles, int l, const unit units[2], const char *weights,
                      float *sums)
{
    const qg_plan *plan = &tiles->plans[l];
    const qg_tile_layer *layer = &tiles->layers[l];
    const size_t row = (size_t)layer->in_row, step = (size_t)plan->in_step, bytes = 2 * step;
    const int tail = l > 0 ? layer->run % 32 : 0;
    char *copies = qg_tiles_tails(tiles, 0);
    const uint16_t *left[2];
    for (int side = 0; side < 2; side++)
        left[side] = tiles->act[l] + (size_t)(units[side].y * plan->stride) * row +
                     (size_t)units[side].x * step;
    ZERO_TILES();
    for (int ky = 0; ky < layer->kernel_rows; ky++)
        for (int i = 0; i < layer->run_chunks; i++, weights += TILE) {
            const size_t at = (size_t)ky * row + (size_t)i * 32;
            _tile_loadd(6, weights, LINE);
            _tile_loadd(7, weights + (size_t)layer->chunks * TILE, LINE);
            if (tail && i + 1 == layer->run_chunks) {
                copy_tail(left[0] + at, step, tail, copies);
                copy_tail(left[1] + at, step, tail, copies + TILE);
                _tile_loadd(4, copies, LINE);
                _tile_loadd(5, copies + TILE, LINE);
            } else {
                _tile_loadd(4, left[0] + at, bytes);
                _tile_loadd(5, left[1] + at, bytes);
            }
            MULTIPLY_TILES();
        }
    STORE_TILES(sums);
}

static void act_conv(const qg_tiles *tiles, qg_parameter_set set, int l)
{
    const qg_plan *plan = &tiles->plans[l];
    const qg_tile_layer *layer = &tiles->layers[l];
    const int across = (plan->columns + 15) / 16, count = across * plan->rows;
    tile_sums s;
    for (int group = 0; group < layer->groups; group++) {
        const float *bias = tiles->parameters[set] + layer->biases_at + 32 * group;
        const char *weights =
            tiles->operands[set] + layer->act_at + (size_t)(2 * group * layer->chunks) * TILE;
        for (int i = 0; i < count; i += 2) {
            const int j = i + 1 < count ? i + 1 : i;
            const unit units[2] = {{i / across, i % across * 16}, {j / across, j % across * 16}};
            act_units(tiles, l, units, weights, s.sums);
            for (int side = 0; side < 2; side++)
                store_unit(tiles, l, units[side], group, s.sums + side * 512, bias);
        }
    }
    TILE_FENCE();
}

/* Two groups of outputs at a time. */
static void act_linear(const qg_tiles *tiles, qg_parameter_set set, int l)
{
    static const int32_t order[32] __attribute__((aligned(64))) = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    enum { FETCH = 4 * TILE }; /* weights come from the third cache */
    const qg_plan *plan = &tiles->plans[l];
    const qg_tile_layer *layer = &tiles->layers[l];
    const size_t panel = (size_t)layer->chunks * TILE;
    tile_sums s;
    for (int group = 0; group < layer->groups; group += 2) {
        const char *w = tiles->operands[set] + layer->forward_at + (size_t)(2 * group) * panel;
        const size_t next = group + 1 < layer->groups ? 2 * panel : 0;
        ZERO_TILES();
        for (int chunk = 0; chunk < layer->chunks; chunk++, w += TILE) {
            _tile_loadd(4, tiles->act[l] + chunk * 32, 0);
            _tile_loadd(5, w, LINE);
            _tile_loadd(6, w + panel, LINE);
            _tile_dpbf16ps(0, 4, 5);
            _tile_dpbf16ps(1, 4, 6);
            _tile_loadd(5, w + next, LINE);
            _tile_loadd(6, w + next + panel, LINE);
            _tile_dpbf16ps(2, 4, 5);
            _tile_dpbf16ps(3, 4, 6);
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                _mm_prefetch(w + FETCH + i * LINE, _MM_HINT_T0);
                _mm_prefetch(w + panel + FETCH + i * LINE, _MM_HINT_T0);
                _mm_prefetch(w + next + FETCH + i * LINE, _MM_HINT_T0);
                _mm_prefetch(w + next + panel + FETCH + i * LINE, _MM_HINT_T0);
            }
        }
        STORE_TILES(s.sums);
        for (int g = group; g < group + 2 && g < layer->groups; g++) {
            const float *bias = tiles->parameters[set] + layer->biases_at + 32 * g;
            const float *sums = s.sums + (g - group) * 512;
            const __m512 even = output_of(sums, plan->in_scale, bias);
            const __m512 odd = output_of(sums + 256, plan->in_scale, bias + 16);
            store_outputs(tiles, l, (size_t)(32 * g), plan->outputs - 32 * g,
                          _mm512_permutex2var_ps(even, line_load(order), odd),
                          _mm512_permutex2var_ps(even, line_load(order + 16), odd));
        }
    }
    TILE_FENCE();
}

void qg_tiles_act(const qg_tiles *tiles, qg_parameter_set set)
{
    for (int l = 0; l < qg_tiles_last(tiles); l++) {
        const unsigned before = qg_tiles_flush();
        if (tiles->layers[l].conv)
            act_conv(tiles, set, l);
        else
            act_linear(tiles, set, l);
        qg_tiles_unflush(before);
        if (tiles->architecture.layers[l].norm) act_norm(tiles, l);
    }
}
