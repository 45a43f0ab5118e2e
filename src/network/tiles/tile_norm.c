#include "network/tiles/tile_norm.h"

enum { CHAINS = 8 };

/* Doubles of eight images. */
typedef struct chains {
    __m512d sums[CHAINS], products[CHAINS];
} chains;

ALWAYS __m512d add_chains(const __m512d chain[CHAINS])
{
    __m512d sum = _mm512_setzero_pd();
#pragma GCC unroll 8
    for (int i = 0; i < CHAINS; i++)
        sum = _mm512_add_pd(sum, chain[i]);
    return sum;
}

/* The line of output n at a pixel, of column tile t. */
static float *line_of(const qg_tiles *tiles, int l, int t, int pixel, int n)
{
    const qg_plan *plan = &tiles->plans[l];
    return tiles->normed[l] +
           (((size_t)t * (size_t)plan->pixels + (size_t)pixel) * (size_t)plan->outputs +
            (size_t)n) *
               16;
}

/* What 16 images' lines are centred by, and scaled by: [2][16]. */
static float *moments_of(const qg_tiles *tiles, int l, int t)
{
    return tiles->moments[l] + 32 * t;
}

static int count_of(const qg_tiles *tiles, int l)
{
    return tiles->plans[l].pixels * tiles->architecture.layers[l].outputs;
}

/* ------------------------------------------------------------------------- sums */

void qg_tile_norm_take(const qg_tile_pass *job, int l, int group, int pixel, int t,
                       const float *sums, int panel)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    const bool conv = tiles->layers[l].conv;
    const float *bias = tiles->parameters[job->set] + tiles->layers[l].biases_at + 32 * group;
    const __m512 scale = _mm512_set1_ps(plan->in_scale);
    for (int half = 0; half < 2; half++, sums += panel, bias += 16) {
        __m512i r[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            r[i] = line_load(sums + i * 16);
        if (!conv) transpose16(r);
        for (int i = 0; i < 16; i++) {
            const int n = 32 * group + (conv ? 16 * half + i : 2 * i + half);
            if (n < plan->outputs)
                _mm512_store_ps(line_of(tiles, l, t, pixel, n),
                                _mm512_fmadd_ps((__m512)r[i], scale, _mm512_set1_ps(bias[i])));
        }
    }
}

/* ------------------------------------------------------------------------- forward */

/* Mean and 1 / deviation from chains of `count` outputs. */
ALWAYS void finish_moments(const chains *c, int count, __m256 *mean, __m256 *inverse)
{
    const __m512d number = _mm512_set1_pd(count);
    const __m512d centre = _mm512_div_pd(add_chains(c->sums), number);
    const __m512d variance =
        _mm512_max_pd(_mm512_sub_pd(_mm512_div_pd(add_chains(c->products), number),
                                    _mm512_mul_pd(centre, centre)),
                      _mm512_setzero_pd());
    *mean = _mm512_cvtpd_ps(centre);
    *inverse = _mm512_cvtpd_ps(_mm512_div_pd(
        _mm512_set1_pd(1), _mm512_sqrt_pd(_mm512_add_pd(variance, _mm512_set1_pd(1e-5)))));
}

/* Of eight images from `lane` on, of column tile t. */
static void find_moments(const qg_tiles *tiles, int l, int t, int lane)
{
    const qg_plan *plan = &tiles->plans[l];
    const int units = tiles->architecture.layers[l].outputs;
    chains c = {0};
    for (int pixel = 0; pixel < plan->pixels; pixel++) {
        const float *line = line_of(tiles, l, t, pixel, 0) + lane;
        for (int n = 0; n < units; n += CHAINS)
#pragma GCC unroll 8
            for (int i = 0; i < CHAINS; i++, line += 16) {
                if (n + i >= units) break;
                const __m512d x = _mm512_cvtps_pd(_mm256_load_ps(line));
                c.sums[i] = _mm512_add_pd(c.sums[i], x);
                c.products[i] = _mm512_add_pd(c.products[i], _mm512_mul_pd(x, x));
            }
    }
    __m256 mean, inverse;
    finish_moments(&c, count_of(tiles, l), &mean, &inverse);
    _mm256_store_ps(moments_of(tiles, l, t) + lane, mean);
    _mm256_store_ps(moments_of(tiles, l, t) + 16 + lane, inverse);
}

/* The line of output n, normalised, kept where it is to be, behind the ReLU; of what pads: zeros.
 */
ALWAYS __m512 output_of(const qg_tile_pass *job, int l, int t, int pixel, int n)
{
    const qg_tiles *tiles = job->tiles;
    const float *moments = moments_of(tiles, l, t);
    if (n >= tiles->architecture.layers[l].outputs) return _mm512_setzero_ps();
    float *line = line_of(tiles, l, t, pixel, n);
    const __m512 x = _mm512_mul_ps(_mm512_sub_ps(_mm512_load_ps(line), _mm512_load_ps(moments)),
                                   _mm512_load_ps(moments + 16));
    if (job->kept) _mm512_store_ps(line, x);
    return _mm512_max_ps(x, _mm512_setzero_ps());
}

