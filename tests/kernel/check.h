/* The little that the C tests share: a failing check prints where and what, and the program exits with 1. */
#ifndef PANDA_CHECK_H
#define PANDA_CHECK_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "panda_kernel.h"

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s is false: ", __FILE__, __LINE__, #condition);                                   \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Exactly as much memory as asked for, so that the address sanitizer sees every read past the end. */
static inline void *allocate(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    CHECK(memory != NULL, "%zu bytes", bytes);
    return memory;
}

/* xorshift64*: the same numbers on every machine. */
static inline uint32_t random_bits(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 32);
}

/* Uniform in [-1, 1). */
static inline float random_float(void) { return (float)(random_bits() >> 8) / 8388608.0F - 1; }

static inline float *random_floats(size_t count)
{
    float *values = allocate(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = random_float();
    return values;
}

/* Finite halves of moderate size: exponent 2^-9 ... 2^6. */
static inline uint16_t *random_halves(size_t count)
{
    uint16_t *values = allocate(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = random_bits();
        values[i] = (uint16_t)((bits & 0x83ffu) | ((6 + (bits >> 16) % 16) << 10));
    }
    return values;
}

static inline uint8_t *random_bytes(size_t count)
{
    uint8_t *values = allocate(count);
    for (size_t i = 0; i < count; i++)
        values[i] = (uint8_t)random_bits();
    return values;
}

static inline bool near(double got, double wanted, double relative)
{
    return got == wanted || fabs(got - wanted) <= relative * fabs(wanted) + 1e-30;
}

/* Runs `test` at every level that this CPU has, or only at PANDA_SIMD's. */
static inline void at_every_level(const char *name, void (*test)(void))
{
    for (int level = 0; level < PANDA_SIMD_COUNT; level++) {
        if (!panda_simd_usable((panda_simd)level))
            continue;
        CHECK(panda_simd_force((panda_simd)level) == PANDA_OK, "level %s", panda_simd_name((panda_simd)level));
        test();
        printf("ok %s (%s)\n", name, panda_simd_name((panda_simd)level));
    }
}

#endif
