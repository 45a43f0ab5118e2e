#include "network/tiles/tile_forward.h"

#include "network/tiles/tile_act.h"
#include "network/tiles/tile_permission.h"
#include "network/tiles/tile_product.h"

#include "network/cpu/bf16.h"

#include <string.h>

typedef struct tile_pass {
    qg_tiles *tiles;
    qg_parameter_set set;
    const qg_states *states;
    const qg_dropout *kept;
    int columns; /* tiles of 16 images that pass */
} tile_pass;

static void wait(const tile_pass *job, int members)
{
    if (members > 1) qg_team_barrier(job->tiles->team);
}

/* Images of column tile `t` of all. */
static int images_of(const tile_pass *job, int t)
{
    const int left = job->states->size - 16 * t;
    return left < 0 ? 0 : left < 16 ? left : 16;
}

static char *pairs_of(const qg_tiles *tiles, char *const form, int l, int t)
{
    return form + (size_t)t * tiles->layers[l].in_pairs * LINE;
}

static char *lines_of(const qg_tiles *tiles, int l, int block)
{
    return tiles->p[l] + (size_t)block * tiles->layers[l].in_k * LINE;
}

static char *rows_of(const qg_tiles *tiles, int l, int t)
{
    return tiles->n[l] + (size_t)t * (size_t)tiles->layers[l].chunks * TILE;
}

/* ------------------------------------------------------------------------- screens */

/* A row of a state, [x][channel]; bytes of channels that it has not are 0. */
static void gather_row(const qg_states *states, const qg_architecture *a, int image, int y,
                       uint8_t *row)
{
    const int parts = states->parts, own = states->part_channels, channels = a->channels;
    const uint8_t *const *screens = states->screens + (size_t)image * (size_t)parts;
    const size_t at = (size_t)y * (size_t)(a->width * own);
    if (parts == 1 && own == channels && screens[0]) {
        memcpy(row, screens[0] + at, (size_t)(a->width * channels));
        return;
    }
    if (parts == 4 && own == 1 && channels == 4 && a->width >= 16 && screens[0] && screens[1] &&
        screens[2] && screens[3]) {
        for (int next = 0; next < a->width; next += 16) {
            const int x = next + 16 <= a->width ? next : a->width - 16; /* the last ones again */
            const __m128i s0 = _mm_loadu_si128((const void *)(screens[0] + at + x));
            const __m128i s1 = _mm_loadu_si128((const void *)(screens[1] + at + x));
            const __m128i s2 = _mm_loadu_si128((const void *)(screens[2] + at + x));
            const __m128i s3 = _mm_loadu_si128((const void *)(screens[3] + at + x));
            const __m128i low01 = _mm_unpacklo_epi8(s0, s1), high01 = _mm_unpackhi_epi8(s0, s1);
            const __m128i low23 = _mm_unpacklo_epi8(s2, s3), high23 = _mm_unpackhi_epi8(s2, s3);
            uint8_t *to = row + 4 * x;
            _mm_storeu_si128((void *)to, _mm_unpacklo_epi16(low01, low23));
            _mm_storeu_si128((void *)(to + 16), _mm_unpackhi_epi16(low01, low23));
            _mm_storeu_si128((void *)(to + 32), _mm_unpacklo_epi16(high01, high23));
            _mm_storeu_si128((void *)(to + 48), _mm_unpackhi_epi16(high01, high23));
        }
        return;
    }
    memset(row, 0, (size_t)(a->width * channels));
    for (int p = 0; p < parts; p++)
        for (int x = 0; x < a->width && screens[p]; x++)
            for (int c = 0; c < own; c++)
                row[x * channels + p * own + c] = screens[p][at + (size_t)(x * own + c)];
}

/* Bytes to bf16, which holds them exactly; up to 31 more are written. */
static void widen_bytes(const uint8_t *bytes, int count, uint16_t *out)
{
    for (int i = 0; i < count; i += 32) {
        const __m512i low = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(bytes + i)));
        const __m512i high = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(bytes + i + 16)));
        _mm512_storeu_si512(out + i, round_two(_mm512_cvtepi32_ps(high), _mm512_cvtepi32_ps(low)));
    }
}

