/* What the machine can do at most: the measure of everything else. */
#include "cli/bench.h"

#include "base/team.h"

#include <stdlib.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { CHAINS = 10, FMA_ROUNDS = 300, TRIAD_ROUNDS = 7 };

#ifdef __x86_64__
/* Half a millisecond, so that other work on the machine misses some of the rounds. */
enum { FMA_STEPS = 300000 };

/* Ten chains of eight lanes: more than the latency of a fused multiply-add times the two that begin
 * in a cycle. The values tend to 1. */
__attribute__((target("avx2,fma"))) static float multiply_add(int steps)
{
    __m256 sums[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        sums[i] = _mm256_set1_ps(0.1f * (float)i);
    const __m256 half = _mm256_set1_ps(0.5f);
    for (int step = 0; step < steps; step++)
#pragma GCC unroll 10
        for (int i = 0; i < CHAINS; i++)
            sums[i] = _mm256_fmadd_ps(sums[i], half, half);
    for (int i = 1; i < CHAINS; i++)
        sums[0] = _mm256_add_ps(sums[0], sums[i]);
    return _mm256_cvtss_f32(sums[0]);
}

static void multiply_add_team(void *context, int member)
{
    volatile float *results = context;
    results[member] = multiply_add(FMA_STEPS);
}

qg_status bench_fma_peak(int threads, double *flops, qg_error *error)
{
    *flops = 0;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return QG_OK;
    qg_team *team;
    const qg_status status = qg_team_create(threads, &team, error);
    if (status) return status;
    volatile float results[QG_MAX_THREADS];
    for (int round = 0; round < FMA_ROUNDS; round++) {
        const double begin = bench_clock();
        qg_team_run(team, multiply_add_team, (void *)results);
        const double speed = 2.0 * 8 * CHAINS * FMA_STEPS * threads / (bench_clock() - begin);
        if (speed > *flops) *flops = speed;
    }
    qg_team_destroy(team);
    return QG_OK;
}
#else
qg_status bench_fma_peak(int threads, double *flops, qg_error *error)
{
    (void)threads, (void)error;
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
            const double begin = bench_clock();
            qg_team_run(team, run_triad, &t);
            const double speed = 3.0 * (double)size / (bench_clock() - begin);
            if (speed > *bytes) *bytes = speed;
        }
    }
    free(memory);
    qg_team_destroy(team);
    return memory ? QG_OK : qg_fail_memory(error, "the measurement of bandwidth", 3 * size);
}
