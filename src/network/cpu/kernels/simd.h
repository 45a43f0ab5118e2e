/* The vectors that the kernels are written in: `vec`, LANES floats, with an exact fused
 * multiply-add. One block an instruction set; 16 outputs (a panel) are VECTORS of them, a tile has
 * up to ROWS rows of one panel's sums, or of WIDE panels'. */
#ifndef QG_SIMD_H
#define QG_SIMD_H

#include "network/cpu/bf16.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(QG_ISA_AVX512) || defined(QG_ISA_AVX2)
#include <immintrin.h>
/* The first n of 8 floats, and zeros; what lies behind them is not touched. */
static inline __m256 load_first_8(const float *p, int n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane));
}
#endif

#if defined(QG_ISA_AVX512)

#ifdef QG_BF16 /* two chains of each sum: 24 of the thirty-two registers */
#define ROWS 6
#else
#define ROWS 12
#endif
enum { LANES = 16, WIDE = 2 };
typedef __m512 vec;
static inline vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline vec vec_load_first(const float *p, int n) /* and zeros behind them; n < LANES */
{
    const __m512d low = _mm512_castpd256_pd512(_mm256_castps_pd(load_first_8(p, n)));
    const __m256d high = _mm256_castps_pd(load_first_8(p + 8, n - 8));
    return _mm512_castpd_ps(_mm512_insertf64x4(low, high, 1));
}
static inline void vec_store(float *p, vec v)
{
    _mm512_storeu_ps(p, v);
}
static inline vec vec_set(float x)
{
    return _mm512_set1_ps(x);
}
static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}
static inline vec vec_sqrt(vec a)
{
    return _mm512_sqrt_ps(a);
}
static inline bool vec_any(vec a) /* is a number not 0? */
{
    return _mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_NEQ_UQ) != 0;
}
/* a where m > 0, else 0 */
static inline vec vec_where_positive(vec a, vec m)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(m, _mm512_setzero_ps(), _CMP_GT_OQ), a);
}
/* a, or 0 where a is denormal */
static inline vec vec_normal(vec a)
{
    const __mmask16 denormal =
        _mm512_cmp_ps_mask(_mm512_abs_ps(a), _mm512_set1_ps(FLT_MIN), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(a, denormal, _mm512_setzero_ps());
}

#elif defined(QG_ISA_AVX2)

#ifdef QG_BF16 /* ... 12 of the sixteen */
#define ROWS 3
#else
#define ROWS 6
#endif
enum { LANES = 8, WIDE = 1 };
typedef __m256 vec;
static inline vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline vec vec_load_first(const float *p, int n) /* and zeros behind them; n < LANES */
{
    return load_first_8(p, n);
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
static inline bool vec_any(vec a) /* is a number not 0? */
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_NEQ_UQ)) != 0;
}
/* a where m > 0, else 0 */
static inline vec vec_where_positive(vec a, vec m)
{
    return _mm256_and_ps(a, _mm256_cmp_ps(m, _mm256_setzero_ps(), _CMP_GT_OQ));
}
/* a, or 0 where a is denormal */
static inline vec vec_normal(vec a)
{
    const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
    return _mm256_andnot_ps(_mm256_cmp_ps(size, _mm256_set1_ps(FLT_MIN), _CMP_LT_OQ), a);
}

#else /* any compiler with GNU C vectors; fmaf is exact everywhere, fast where the machine has it  \
       */

#define ROWS 6
enum { LANES = 4, WIDE = 1 };
typedef float vec __attribute__((vector_size(16)));
static inline vec vec_load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline vec vec_load_first(const float *p, int n)
{
    vec v = {0};
    memcpy(&v, p, (size_t)n * sizeof *p);
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
static inline bool vec_any(vec a)
{
    return a[0] != 0 || a[1] != 0 || a[2] != 0 || a[3] != 0;
}
static inline vec vec_where_positive(vec a, vec m)
{
    for (int i = 0; i < LANES; i++)
        a[i] = m[i] > 0 ? a[i] : 0;
    return a;
}
static inline vec vec_normal(vec a)
{
    for (int i = 0; i < LANES; i++)
        a[i] = fabsf(a[i]) < FLT_MIN ? 0 : a[i];
    return a;
}

#endif

#if defined(QG_ISA_AVX512)
/* a rounded to bf16, to nearest even; denormals become zero */
static inline vec vec_round(vec a)
{
    const __m512i bits = _mm512_castps_si512(vec_normal(a));
    const __m512i even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff)));
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __m512i rounded =
        _mm512_mask_mov_epi32(up, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), quiet);
    return _mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32((int)0xffff0000)));
}
#elif defined(QG_ISA_AVX2)
static inline vec vec_round(vec a)
{
    const __m256i bits = _mm256_castps_si256(vec_normal(a));
    const __m256i even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(even, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256 rounded = _mm256_blendv_ps(_mm256_castsi256_ps(up), _mm256_castsi256_ps(quiet),
                                            _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_and_ps(rounded, _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000)));
}
#else
static inline vec vec_round(vec a)
{
    for (int i = 0; i < LANES; i++)
        a[i] = qg_bf16_round(a[i]);
    return a;
}
#endif

