#include "network/tiles/tile_forward.h"

#include "network/cpu/heads.h"
#include "network/tiles/tile_act.h"
#include "network/tiles/tile_norm.h"
#include "network/tiles/tile_outputs.h"
#include "network/tiles/tile_permission.h"
#include "network/tiles/tile_product.h"
#include "network/tiles/tile_screens.h"

#include <string.h>

static void wait(const qg_tile_pass *job, int members)
{
    if (members > 1) qg_team_barrier(job->tiles->team);
}

/* ------------------------------------------------------------------------- other forms */

/* P of a linear layer's inputs, from N. */
static void keep_rows(const qg_tile_pass *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    char turned[2 * TILE] __attribute__((aligned(64)));
    int begin, end;
    qg_team_share(job->columns / 2 * layer->chunks, member, members, &begin, &end);
    for (int i = begin; i < end; i++) {
        const int block = i / layer->chunks, chunk = i % layer->chunks;
        for (int t = 0; t < 2; t++)
            turn_tile(qg_tile_rows_of(tiles, l, 2 * block + t) + (size_t)chunk * TILE,
                      turned + t * TILE);
        char *p = qg_tile_lines_of(tiles, l, block) + (size_t)chunk * 2 * TILE;
        for (int line = 0; line < 16 && chunk * 32 + 2 * line < layer->run; line++)
            qg_tile_store_lines(p + 2 * line * LINE, line_load(turned + line * LINE),
                                line_load(turned + TILE + line * LINE),
                                chunk * 32 + 2 * line + 1 < layer->run);
    }
}

/* N of a linear layer's inputs, from what the convolution below left in K. */
static void turn_rows(const qg_tile_pass *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const int chunks = tiles->layers[l].chunks;
    int begin, end;
    qg_team_share(job->columns * chunks, member, members, &begin, &end);
    for (int i = begin; i < end; i++)
        turn_tile(qg_tile_pairs_of(tiles, tiles->k[l], l, i / chunks) + (size_t)(i % chunks) * TILE,
                  qg_tile_rows_of(tiles, l, i / chunks) + (size_t)(i % chunks) * TILE);
    TILE_FENCE();
}

/* ------------------------------------------------------------------------- a convolution */

/* Where 32 outputs of two column tiles go. */
typedef struct conv_place {
    const float *bias;
    float scale;
    __mmask16 valid[2]; /* images of a column tile */
    char *k[2], *p;     /* of the first output; P or NULL */
    int pairs;          /* of outputs */
} conv_place;

static inline __attribute__((always_inline)) void finish_conv(void *context, const float *sums,
                                                              int step)
{
    const conv_place *to = context;
    const float *s = sums + (step >> 3) * 512 + (2 * step & 15) * 16;
    const __m512 scale = _mm512_set1_ps(to->scale), zero = _mm512_setzero_ps();
    const __m512 bias0 = _mm512_set1_ps(to->bias[2 * step]);
    const __m512 bias1 = _mm512_set1_ps(to->bias[2 * step + 1]);
    __m512i pairs[2];
    if (step >= to->pairs) return;
#pragma GCC unroll 2
    for (int t = 0; t < 2; t++) {
        const __m512 a = _mm512_fmadd_ps(_mm512_load_ps(s + t * 256), scale, bias0);
        const __m512 b = _mm512_fmadd_ps(_mm512_load_ps(s + t * 256 + 16), scale, bias1);
        const __m512i both = interleave(round_two(_mm512_max_ps(b, zero), _mm512_max_ps(a, zero)));
        pairs[t] = _mm512_maskz_mov_epi32(to->valid[t], both);
        line_store(to->k[t] + step * LINE, pairs[t]);
    }
    if (to->p) qg_tile_store_lines(to->p + 2 * step * LINE, pairs[0], pairs[1], true);
}

/* A pixel's place in the next layer's forms; `t`: its column tile. */
static void set_place(const qg_tile_pass *job, int l, int group, int pixel, int t, int side,
                      conv_place *to)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    const qg_tile_layer *next = &tiles->layers[l + 1];
    const int padding = tiles->plans[l + 1].padding;
    const int y = pixel / plan->columns + padding, x = pixel % plan->columns + padding;
    const size_t row = next->conv ? (size_t)next->in_row : (size_t)(plan->columns * plan->outputs);
    const size_t at = (size_t)y * row + (size_t)(x * plan->outputs + 32 * group);
    const int images = qg_tile_images_of(job, t);
    to->valid[side] = (__mmask16)((1u << images) - 1);
    to->k[side] = qg_tile_pairs_of(tiles, tiles->k[l + 1], l + 1, t) + at / 2 * LINE;
    to->p = job->kept ? qg_tile_lines_of(tiles, l + 1, t / 2) + at * LINE : NULL;
    to->pairs = (plan->outputs - 32 * group) / 2 < 16 ? (plan->outputs - 32 * group) / 2 : 16;
}