/* Outputs n and n + 1 of 16 images as bf16. */
ALWAYS __m512i pairs_of(const qg_tile_pass *job, int l, int t, int pixel, int n)
{
    const __mmask16 valid = (__mmask16)((1u << qg_tile_images_of(job, t)) - 1);
    const __m512 a = output_of(job, l, t, pixel, n), b = output_of(job, l, t, pixel, n + 1);
    return _mm512_maskz_mov_epi32(valid, interleave(round_two(b, a)));
}

/* A convolution's outputs at a pixel: K of the next layer, and P where it is kept. */
static void place_pixel(const qg_tile_pass *job, int l, int block, int pixel)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    const size_t at = (size_t)plan->pixel_out[pixel];
    for (int n = 0; n < plan->outputs; n += 2) {
        const size_t k = at + (size_t)n;
        __m512i pairs[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        for (int t = 2 * block; t < 2 * block + 2 && t < job->columns; t++) {
            pairs[t % 2] = pairs_of(job, l, t, pixel, n);
            line_store(qg_tile_pairs_of(tiles, tiles->k[l + 1], l + 1, t) + k / 2 * LINE,
                       pairs[t % 2]);
        }
        if (job->kept)
            qg_tile_store_lines(qg_tile_lines_of(tiles, l + 1, block) + k * LINE, pairs[0],
                                pairs[1], true);
    }
}

/* A linear layer's outputs: N of the next layer. */
static void place_row(const qg_tile_pass *job, int l, int block, int group)
{
    char turned[TILE] __attribute__((aligned(64)));
    for (int t = 2 * block; t < 2 * block + 2 && t < job->columns; t++) {
        for (int i = 0; i < 16; i++)
            line_store(turned + i * LINE, pairs_of(job, l, t, 0, 32 * group + 2 * i));
        turn_tile(turned, qg_tile_rows_of(job->tiles, l + 1, t) + (size_t)group * TILE);
    }
}

/* Outputs at a pixel as floats, for the last layer. */
static void place_hidden(const qg_tile_pass *job, int l, int block, int pixel)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[l];
    for (int t = 2 * block; t < 2 * block + 2 && t < job->columns; t++)
        for (int n = 0; n < plan->outputs; n += 16) {
            __m512i r[16];
            for (int i = 0; i < 16; i++)
                r[i] = (__m512i)output_of(job, l, t, pixel, n + i);
            transpose16(r);
            float *to = tiles->hidden + (size_t)(16 * t) * plan->out_image +
                        (size_t)(pixel * plan->outputs + n);
            for (int i = 0; i < qg_tile_images_of(job, t); i++, to += plan->out_image)
                _mm512_mask_storeu_ps(to, plan->outputs - n < 16 ? 0xff : 0xffff, (__m512)r[i]);
        }
}

void qg_tile_norm_forward(const qg_tile_pass *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const bool hidden = l + 1 == qg_tiles_last(tiles), conv = tiles->layers[l].conv;
    const int units = conv || hidden ? tiles->plans[l].pixels : tiles->layers[l].groups;
    int begin, end;
    qg_team_share(2 * job->columns, member, members, &begin, &end);
    for (int i = begin; i < end; i++)
        find_moments(tiles, l, i / 2, i % 2 * 8);
    if (members > 1) qg_team_barrier(tiles->team);
    qg_team_share((job->columns + 1) / 2 * units, member, members, &begin, &end);
    for (int i = begin; i < end; i++)
        if (hidden)
            place_hidden(job, l, i / units, i % units);
        else if (conv)
            place_pixel(job, l, i / units, i % units);
        else
            place_row(job, l, i / units, i % units);
    TILE_FENCE();
}

/* ------------------------------------------------------------------------- backward */

/* The line of P of the gradient of output n at a pixel. */
static char *gradient_of(const qg_tile_job *job, int l, int block, int pixel, int n)
{
    const qg_tiles *tiles = job->tiles;
    return tiles->gp[l] + (size_t)block * qg_tile_gradient_block(tiles, l) +
           ((size_t)(pixel * tiles->layers[l].groups) * 32 + (size_t)n) * LINE;
}

