/* The engine bf16 on AMX's tiles: what its files share.
 *
 * Everything lies in lines of 64 bytes; 16 lines are a tile. Images go in blocks of 32, as two
 * column tiles of 16. A product of two tiles has rows and columns, and 32 k, as pairs:
 *
 *   left factor   [16 rows][32 k]       right factor   [16 pairs of k][16 columns][2]
 *
 * Forms of a tensor, a number of each image at every k = (y, x, c):
 *   K  [block][t][k / 2][16 images][2]    right factor, images are columns: t = 0, 1
 *   N  [block][t][k / 32][16 images][32]  left factor, images are rows; K turned
 *   P  [block][k][32 images]              left factor of weight gradients, where images are k
 *   V  [block][pixel][panel][16 pairs of images][16 channels][2]    right factor there; P turned
 * K and P of a convolution's input have a border of zeros and c' channels, as kernels.h says; any
 * 32 k of a row of the kernel are 16 lines that follow each other.
 *
 *   forward          convolution: rows are outputs, columns images (K); linear: rows images (N)
 *   input gradient   rows are inputs, columns images (K of the gradient)
 *   weight gradient  rows are k (P of the input), columns outputs (V of the gradient)
 *
 * Weights are float32 [panel][k][16 outputs], the k of every row of the kernel filled up to 32s. A
 * panel of a linear layer has the even or the odd ones of 32 outputs. Products take them as
 *   forward   a convolution's [panel][k / 32][16 outputs][32 k],
 *             a linear layer's [panel][k / 32][16 pairs of k][16 outputs][2]
 *   backward  [c / 16][tap][outputs / 32][16 c][32 outputs]; a linear layer's are turned on the way
 *   acting    all like a linear layer's, see tile_act.c
 * The last layer is float32's, in that engine's layout. */
#ifndef QG_TILES_H
#define QG_TILES_H

#include <qgraft/engine.h>

#include "base/team.h"
#include "base/clock.h"
#include "network/cpu/kernels/kernels.h"
#include "network/stopwatch.h"

enum {
    QG_TILE_IMAGES = 32,
    QG_TILE_BLOCK = 25, /* chunks of a linear layer whose gradients are summed at a time */
    QG_TILE_SUMS = (QG_TILE_BLOCK + 1) * 1024, /* floats: these sums */
};

/* A layer of bf16. */
typedef struct qg_tile_layer {
    bool conv;
    int channels; /* c' of its inputs */
    int run;      /* k of a row of the kernel */
    int run_chunks, kernel_rows;
    int chunks;   /* of 32 k */
    int groups;   /* of 32 outputs */
    int in_row;   /* k of a row of the input, with its border */
    int in_lines; /* lines of an input row in K */
    bool phases;  /* do pixels begin at odd k? Then K is held a second time, one k further */
    size_t in_k, in_pairs;                  /* k, and lines of K, of an image */
    size_t weights_at, biases_at;           /* floats of a parameter block */
    size_t forward_at, backward_at, act_at; /* bytes of a block of operands */
} qg_tile_layer;

typedef struct qg_tiles {
    qg_architecture architecture;
    qg_plan plans[QG_MAX_LAYERS];
    qg_tile_layer layers[QG_MAX_LAYERS]; /* but the last */
    const qg_kernels *float32;           /* of the last layer */
    qg_team *team;
    int max_batch, blocks; /* of 32 images */
    bool learns;
    size_t last_weights_at, last_biases_at;
    size_t parameter_count, operand_size;
    char *memory;
    size_t memory_size;
    float *parameters[QG_PARAMETER_SETS];
    char *operands[QG_TARGET + 1];
    /* of a layer's input, [blocks]; a form that is not needed is NULL */
    char *k[QG_MAX_LAYERS], *k_odd, *n[QG_MAX_LAYERS], *p[QG_MAX_LAYERS];
    uint16_t *act[QG_MAX_LAYERS]; /* one state's input: [y][x][c] of bf16, with its border */
    /* of layers with a norm (tile_norm.h) */
    float *normed[QG_MAX_LAYERS];  /* [column tile][pixel][output][16 images] */
    float *moments[QG_MAX_LAYERS]; /* [column tile][mean, 1 / deviation][16 images] */
    float *means;                  /* [column tile][2][16 images]: of the gradient of one of them */
    float *act_normed;             /* one state's outputs, where act has them */
    float *hidden;                 /* input of the last layer [image][plan.in_image] */
    float *q_values;               /* [image][plan.out_image] */
    /* of the gradient of a layer's outputs */
    char *gp[QG_MAX_LAYERS], *gk[QG_MAX_LAYERS], *gv[QG_MAX_LAYERS];
    float *last_gradient, *hidden_gradient, *loss;
    char *own; /* [threads][own_size]: see below */
    size_t own_size, list_size, tails_size;
    qg_stopwatch *stopwatch;
} qg_tiles;

static inline int qg_tiles_last(const qg_tiles *tiles)
{
    return tiles->architecture.layer_count - 1;
}

static inline int qg_tiles_blocks(int images)
{
    return (images + QG_TILE_IMAGES - 1) / QG_TILE_IMAGES;
}

static inline void qg_tiles_lap(const qg_tiles *tiles, int member, qg_work work, int l)
{
    qg_stopwatch *stopwatch = tiles->stopwatch;
    if (!stopwatch || member != 0) return;
    const double now = qg_clock_seconds();
    stopwatch->seconds[work][l] += now - stopwatch->lap;
    stopwatch->lap = now;
}

static inline void qg_tiles_start_laps(const qg_tiles *tiles)
{
    if (tiles->stopwatch) tiles->stopwatch->lap = qg_clock_seconds();
}

/* A member's own: the list of a product's chunks, copies of what a row's last chunks have, floats.
 */
static inline void *qg_tiles_list(const qg_tiles *tiles, int member)
{
    return tiles->own + (size_t)member * tiles->own_size;
}

static inline char *qg_tiles_tails(const qg_tiles *tiles, int member)
{
    return tiles->own + (size_t)member * tiles->own_size + tiles->list_size;
}

static inline float *qg_tiles_scratch(const qg_tiles *tiles, int member)
{
    return (float *)(void *)(tiles->own + (size_t)member * tiles->own_size + tiles->list_size +
                             tiles->tails_size);
}

/* Weights of one chunk of 32 k and one group of 32 outputs of a layer, in the forms that products
 * take. */
void qg_tiles_turn_weights(const qg_tiles *tiles, qg_parameter_set set, int layer, int chunk,
                           int group);

#endif
