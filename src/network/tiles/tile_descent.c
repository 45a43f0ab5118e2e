#include "network/tiles/tile_descent.h"

#include "network/cpu/heads.h"
#include "network/tiles/tile_forward.h"
#include "network/tiles/tile_input_gradient.h"
#include "network/tiles/tile_optimiser.h"
#include "network/tiles/tile_permission.h"

#include <string.h>

/* ------------------------------------------------------------------------- to the weights */

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

/* The chunk of 32 k and a group of 32 outputs of a convolution: sums [panel][32 k][16]. Images are
 * the products' k, pixel by pixel. */
static void sum_conv(const qg_tile_job *job, int l, int chunk, int group, float *sums)
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
        const char *g = tiles->gv[l] + (size_t)block * qg_tile_gradient_block(tiles, l) +
                        (size_t)group * 2 * TILE;
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

static void learn_conv(const qg_tile_job *job, int l, int member, int members)
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
            const qg_tile_piece p = qg_tile_piece_at(job, l, at, l2);
            qg_tile_step(&p, sums + panel * 512, 512);
        }
        if (!qg_tile_gathers(job)) qg_tiles_turn_weights(tiles, QG_ONLINE, l, chunk, group);
        qg_tiles_lap(tiles, member, QG_WORK_OPTIMISER, l);
    }
}

/* Some chunks of a linear layer and one group of outputs: sums [panel][chunk][32 k][16]. */
static void sum_linear(const qg_tile_job *job, int l, int from, int to, int group, float *sums)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    const size_t block_size = qg_tile_gradient_block(tiles, l);
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
static void learn_linear(const qg_tile_job *job, int l, int member, int members)
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
                const qg_tile_piece p = qg_tile_piece_at(job, l, layer->weights_at + at, l2);
                const ptrdiff_t next = group + 1 < layer->groups || i == 0
                                           ? (ptrdiff_t)panel
                                           : (ptrdiff_t)count - (ptrdiff_t)at + from * 512;
                qg_tile_step_linear(&p, sums + (size_t)i * count, count,
                                    tiles->operands[QG_ONLINE] + layer->forward_at + 2 * at, next);
            }
            qg_tiles_lap(tiles, member, QG_WORK_OPTIMISER, l);
        }
    }
}

/* A bias is the weight of an input that is 1. */
static void learn_biases(const qg_tile_job *job, int l, int member, int members)
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
            const char *g = tiles->gv[l] + (size_t)block * qg_tile_gradient_block(tiles, l) +
                            (size_t)group * 2 * TILE;
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
        const qg_tile_piece p = qg_tile_piece_at(job, l, layer->biases_at + (size_t)group * 32, 0);
        qg_tile_step(&p, sums, 32);
    }
    qg_tiles_lap(tiles, member, QG_WORK_WEIGHT_GRADIENT, l);
}

/* ------------------------------------------------------------------------- the last layer */

static void learn_last(const qg_tile_job *job, int member, int members)
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
        if (tiles->architecture.layers[last].heads)
            qg_heads_mask(gradient, 0, plan->panels, first->k, (int)(count / QG_PANEL),
                          tiles->architecture.layers[last].in_channels / 2);
        for (int i = 0; i < plan->panels; i++) {
            const qg_tile_piece p =
                qg_tile_piece_at(job, last,
                                 tiles->last_weights_at +
                                     ((size_t)(i * plan->k_count) + (size_t)first->k) * QG_PANEL,
                                 job->descent->learning->l2);
            qg_tile_step_plain(&p, gradient + (size_t)i * count, count);
        }
    }
    if (member == members - 1) {
        tiles->float32->bias_gradient(plan, tiles->last_gradient, gradient, size, 0, plan->panels);
        const qg_tile_piece p = qg_tile_piece_at(job, last, tiles->last_biases_at, 0);
        qg_tile_step_plain(&p, gradient, (size_t)plan->panels * QG_PANEL);
    }
    qg_tiles_lap(tiles, member, QG_WORK_WEIGHT_GRADIENT, last);
}

/* ------------------------------------------------------------------------- what was gathered */

static void step_hidden(const qg_tile_job *job, int l, float factor, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const qg_tile_layer *layer = &tiles->layers[l];
    int begin, end;
    qg_team_share(layer->chunks * layer->groups, member, members, &begin, &end);
    for (int item = begin; item < end; item++) {
        const int chunk = item / layer->groups, group = item % layer->groups;
        for (int panel = 0; panel < 2; panel++) {
            const size_t at = (size_t)((2 * group + panel) * layer->chunks + chunk) * 512;
            const qg_tile_piece p =
                qg_tile_piece_at(job, l, layer->weights_at + at, job->descent->learning->l2);
            qg_tile_step_gathered(&p, factor, 512);
        }
        qg_tiles_turn_weights(tiles, QG_ONLINE, l, chunk, group);
    }
    if (member != members - 1) return;
    const qg_tile_piece biases = qg_tile_piece_at(job, l, layer->biases_at, 0);
    qg_tile_step_gathered(&biases, factor, (size_t)layer->groups * 32);
}