/* Input row `y` of 16 images, as rows [16][room] of bf16 behind each other. */
static void widen_rows(const tile_pass *job, int t, int y, uint16_t *rows, size_t room,
                       uint8_t *bytes)
{
    const qg_tiles *tiles = job->tiles;
    const qg_architecture *a = &tiles->architecture;
    const qg_plan *plan = &tiles->plans[0];
    const bool conv = tiles->layers[0].conv;
    const int count = a->width * a->channels, images = images_of(job, t);
    for (int i = 0; i < 16; i++) {
        uint16_t *row = rows + (size_t)i * room;
        memset(row, 0, room * sizeof *row);
        for (int line = 0; line < (conv ? 1 : a->height) && i < images; line++) {
            gather_row(job->states, a, 16 * t + i, conv ? y : line, bytes);
            uint16_t *to = row + (conv ? plan->padding * a->channels : line * count);
            widen_bytes(bytes, count, to);
            memset(to + count, 0, 32 * sizeof *to);
        }
    }
}

/* The usual history, four screens of one channel: row `y` of 16 images, 16 pixels at a time, whose
 * words of four bytes become two lines of K. */
static void convert_history(const tile_pass *job, int t, int y, uint8_t *bytes)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[0];
    const int width = tiles->architecture.width, padding = tiles->plans[0].padding;
    const size_t room = ((size_t)width * 4 + 127) / 64 * 64;
    char *to = pairs_of(tiles, tiles->k[0], 0, t) +
               (size_t)((y + padding) * layer->in_lines + 2 * padding) * LINE;
    for (int i = 0; i < 16; i++)
        if (i < images_of(job, t))
            gather_row(job->states, &tiles->architecture, 16 * t + i, y, bytes + (size_t)i * room);
        else
            memset(bytes + (size_t)i * room, 0, room);
    const __m512i byte = _mm512_set1_epi32(255), upper = _mm512_set1_epi32((int)0xffff0000);
    for (int x = 0; x < width; x += 16) {
        __m512i r[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            r[i] = _mm512_loadu_si512(bytes + (size_t)i * room + 4 * x);
        transpose16(r);
        for (int i = 0; i < 16 && x + i < width; i++, to += 2 * LINE) {
            __m512i c[4];
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++)
                c[k] = (__m512i)_mm512_cvtepi32_ps(
                    _mm512_and_si512(_mm512_srli_epi32(r[i], (unsigned)(8 * k)), byte));
            /* floats of bytes are bf16: their upper halves, side by side */
            line_store(to,
                       _mm512_ternarylogic_epi32(_mm512_srli_epi32(c[0], 16), c[1], upper, 0xf8));
            line_store(to + LINE,
                       _mm512_ternarylogic_epi32(_mm512_srli_epi32(c[2], 16), c[3], upper, 0xf8));
        }
    }
}

/* Row `y` of the input of layer 0 of 16 images into its forms K, or N. */
static void convert_row(const tile_pass *job, int t, int y, int member)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[0];
    const size_t room = ((size_t)layer->in_row + 127) / 32 * 32;
    uint16_t *rows = (uint16_t *)(void *)qg_tiles_scratch(tiles, member);
    if (layer->conv && tiles->architecture.channels == 4 && job->states->parts == 4 &&
        !layer->phases) {
        convert_history(job, t, y, (uint8_t *)rows);
        return;
    }
    widen_rows(job, t, y, rows, room, (uint8_t *)(rows + 16 * room));
    if (!layer->conv) {
        for (int chunk = 0; chunk < layer->chunks; chunk++)
            for (int i = 0; i < 16; i++)
                line_store(rows_of(tiles, 0, t) + (size_t)chunk * TILE + i * LINE,
                           _mm512_loadu_si512(rows + (size_t)i * room + chunk * 32));
        return;
    }
    const size_t at = (size_t)((y + tiles->plans[0].padding) * layer->in_lines) * LINE;
    for (int odd = 0; odd < (layer->phases ? 2 : 1); odd++) {
        char *to = pairs_of(tiles, odd ? tiles->k_odd : tiles->k[0], 0, t) + at;
        for (int line = 0; line < layer->in_lines; line += 16, to += TILE) {
            __m512i r[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                r[i] = _mm512_loadu_si512(rows + (size_t)i * room + 2 * line + odd);
            transpose16(r);
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++)
                if (line + i < layer->in_lines) line_store(to + i * LINE, r[i]);
        }
    }
}

