#include "network/tiles/tile_optimiser.h"

#include <assert.h>
#include <float.h>
#include <string.h>

/* Centred RMSProp or Adam (kernels.h) of 16 weights, to the bit those of elementwise_kernels.c. */
typedef struct optimiser {
    bool adam;
    __m512 decay, rest; /* of both moments, Adam's of the first one */
    __m512 epsilon, rate;
    __m512 decay2, rest2, scale; /* Adam's */
} optimiser;

/* `a`: NULL: the optimiser is RMSProp. */
static optimiser optimiser_of(const qg_optimiser *o, const qg_adam *a)
{
    if (a)
        return (optimiser){true,
                           _mm512_set1_ps(a->beta1),
                           _mm512_set1_ps(a->rest1),
                           _mm512_set1_ps(a->epsilon),
                           _mm512_set1_ps(a->rate),
                           _mm512_set1_ps(a->beta2),
                           _mm512_set1_ps(a->rest2),
                           _mm512_set1_ps(a->scale)};
    assert(o->kind == QG_RMSPROP_CENTRED);
    return (optimiser){.decay = _mm512_set1_ps(o->rmsprop.decay),
                       .rest = _mm512_set1_ps(1 - o->rmsprop.decay),
                       .epsilon = _mm512_set1_ps(o->rmsprop.epsilon),
                       .rate = _mm512_set1_ps(o->learning_rate)};
}

