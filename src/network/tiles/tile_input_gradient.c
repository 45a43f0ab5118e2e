#include "network/tiles/tile_input_gradient.h"

#include "network/tiles/tile_norm.h"
#include "network/tiles/tile_permission.h"
#include "network/tiles/tile_product.h"

/* ------------------------------------------------------------------------- forms */

/* V, and where it is wanted K, of the gradients of a group of 32 outputs, lines of 32 images. */
ALWAYS void turn_group(const char *from, bool conv, char *v, char *k, size_t k_next)
{
    for (int panel = 0; panel < 2; panel++) {
        __m512i r[16];
#pragma GCC unroll 16
        for (int c = 0; c < 16; c++)
            r[c] = line_load(from + (conv ? 16 * panel + c : 2 * c + panel) * LINE);
        transpose16(r);
#pragma GCC unroll 16
        for (int c = 0; c < 16; c++)
            line_store(v + panel * TILE + c * LINE, r[c]);
    }
    for (int c = 0; c < 16 && k; c++) {
        __m512i first, second;
        join_pairs(line_load(from + 2 * c * LINE), line_load(from + (2 * c + 1) * LINE), &first,
                   &second);
        line_store(k + c * LINE, first);
        line_store(k + k_next + (size_t)(c * LINE), second);
    }
}

/* Whether the input gradient of layer l comes in whole groups of a convolution below, and can be
 * turned at once. */
static bool is_whole(const qg_tiles *tiles, int l)
{
    return l < qg_tiles_last(tiles) && tiles->layers[l - 1].conv &&
           !tiles->architecture.layers[l - 1].norm &&
           (tiles->layers[l].conv || tiles->plans[l].below_channels % 32 == 0);
}

static void turn_gradients(const qg_tile_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const int groups = layer->groups, units = tiles->plans[l].pixels * groups;
    const size_t block_size = qg_tile_gradient_block(tiles, l);
    int begin, end;
    qg_team_share(job->blocks * units, member, members, &begin, &end);
    for (int i = begin; i < end; i++) {
        const size_t block = (size_t)(i / units) * block_size;
        const size_t unit = (size_t)(i % units) * 2 * TILE;
        turn_group(tiles->gp[l] + block + unit, layer->conv, tiles->gv[l] + block + unit,
                   l > job->lowest ? tiles->gk[l] + block + unit / 2 : NULL, block_size / 2);
    }
    TILE_FENCE();
}

/* The gradient of the last layer's inputs, floats of an image, as lines of 32 images. */
static void turn_hidden(const qg_tile_job *job, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const int last = qg_tiles_last(tiles), l = last - 1, size = job->descent->states.size;
    const qg_plan *plan = &tiles->plans[last];
    const int groups = tiles->layers[l].groups, pixels = tiles->plans[l].pixels;
    int begin, end;
    qg_team_share(job->blocks * pixels * groups * 2, member, members, &begin, &end);
    for (int item = begin; item < end; item++) {
        const int half = item % 2, group = item / 2 % groups, pixel = item / 2 / groups % pixels;
        const int block = item / 2 / groups / pixels;
        const int left = tiles->plans[l].outputs - 32 * group - 16 * half;
        const __mmask16 there = (__mmask16)(left >= 16 ? 0xffff : left > 0 ? (1u << left) - 1 : 0);
        __m512i r[2][16];
        for (int t = 0; t < 2; t++) {
            for (int i = 0; i < 16; i++) {
                const int image = 32 * block + 16 * t + i;
                const float *from =
                    tiles->hidden_gradient + (size_t)image * plan->below_grad_image +
                    (size_t)(pixel * plan->below_grad_pixel + 32 * group + 16 * half);
                r[t][i] = (__m512i)_mm512_maskz_loadu_ps(image < size ? there : 0, from);
            }
            transpose16(r[t]);
        }
        char *to = tiles->gp[l] + (size_t)block * qg_tile_gradient_block(tiles, l) +
                   (size_t)(pixel * groups + group) * 2 * TILE + (size_t)half * TILE;
        for (int c = 0; c < 16; c++)
            line_store(to + c * LINE, round_two((__m512)r[1][c], (__m512)r[0][c]));
    }
}

/* ------------------------------------------------------------------------- to the inputs */

/* 32 inputs of a layer at one pixel, of a block's images. Eight by eight they are lines of the
 * gradient below that follow each other; NULL: they are no inputs. `whole`: they are all there is
 * of a pixel's group below, and can be turned at once. */
typedef struct below_place {
    const char *active; /* P of the inputs */
    char *lines[4];
    float scale;
    bool whole;
    char *own;   /* 32 lines, if it is whole */
    char *v, *k; /* of the group, if it is whole; K may be NULL */
    size_t k_next;
} below_place;

