/* The table of an instruction set and a precision. It and the files of its parts are built once for
 * each (elementwise_kernels.c once per instruction set). */
#include "network/cpu/kernels/parts.h"
#include "network/cpu/kernels/simd.h"

static void round_numbers(const float *numbers, float *rounded, size_t count)
{
#ifdef QG_BF16
    for (size_t i = 0; i < count; i += LANES) /* every block is padded to 16 */
        vec_store(rounded + i, vec_round(vec_load(numbers + i)));
#else
    memmove(rounded, numbers, count * sizeof *rounded);
#endif
}

/* Denormals are flushed while products are made, and nowhere else. */
#ifdef QG_BF16
#define FLUSHED(name, parameters, arguments)                                                       \
    static void flushed_##name parameters                                                          \
    {                                                                                              \
        const unsigned before = flush_denormals();                                                 \
        QG_PART(name) arguments;                                                                   \
        restore_denormals(before);                                                                 \
    }
FLUSHED(forward,
        (const qg_plan *plan, const float *in, const uint64_t *windows, const float *weights,
         const float *bias, float *out, int images, int panel0, int panel1),
        (plan, in, windows, weights, bias, out, images, panel0, panel1))
FLUSHED(input_gradient,
        (const qg_plan *plan, const float *gradient, const float *weights, const float *in,
         float *below, float scale, int images, int item0, int item1, float *scratch),
        (plan, gradient, weights, in, below, scale, images, item0, item1, scratch))
FLUSHED(weight_gradient,
        (const qg_plan *plan, const float *in, const uint64_t *windows, const float *gradient,
         float *result, int images, int tile0, int tile1, int panel0, int panel1),
        (plan, in, windows, gradient, result, images, tile0, tile1, panel0, panel1))
FLUSHED(bias_gradient,
        (const qg_plan *plan, const float *gradient, float *result, int images, int panel0,
         int panel1),
        (plan, gradient, result, images, panel0, panel1))
#define PRODUCT(name) flushed_##name
#define TABLE         QG_JOIN(qg_kernels_bf16, QG_ISA)
#else
#define PRODUCT(name) QG_PART(name)
#define TABLE         QG_SET(kernels)
#endif
#define TEXT_(isa) #isa
#define TEXT(isa)  TEXT_(isa)

const qg_kernels TABLE = {
    .name = TEXT(QG_ISA),
    .rows = ROWS,
    .panels = WIDE,
    .find_cells = QG_PART(find_cells),
    .forward = PRODUCT(forward),
    .input_gradient = PRODUCT(input_gradient),
    .weight_gradient = PRODUCT(weight_gradient),
    .bias_gradient = PRODUCT(bias_gradient),
    .rmsprop = QG_SET(rmsprop),
    .adam = QG_SET(adam),
    .round = round_numbers,
    .convert = QG_SET(convert),
};
