/* The flat screen with AVX2. Only functions marked TARGET use it. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "simd/columns.h"

#define TARGET __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline)) TARGET

INLINE __m256i pair_of(const int16_t *query, size_t pair)
{
    int32_t both;
    memcpy(&both, query + 2 * pair, sizeof both);
    return _mm256_set1_epi32(both);
}

INLINE __m256i load(const void *line, size_t half) { return _mm256_load_si256((const __m256i *)line + half); }

/* One half of a group's rows. */
INLINE __m256i sums_of(const int16_t *query, __m256i sum, const int16_t *column, size_t pairs, size_t half)
{
    sum = _mm256_add_epi32(sum, load(column, half));
    for (size_t p = 0; p < pairs; p++)
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pair_of(query, p), load(column + (1 + p) * COLUMN_LINE, half)));
    return sum;
}

INLINE size_t screen_any(const int16_t *query, int32_t own, const int16_t *slab, size_t pairs, bool first,
                         uint32_t *groups, int32_t *sums, size_t count, int32_t limit)
{
    const __m256i most = _mm256_set1_epi32(limit), norm = _mm256_set1_epi32(own);
    size_t kept = 0;
    for (size_t k = 0; k < count; k++) {
        const int16_t *column = slab + groups[k] * (1 + pairs) * COLUMN_LINE;
        __m256i low = norm, high = norm;
        if (!first) {
            low = _mm256_add_epi32(low, _mm256_loadu_si256((const __m256i *)(sums + k * LANES)));
            high = _mm256_add_epi32(high, _mm256_loadu_si256((const __m256i *)(sums + k * LANES + 8)));
        }
        low = sums_of(query, low, column, pairs, 0);
        high = sums_of(query, high, column, pairs, 1);
        groups[kept] = groups[k];
        _mm256_storeu_si256((__m256i *)(sums + kept * LANES), low);
        _mm256_storeu_si256((__m256i *)(sums + kept * LANES + 8), high);
        __m256i beyond = _mm256_and_si256(_mm256_cmpgt_epi32(low, most), _mm256_cmpgt_epi32(high, most));
        kept += _mm256_movemask_epi8(beyond) != -1;
    }
    return kept;
}

TARGET size_t screen_columns_avx2(const int16_t *query, int32_t own, const int16_t *slab, size_t pairs, bool first,
                                  uint32_t *groups, int32_t *sums, size_t count, int32_t limit)
{
    if (pairs == 4)
        return screen_any(query, own, slab, 4, first, groups, sums, count, limit);
    if (pairs == 8)
        return screen_any(query, own, slab, 8, first, groups, sums, count, limit);
    return screen_any(query, own, slab, pairs, first, groups, sums, count, limit);
}

TARGET void box_distances_avx2(const int16_t *query, const int16_t *boxes, size_t blocks, size_t pairs, int32_t *out)
{
    for (size_t block = 0; block < blocks; block++, boxes += pairs * 2 * COLUMN_LINE)
        for (size_t half = 0; half < 2; half++) {
            __m256i sum = _mm256_setzero_si256();
            for (size_t p = 0; p < pairs; p++) {
                __m256i q = pair_of(query, p);
                __m256i below = _mm256_sub_epi16(load(boxes + p * 2 * COLUMN_LINE, half), q);
                __m256i above = _mm256_sub_epi16(q, load(boxes + (p * 2 + 1) * COLUMN_LINE, half));
                __m256i outside = _mm256_max_epi16(_mm256_max_epi16(below, above), _mm256_setzero_si256());
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(outside, outside));
            }
            _mm256_storeu_si256((__m256i *)(out + block * LANES + 8 * half), sum);
        }
}

#else
typedef int panda_no_avx2_columns_here;
#endif
