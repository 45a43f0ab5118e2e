/* The vectors that kernels.c is written in: `vec`, LANES floats, with an exact fused multiply-add.
 * One block an instruction set; 16 outputs (a panel) are VECTORS of them. */
#ifndef QG_SIMD_H
#define QG_SIMD_H

#include <math.h>
#include <stddef.h>
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

/* to[j][i] = from[i][j] for an 8 x 8 block; rows are from_row and to_row floats apart. */
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

static inline void transpose_8x8(const float *from, size_t from_row, float *to, size_t to_row)
{
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 8; j++)
            to[j * to_row + i] = from[i * from_row + j];
}

#endif

enum { VECTORS = QG_PANEL / LANES, HALF = VECTORS / 2 };

#endif