static void step_last(const qg_tile_job *job, float factor, int member, int members)
{
    const qg_tiles *tiles = job->tiles;
    const int last = qg_tiles_last(tiles);
    const size_t weights = tiles->last_biases_at - tiles->last_weights_at;
    size_t begin, end;
    qg_gradient_share(weights, member, members, &begin, &end);
    const qg_tile_piece p =
        qg_tile_piece_at(job, last, tiles->last_weights_at + begin, job->descent->learning->l2);
    qg_tile_step_gathered(&p, factor, end - begin);
    if (member != members - 1) return;
    const qg_tile_piece biases = qg_tile_piece_at(job, last, tiles->last_biases_at, 0);
    qg_tile_step_gathered(&biases, factor, tiles->parameter_count - tiles->last_biases_at);
}

static void step_gathered(const qg_tile_job *job, int member)
{
    const qg_tiles *tiles = job->tiles;
    const int members = qg_team_size(tiles->team), last = qg_tiles_last(tiles);
    const float factor =
        qg_gradient_factor(tiles->team, member, tiles->parameters[QG_GRADIENT],
                           tiles->parameter_count, job->descent->learning->max_norm, job->parts);
    for (int l = job->lowest; l <= last; l++) {
        if (job->frozen[l]) continue;
        if (l == last)
            step_last(job, factor, member, members);
        else
            step_hidden(job, l, factor, member, members);
        qg_tiles_lap(tiles, member, QG_WORK_OPTIMISER, l);
    }
}

/* ------------------------------------------------------------------------- the step */

static void learn(const qg_tile_job *job, int l, int member, int members)
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

static void backward_team(const qg_tile_job *job, int member)
{
    const qg_tiles *tiles = job->tiles;
    const int members = qg_team_size(tiles->team);
    qg_tiles_begin();
    for (int l = qg_tiles_last(tiles); l >= job->lowest; l--) {
        if (l > job->lowest)
            qg_tiles_propagate(job, l, member, members); /* by the weights as they are */
        if (!job->frozen[l]) learn(job, l, member, members);
    }
    qg_tiles_end();
}

static void take_loss(const qg_tile_job *job)
{
    const qg_tiles *tiles = job->tiles;
    const qg_plan *plan = &tiles->plans[qg_tiles_last(tiles)];
    qg_heads_loss(job->descent, &tiles->architecture, tiles->q_values, plan->out_image, tiles->loss,
                  tiles->last_gradient, plan->grad_image);
}

static void run_descent(void *context, int member)
{
    const qg_tile_job *job = context;
    qg_tiles *tiles = job->tiles;
    qg_tiles_forward_team(tiles, QG_ONLINE, &job->descent->states, &job->dropout, member);
    if (member == 0) take_loss(job);
    qg_team_barrier(tiles->team);
    qg_tiles_lap(tiles, member, QG_WORK_LOSS, 0);
    backward_team(job, member);
    if (!qg_tile_gathers(job)) return;
    qg_team_barrier(tiles->team);
    step_gathered(job, member);
}

void qg_tiles_descend(qg_tiles *tiles, const qg_descent *descent, const bool *frozen,
                      const uint64_t *steps)
{
    const qg_learning *learning = descent->learning;
    qg_gradient_part parts[QG_MAX_THREADS];
    qg_tile_job job = {.tiles = tiles,
                       .parts = parts,
                       .descent = descent,
                       .frozen = frozen,
                       .dropout = {learning->dropout_conv, learning->dropout_linear, descent->draw},
                       .blocks = qg_tiles_blocks(descent->states.size)};
    if (learning->optimiser.kind == QG_ADAM)
        qg_list_adam(learning, tiles->architecture.layer_count, steps, job.adam);
    while (job.lowest < tiles->architecture.layer_count && frozen[job.lowest])
        job.lowest++;
    if (descent->keep_gradient || qg_tile_gathers(&job))
        memset(tiles->parameters[QG_GRADIENT], 0, tiles->parameter_count * sizeof(float));
    qg_tiles_start_laps(tiles);
    qg_team_run(tiles->team, run_descent, &job);
}