/* mean d and mean (d x) of eight images from `lane` on, of column tile t. */
static void find_means(const qg_tile_job *job, int l, int t, int lane)
{
    const qg_tiles *tiles = job->tiles;
    const int units = tiles->architecture.layers[l].outputs;
    chains c = {0};
    for (int pixel = 0; pixel < tiles->plans[l].pixels; pixel++) {
        const float *line = line_of(tiles, l, t, pixel, 0) + lane;
        const char *gradient =
            gradient_of(job, l, t / 2, pixel, 0) + (size_t)(t % 2 * 16 + lane) * 2;
        for (int n = 0; n < units; n += CHAINS)
#pragma GCC unroll 8
            for (int i = 0; i < CHAINS; i++, line += 16, gradient += LINE) {
                if (n + i >= units) break;
                const __m256i halves =
                    _mm256_cvtepu16_epi32(_mm_load_si128((const void *)gradient));
                const __m512d d = _mm512_cvtps_pd((__m256)_mm256_slli_epi32(halves, 16));
                const __m512d x = _mm512_cvtps_pd(_mm256_load_ps(line));
                c.sums[i] = _mm512_add_pd(c.sums[i], d);
                c.products[i] = _mm512_add_pd(c.products[i], _mm512_mul_pd(d, x));
            }
    }
    const __m512d number = _mm512_set1_pd(count_of(tiles, l));
    float *means = tiles->means + 32 * t;
    _mm256_store_ps(means + lane, _mm512_cvtpd_ps(_mm512_div_pd(add_chains(c.sums), number)));
    _mm256_store_ps(means + 16 + lane,
                    _mm512_cvtpd_ps(_mm512_div_pd(add_chains(c.products), number)));
}

/* (d - mean d - x mean(d x)) / deviation */
ALWAYS __m512 turn_back(__m512 d, __m512 x, const float *means, __m512 inverse)
{
    const __m512 along = _mm512_mul_ps(x, _mm512_load_ps(means + 16));
    return _mm512_mul_ps(_mm512_sub_ps(_mm512_sub_ps(d, _mm512_load_ps(means)), along), inverse);
}

static void turn_back_pixel(const qg_tile_job *job, int l, int block, int pixel)
{
    const qg_tiles *tiles = job->tiles;
    const int left = job->descent->states.size - 32 * block;
    const __mmask32 there = left >= 32 ? ~(__mmask32)0 : (1u << left) - 1;
    for (int n = 0; n < tiles->architecture.layers[l].outputs; n++) {
        char *gradient = gradient_of(job, l, block, pixel, n);
        const __m512i line = line_load(gradient);
        __m512 d[2] = {
            (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(line)), 16),
            (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(line, 1)),
                                      16)};
        for (int side = 0; side < 2; side++) {
            const int t = 2 * block + side;
            d[side] =
                turn_back(d[side], _mm512_load_ps(line_of(tiles, l, t, pixel, n)),
                          tiles->means + 32 * t, _mm512_load_ps(moments_of(tiles, l, t) + 16));
        }
        line_store(gradient, _mm512_maskz_mov_epi16(there, round_two(d[1], d[0])));
    }
}

void qg_tile_norm_backward(const qg_tile_job *job, int l, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const int pixels = tiles->plans[l].pixels;
    int begin, end;
    qg_team_share(4 * job->blocks, member, members, &begin, &end);
    for (int i = begin; i < end; i++)
        find_means(job, l, i / 2, i % 2 * 8);
    qg_team_barrier(tiles->team);
    qg_team_share(job->blocks * pixels, member, members, &begin, &end);
    for (int i = begin; i < end; i++)
        turn_back_pixel(job, l, i / pixels, i % pixels);
}

/* ------------------------------------------------------------------------- one state */

void qg_tile_norm_state(const qg_tiles *tiles, int l, float *outputs)
{
    const qg_plan *plan = &tiles->plans[l];
    const int units = tiles->architecture.layers[l].outputs;
    __m512d sums = _mm512_setzero_pd(), squares = _mm512_setzero_pd();
    for (int pixel = 0; pixel < plan->pixels; pixel++) {
        float *at = outputs + plan->pixel_out[pixel];
        for (int n = units; n < plan->outputs; n++) /* what pads */
            at[n] = 0;
        for (int n = 0; n < units; n += CHAINS) { /* the chains, side by side */
            const __m512d x = _mm512_cvtps_pd(_mm256_loadu_ps(at + n));
            sums = _mm512_add_pd(sums, x);
            squares = _mm512_add_pd(squares, _mm512_mul_pd(x, x));
        }
    }
    chains c;
    for (int i = 0; i < CHAINS; i++) {
        c.sums[i] = _mm512_set1_pd(((double *)&sums)[i]);
        c.products[i] = _mm512_set1_pd(((double *)&squares)[i]);
    }
    __m256 mean, inverse;
    finish_moments(&c, count_of(tiles, l), &mean, &inverse);
    const __m512 centre = _mm512_broadcastss_ps(_mm256_castps256_ps128(mean));
    const __m512 scale = _mm512_broadcastss_ps(_mm256_castps256_ps128(inverse));
    for (int pixel = 0; pixel < plan->pixels; pixel++)
        for (int n = 0; n < units; n += 16) {
            float *x = outputs + plan->pixel_out[pixel] + n;
            const __mmask16 there = (__mmask16)(units - n >= 16 ? 0xffff : (1u << (units - n)) - 1);
            _mm512_mask_storeu_ps(
                x, there,
                _mm512_max_ps(
                    _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(there, x), centre), scale),
                    _mm512_setzero_ps()));
        }
}
