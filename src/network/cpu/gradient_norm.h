/* The norm of a gradient, by sums that have one value in whatever order: its parts lie otherwise in
 * every engine's layout, and threads share them. */
#ifndef QG_GRADIENT_NORM_H
#define QG_GRADIENT_NORM_H

#include <stddef.h>
#include <stdint.h>

/* The largest |gradient|; infinite where one is not finite. */
float qg_gradient_largest(const float *gradient, size_t count);

/* Sum of (gradient / scale)^2 in units of 2^-34, each rounded down to a whole number of them: no
 * order changes it. `scale` is the power of two above the largest of all. */
int64_t qg_gradient_squares(const float *gradient, size_t count, float scale);

/* The power of two above a finite `largest` that is not 0. */
float qg_gradient_scale(float largest);

/* What a gradient is multiplied with whose squares sum up to `squares`, so that its norm is at most
 * max_norm: max_norm / (norm + 1e-6) where that is below 1, as torch.nn.utils.clip_grad_norm_ has
 * it. */
float qg_gradient_factor(int64_t squares, float scale, float max_norm);

#endif
