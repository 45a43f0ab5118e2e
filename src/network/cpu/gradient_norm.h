/* The norm of a gradient, by sums that have one value in whatever order: its parts lie otherwise in
 * every engine's layout, and threads share them. */
#ifndef QG_GRADIENT_NORM_H
#define QG_GRADIENT_NORM_H

#include <qgraft/engine.h>

#include "base/team.h"

/* Whether the norm counts. It is needed before the first step: then gradients are gathered, and
 * steps are made behind them all. */
static inline bool qg_gradient_gathers(const qg_learning *learning)
{
    return learning->max_norm > 0;
}

/* What a member finds of its share of the gradient. */
typedef struct qg_gradient_part {
    float largest;
    int64_t squares;
} qg_gradient_part;

/* This member's share of `count` parameters, in whole panels of 16. */
void qg_gradient_share(size_t count, int member, int members, size_t *begin, size_t *end);

/* What a gradient is multiplied with, so that its norm is at most max_norm: max_norm / (norm +
 * 1e-6) where that is below 1, as torch.nn.utils.clip_grad_norm_ has it; 1 where it is not finite.
 * By every member of the team, behind a barrier: the same for all. parts [members]: what they
 * share.
 */
float qg_gradient_factor(qg_team *team, int member, const float *gradient, size_t count,
                         float max_norm, qg_gradient_part *parts);

#endif
