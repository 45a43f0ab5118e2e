#include "network/tiles/tile_descent.h"

#include "network/optimiser.h"
#include "network/tiles/tile_forward.h"
#include "network/tiles/tile_permission.h"
#include "network/tiles/tile_product.h"

#include <assert.h>
#include <float.h>
#include <string.h>

typedef struct tile_descent_job {
    qg_tiles *tiles;
    const qg_descent *descent;
    qg_dropout dropout;
    qg_adam adam[QG_MAX_LAYERS]; /* the step, of that optimiser */
    int lowest;                  /* the lowest layer that learns; layer_count: none does */
    int blocks;                  /* of the minibatch */
} tile_descent_job;

/* Where the gradient of an image tile's outputs begins: bytes of a block's forms. */
static size_t gradient_block(const qg_tiles *tiles, int l)
{
    return (size_t)(tiles->plans[l].pixels * tiles->layers[l].groups) * 32 * LINE;
}

/* ------------------------------------------------------------------------- the optimiser */

/* Centred RMSProp or Adam (kernels.h) of 16 weights, to the bit those of kernels.c. */
typedef struct optimiser {
    bool adam;
    __m512 decay, rest; /* of both moments, Adam's of the first one */
    __m512 epsilon, rate;
    __m512 decay2, rest2, scale; /* Adam's */
} optimiser;

/* `a`: NULL: the optimiser is RMSProp. */
static optimiser optimiser_of(const qg_optimiser *o, const qg_adam *a)
{
    if (a)
        return (optimiser){true,
                           _mm512_set1_ps(a->beta1),
                           _mm512_set1_ps(a->rest1),
                           _mm512_set1_ps(a->epsilon),
                           _mm512_set1_ps(a->rate),
                           _mm512_set1_ps(a->beta2),
                           _mm512_set1_ps(a->rest2),
                           _mm512_set1_ps(a->scale)};
    assert(o->kind == QG_RMSPROP_CENTRED);
    return (optimiser){.decay = _mm512_set1_ps(o->rmsprop.decay),
                       .rest = _mm512_set1_ps(1 - o->rmsprop.decay),
                       .epsilon = _mm512_set1_ps(o->rmsprop.epsilon),
                       .rate = _mm512_set1_ps(o->learning_rate)};
}