/* A single state, which needs no columns. */
static void act(const tile_pass *job)
{
    const qg_tiles *tiles = job->tiles;
    uint8_t *row = (uint8_t *)qg_tiles_scratch(tiles, 0);
    for (int y = 0; y < tiles->architecture.height; y++) {
        gather_row(job->states, &tiles->architecture, 0, y, row);
        qg_tiles_act_row(tiles, y, row);
    }
    TILE_FENCE();
    qg_tiles_lap(tiles, 0, QG_WORK_CONVERT, 0);
    qg_tiles_begin();
    const unsigned before = qg_tiles_flush();
    qg_tiles_act(tiles, job->set);
    qg_tiles_unflush(before);
    qg_tiles_end();
}

static void convert_floats(const tile_pass *job, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_architecture *a = &tiles->architecture;
    int begin, end;
    qg_team_share(job->states->size, member, members, &begin, &end);
    for (int i = begin; i < end; i++) {
        float *out = tiles->hidden + (size_t)i * tiles->plans[0].in_image;
        memset(out, 0, tiles->plans[0].in_image * sizeof *out);
        tiles->float32->convert(job->states->screens + (size_t)i * (size_t)job->states->parts,
                                job->states->parts, job->states->part_channels, a->height, a->width,
                                a->input_max, a->channels, a->width * a->channels, out);
    }
}

/* P of two lines of K: of both column tiles. */
ALWAYS void store_lines(char *p, __m512i pairs0, __m512i pairs1, bool both)
{
    __m512i even, odd;
    split_pairs(pairs0, pairs1, &even, &odd);
    line_store(p, even);
    if (both) line_store(p + LINE, odd);
}

/* P of a row of screens, from their K. */
static void keep_row(const tile_pass *job, int block, int y)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[0];
    const int row = y + tiles->plans[0].padding;
    const char *k0 =
        pairs_of(tiles, tiles->k[0], 0, 2 * block) + (size_t)(row * layer->in_lines) * LINE;
    const char *k1 = k0 + layer->in_pairs * LINE;
    char *p = lines_of(tiles, 0, block) + (size_t)(row * layer->in_row) * LINE;
    for (int line = 0; line < layer->in_lines; line++)
        store_lines(p + 2 * line * LINE, line_load(k0 + line * LINE), line_load(k1 + line * LINE),
                    2 * line + 1 < layer->in_row);
}

static void convert_screens(const tile_pass *job, int member, int members)
{
    const bool conv = job->tiles->layers[0].conv, both = job->kept && conv;
    const int rows = conv ? job->tiles->architecture.height : 1, tiles = both ? 2 : 1;
    int begin, end;
    qg_team_share(job->columns / tiles * rows, member, members, &begin, &end);
    for (int i = begin; i < end; i++) {
        const int first = i / rows * tiles, y = i % rows;
        for (int t = first; t < first + tiles; t++)
            convert_row(job, t, y, member);
        if (both) keep_row(job, first / 2, y);
    }
    TILE_FENCE();
}

/* ------------------------------------------------------------------------- other forms */

