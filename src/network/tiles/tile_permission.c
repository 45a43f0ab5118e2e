#include "network/tiles/tile_permission.h"

#ifdef QG_TILES
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Compiled without AMX's arguments, as it runs on every machine; what follows the question has
 * them. */
#define TILED __attribute__((target("amx-tile")))

enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* arch_prctl(2): ARCH_REQ_XCOMP_PERM */

static bool here;

static void ask(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    const unsigned tiles = 1u << 22 | 1u << 24; /* AMX-BF16, AMX-TILE */
    if ((d & tiles) != tiles || !__get_cpuid_count(7, 1, &a, &b, &c, &d)) return;
    const bool bf16 = a >> 5 & 1; /* AVX512_BF16 */
    here = bf16 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

bool qg_tiles_here(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ask);
    return here;
}

TILED void qg_tiles_begin(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config;
    memset(&config, 0, sizeof config);
    config.palette = 1;
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("" : : "r"(&config) : "memory"); /* GCC believes that 8 bytes are read */
    _tile_loadconfig(&config);
}

TILED void qg_tiles_end(void)
{
    _tile_release();
}

unsigned qg_tiles_flush(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
}

void qg_tiles_unflush(unsigned before)
{
    _mm_setcsr(before);
}
#else
bool qg_tiles_here(void)
{
    return false;
}
#endif
