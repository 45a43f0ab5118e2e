/* What the machine can do at most: the measure of everything else. */
#include "cli/bench.h"

#include "base/team.h"

#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { CHAINS = 10, FMA_ROUNDS = 300, TRIAD_ROUNDS = 7 };

#ifdef __x86_64__
/* Half a millisecond, so that other work on the machine misses some of the rounds. */
enum { FMA_STEPS = 300000 };

/* Ten chains: more than the latency of a fused multiply-add times the two that begin in a cycle.
 * The values tend to 1. */
#define MULTIPLY_ADD(name, isa, vector, set, fma, add, first)                                      \
    __attribute__((target(isa))) static float name(void)                                           \
    {                                                                                              \
        vector sums[CHAINS];                                                                       \
        for (int i = 0; i < CHAINS; i++)                                                           \
            sums[i] = set(0.1f * (float)i);                                                        \
        const vector half = set(0.5f);                                                             \
        for (int step = 0; step < FMA_STEPS; step++)                                               \
            _Pragma("GCC unroll 10") for (int i = 0; i < CHAINS; i++) sums[i] =                    \
                fma(sums[i], half, half);                                                          \
        for (int i = 1; i < CHAINS; i++)                                                           \
            sums[0] = add(sums[0], sums[i]);                                                       \
        return first(sums[0]);                                                                     \
    }
MULTIPLY_ADD(multiply_add_8, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps,
             _mm256_cvtss_f32)
MULTIPLY_ADD(multiply_add_16, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps,
             _mm512_cvtss_f32)

typedef struct fma_loop {
    float (*run)(void);
    int lanes;
    volatile float results[QG_MAX_THREADS];
} fma_loop;

static void run_fma_loop(void *context, int member)
{
    fma_loop *loop = context;
    loop->results[member] = loop->run();
}

qg_status bench_fma_peak(const char *isa, int threads, double *flops, qg_error *error)
{
    fma_loop loop = {multiply_add_8, 8, {0}};
    *flops = 0;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return QG_OK;
    if (strcmp(isa, "avx512") == 0 || strcmp(isa, "amx") == 0)
        loop = (fma_loop){multiply_add_16, 16, {0}};
    qg_team *team;
    const qg_status status = qg_team_create(threads, &team, error);
    if (status) return status;
    for (int round = 0; round < FMA_ROUNDS; round++) {
        const double begin = qg_clock_seconds();
        qg_team_run(team, run_fma_loop, &loop);
        const double seconds = qg_clock_seconds() - begin;
        const double speed = 2.0 * loop.lanes * CHAINS * FMA_STEPS * threads / seconds;
        if (speed > *flops) *flops = speed;
    }
    qg_team_destroy(team);
    return QG_OK;
}
#else
qg_status bench_fma_peak(const char *isa, int threads, double *flops, qg_error *error)
{
    (void)isa, (void)threads, (void)error;
    *flops = 0;
    return QG_OK;
}
#endif

enum { TRIAD = 1 << 23 }; /* doubles of an array: three are 192 MiB, above any cache */

typedef struct triad {
    double *a, *b, *c;
    int members;
} triad;

static void run_triad(void *context, int member)
{
    const triad *t = context;
    int begin, end;
    qg_team_share(TRIAD, member, t->members, &begin, &end);
    double *restrict a = t->a;
    const double *restrict b = t->b, *restrict c = t->c;
    for (int i = begin; i < end; i++)
        a[i] = b[i] + 3 * c[i];
}

/* McCalpin's STREAM counts the bytes that the program names: two arrays read, one written. */
qg_status bench_bandwidth(int threads, double *bytes, qg_error *error)
{
    const size_t size = TRIAD * sizeof(double);
    qg_team *team;
    const qg_status status = qg_team_create(threads, &team, error);
    if (status) return status;
    double *memory = calloc(3, size);
    *bytes = 0;
    if (memory) {
        triad t = {memory, memory + TRIAD, memory + 2 * (size_t)TRIAD, threads};
        for (size_t i = 0; i < 3 * (size_t)TRIAD; i++) /* zero pages would be one page */
            memory[i] = 1;
        for (int round = 0; round < TRIAD_ROUNDS; round++) {
            const double begin = qg_clock_seconds();
            qg_team_run(team, run_triad, &t);
            const double speed = 3.0 * (double)size / (qg_clock_seconds() - begin);
            if (speed > *bytes) *bytes = speed;
        }
    }
    free(memory);
    qg_team_destroy(team);
    return memory ? QG_OK : qg_fail_memory(error, "the measurement of bandwidth", 3 * size);
}