/* Outputs of 16 pixels' images as floats, for the last layer. */
static void store_hidden(const qg_tile_pass *job, int l, int group, int pixel, int t,
                         const float *sums, const conv_place *to)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    const __m512 scale = _mm512_set1_ps(to->scale);
    for (int half = 0; half < 2; half++) {
        const int left = plan->outputs - 32 * group - 16 * half;
        __m512i r[16];
        if (left <= 0) return;
        for (int i = 0; i < 16; i++)
            r[i] = (__m512i)_mm512_max_ps(
                _mm512_fmadd_ps(_mm512_load_ps(sums + half * 512 + i * 16), scale,
                                _mm512_set1_ps(to->bias[16 * half + i])),
                _mm512_setzero_ps());
        transpose16(r);
        for (int i = 0; i < qg_tile_images_of(job, t); i++)
            _mm512_mask_storeu_ps(tiles->hidden + (size_t)(16 * t + i) * plan->out_image +
                                      (size_t)(pixel * plan->outputs + 32 * group + 16 * half),
                                  left < 16 ? 0xff : 0xffff, (__m512)r[i]);
    }
}

/* The chunks of a kernel and a group of outputs. */
static void list_chunks(const qg_tile_pass *job, int l, int group, tile_chunk *list)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const char *weights =
        tiles->operands[job->set] + layer->forward_at + (size_t)(2 * group * layer->chunks) * TILE;
    for (int i = 0; i < layer->chunks; i++) {
        const int ky = i / layer->run_chunks;
        const ptrdiff_t right =
            (ptrdiff_t)ky * layer->in_lines * LINE + (ptrdiff_t)(i - ky * layer->run_chunks) * TILE;
        const char *left = weights + (size_t)i * TILE;
        list[i] = (tile_chunk){{left, left + (size_t)layer->chunks * TILE}, {right, right}};
    }
}

/* A row's last chunk has zeros behind its end, not the next pixel's numbers, which need not be
 * finite: copies of `right`, for which the list is changed. */
static void copy_tails(const qg_tiles *tiles, int l, const char *const right[2], tile_chunk *list,
                       char *tails)
{
    const qg_tile_layer *layer = &tiles->layers[l];
    for (int ky = 0; ky < layer->kernel_rows; ky++)
        for (int side = 0; side < 2; side++, tails += TILE) {
            const char *from = right[side] + (ptrdiff_t)ky * layer->in_lines * LINE +
                               (ptrdiff_t)(layer->run_chunks - 1) * TILE;
            for (int i = 0; i < layer->run % 32 / 2; i++)
                line_store(tails + i * LINE, line_load(from + i * LINE));
            list[(ky + 1) * layer->run_chunks - 1].right[side] = tails - right[side];
        }
}

/* Where the inputs of output pixel `pixel` begin, of column tile t. */
static const char *inputs_of(const qg_tiles *tiles, int l, int pixel, int t)
{
    const qg_plan *plan = &tiles->plans[l];
    const int y = pixel / plan->columns, start = (pixel - y * plan->columns) * plan->in_step;
    char *const form = tiles->layers[l].phases && start % 2 ? tiles->k_odd : tiles->k[l];
    return qg_tile_pairs_of(tiles, form, l, t) +
           ((size_t)(y * plan->stride) * (size_t)tiles->layers[l].in_lines + (size_t)(start / 2)) *
               LINE;
}

