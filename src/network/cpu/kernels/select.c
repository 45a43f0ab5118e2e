/* Which kernels this machine can run. */
#include "network/cpu/kernels/kernels.h"

#include <string.h>

/* From the best to the one that runs everywhere. __builtin_cpu_supports asks the processor, and
 * whether the system saves the registers. */
const qg_kernels *qg_kernels_select(const char *name, bool bf16)
{
#ifdef __x86_64__
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") &&
        (!name || strcmp(name, qg_kernels_avx512.name) == 0))
        return bf16 ? &qg_kernels_bf16_avx512 : &qg_kernels_avx512;
    if (avx2 && (!name || strcmp(name, qg_kernels_avx2.name) == 0))
        return bf16 ? &qg_kernels_bf16_avx2 : &qg_kernels_avx2;
#endif
    if (name && strcmp(name, qg_kernels_portable.name) != 0) return NULL;
    return bf16 ? &qg_kernels_bf16_portable : &qg_kernels_portable;
}