static inline __attribute__((always_inline)) void finish_below(void *context, const float *sums,
                                                               int step)
{
    const below_place *to = context;
    const __m512 scale = _mm512_set1_ps(to->scale);
    char *lines = to->lines[step / 4];
    if (lines) {
        const int c = 2 * step;
        const float *s = sums + (c / 16) * 512 + (c % 16) * 16;
        lines += c % 8 * LINE;
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++, s += 16) {
            const __m512i both = round_two(_mm512_mul_ps(_mm512_load_ps(s + 256), scale),
                                           _mm512_mul_ps(_mm512_load_ps(s), scale));
            const __m512i active = line_load(to->active + (c + i) * LINE);
            line_store(lines + i * LINE,
                       _mm512_maskz_mov_epi16(
                           _mm512_cmpgt_epi16_mask(active, _mm512_setzero_si512()), both));
        }
    } else if (to->whole) {
        line_store(to->own + 2 * step * LINE, _mm512_setzero_si512());
        line_store(to->own + (2 * step + 1) * LINE, _mm512_setzero_si512());
    }
    if (step == STEPS - 1 && to->whole) turn_group(to->own, true, to->v, to->k, to->k_next);
}

/* Inputs c ... c + 31 of input pixel `pixel` of layer l: k of a linear layer. `own`: 32 lines for
 * those that are whole. */
static void set_below(const qg_tile_job *job, int l, int block, int in, int pixel, int c, char *own,
                      below_place *to)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l], *below = &tiles->layers[l - 1];
    const int channels = tiles->plans[l].below_channels, groups = below->groups;
    const size_t block_at = (size_t)block * qg_tile_gradient_block(tiles, l - 1);
    to->active = tiles->p[l] + ((size_t)block * layer->in_k + (size_t)(in + c)) * LINE;
    to->scale = 1 / (1 - qg_dropout_of(&tiles->architecture, &job->dropout, l - 1));
    to->whole = is_whole(tiles, l);
    to->own = own;
    const int at = pixel + c / channels, first = c % channels;
    const size_t unit = (size_t)(at * groups + first / 32);
    if (to->whole) {
        to->v = tiles->gv[l - 1] + block_at + unit * 2 * TILE;
        to->k = l - 1 > job->lowest ? tiles->gk[l - 1] + block_at + unit * TILE : NULL;
        to->k_next = qg_tile_gradient_block(tiles, l - 1) / 2;
    }
    for (int i = 0; i < 4; i++) {
        const int channel = first + 8 * i;
        const size_t line = (size_t)((at + channel / channels) * groups * 32 + channel % channels);
        to->lines[i] = c + 8 * i >= layer->channels ? NULL
                       : to->whole                  ? own + 8 * i * LINE
                                                    : tiles->gp[l - 1] + block_at + line * LINE;
    }
}

/* The taps of a gather; what they meet begins at its first output pixel. */
static int list_taps(const qg_tiles *tiles, int l, int group, const qg_gather *g, tile_chunk *list)
{
    const qg_plan *plan = &tiles->plans[l];
    const int groups = tiles->layers[l].groups;
    const size_t all = (size_t)(plan->kernel * plan->kernel * groups) * TILE;
    const char *weights =
        tiles->operands[QG_ONLINE] + tiles->layers[l].backward_at + (size_t)(2 * group) * all;
    int count = 0;
    for (int y = 0; y < g->rows; y++)
        for (int x = 0; x < g->columns; x++) {
            const int tap = g->tap + plan->stride * (y * plan->kernel + x);
            const int pixel = -y * plan->columns - x;
            for (int o = 0; o < groups; o++, count++) {
                const char *left = weights + (size_t)(tap * groups + o) * TILE;
                const ptrdiff_t right = (ptrdiff_t)(pixel * groups + o) * TILE;
                list[count] = (tile_chunk){{left, left + all}, {right, right}};
            }
        }
    return count;
}

static bool same_taps(const qg_gather *a, const qg_gather *b)
{
    return a->tap == b->tap && a->rows == b->rows && a->columns == b->columns;
}

static void propagate_conv(const qg_tile_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    const int pixels = plan->in_rows * plan->in_columns, own_groups = tiles->layers[l].groups;
    const int groups = (tiles->layers[l].channels + 31) / 32;
    const size_t block_size = qg_tile_gradient_block(tiles, l);
    tile_chunk *list = qg_tiles_list(tiles, member);
    char lines[2 * TILE] __attribute__((aligned(64))) = {0};
    tile_sums sums[2];
    below_place place[2];
    const float *before = NULL;
    const qg_gather *listed = NULL;
    int begin, end, flip = 0, listed_group = 0, count = 0;
    qg_team_share(groups * pixels, member, members, &begin, &end);
    for (int item = begin; item < end; item++) {
        const int group = item / pixels;
        const qg_gather *g = &plan->gathers[item - group * pixels];
        if (!listed || group != listed_group || !same_taps(g, listed))
            count = list_taps(tiles, l, group, g, list);
        listed = g;
        listed_group = group;
        for (int block = 0; block < job->blocks; block++, flip ^= 1) {
            const char *first =
                tiles->gk[l] + (size_t)block * block_size + (size_t)(g->pixel * own_groups) * TILE;
            const char *const right[2] = {first, first + block_size / 2};
            tile_multiply(list, count, right, sums[flip].sums, finish_below, &place[1 - flip],
                          before);
            set_below(job, l, block, g->in, g->in_pixel, 32 * group, lines, &place[flip]);
            before = sums[flip].sums;
        }
    }
    for (int s = 0; before && s < STEPS; s++)
        finish_below(&place[1 - flip], before, s);
    TILE_FENCE();
}