/* P of a linear layer's inputs, from N. */
static void keep_rows(const tile_pass *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    char turned[2 * TILE] __attribute__((aligned(64)));
    int begin, end;
    qg_team_share(job->columns / 2 * layer->chunks, member, members, &begin, &end);
    for (int i = begin; i < end; i++) {
        const int block = i / layer->chunks, chunk = i % layer->chunks;
        for (int t = 0; t < 2; t++)
            turn_tile(rows_of(tiles, l, 2 * block + t) + (size_t)chunk * TILE, turned + t * TILE);
        char *p = lines_of(tiles, l, block) + (size_t)chunk * 2 * TILE;
        for (int line = 0; line < 16 && chunk * 32 + 2 * line < layer->run; line++)
            store_lines(p + 2 * line * LINE, line_load(turned + line * LINE),
                        line_load(turned + TILE + line * LINE),
                        chunk * 32 + 2 * line + 1 < layer->run);
    }
}

/* N of a linear layer's inputs, from what the convolution below left in K. */
static void turn_rows(const tile_pass *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const int chunks = tiles->layers[l].chunks;
    int begin, end;
    qg_team_share(job->columns * chunks, member, members, &begin, &end);
    for (int i = begin; i < end; i++)
        turn_tile(pairs_of(tiles, tiles->k[l], l, i / chunks) + (size_t)(i % chunks) * TILE,
                  rows_of(tiles, l, i / chunks) + (size_t)(i % chunks) * TILE);
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
    if (to->p) store_lines(to->p + 2 * step * LINE, pairs[0], pairs[1], true);
}

/* A pixel's place in the next layer's forms; `t`: its column tile. */
static void set_place(const tile_pass *job, int l, int group, int pixel, int t, int side,
                      conv_place *to)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    const qg_tile_layer *next = &tiles->layers[l + 1];
    const int padding = tiles->plans[l + 1].padding;
    const int y = pixel / plan->columns + padding, x = pixel % plan->columns + padding;
    const size_t row = next->conv ? (size_t)next->in_row : (size_t)(plan->columns * plan->outputs);
    const size_t at = (size_t)y * row + (size_t)(x * plan->outputs + 32 * group);
    const int images = images_of(job, t);
    to->valid[side] = (__mmask16)((1u << images) - 1);
    to->k[side] = pairs_of(tiles, tiles->k[l + 1], l + 1, t) + at / 2 * LINE;
    to->p = job->kept ? lines_of(tiles, l + 1, t / 2) + at * LINE : NULL;
    to->pairs = (plan->outputs - 32 * group) / 2 < 16 ? (plan->outputs - 32 * group) / 2 : 16;
}

/* Outputs of 16 pixels' images as floats, for the last layer. */
static void store_hidden(const tile_pass *job, int l, int group, int pixel, int t,
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
        for (int i = 0; i < images_of(job, t); i++)
            _mm512_mask_storeu_ps(tiles->hidden + (size_t)(16 * t + i) * plan->out_image +
                                      (size_t)(pixel * plan->outputs + 32 * group + 16 * half),
                                  left < 16 ? 0xff : 0xffff, (__m512)r[i]);
    }
}

/* The chunks of a kernel and a group of outputs. */
static void list_chunks(const tile_pass *job, int l, int group, tile_chunk *list)
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
    return pairs_of(tiles, form, l, t) +
           ((size_t)(y * plan->stride) * (size_t)tiles->layers[l].in_lines + (size_t)(start / 2)) *
               LINE;
}

static void forward_conv_block(const tile_pass *job, int l, int block, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    const qg_tile_layer *layer = &tiles->layers[l];
    const bool both = 2 * block + 1 < job->columns, hidden = l + 1 == qg_tiles_last(tiles);
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

static linear_place linear_place_of(const tile_pass *job, int l, int group, int block)
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
        to.images[side] = t < job->columns ? images_of(job, t) : 0;
        to.stored[side] = (__mmask16)(rest >= 16 ? 0xffff : rest > 0 ? (1u << rest) - 1 : 0);
        if (t >= job->columns) continue;
        if (hidden)
            to.hidden[side] = tiles->hidden + (size_t)(16 * t) * plan->out_image + 32 * group;
        else
            to.n[side] = rows_of(tiles, l + 1, t) + (size_t)group * TILE;
    }
    return to;
}