ALWAYS __m512 normal(__m512 a)
{
    const __mmask16 denormal =
        _mm512_cmp_ps_mask(_mm512_abs_ps(a), _mm512_set1_ps(FLT_MIN), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(a, denormal, _mm512_setzero_ps());
}

/* What 16 weights change by. */
ALWAYS __m512 rmsprop(const optimiser *o, float *m1, float *m2, __m512 d)
{
    const __m512 part = _mm512_mul_ps(o->rest, d);
    const __m512 mean = normal(_mm512_fmadd_ps(o->decay, _mm512_loadu_ps(m1), part));
    const __m512 square =
        normal(_mm512_fmadd_ps(o->decay, _mm512_loadu_ps(m2), _mm512_mul_ps(part, d)));
    _mm512_storeu_ps(m1, mean);
    _mm512_storeu_ps(m2, square);
    const __m512 variance =
        _mm512_max_ps(_mm512_fnmadd_ps(mean, mean, square), _mm512_setzero_ps());
    return _mm512_div_ps(_mm512_mul_ps(o->rate, d),
                         _mm512_sqrt_ps(_mm512_add_ps(variance, o->epsilon)));
}

ALWAYS __m512 adam(const optimiser *o, float *m1, float *m2, __m512 d)
{
    const __m512 mean =
        normal(_mm512_fmadd_ps(o->decay, _mm512_loadu_ps(m1), _mm512_mul_ps(o->rest, d)));
    const __m512 part = _mm512_mul_ps(_mm512_mul_ps(o->rest2, d), d);
    const __m512 square = normal(_mm512_fmadd_ps(o->decay2, _mm512_loadu_ps(m2), part));
    _mm512_storeu_ps(m1, mean);
    _mm512_storeu_ps(m2, square);
    return _mm512_div_ps(_mm512_mul_ps(o->rate, mean),
                         _mm512_fmadd_ps(_mm512_sqrt_ps(square), o->scale, o->epsilon));
}

ALWAYS __m512 step(const optimiser *o, float *w, float *m1, float *m2, __m512 d)
{
    const __m512 change = o->adam ? adam(o, m1, m2, d) : rmsprop(o, m1, m2, d);
    const __m512 after = _mm512_add_ps(_mm512_loadu_ps(w), change);
    _mm512_storeu_ps(w, after);
    return after;
}

/* Where `count` parameters and what belongs to them lie. */
typedef struct piece {
    float *w, *m1, *m2, *kept;
    const float *anchor, *pull; /* NULL: none */
    qg_optimiser optimiser;
    const qg_adam *adam; /* NULL: it is another */
    float l2;
} piece;

/* Parameters of layer `l`. */
static piece piece_at(const tile_descent_job *job, int l, size_t at, float l2)
{
    float *const *parameters = job->tiles->parameters;
    const bool anchored = parameters[QG_PULL];
    const qg_learning *learning = job->descent->learning;
    return (piece){parameters[QG_ONLINE] + at,
                   parameters[QG_MOMENT1] + at,
                   parameters[QG_MOMENT2] + at,
                   job->descent->keep_gradient ? parameters[QG_GRADIENT] + at : NULL,
                   anchored ? parameters[QG_ANCHOR] + at : NULL,
                   anchored ? parameters[QG_PULL] + at : NULL,
                   qg_optimiser_of_layer(learning, l),
                   learning->optimiser.kind == QG_ADAM ? &job->adam[l] : NULL,
                   l2};
}

static void pull_back(const piece *p, float *gradient, size_t count)
{
    if (p->pull) qg_pull_back(p->w, p->anchor, p->pull, gradient, count);
}

/* The gradient behind the weight decay, kept if it is to be; no zero keeps a sign. */
ALWAYS __m512 settle(const piece *p, size_t i, __m512 d)
{
    d = _mm512_add_ps(d, _mm512_setzero_ps());
    if (p->l2 > 0) d = _mm512_fmadd_ps(_mm512_set1_ps(-p->l2), _mm512_loadu_ps(p->w + i), d);
    if (p->kept) _mm512_storeu_ps(p->kept + i, d);
    return d;
}

/* The step of the last layer, whose zeros keep their sign. */
static void step_plain(const piece *p, float *gradient, size_t count)
{
    const optimiser o = optimiser_of(&p->optimiser, p->adam);
    pull_back(p, gradient, count);
    for (size_t i = 0; i < count; i += 16) {
        __m512 d = _mm512_loadu_ps(gradient + i);
        if (p->l2 > 0) d = _mm512_fmadd_ps(_mm512_set1_ps(-p->l2), _mm512_loadu_ps(p->w + i), d);
        if (p->kept) _mm512_storeu_ps(p->kept + i, d);
        step(&o, p->w + i, p->m1 + i, p->m2 + i, d);
    }
}

static void step_piece(const piece *p, float *gradient, size_t count)
{
    const optimiser o = optimiser_of(&p->optimiser, p->adam);
    pull_back(p, gradient, count);
    for (size_t i = 0; i < count; i += 16)
        step(&o, p->w + i, p->m1 + i, p->m2 + i, settle(p, i, _mm512_loadu_ps(gradient + i)));
}

/* ... of a linear layer, whose weights are rounded while they are in registers; `next`: how far the
 * piece after this one begins behind it. */
static void step_linear(const piece *p, float *gradient, size_t count, char *forward,
                        ptrdiff_t next)
{
    const optimiser o = optimiser_of(&p->optimiser, p->adam);
    pull_back(p, gradient, count);
    enum { AHEAD = 768 }; /* floats */
    for (size_t i = 0; i < count; i += 32, forward += LINE) {
        const ptrdiff_t ahead = (ptrdiff_t)i + AHEAD < (ptrdiff_t)count
                                    ? (ptrdiff_t)i + AHEAD
                                    : (ptrdiff_t)i + AHEAD - (ptrdiff_t)count + next;
        for (int j = 0; j < 32; j += 16) {
            _mm_prefetch((const char *)(p->w + ahead + j), _MM_HINT_T0);
            _mm_prefetch((const char *)(p->m1 + ahead + j), _MM_HINT_T0);
            _mm_prefetch((const char *)(p->m2 + ahead + j), _MM_HINT_T0);
        }
        const __m512 a =
            step(&o, p->w + i, p->m1 + i, p->m2 + i, settle(p, i, _mm512_loadu_ps(gradient + i)));
        const __m512 b = step(&o, p->w + i + 16, p->m1 + i + 16, p->m2 + i + 16,
                              settle(p, i + 16, _mm512_loadu_ps(gradient + i + 16)));
        line_store(forward, interleave(round_two(b, a)));
    }
}

/* sums * scale, as a layer of bytes has it. */
static __attribute__((noinline)) void scale_sums(float *sums, size_t count, float scale)
{
    for (size_t i = 0; i < count; i += 16)
        _mm512_storeu_ps(sums + i, _mm512_fmadd_ps(_mm512_loadu_ps(sums + i), _mm512_set1_ps(scale),
                                                   _mm512_setzero_ps()));
}

static void scale_flushed(float *sums, size_t count, float scale)
{
    const unsigned before = qg_tiles_flush();
    scale_sums(sums, count, scale);
    qg_tiles_unflush(before);
}

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

/* Whether the input gradient of layer l comes in whole groups of a convolution below. */
static bool is_whole(const qg_tiles *tiles, int l)
{
    return l < qg_tiles_last(tiles) && tiles->layers[l - 1].conv &&
           (tiles->layers[l].conv || tiles->plans[l].below_channels % 32 == 0);
}

static void turn_gradients(const tile_descent_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const int groups = layer->groups, units = tiles->plans[l].pixels * groups;
    const size_t block_size = gradient_block(tiles, l);
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
static void turn_hidden(const tile_descent_job *job, int member, int members)
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
        char *to = tiles->gp[l] + (size_t)block * gradient_block(tiles, l) +
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
static void set_below(const tile_descent_job *job, int l, int block, int in, int pixel, int c,
                      char *own, below_place *to)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l], *below = &tiles->layers[l - 1];
    const int channels = tiles->plans[l].below_channels, groups = below->groups;
    const size_t block_at = (size_t)block * gradient_block(tiles, l - 1);
    to->active = tiles->p[l] + ((size_t)block * layer->in_k + (size_t)(in + c)) * LINE;
    to->scale = 1 / (1 - qg_dropout_of(&tiles->architecture, &job->dropout, l - 1));
    to->whole = is_whole(tiles, l);
    to->own = own;
    const int at = pixel + c / channels, first = c % channels;
    const size_t unit = (size_t)(at * groups + first / 32);
    if (to->whole) {
        to->v = tiles->gv[l - 1] + block_at + unit * 2 * TILE;
        to->k = l - 1 > job->lowest ? tiles->gk[l - 1] + block_at + unit * TILE : NULL;
        to->k_next = gradient_block(tiles, l - 1) / 2;
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

static void propagate_conv(const tile_descent_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    const int pixels = plan->in_rows * plan->in_columns, own_groups = tiles->layers[l].groups;
    const int groups = (tiles->layers[l].channels + 31) / 32;
    const size_t block_size = gradient_block(tiles, l);
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

static void propagate_linear(const tile_descent_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const size_t panel = (size_t)layer->chunks * TILE, block_size = gradient_block(tiles, l);
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

/* ------------------------------------------------------------------------- to the weights */

/* The chunk of 32 k and a group of 32 outputs of a convolution: sums [panel][32 k][16]. Images are
 * the products' k, pixel by pixel. */
static void sum_conv(const tile_descent_job *job, int l, int chunk, int group, float *sums)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const qg_plan *plan = &tiles->plans[l];
    const int ky = chunk / layer->run_chunks, first = chunk % layer->run_chunks * 32;
    const size_t in_step = (size_t)plan->in_step * LINE,
                 out_step = (size_t)layer->groups * 2 * TILE;
    ZERO_TILES();
    for (int block = 0; block < job->blocks; block++) {
        const char *in =
            tiles->p[l] +
            ((size_t)block * layer->in_k + (size_t)(ky * layer->in_row + first)) * LINE;
        const char *g =
            tiles->gv[l] + (size_t)block * gradient_block(tiles, l) + (size_t)group * 2 * TILE;
        for (int y = 0; y < plan->rows; y++) {
            const char *x = in + (size_t)y * (size_t)plan->in_row_step * LINE;
            for (int i = 0; i < plan->columns; i++, x += in_step, g += out_step) {
                _tile_loadd(4, x, LINE);
                _tile_loadd(6, g, LINE);
                _tile_loadd(7, g + TILE, LINE);
                _tile_loadd(5, x + TILE, LINE);
                MULTIPLY_TILES();
            }
        }
    }
    _tile_stored(0, sums, LINE);
    _tile_stored(1, sums + 512, LINE);
    _tile_stored(2, sums + 256, LINE);
    _tile_stored(3, sums + 768, LINE);
    TILE_FENCE();
    for (int k = layer->run - first; k < 32; k++) { /* behind the end of the row */
        memset(sums + k * 16, 0, 16 * sizeof *sums);
        memset(sums + 512 + k * 16, 0, 16 * sizeof *sums);
    }
}

static void learn_conv(const tile_descent_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const float l2 = job->descent->learning->l2, scale = tiles->plans[l].in_scale;
    float *sums = qg_tiles_scratch(tiles, member);
    int begin, end;
    qg_team_share(layer->chunks * layer->groups, member, members, &begin, &end);
    for (int item = begin; item < end; item++) {
        const int chunk = item / layer->groups, group = item % layer->groups;
        sum_conv(job, l, chunk, group, sums);
        qg_tiles_lap(tiles, member, QG_WORK_WEIGHT_GRADIENT, l);
        if (scale != 1) scale_flushed(sums, 1024, scale);
        for (int panel = 0; panel < 2; panel++) {
            const size_t at = layer->weights_at +
                              ((size_t)((2 * group + panel) * layer->chunks) + (size_t)chunk) * 512;
            const piece p = piece_at(job, l, at, l2);
            step_piece(&p, sums + panel * 512, 512);
        }
        qg_tiles_turn_weights(tiles, QG_ONLINE, l, chunk, group);
        qg_tiles_lap(tiles, member, QG_WORK_OPTIMISER, l);
    }
}

/* Some chunks of a linear layer and one group of outputs: sums [panel][chunk][32 k][16]. */
static void sum_linear(const tile_descent_job *job, int l, int from, int to, int group, float *sums)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const size_t block_size = gradient_block(tiles, l);
    float *other = sums + (size_t)(to - from) * 512;
    for (int chunk = from; chunk < to; chunk++, sums += 512, other += 512) {
        ZERO_TILES();
        for (int block = 0; block < job->blocks; block++) {
            const char *x = tiles->p[l] + ((size_t)block * layer->in_k + (size_t)chunk * 32) * LINE;
            const char *g = tiles->gv[l] + (size_t)block * block_size + (size_t)group * 2 * TILE;
            _tile_loadd(6, g, LINE);
            _tile_loadd(7, g + TILE, LINE);
            _tile_loadd(4, x, LINE);
            _tile_loadd(5, x + TILE, LINE);
            MULTIPLY_TILES();
        }
        _tile_stored(0, sums, LINE);
        _tile_stored(1, other, LINE);
        _tile_stored(2, sums + 256, LINE);
        _tile_stored(3, other + 256, LINE);
        TILE_FENCE();
        for (int k = layer->run - chunk * 32; k < 32; k++) { /* behind the last */
            memset(sums + k * 16, 0, 16 * sizeof *sums);
            memset(other + k * 16, 0, 16 * sizeof *sums);
        }
    }
}

/* Products that stand alone are slow: those of some chunks go together, then their step. */
static void learn_linear(const tile_descent_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const float scale = tiles->plans[l].in_scale, l2 = job->descent->learning->l2;
    float *sums = qg_tiles_scratch(tiles, member);
    const size_t panel = (size_t)layer->chunks * 512;
    int begin, end;
    qg_team_share(layer->chunks, member, members, &begin, &end);
    for (int from = begin, to; from < end; from = to) {
        to = end - from < QG_TILE_BLOCK ? end : from + QG_TILE_BLOCK;
        const size_t count = (size_t)(to - from) * 512;
        for (int group = 0; group < layer->groups; group++) {
            sum_linear(job, l, from, to, group, sums);
            qg_tiles_lap(tiles, member, QG_WORK_WEIGHT_GRADIENT, l);
            if (scale != 1) scale_flushed(sums, 2 * count, scale);
            for (int i = 0; i < 2; i++) {
                const size_t at = (size_t)(2 * group + i) * panel + (size_t)from * 512;
                const piece p = piece_at(job, l, layer->weights_at + at, l2);
                const ptrdiff_t next = group + 1 < layer->groups || i == 0
                                           ? (ptrdiff_t)panel
                                           : (ptrdiff_t)count - (ptrdiff_t)at + from * 512;
                step_linear(&p, sums + (size_t)i * count, count,
                            tiles->operands[QG_ONLINE] + layer->forward_at + 2 * at, next);
            }
            qg_tiles_lap(tiles, member, QG_WORK_OPTIMISER, l);
        }
    }
}

/* A bias is the weight of an input that is 1. */
static void learn_biases(const tile_descent_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    static const uint16_t one = 0x3f80; /* bf16 */
    uint16_t ones[512] __attribute__((aligned(64)));
    float sums[512] __attribute__((aligned(64)));
    int begin, end;
    qg_team_share(layer->groups, member, members, &begin, &end);
    for (int i = 0; i < 512; i++)
        ones[i] = one;
    TILE_FENCE();
    for (int group = begin; group < end; group++) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_loadd(4, ones, LINE);
        for (int block = 0; block < job->blocks; block++) {
            const char *g =
                tiles->gv[l] + (size_t)block * gradient_block(tiles, l) + (size_t)group * 2 * TILE;
            for (int pixel = 0; pixel < tiles->plans[l].pixels;
                 pixel++, g += (size_t)layer->groups * 2 * TILE) {
                _tile_loadd(6, g, LINE);
                _tile_loadd(7, g + TILE, LINE);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
            }
        }
        _tile_stored(0, sums, LINE);
        _tile_stored(1, sums + 256, LINE);
        TILE_FENCE();
        memcpy(sums + 16, sums + 256, 16 * sizeof *sums);
        const piece p = piece_at(job, l, layer->biases_at + (size_t)group * 32, 0);
        step_piece(&p, sums, 32);
    }
    qg_tiles_lap(tiles, member, QG_WORK_WEIGHT_GRADIENT, l);
}

/* ------------------------------------------------------------------------- the last layer */

static void learn_last(const tile_descent_job *job, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const int last = qg_tiles_last(tiles), size = job->descent->states.size;
    const qg_plan *plan = &tiles->plans[last];
    float *gradient = qg_tiles_scratch(tiles, member);
    int begin, end;
    qg_team_share(plan->k_tile_count, member, members, &begin, &end);
    if (begin < end) {
        const qg_k_tile *first = &plan->k_tiles[begin], *stop = &plan->k_tiles[end - 1];
        const size_t count = (size_t)(stop->k + stop->size - first->k) * QG_PANEL;
        tiles->float32->weight_gradient(plan, tiles->hidden, NULL, tiles->last_gradient, gradient,
                                        size, begin, end, 0, plan->panels);
        for (int i = 0; i < plan->panels; i++) {
            const piece p =
                piece_at(job, last,
                         tiles->last_weights_at +
                             ((size_t)(i * plan->k_count) + (size_t)first->k) * QG_PANEL,
                         job->descent->learning->l2);
            step_plain(&p, gradient + (size_t)i * count, count);
        }
    }
    if (member == members - 1) {
        tiles->float32->bias_gradient(plan, tiles->last_gradient, gradient, size, 0, plan->panels);
        const piece p = piece_at(job, last, tiles->last_biases_at, 0);
        step_plain(&p, gradient, (size_t)plan->panels * QG_PANEL);
    }
    qg_tiles_lap(tiles, member, QG_WORK_WEIGHT_GRADIENT, last);
}

static void propagate_last(const tile_descent_job *job, int member, int members)
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

/* ------------------------------------------------------------------------- the step */

static void propagate(const tile_descent_job *job, int l, int member, int members)
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
    if (!is_whole(tiles, l)) {
        turn_gradients(job, l - 1, member, members);
        qg_team_barrier(tiles->team);
    }
    qg_tiles_lap(tiles, member, QG_WORK_INPUT_GRADIENT, l);
}