/* vec_chain is the multiply-add of a sum, vec_flush what a denormal result of bf16 becomes, where
 * the processor is not told to flush. */
#ifdef QG_BF16

#if defined(QG_ISA_AVX512) || defined(QG_ISA_AVX2)
enum { FLUSH = 0x8040 }; /* of MXCSR: results and operands that are denormal are zeros */
static inline unsigned flush_denormals(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | FLUSH);
    return before;
}
static inline void restore_denormals(unsigned before)
{
    _mm_setcsr(before);
}
static inline vec vec_flush(vec a)
{
    return a;
}
static inline vec vec_chain(vec a, vec b, vec c)
{
    return vec_fma(a, b, c);
}
#else
static inline unsigned flush_denormals(void)
{
    return 0;
}
static inline void restore_denormals(unsigned before)
{
    (void)before;
}
static inline vec vec_flush(vec a)
{
    return vec_normal(a);
}
static inline vec vec_chain(vec a, vec b, vec c)
{
    for (int i = 0; i < LANES; i++)
        c[i] = qg_bf16_fma(a[i], b[i], c[i]);
    return c;
}
#endif
#else
static inline vec vec_chain(vec a, vec b, vec c)
{
    return vec_fma(a, b, c);
}
#endif

enum { VECTORS = QG_PANEL / LANES };
typedef vec panel[VECTORS]; /* 16 floats */

/* 16 floats, of which the upper 8 may not be there: loaded as zeros unless `high`; stored at a
 * place of their own, unless it is NULL. */
#ifdef QG_ISA_AVX512
static inline void load_halves(const float *low, bool high, panel p)
{
    const __m256d upper = high ? _mm256_castps_pd(_mm256_loadu_ps(low + 8)) : _mm256_setzero_pd();
    const __m512d lower = _mm512_castpd256_pd512(_mm256_castps_pd(_mm256_loadu_ps(low)));
    p[0] = _mm512_castpd_ps(_mm512_insertf64x4(lower, upper, 1));
}

static inline void store_halves(float *low, float *high, const panel p)
{
    const __m512d both = _mm512_castps_pd(p[0]);
    _mm256_storeu_ps(low, _mm512_castps512_ps256(p[0]));
    if (high) _mm256_storeu_ps(high, _mm256_castpd_ps(_mm512_extractf64x4_pd(both, 1)));
}
#else
enum { HALF = VECTORS / 2 };

static inline void load_halves(const float *low, bool high, panel p)
{
    for (int v = 0; v < HALF; v++) {
        p[v] = vec_load(low + v * LANES);
        p[HALF + v] = high ? vec_load(low + 8 + v * LANES) : vec_set(0);
    }
}

static inline void store_halves(float *low, float *high, const panel p)
{
    for (int v = 0; v < HALF; v++) {
        vec_store(low + v * LANES, p[v]);
        if (high) vec_store(high + v * LANES, p[HALF + v]);
    }
}
#endif

/* to[j][i] = from[i][j] for an 8 x 8 block; rows are from_row and to_row floats apart. */
#if defined(QG_ISA_AVX512) || defined(QG_ISA_AVX2)
static inline void transpose_8x8(const float *from, size_t from_row, float *to, size_t to_row)
{
    __m256 r[8], s[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(from + (size_t)i * from_row);
    for (int i = 0; i < 8; i += 2) { /* pairs of rows, interleaved */
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) { /* quarters of four rows */
        r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) { /* halves of all eight */
        _mm256_storeu_ps(to + (size_t)i * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(to + (size_t)(i + 4) * to_row,
                         _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}
#else
static inline void transpose_8x8(const float *from, size_t from_row, float *to, size_t to_row)
{
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 8; j++)
            to[j * to_row + i] = from[i * from_row + j];
}
#endif

#endif