/* Weights of 32 k and 32 outputs as two left factors, [16 k][32 outputs] each: pairs of k of the
 * even and of the odd outputs become pairs of outputs. */
ALWAYS void turn_linear(const char *even, const char *odd, char *to, const char *next)
{
    const __m512i low = _mm512_set1_epi32(0xffff);
#pragma GCC unroll 4
    for (int i = 0; i < 16; i++) {
        const __m512i x = line_load(even + i * LINE), y = line_load(odd + i * LINE);
        line_store(to + 2 * i * LINE,
                   _mm512_ternarylogic_epi32(low, x, _mm512_slli_epi32(y, 16), 0xca));
        line_store(to + (2 * i + 1) * LINE,
                   _mm512_ternarylogic_epi32(low, _mm512_srli_epi32(x, 16), y, 0xca));
        _mm_prefetch(even + (next - even) + i * LINE, _MM_HINT_T1);
        _mm_prefetch(odd + (next - even) + i * LINE, _MM_HINT_T1);
    }
    TILE_FENCE();
}

static void propagate_linear(const qg_tile_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const size_t panel = (size_t)layer->chunks * TILE,
                 block_size = qg_tile_gradient_block(tiles, l);
    char turned[2][2 * TILE] __attribute__((aligned(64)));
    char lines[2 * TILE] __attribute__((aligned(64))) = {0};
    tile_sums sums[2];
    below_place place[2];
    const float *before = NULL;
    int begin, end, flip = 0;
    qg_team_share(layer->chunks, member, members, &begin, &end);
    for (int chunk = begin; chunk < end; chunk++)
        for (int block = 0; block < job->blocks; block++, flip ^= 1) {
            int done = 0;
            const int each = (STEPS + layer->groups - 1) / layer->groups;
            ZERO_TILES();
            for (int o = 0; o < layer->groups; o++) {
                const char *w = tiles->operands[QG_ONLINE] + layer->forward_at +
                                (size_t)(2 * o) * panel + (size_t)chunk * TILE;
                const char *g = tiles->gk[l] + (size_t)block * block_size + (size_t)o * TILE;
                char *to = turned[o & 1];
                turn_linear(w, w + panel, to, w + TILE);
                _tile_loadd(4, to, LINE);
                _tile_loadd(6, g, LINE);
                _tile_loadd(7, g + block_size / 2, LINE);
                _tile_loadd(5, to + TILE, LINE);
                MULTIPLY_TILES();
                for (int i = 0; i < each && before && done < STEPS; i++)
                    finish_below(&place[1 - flip], before, done++);
            }
            for (; before && done < STEPS; done++)
                finish_below(&place[1 - flip], before, done);
            STORE_TILES(sums[flip].sums);
            set_below(job, l, block, 0, 0, 32 * chunk, lines, &place[flip]);
            before = sums[flip].sums;
        }
    for (int s = 0; before && s < STEPS; s++)
        finish_below(&place[1 - flip], before, s);
    TILE_FENCE();
}

/* ------------------------------------------------------------------------- of a layer */

static void propagate_last(const qg_tile_job *job, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const int last = qg_tiles_last(tiles), side = tiles->float32->panels * QG_PANEL;
    const qg_plan *plan = &tiles->plans[last];
    const int items = (plan->in_channels + side - 1) / side;
    const float scale = 1 / (1 - qg_dropout_of(&tiles->architecture, &job->dropout, last - 1));
    int begin, end;
    qg_team_share(items, member, members, &begin, &end);
    tiles->float32->input_gradient(
        plan, tiles->last_gradient, tiles->parameters[QG_ONLINE] + tiles->last_weights_at,
        tiles->hidden, tiles->hidden_gradient, scale, job->descent->states.size, begin, end,
        qg_tiles_scratch(tiles, member));
    qg_team_barrier(tiles->team);
    turn_hidden(job, member, members);
}

void qg_tiles_propagate(const qg_tile_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    if (l == qg_tiles_last(tiles)) {
        propagate_last(job, member, members);
    } else {
        const unsigned before = qg_tiles_flush();
        if (tiles->layers[l].conv)
            propagate_conv(job, l, member, members);
        else
            propagate_linear(job, l, member, members);
        qg_tiles_unflush(before);
    }
    qg_team_barrier(tiles->team);
    if (tiles->architecture.layers[l - 1].norm) {
        qg_tile_norm_backward(job, l - 1, member, members);
        qg_team_barrier(tiles->team);
    }
    if (!is_whole(tiles, l)) {
        turn_gradients(job, l - 1, member, members);
        qg_team_barrier(tiles->team);
    }
    qg_tiles_lap(tiles, member, QG_WORK_INPUT_GRADIENT, l);
}