static void forward_conv_block(const qg_tile_pass *job, int l, int block, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    const qg_tile_layer *layer = &tiles->layers[l];
    const bool both = 2 * block + 1 < job->columns, hidden = l + 1 == qg_tiles_last(tiles);
    const bool normed = tiles->architecture.layers[l].norm;
    const bool tails = layer->run % 32 && l > 0;
    const int units = both ? plan->pixels : (plan->pixels + 1) / 2;
    tile_chunk *list = qg_tiles_list(tiles, member);
    char *copies = qg_tiles_tails(tiles, member);
    tile_sums sums[2];
    conv_place place[2] = {{.scale = plan->in_scale}, {.scale = plan->in_scale}};
    const float *before = NULL;
    int begin, end, listed = -1;
    qg_team_share(layer->groups * units, member, members, &begin, &end);
    if (tails) memset(copies, 0, (size_t)(2 * layer->kernel_rows) * TILE);
    for (int item = begin; item < end; item++) {
        const int group = item / units, unit = item - group * units, flip = item & 1;
        const int pixel = both ? unit : 2 * unit;
        const int other = both || pixel + 1 == plan->pixels ? pixel : pixel + 1;
        const int t = 2 * block, u = both ? t + 1 : t;
        const char *const right[2] = {inputs_of(tiles, l, pixel, t), inputs_of(tiles, l, other, u)};
        conv_place *to = &place[flip];
        to->bias = tiles->parameters[job->set] + layer->biases_at + 32 * group;
        if (group != listed) list_chunks(job, l, listed = group, list);
        if (tails) copy_tails(tiles, l, right, list, copies);
        TILE_FENCE();
        tile_multiply(list, layer->chunks, right, sums[flip].sums, finish_conv, &place[1 - flip],
                      before);
        if (normed) {
            qg_tile_norm_take(job, l, group, pixel, t, sums[flip].sums, 512);
            qg_tile_norm_take(job, l, group, other, u, sums[flip].sums + 256, 512);
            continue;
        }
        if (hidden) {
            store_hidden(job, l, group, pixel, t, sums[flip].sums, to);
            store_hidden(job, l, group, other, u, sums[flip].sums + 256, to);
            continue;
        }
        set_place(job, l, group, pixel, t, 0, to);
        set_place(job, l, group, other, u, 1, to);
        if (!both) to->p = NULL;
        before = sums[flip].sums;
    }
    for (int step = 0; before && step < STEPS; step++)
        finish_conv(&place[(end - 1) & 1], before, step);
    TILE_FENCE();
}

/* ------------------------------------------------------------------------- a linear layer */

typedef struct linear_place {
    const float *bias; /* of the even outputs; then of the odd ones */
    float scale;
    int images[2];
    char *n[2];       /* or: */
    float *hidden[2]; /* of the first image */
    size_t image;
    __mmask16 stored[2]; /* of 32 floats */
} linear_place;

static inline __attribute__((always_inline)) void finish_row(const linear_place *to, int t, int i,
                                                             __m512 even, __m512 odd)
{
    static const int32_t order[32] __attribute__((aligned(64))) = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512 scale = _mm512_set1_ps(to->scale), zero = _mm512_setzero_ps();
    if (i >= to->images[t]) {
        if (to->n[t]) line_store(to->n[t] + i * LINE, _mm512_setzero_si512());
        return;
    }
    const __m512 a = _mm512_max_ps(_mm512_fmadd_ps(even, scale, _mm512_loadu_ps(to->bias)), zero);
    const __m512 b =
        _mm512_max_ps(_mm512_fmadd_ps(odd, scale, _mm512_loadu_ps(to->bias + 16)), zero);
    if (to->n[t]) {
        line_store(to->n[t] + i * LINE, interleave(round_two(b, a)));
        return;
    }
    float *out = to->hidden[t] + (size_t)i * to->image;
    _mm512_mask_storeu_ps(out, to->stored[0], _mm512_permutex2var_ps(a, line_load(order), b));
    _mm512_mask_storeu_ps(out + 16, to->stored[1],
                          _mm512_permutex2var_ps(a, line_load(order + 16), b));
}

static inline __attribute__((always_inline)) void finish_linear(void *context, const float *sums,
                                                                int step)
{
    for (int i = 2 * step; i < 2 * step + 2; i++) {
        const float *s = sums + (i / 16) * 512 + (i % 16) * 16;
        finish_row(context, i / 16, i % 16, _mm512_load_ps(s), _mm512_load_ps(s + 256));
    }
}