/* One column tile (acting): two groups at a time. */
static void forward_linear_single(const tile_pass *job, int l, int block, int group, int groups)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const size_t panel = (size_t)layer->chunks * TILE;
    const char *w = tiles->operands[job->set] + layer->forward_at + (size_t)(2 * group) * panel;
    const char *rows = rows_of(tiles, l, 2 * block);
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
        const linear_place to = linear_place_of(job, l, group + g, block);
        for (int i = 0; i < 16; i++)
            finish_row(&to, 0, i, _mm512_load_ps(s.sums + g * 512 + i * 16),
                       _mm512_load_ps(s.sums + g * 512 + 256 + i * 16));
    }
}

static void forward_linear_block(const tile_pass *job, int l, int block, int begin, int end)
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
        const char *rows = rows_of(tiles, l, 2 * block);
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
        place[group & 1] = linear_place_of(job, l, group, block);
        before = s;
    }
    for (int step = 0; before && step < STEPS; step++)
        finish_linear(&place[(end - 1) & 1], before, step);
    TILE_FENCE();
}

/* ------------------------------------------------------------------------- dropout */

/* The bf16 of output (pixel, n) in every form that the next layer has of it. */
static void scale_output(const qg_tiles *tiles, int l, int image, int pixel, int n, float scale)
{
    const qg_plan *plan = &tiles->plans[l];
    const int next = l + 1, column = image % 16;
    if (next == qg_tiles_last(tiles)) {
        float *output =
            tiles->hidden + (size_t)image * plan->out_image + (size_t)(pixel * plan->outputs + n);
        *output = scale > 0 ? *output * scale : 0;
        return;
    }
    uint16_t *forms[2];
    const size_t k = (size_t)plan->pixel_out[pixel] + (size_t)n;
    if (tiles->layers[l].conv)
        forms[0] = (uint16_t *)(void *)pairs_of(tiles, tiles->k[next], next, image / 16) +
                   k / 2 * 32 + (size_t)(2 * column) + k % 2;
    else
        forms[0] = (uint16_t *)(void *)rows_of(tiles, next, image / 16) + k / 32 * 512 +
                   (size_t)(32 * column) + k % 32;
    forms[1] =
        (uint16_t *)(void *)lines_of(tiles, next, image / 32) + k * 32 + (size_t)(image % 32);
    const float value = scale > 0 ? qg_bf16_round(qg_bf16_float(*forms[0]) * scale) : 0;
    *forms[0] = qg_bf16_bits(value);
    if (tiles->layers[l].conv) *forms[1] = *forms[0]; /* a linear layer's P comes from N */
}

static void drop(const tile_pass *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const float p = qg_dropout_of(&tiles->architecture, job->kept, l);
    int begin, end;
    qg_team_share(job->states->size, member, members, &begin, &end);
    for (int image = begin; image < end; image++) {
        qg_drops drops = qg_drops_of(job->kept, l, image, p);
        for (int pixel = 0; pixel < tiles->plans[l].pixels; pixel++)
            for (int n = 0; n < tiles->plans[l].outputs; n++)
                scale_output(tiles, l, image, pixel, n, qg_drops_next(&drops));
    }
}

/* ------------------------------------------------------------------------- all layers */

static void forward_layer(const tile_pass *job, int l, int member, int members)
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
    for (int block = 0; block < blocks; block++)
        if (layer->conv)
            forward_conv_block(job, l, block, member, members);
        else
            forward_linear_block(job, l, block, begin, end);
    wait(job, members);
    if (job->kept && qg_dropout_of(&tiles->architecture, job->kept, l) > 0) {
        drop(job, l, member, members);
        wait(job, members);
    }
    qg_tiles_lap(tiles, member, QG_WORK_FORWARD, l);
}

static void forward_last(const tile_pass *job, int member, int members)
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

