/* Bytes as numbers: what a kernel's fuzz target makes its arguments of. Arrays are as long as they must be and no
 * longer, so that the address sanitizer sees every step past their end. */
#ifndef PANDA_FUZZ_INPUT_H
#define PANDA_FUZZ_INPUT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "panda_kernel.h"

enum { MOST_SECONDS = 5 };

typedef struct {
    const uint8_t *data;
    size_t left;
} input;

static inline void require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "found: %s\n", what);
    abort();
}

/* A number from low to high. */
static inline size_t number(input *in, size_t low, size_t high)
{
    if (in->left == 0)
        return low;
    in->left--;
    return low + *in->data++ % (high - low + 1);
}

/* `bytes` bytes of the input, over and over where there are not so many. The caller frees. */
static inline void *array(input *in, size_t bytes)
{
    uint8_t *made = malloc(bytes ? bytes : 1);
    require(made != NULL, "memory");
    size_t used = in->left < bytes ? in->left : bytes;
    for (size_t i = 0; i < bytes; i++)
        made[i] = used ? in->data[i % used] : (uint8_t)(i * 37);
    in->data += used;
    in->left -= used;
    return made;
}

/* One of the levels that this processor has. */
static inline void choose_simd(input *in)
{
    size_t wanted = number(in, 0, PANDA_SIMD_COUNT - 1);
    if (panda_simd_usable((panda_simd)wanted))
        require(panda_simd_force((panda_simd)wanted) == PANDA_OK, "a usable level");
}

static inline panda_dtype floats(input *in) { return number(in, 0, 1) ? PANDA_F16 : PANDA_F32; }

static inline size_t size_of(panda_dtype dtype)
{
    return dtype == PANDA_F32 ? sizeof(float) : dtype == PANDA_F16 ? sizeof(uint16_t) : 1;
}

/* Distances are at least 0 or infinity, never NaN; numbers are of the bank. */
static inline void check_found(const float *distances, const int64_t *indices, size_t count, int64_t bank)
{
    for (size_t i = 0; i < count; i++) {
        require(distances[i] >= 0, "a distance below zero, or NaN");
        require(indices[i] >= -1 && indices[i] < bank, "an index outside of the bank");
    }
}

/* Processor time: a busy machine is no hang. */
static inline double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Each target defines this, and LLVMFuzzerTestOneInput through TARGET. */
#define TARGET(run)                                                                                                    \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);                                                      \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                                                       \
    {                                                                                                                  \
        double started = processor_seconds();                                                                          \
        run(data, size);                                                                                               \
        require(processor_seconds() - started < MOST_SECONDS, "more than 5 s of processor time");                      \
        return 0;                                                                                                      \
    }

#endif