static linear_place linear_place_of(const qg_tile_pass *job, int l, int group, int block)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    const bool hidden = l + 1 == qg_tiles_last(tiles);
    const int left = plan->outputs - 32 * group;
    linear_place to = {.bias =
                           tiles->parameters[job->set] + tiles->layers[l].biases_at + 32 * group,
                       .scale = plan->in_scale,
                       .image = plan->out_image};
    for (int side = 0; side < 2; side++) {
        const int t = 2 * block + side, rest = left - 16 * side;
        to.images[side] = t < job->columns ? qg_tile_images_of(job, t) : 0;
        to.stored[side] = (__mmask16)(rest >= 16 ? 0xffff : rest > 0 ? (1u << rest) - 1 : 0);
        if (t >= job->columns) continue;
        if (hidden)
            to.hidden[side] = tiles->hidden + (size_t)(16 * t) * plan->out_image + 32 * group;
        else
            to.n[side] = qg_tile_rows_of(tiles, l + 1, t) + (size_t)group * TILE;
    }
    return to;
}

/* One column tile (acting): two groups at a time. */
static void forward_linear_single(const qg_tile_pass *job, int l, int block, int group, int groups)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const size_t panel = (size_t)layer->chunks * TILE;
    const char *w = tiles->operands[job->set] + layer->forward_at + (size_t)(2 * group) * panel;
    const char *rows = qg_tile_rows_of(tiles, l, 2 * block);
    const size_t next = groups > 1 ? 2 * panel : 0;
    tile_sums s;
    ZERO_TILES();
    for (int chunk = 0; chunk < layer->chunks; chunk++, rows += TILE, w += TILE) {
        _tile_loadd(4, rows, LINE);
        _tile_loadd(6, w, LINE);
        _tile_loadd(7, w + panel, LINE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(6, w + next, LINE);
        _tile_loadd(7, w + next + panel, LINE);
        _tile_dpbf16ps(2, 4, 6);
        _tile_dpbf16ps(3, 4, 7);
    }
    STORE_TILES(s.sums);
    for (int g = 0; g < groups; g++) {
        if (tiles->architecture.layers[l].norm) {
            qg_tile_norm_take(job, l, group + g, 0, 2 * block, s.sums + g * 512, 256);
            continue;
        }
        const linear_place to = linear_place_of(job, l, group + g, block);
        for (int i = 0; i < 16; i++)
            finish_row(&to, 0, i, _mm512_load_ps(s.sums + g * 512 + i * 16),
                       _mm512_load_ps(s.sums + g * 512 + 256 + i * 16));
    }
}

static void forward_linear_block(const qg_tile_pass *job, int l, int block, int begin, int end)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const size_t panel = (size_t)layer->chunks * TILE;
    enum { FETCH = 8 * TILE }; /* weights come from the third cache */
    if (2 * block + 1 >= job->columns) {
        for (int group = begin; group < end; group += 2)
            forward_linear_single(job, l, block, group, end - group < 2 ? 1 : 2);
        TILE_FENCE();
        return;
    }
    tile_sums sums[2];
    linear_place place[2];
    const float *before = NULL;
    for (int group = begin; group < end; group++) {
        const char *w = tiles->operands[job->set] + layer->forward_at + (size_t)(2 * group) * panel;
        const char *rows = qg_tile_rows_of(tiles, l, 2 * block);
        /* cppcheck-suppress [uninitvar, legacyUninitvar] only its address is taken */
        float *s = sums[group & 1].sums;
        int step = 0;
        ZERO_TILES();
        for (int chunk = 0; chunk < layer->chunks; chunk++, rows += TILE, w += TILE) {
            _tile_loadd(4, rows, LINE);
            _tile_loadd(6, w, LINE);
            _tile_loadd(7, w + panel, LINE);
            _tile_loadd(5, rows + panel, LINE);
            MULTIPLY_TILES();
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                _mm_prefetch(w + FETCH + i * LINE, _MM_HINT_T0);
                _mm_prefetch(w + panel + FETCH + i * LINE, _MM_HINT_T0);
            }
            if (before && step < STEPS) finish_linear(&place[1 - (group & 1)], before, step++);
        }
        for (; before && step < STEPS; step++)
            finish_linear(&place[1 - (group & 1)], before, step);
        STORE_TILES(s);
        if (tiles->architecture.layers[l].norm) {
            qg_tile_norm_take(job, l, group, 0, 2 * block, s, 256);
            qg_tile_norm_take(job, l, group, 0, 2 * block + 1, s + 512, 256);
            continue;
        }
        place[group & 1] = linear_place_of(job, l, group, block);
        before = s;
    }
    for (int step = 0; before && step < STEPS; step++)
        finish_linear(&place[(end - 1) & 1], before, step);
    TILE_FENCE();
}

/* ------------------------------------------------------------------------- all layers */