static void run(const tile_pass *job, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const int last = qg_tiles_last(tiles);
    if (last == 0)
        convert_floats(job, member, members);
    else
        convert_screens(job, member, members);
    wait(job, members);
    qg_tiles_lap(tiles, member, QG_WORK_CONVERT, 0);
    qg_tiles_begin();
    const unsigned before = qg_tiles_flush();
    for (int l = 0; l < last; l++)
        forward_layer(job, l, member, members);
    qg_tiles_unflush(before);
    qg_tiles_end();
    forward_last(job, member, members);
}

static tile_pass job_of(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                        const qg_dropout *kept)
{
    /* What is kept is kept of whole blocks: gradients of images that are not there are zeros. */
    const int columns =
        kept && tiles->learns ? 2 * qg_tiles_blocks(states->size) : (states->size + 15) / 16;
    return (tile_pass){tiles, set, states, tiles->learns ? kept : NULL, columns};
}

void qg_tiles_forward_team(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                           const qg_dropout *kept, int member)
{
    const tile_pass job = job_of(tiles, set, states, kept);
    run(&job, member, qg_team_size(tiles->team));
}

static void run_member(void *context, int member)
{
    const tile_pass *job = context;
    run(job, member, qg_team_size(job->tiles->team));
}

void qg_tiles_q_values(const qg_tiles *tiles, int size, float *q_values)
{
    const size_t actions = (size_t)tiles->architecture.actions;
    const size_t row = tiles->plans[qg_tiles_last(tiles)].out_image;
    for (int i = 0; i < size; i++)
        memcpy(q_values + (size_t)i * actions, tiles->q_values + (size_t)i * row,
               actions * sizeof *q_values);
}

void qg_tiles_forward(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                      float *q_values)
{
    tile_pass job = job_of(tiles, set, states, NULL);
    qg_tiles_start_laps(tiles);
    if (states->size == 1 && qg_tiles_last(tiles) > 0) { /* without waking the team */
        act(&job);
        forward_last(&job, 0, 1);
    } else
        qg_team_run(tiles->team, run_member, &job);
    qg_tiles_q_values(tiles, states->size, q_values);
}

/* ------------------------------------------------------------------------- activations */

static float output_of(const qg_tiles *tiles, int l, int image, int pixel, int n)
{
    const qg_plan *plan = &tiles->plans[l];
    const int next = l + 1, column = image % 16;
    if (l == qg_tiles_last(tiles))
        return tiles->q_values[(size_t)image * plan->out_image + (size_t)n];
    if (next == qg_tiles_last(tiles))
        return tiles->hidden[(size_t)image * plan->out_image + (size_t)(pixel * plan->outputs + n)];
    const size_t k = (size_t)plan->pixel_out[pixel] + (size_t)n;
    const uint16_t *form =
        tiles->layers[l].conv
            ? (uint16_t *)(void *)pairs_of(tiles, tiles->k[next], next, image / 16) + k / 2 * 32 +
                  (size_t)(2 * column) + k % 2
            : (uint16_t *)(void *)rows_of(tiles, next, image / 16) + k / 32 * 512 +
                  (size_t)(32 * column) + k % 32;
    return qg_bf16_float(*form);
}

static void copy_outputs(const qg_tiles *tiles, int layer, int images, float *out)
{
    const qg_layer *l = &tiles->architecture.layers[layer];
    const size_t pixels = (size_t)(l->out_height * l->out_width);
    for (int image = 0; image < images; image++)
        for (int n = 0; n < l->outputs; n++)
            for (size_t pixel = 0; pixel < pixels; pixel++)
                *out++ = output_of(tiles, layer, image, (int)pixel, n);
}

void qg_tiles_activations(qg_tiles *tiles, qg_parameter_set set, const qg_states *states,
                          float *const out[QG_MAX_LAYERS])
{
    tile_pass job = job_of(tiles, set, states, NULL);
    qg_team_run(tiles->team, run_member, &job);
    for (int l = 0; l < tiles->architecture.layer_count; l++)
        if (out[l]) copy_outputs(tiles, l, states->size, out[l]);
}
