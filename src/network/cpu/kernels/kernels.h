/* The arithmetic of a weighted layer, in one table of functions per instruction set.
 *
 * A convolution and a linear layer are the same thing here: outputs at a list of pixels (a linear
 * layer has one), each a sum over K inputs that lie in a few contiguous segments.
 *
 *   activations   [image][y][x][C']   channels last, C' = channels rounded up to 8 (the network's
 *                                     input: exact), a border of zeros where the layer pads
 *   weights       [panel][K][16]      panel: 16 outputs; k = (ky, kx, c'), channels fastest
 *   gradients of outputs  [image][pixel][grad_pixel]  grad_pixel >= 16 * panels
 *
 * Everything that pads is zero and stays zero. Every output is one chain of fused multiply-adds in
 * one order (bias, then k ascending; weight gradients: image, then pixel ascending; input
 * gradients: ky, kx, then output ascending), so all instruction sets and all divisions of the work
 * among threads give the same bits.
 *
 * Screens are half empty: cells of the network's input that are all zero are left out of the
 * chains, where they would add 0 * weight. That changes no bit but the sign of a zero (and keeps
 * NaN from weights that are no longer finite out of outputs that do not see them).
 *
 * In a layer of bf16 the inputs, the weights and the gradients of the outputs are bf16 (floats
 * here, rounded to nearest even by whoever stores them), and the sums are those of AMX's TDPBF16PS:
 * k is divided into chunks of at most 32; a chunk is two chains of fused multiply-adds that begin
 * at 0, one over its even and one over its odd k, each ascending; sum += even + odd, every addition
 * rounded. Denormals count and come out as zeros in all of it. Chunks are consecutive k
 *   forward          of a row of the kernel (ky; kx and c' within)
 *   input gradient   of the outputs of a tap
 *   weight gradient  of the images of an output pixel, blocks of 32 images before pixels
 * and a bias is the weight of an input that is 1. Behind them, once an output: outputs are
 * relu?(fma(sum, in_scale, bias)), weight gradients sum * in_scale + 0. */
#ifndef QG_KERNELS_H
#define QG_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QG_PANEL = 16,
    QG_CHUNK = 32, /* k that two chains of bf16 take */
};

/* `size` inputs that lie next to each other, behind the input's offset of a pixel; k counts on. */
typedef struct qg_segment {
    int offset, size;
} qg_segment;

/* Consecutive k of one segment: the rows of a tile of the weight gradient. */
typedef struct qg_k_tile {
    int k, size, offset; /* offset: in the input, from the pixel's */
} qg_k_tile;

/* An input pixel and the taps (ky, kx) through which it reaches outputs: rows x columns of them,
 * `stride` apart in the kernel. Each step to the next tap is one to the output pixel before. */
typedef struct qg_gather {
    int in_pixel, in;  /* its number, and its offset in an image of the input */
    int tap, pixel;    /* the first tap, ky * kernel + kx, and the output pixel there */
    int rows, columns; /* 0: it reaches none */
} qg_gather;

/* Geometry of one weighted layer, in floats. */
typedef struct qg_plan {
    int k_count; /* K: inputs of an output, with the padding channels */
    int outputs; /* rounded up to 8: what is stored */
    int panels;  /* of 16 outputs */
    bool relu;
    /* where layers are of bf16 */
    bool bytes;       /* is the input the screens' own numbers, 0 to 255? */
    float in_scale;   /* what sums of products with the input are multiplied with: 1 or 1/255 */
    bool round_out;   /* are the outputs to be bf16, for the layer above? */
    bool round_below; /* ... the gradients of the inputs, for the layer below? */
    /* forward */
    qg_segment *segments; /* each at most QG_SEGMENT_MAX long */
    int segment_count;
    int pixels; /* outputs per image and channel: rows * columns */
    int rows, columns;
    int *pixel_in;              /* [pixels] offset of the first input of a pixel in its image */
    int *pixel_out;             /* [pixels] offset of its outputs in the next layer's image */
    size_t in_image, out_image; /* from one image to the next */
    int in_step, in_row_step;   /* from one output pixel's inputs to the next, and the next row's */
    int cell, cells; /* floats of a cell, and cells of a kernel row; 0: none are looked for */
    /* backward */
    int grad_pixel;
    size_t grad_image;
    qg_k_tile *k_tiles;
    int k_tile_count;
    /* gradient of the inputs: taps of a convolution (a linear layer: one tap, one input pixel) */
    int kernel, stride, padding;
    int in_rows, in_columns; /* without the border */
    int in_channels;         /* C', of one input pixel */
    int in_row;              /* floats from one input row to the next */
    qg_gather *gathers;      /* [in_rows * in_columns] those that use the same taps together */
    /* Where the gradient of the inputs is stored: the layout of the layer below. */
    int below_channels; /* C' of its outputs: a linear layer's inputs are its pixels */
    int below_grad_pixel;
    size_t below_grad_image;
} qg_plan;

