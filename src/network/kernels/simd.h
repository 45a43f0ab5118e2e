/* The vectors that kernels.c is written in: `vec`, LANES floats, with an exact fused multiply-add.
 * One block an instruction set; 16 outputs (a panel) are VECTORS of them. */
#ifndef QG_SIMD_H
#define QG_SIMD_H

#include <math.h>
#include <string.h>

#if defined(QG_ISA_AVX2)

#include <immintrin.h>
enum { LANES = 8 };
typedef __m256 vec;
static inline vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline void vec_store(float *p, vec v)
{
    _mm256_storeu_ps(p, v);
}
static inline vec vec_set(float x)
{
    return _mm256_set1_ps(x);
}
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}
static inline vec vec_sqrt(vec a)
{
    return _mm256_sqrt_ps(a);
}
/* a where m > 0, else 0 */
static inline vec vec_where_positive(vec a, vec m)
{
    return _mm256_and_ps(a, _mm256_cmp_ps(m, _mm256_setzero_ps(), _CMP_GT_OQ));
}

#else /* any compiler with GNU C vectors; fmaf is exact everywhere, fast where the machine has it  \
       */

enum { LANES = 4 };
typedef float vec __attribute__((vector_size(16)));
static inline vec vec_load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void vec_store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}
static inline vec vec_set(float x)
{
    return (vec){x, x, x, x};
}
static inline vec vec_fma(vec a, vec b, vec c)
{
    for (int i = 0; i < LANES; i++)
        c[i] = fmaf(a[i], b[i], c[i]);
    return c;
}
static inline vec vec_max(vec a, vec b)
{
    for (int i = 0; i < LANES; i++)
        a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}
static inline vec vec_sqrt(vec a)
{
    for (int i = 0; i < LANES; i++)
        a[i] = sqrtf(a[i]);
    return a;
}
static inline vec vec_where_positive(vec a, vec m)
{
    for (int i = 0; i < LANES; i++)
        a[i] = m[i] > 0 ? a[i] : 0;
    return a;
}

#endif

enum { VECTORS = QG_PANEL / LANES, HALF = VECTORS / 2 };

#endif
