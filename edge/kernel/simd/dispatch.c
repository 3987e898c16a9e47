/* Chooses the instruction set, once. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "simd/ops.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char *const level_names[PANDA_SIMD_COUNT] = {"scalar", "neon", "avx2", "avx512"};

const char *panda_simd_name(panda_simd level) { return level_names[level]; }

static const panda_ops *ops_of(panda_simd level)
{
    switch (level) {
    case PANDA_SCALAR:
        return &panda_ops_scalar;
#if defined(__x86_64__)
    case PANDA_AVX2:
        return &panda_ops_avx2;
    case PANDA_AVX512:
        return &panda_ops_avx512;
#elif defined(__aarch64__)
    case PANDA_NEON:
        return &panda_ops_neon;
#endif
    default:
        return NULL;
    }
}

#if defined(__x86_64__)

static uint64_t enabled_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

/* The CPU's word is not enough: the operating system must also save the registers (xgetbv). */
static bool cpu_has(panda_simd level)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return false;
    bool fma_f16c = (c & bit_FMA) && (c & bit_F16C) && (c & bit_AVX);
    uint64_t state = enabled_state();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return false;
    bool avx2 = fma_f16c && (b & bit_AVX2) && (state & 0x6) == 0x6;
    if (level == PANDA_AVX2)
        return avx2;
    const uint32_t needed = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    return avx2 && (b & needed) == needed && (c & bit_AVX512VNNI) && (state & 0xe6) == 0xe6;
}

#else

static bool cpu_has(panda_simd level)
{
    (void)level; /* AArch64 always has Advanced SIMD */
    return true;
}

#endif

bool panda_simd_usable(panda_simd level) { return ops_of(level) != NULL && (level == PANDA_SCALAR || cpu_has(level)); }

/* The choice: 0 not made yet, 1 + level, or -1 for a PANDA_SIMD that cannot be had. Racing first callers all
 * come to the same answer, so a relaxed atomic is enough. */
static atomic_int choice;

static int choose(void)
{
    const char *wanted = getenv("PANDA_SIMD");
    for (int level = PANDA_SIMD_COUNT - 1; level >= 0; level--) {
        if (!panda_simd_usable((panda_simd)level))
            continue;
        if (wanted == NULL || *wanted == '\0' || strcmp(wanted, level_names[level]) == 0)
            return 1 + level;
    }
    return -1;
}

panda_status panda_simd_current(panda_simd *level)
{
    int chosen = atomic_load_explicit(&choice, memory_order_relaxed);
    if (chosen == 0) {
        chosen = choose();
        atomic_store_explicit(&choice, chosen, memory_order_relaxed);
    }
    if (chosen < 0)
        return PANDA_BAD_SIMD;
    *level = (panda_simd)(chosen - 1);
    return PANDA_OK;
}

panda_status panda_simd_force(panda_simd level)
{
    if (!panda_simd_usable(level))
        return PANDA_BAD_SIMD;
    atomic_store_explicit(&choice, 1 + (int)level, memory_order_relaxed);
    return PANDA_OK;
}

const panda_ops *panda_ops_current(void)
{
    panda_simd level;
    return panda_simd_current(&level) == PANDA_OK ? ops_of(level) : NULL;
}