static void learn(const tile_descent_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    if (l == qg_tiles_last(tiles)) {
        learn_last(job, member, members);
        return;
    }
    learn_biases(job, l, member, members);
    if (tiles->layers[l].conv)
        learn_conv(job, l, member, members);
    else
        learn_linear(job, l, member, members);
}

static void backward_team(const tile_descent_job *job, int member)
{
    const qg_tiles *tiles = job->tiles;
    const int members = qg_team_size(tiles->team);
    qg_tiles_begin();
    for (int l = qg_tiles_last(tiles); l >= job->lowest; l--) {
        if (l > job->lowest) propagate(job, l, member, members); /* by the weights as they are */
        if (!tiles->frozen[l]) learn(job, l, member, members);
    }
    qg_tiles_end();
}

/* The gradient at the q-values, from the caller's loss, into the last layer's padded rows. */
static void take_loss(const tile_descent_job *job)
{
    const qg_tiles *tiles = job->tiles;
    const int size = job->descent->states.size;
    const size_t actions = (size_t)tiles->architecture.actions;
    const size_t row = tiles->plans[qg_tiles_last(tiles)].grad_image;
    float *q_values = tiles->loss, *gradient = tiles->loss + (size_t)size * actions;
    qg_tiles_q_values(tiles, size, q_values);
    memset(gradient, 0, (size_t)size * actions * sizeof *gradient);
    job->descent->loss(job->descent->context, size, q_values, gradient);
    memset(tiles->last_gradient, 0, (size_t)size * row * sizeof(float));
    for (int i = 0; i < size; i++)
        memcpy(tiles->last_gradient + (size_t)i * row, gradient + (size_t)i * actions,
               actions * sizeof *gradient);
}

