/* Which kernels this machine can run. */
#include "network/kernels/kernels.h"

#include <string.h>

static const qg_kernels *best(void)
{
#ifdef QG_HAVE_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &qg_kernels_avx2;
#endif
    return &qg_kernels_portable;
}

const qg_kernels *qg_kernels_select(const char *name)
{
    const qg_kernels *kernels = best();
    if (!name || strcmp(name, kernels->name) == 0) return kernels;
    return strcmp(name, "portable") == 0 ? &qg_kernels_portable : NULL;
}