ALWAYS __m512 normal(__m512 a)
{
    const __mmask16 denormal =
        _mm512_cmp_ps_mask(_mm512_abs_ps(a), _mm512_set1_ps(FLT_MIN), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(a, denormal, _mm512_setzero_ps());
}

/* What 16 weights change by. */
ALWAYS __m512 rmsprop(const optimiser *o, float *m1, float *m2, __m512 d)
{
    const __m512 part = _mm512_mul_ps(o->rest, d);
    const __m512 mean = normal(_mm512_fmadd_ps(o->decay, _mm512_loadu_ps(m1), part));
    const __m512 square =
        normal(_mm512_fmadd_ps(o->decay, _mm512_loadu_ps(m2), _mm512_mul_ps(part, d)));
    _mm512_storeu_ps(m1, mean);
    _mm512_storeu_ps(m2, square);
    const __m512 variance =
        _mm512_max_ps(_mm512_fnmadd_ps(mean, mean, square), _mm512_setzero_ps());
    return _mm512_div_ps(_mm512_mul_ps(o->rate, d),
                         _mm512_sqrt_ps(_mm512_add_ps(variance, o->epsilon)));
}

ALWAYS __m512 adam(const optimiser *o, float *m1, float *m2, __m512 d)
{
    const __m512 mean =
        normal(_mm512_fmadd_ps(o->decay, _mm512_loadu_ps(m1), _mm512_mul_ps(o->rest, d)));
    const __m512 part = _mm512_mul_ps(_mm512_mul_ps(o->rest2, d), d);
    const __m512 square = normal(_mm512_fmadd_ps(o->decay2, _mm512_loadu_ps(m2), part));
    _mm512_storeu_ps(m1, mean);
    _mm512_storeu_ps(m2, square);
    return _mm512_div_ps(_mm512_mul_ps(o->rate, mean),
                         _mm512_fmadd_ps(_mm512_sqrt_ps(square), o->scale, o->epsilon));
}

ALWAYS __m512 step(const optimiser *o, float *w, float *m1, float *m2, __m512 d)
{
    const __m512 change = o->adam ? adam(o, m1, m2, d) : rmsprop(o, m1, m2, d);
    const __m512 after = _mm512_add_ps(_mm512_loadu_ps(w), change);
    _mm512_storeu_ps(w, after);
    return after;
}

qg_tile_piece qg_tile_piece_at(const qg_tile_job *job, int l, size_t at, float l2)
{
    float *const *parameters = job->tiles->parameters;
    const bool anchored = parameters[QG_PULL], gathers = qg_tile_gathers(job);
    const qg_learning *learning = job->descent->learning;
    return (qg_tile_piece){parameters[QG_ONLINE] + at,
                           parameters[QG_MOMENT1] + at,
                           parameters[QG_MOMENT2] + at,
                           job->descent->keep_gradient || gathers ? parameters[QG_GRADIENT] + at
                                                                  : NULL,
                           gathers,
                           anchored ? parameters[QG_ANCHOR] + at : NULL,
                           anchored ? parameters[QG_PULL] + at : NULL,
                           qg_optimiser_of_layer(learning, l),
                           learning->optimiser.kind == QG_ADAM ? &job->adam[l] : NULL,
                           l2};
}

static void pull_back(const qg_tile_piece *p, float *gradient, size_t count)
{
    if (p->pull) qg_pull_back(p->w, p->anchor, p->pull, gradient, count);
}

/* The gradient behind the weight decay, kept if it is to be; no zero keeps a sign. */
ALWAYS __m512 settle(const qg_tile_piece *p, size_t i, __m512 d)
{
    d = _mm512_add_ps(d, _mm512_setzero_ps());
    if (p->l2 > 0) d = _mm512_fmadd_ps(_mm512_set1_ps(-p->l2), _mm512_loadu_ps(p->w + i), d);
    if (p->gradient) _mm512_storeu_ps(p->gradient + i, d);
    return d;
}

static void step_plain(const qg_tile_piece *p, float *gradient, size_t count)
{
    const optimiser o = optimiser_of(&p->optimiser, p->adam);
    pull_back(p, gradient, count);
    for (size_t i = 0; i < count; i += 16) {
        __m512 d = _mm512_loadu_ps(gradient + i);
        if (p->l2 > 0) d = _mm512_fmadd_ps(_mm512_set1_ps(-p->l2), _mm512_loadu_ps(p->w + i), d);
        if (p->gradient) _mm512_storeu_ps(p->gradient + i, d);
        step(&o, p->w + i, p->m1 + i, p->m2 + i, d);
    }
}

void qg_tile_step_plain(const qg_tile_piece *p, float *gradient, size_t count)
{
    if (p->gathers)
        memcpy(p->gradient, gradient, count * sizeof *gradient);
    else
        step_plain(p, gradient, count);
}

void qg_tile_step_gathered(const qg_tile_piece *p, float factor, size_t count)
{
    for (size_t i = 0; i < count && factor < 1; i++)
        p->gradient[i] *= factor;
    step_plain(p, p->gradient, count);
}

/* Gradients without the sign of their zeros. */
static void gather(const qg_tile_piece *p, const float *gradient, size_t count)
{
    for (size_t i = 0; i < count; i += 16)
        _mm512_storeu_ps(p->gradient + i,
                         _mm512_add_ps(_mm512_loadu_ps(gradient + i), _mm512_setzero_ps()));
}

void qg_tile_step(const qg_tile_piece *p, float *gradient, size_t count)
{
    if (p->gathers) {
        gather(p, gradient, count);
        return;
    }
    const optimiser o = optimiser_of(&p->optimiser, p->adam);
    pull_back(p, gradient, count);
    for (size_t i = 0; i < count; i += 16)
        step(&o, p->w + i, p->m1 + i, p->m2 + i, settle(p, i, _mm512_loadu_ps(gradient + i)));
}

void qg_tile_step_linear(const qg_tile_piece *p, float *gradient, size_t count, char *forward,
                         ptrdiff_t next)
{
    if (p->gathers) {
        gather(p, gradient, count);
        return;
    }
    const optimiser o = optimiser_of(&p->optimiser, p->adam);
    pull_back(p, gradient, count);
    enum { AHEAD = 768 }; /* floats */
    for (size_t i = 0; i < count; i += 32, forward += LINE) {
        const ptrdiff_t ahead = (ptrdiff_t)i + AHEAD < (ptrdiff_t)count
                                    ? (ptrdiff_t)i + AHEAD
                                    : (ptrdiff_t)i + AHEAD - (ptrdiff_t)count + next;
        for (int j = 0; j < 32; j += 16) {
            _mm_prefetch((const char *)(p->w + ahead + j), _MM_HINT_T0);
            _mm_prefetch((const char *)(p->m1 + ahead + j), _MM_HINT_T0);
            _mm_prefetch((const char *)(p->m2 + ahead + j), _MM_HINT_T0);
        }
        const __m512 a =
            step(&o, p->w + i, p->m1 + i, p->m2 + i, settle(p, i, _mm512_loadu_ps(gradient + i)));
        const __m512 b = step(&o, p->w + i + 16, p->m1 + i + 16, p->m2 + i + 16,
                              settle(p, i + 16, _mm512_loadu_ps(gradient + i + 16)));
        line_store(forward, interleave(round_two(b, a)));
    }
}