static void run_descent(void *context, int member)
{
    const tile_descent_job *job = context;
    qg_tiles *tiles = job->tiles;
    qg_tiles_forward_team(tiles, QG_ONLINE, &job->descent->states, &job->dropout, member);
    if (member == 0) take_loss(job);
    qg_team_barrier(tiles->team);
    qg_tiles_lap(tiles, member, QG_WORK_LOSS, 0);
    backward_team(job, member);
}

void qg_tiles_descend(qg_tiles *tiles, const qg_descent *descent, uint64_t number)
{
    const qg_learning *learning = descent->learning;
    tile_descent_job job = {
        .tiles = tiles,
        .descent = descent,
        .dropout = {learning->dropout_conv, learning->dropout_linear, descent->draw},
        .blocks = qg_tiles_blocks(descent->states.size)};
    if (learning->optimiser.kind == QG_ADAM)
        qg_list_adam(learning, tiles->architecture.layer_count, number, job.adam);
    while (job.lowest < tiles->architecture.layer_count && tiles->frozen[job.lowest])
        job.lowest++;
    if (descent->keep_gradient)
        memset(tiles->parameters[QG_GRADIENT], 0, tiles->parameter_count * sizeof(float));
    qg_tiles_start_laps(tiles);
    qg_team_run(tiles->team, run_descent, &job);
}
