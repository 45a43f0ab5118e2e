/* The parts of a table of kernels (kernels.h), which says what each does. Their names end with the
 * instruction set that they are built for. */
#ifndef QG_PARTS_H
#define QG_PARTS_H

#include "network/cpu/kernels/kernels.h"

#define QG_JOIN_(name, isa) name##_##isa
#define QG_JOIN(name, isa)  QG_JOIN_(name, isa)
#define QG_SET(name)        QG_JOIN(qg_##name, QG_ISA)
#ifdef QG_BF16
#define QG_PART(name) QG_JOIN(qg_bf16_##name, QG_ISA)
#else
#define QG_PART(name) QG_JOIN(qg_float32_##name, QG_ISA)
#endif

bool QG_PART(find_cells)(const qg_plan *plan, const float *in, uint64_t *windows);
void QG_PART(forward)(const qg_plan *plan, const float *in, const uint64_t *windows,
                      const float *weights, const float *bias, float *out, int images, int panel0,
                      int panel1);
void QG_PART(input_gradient)(const qg_plan *plan, const float *gradient, const float *weights,
                             const float *in, float *below, float scale, int images, int item0,
                             int item1, float *scratch);
void QG_PART(weight_gradient)(const qg_plan *plan, const float *in, const uint64_t *windows,
                              const float *gradient, float *result, int images, int tile0,
                              int tile1, int panel0, int panel1);
void QG_PART(bias_gradient)(const qg_plan *plan, const float *gradient, float *result, int images,
                            int panel0, int panel1);

/* The same in both precisions. */
void QG_SET(rmsprop)(const qg_rmsprop *settings, float *weights, float *moment1, float *moment2,
                     const float *gradient, size_t count);
void QG_SET(adam)(const qg_adam *step, float *weights, float *moment1, float *moment2,
                  const float *gradient, size_t count);
void QG_SET(convert)(const uint8_t *const *screens, int parts, int part_channels, int height,
                     int width, int max, int channels, int row, float *out);

#endif