enum { QG_SEGMENT_MAX = 256, QG_BLOCK_K = 512, QG_BLOCK_SEGMENTS = 16 };

typedef struct qg_rmsprop {
    float learning_rate, decay, epsilon;
} qg_rmsprop;

/* What a step of Adam multiplies with: learning_rate / (1 - beta1^t), beta and 1 - beta, and
 * 1 / sqrt(1 - beta2^t). */
typedef struct qg_adam {
    float rate, beta1, rest1, beta2, rest2, scale, epsilon;
} qg_adam;

typedef struct qg_kernels {
    const char *name;
    int rows;   /* of a tile, at most */
    int panels; /* of 16 outputs or input channels that a tile takes side by side, at most */

    /* Which cells of one image are not empty, as each output pixel sees them: windows[pixel], bit
     * ky * cells + the cell's number in the kernel row. False: of a sample too few are empty to be
     * worth looking for, and all bits are set. Only with plan->cells > 0. */
    bool (*find_cells)(const qg_plan *plan, const float *in, uint64_t *windows);

    /* out = relu?(bias + in * weights) for images [0, images) and panels [panel0, panel1). `in`,
     * `out` and `windows` [images][pixels] (NULL: all cells count) point to the first image. */
    void (*forward)(const qg_plan *plan, const float *in, const uint64_t *windows,
                    const float *weights, const float *bias, float *out, int images, int panel0,
                    int panel1);

    /* `scale` times the gradient of the layer's inputs where they are positive (they are ReLU
     * outputs), 0 elsewhere.
     * Work items are (16 * `panels` input channels, gather), numbered by channels first; this call
     * does [item0, item1). `scratch`: kernel^2 * outputs * 16 * panels floats, the caller's own. */
    void (*input_gradient)(const qg_plan *plan, const float *gradient, const float *weights,
                           const float *in, float *below, float scale, int images, int item0,
                           int item1, float *scratch);

    /* Gradient of the weights, k tiles [tile0, tile1) of panels [panel0, panel1), summed over the
     * images: result[panel][k][16] without gaps. */
    void (*weight_gradient)(const qg_plan *plan, const float *in, const uint64_t *windows,
                            const float *gradient, float *result, int images, int tile0, int tile1,
                            int panel0, int panel1);

    /* Gradient of the biases of panels [panel0, panel1). */
    void (*bias_gradient)(const qg_plan *plan, const float *gradient, float *bias_gradient,
                          int images, int panel0, int panel1);

    /* Centred RMSProp (Graves 2013, eq. 38-45, without momentum): m1 = decay m1 + (1-decay) d,
     * m2 = decay m2 + (1-decay) d^2, w += learning_rate * d / sqrt(max(m2 - m1^2, 0) + epsilon). */
    void (*rmsprop)(const qg_rmsprop *settings, float *weights, float *moment1, float *moment2,
                    const float *gradient, size_t count);

    /* Adam (Kingma & Ba 2015) in the order of PyTorch's: m1 = beta1 m1 + rest1 d,
     * m2 = beta2 m2 + rest2 d^2, w += rate * m1 / (sqrt(m2) * scale + epsilon). */
    void (*adam)(const qg_adam *step, float *weights, float *moment1, float *moment2,
                 const float *gradient, size_t count);

    /* What products take of `count` numbers (a multiple of 16): themselves, or bf16; in place, too.
     */
    void (*round)(const float *numbers, float *rounded, size_t count);

    /* One image: `parts` screens u8 [height][width][part_channels] (NULL: zeros) become
     * float [height][row][channels], value / max, channel = part * part_channels + c; channels
     * beyond are left as they are (zero). `row`: floats from one row to the next. */
    void (*convert)(const uint8_t *const *screens, int parts, int part_channels, int height,
                    int width, int max, int channels, int row, float *out);
} qg_kernels;

extern const qg_kernels qg_kernels_portable, qg_kernels_bf16_portable;
#ifdef __x86_64__
extern const qg_kernels qg_kernels_avx2, qg_kernels_avx512;
extern const qg_kernels qg_kernels_bf16_avx2, qg_kernels_bf16_avx512;
#endif

/* The best table for layers of float32 or bf16 that this machine can run, or the one called `name`
 * ("portable", "avx2", "avx512"); NULL: this machine cannot run it or it does not exist. */
const qg_kernels *qg_kernels_select(const char *name, bool bf16);

/* How many of `left` rows the next tile takes: all that it can, but no tile of 1, or, of tiles of 6
 * rows and more, of 2 is left over, whose few sums would wait for each other. */
static inline int qg_tile_rows(int left, int rows)
{
    return left <= rows ? left : left < rows + 3 ? (left + 1) / 2 : rows;
}

static inline int qg_round_up(int x, int multiple)
{
    return (x + multiple - 1) / multiple * multiple;
}

#endif