static void forward_layer(const qg_tile_pass *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const int blocks = (job->columns + 1) / 2;
    if (!layer->conv && l > 0 && tiles->layers[l - 1].conv) {
        turn_rows(job, l, member, members);
        wait(job, members);
    }
    if (job->kept && !layer->conv && (l == 0 || !tiles->layers[l - 1].conv))
        keep_rows(job, l, member, members);
    int begin, end;
    qg_team_share(layer->groups, member, members, &begin, &end);
    const unsigned before = qg_tiles_flush();
    for (int block = 0; block < blocks; block++)
        if (layer->conv)
            forward_conv_block(job, l, block, member, members);
        else
            forward_linear_block(job, l, block, begin, end);
    qg_tiles_unflush(before);
    wait(job, members);
    if (tiles->architecture.layers[l].norm) {
        qg_tile_norm_forward(job, l, member, members);
        wait(job, members);
    }
    if (job->kept && qg_dropout_of(&tiles->architecture, job->kept, l) > 0) {
        qg_tile_drop(job, l, member, members);
        wait(job, members);
    }
    qg_tiles_lap(tiles, member, QG_WORK_FORWARD, l);
}

static void forward_last(const qg_tile_pass *job, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[qg_tiles_last(tiles)];
    const float *parameters = tiles->parameters[job->set];
    int begin, end;
    qg_team_share(plan->panels, member, members, &begin, &end);
    tiles->float32->forward(plan, tiles->hidden, NULL, parameters + tiles->last_weights_at,
                            parameters + tiles->last_biases_at, tiles->q_values, job->states->size,
                            begin, end);
    wait(job, members);
    qg_tiles_lap(tiles, member, QG_WORK_FORWARD, qg_tiles_last(tiles));
}

/* A single state, which needs no columns. */
static void act(const qg_tile_pass *job)
{
    const qg_tiles *tiles = job->tiles;
    qg_tile_act_screens(job);
    qg_tiles_lap(tiles, 0, QG_WORK_CONVERT, 0);
    qg_tiles_begin();
    qg_tiles_act(tiles, job->set);
    qg_tiles_end();
}

static void run(const qg_tile_pass *job, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const int last = qg_tiles_last(tiles);
    if (last == 0)
        qg_tile_convert_floats(job, member, members);
    else
        qg_tile_convert_screens(job, member, members);
    wait(job, members);
    qg_tiles_lap(tiles, member, QG_WORK_CONVERT, 0);
    qg_tiles_begin();
    for (int l = 0; l < last; l++)
        forward_layer(job, l, member, members);
    qg_tiles_end();
    forward_last(job, member, members);
}

static qg_tile_pass job_of(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                           const qg_dropout *kept)
{
    /* What is kept is kept of whole blocks: gradients of images that are not there are zeros. */
    const int columns =
        kept && tiles->learns ? 2 * qg_tiles_blocks(states->size) : (states->size + 15) / 16;
    return (qg_tile_pass){tiles, set, states, tiles->learns ? kept : NULL, columns};
}

void qg_tiles_forward_team(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                           const qg_dropout *kept, int member)
{
    const qg_tile_pass job = job_of(tiles, set, states, kept);
    run(&job, member, qg_team_size(tiles->team));
}

static void run_member(void *context, int member)
{
    const qg_tile_pass *job = context;
    run(job, member, qg_team_size(job->tiles->team));
}

void qg_tiles_q_values(const qg_tiles *tiles, int size, float *q_values)
{
    qg_heads_join(&tiles->architecture, tiles->q_values,
                  tiles->plans[qg_tiles_last(tiles)].out_image, size, q_values);
}

void qg_tiles_forward(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                      float *q_values)
{
    qg_tile_pass job = job_of(tiles, set, states, NULL);
    qg_tiles_start_laps(tiles);
    if (states->size == 1 && qg_tiles_last(tiles) > 0) { /* without waking the team */
        act(&job);
        forward_last(&job, 0, 1);
    } else
        qg_team_run(tiles->team, run_member, &job);
    qg_tiles_q_values(tiles, states->size, q_values);
}

void qg_tiles_activations(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                          float *const out[QG_MAX_LAYERS])
{
    qg_tile_pass job = job_of(tiles, set, states, NULL);
    qg_team_run(tiles->team, run_member, &job);
    for (int l = 0; l < tiles->architecture.layer_count; l++)
        if (out[l]) qg_tile_copy_outputs(tiles, l, states->size, out[l]);
}
