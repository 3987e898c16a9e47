/* The flat screen with AVX-512 (F, BW, VNNI). Only functions marked TARGET use it. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "simd/columns.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define INLINE static inline __attribute__((always_inline)) TARGET

INLINE __m512i pair_of(const int16_t *query, size_t pair)
{
    int32_t both;
    memcpy(&both, query + 2 * pair, sizeof both);
    return _mm512_set1_epi32(both);
}

/* PAIRS, where known at compile time, keeps the query in registers. */
INLINE size_t screen_any(const int16_t *query, int32_t own, const int16_t *slab, size_t pairs, bool first,
                         uint32_t *groups, int32_t *sums, size_t count, int32_t limit)
{
    const __m512i most = _mm512_set1_epi32(limit), norm = _mm512_set1_epi32(own);
    size_t kept = 0;
    for (size_t k = 0; k < count; k++) {
        const int16_t *column = slab + groups[k] * (1 + pairs) * COLUMN_LINE;
        __m512i even = _mm512_add_epi32(norm, _mm512_load_si512(column));
        __m512i odd = first ? _mm512_setzero_si512() : _mm512_loadu_si512(sums + k * LANES);
        for (size_t p = 0; p + 2 <= pairs; p += 2) {
            even = _mm512_dpwssd_epi32(even, pair_of(query, p), _mm512_load_si512(column + (1 + p) * COLUMN_LINE));
            odd = _mm512_dpwssd_epi32(odd, pair_of(query, p + 1), _mm512_load_si512(column + (2 + p) * COLUMN_LINE));
        }
        if (pairs % 2)
            even =
                _mm512_dpwssd_epi32(even, pair_of(query, pairs - 1), _mm512_load_si512(column + pairs * COLUMN_LINE));
        even = _mm512_add_epi32(even, odd);
        groups[kept] = groups[k];
        _mm512_storeu_si512(sums + kept * LANES, even);
        kept += _mm512_cmple_epi32_mask(even, most) != 0;
    }
    return kept;
}

TARGET size_t screen_columns_avx512(const int16_t *query, int32_t own, const int16_t *slab, size_t pairs, bool first,
                                    uint32_t *groups, int32_t *sums, size_t count, int32_t limit)
{
    if (pairs == 4)
        return first ? screen_any(query, own, slab, 4, true, groups, sums, count, limit)
                     : screen_any(query, own, slab, 4, false, groups, sums, count, limit);
    if (pairs == 8)
        return screen_any(query, own, slab, 8, first, groups, sums, count, limit);
    return screen_any(query, own, slab, pairs, first, groups, sums, count, limit);
}

TARGET void box_distances_avx512(const int16_t *query, const int16_t *boxes, size_t blocks, size_t pairs, int32_t *out)
{
    for (size_t block = 0; block < blocks; block++, boxes += pairs * 2 * COLUMN_LINE) {
        __m512i sum = _mm512_setzero_si512();
        for (size_t p = 0; p < pairs; p++) {
            __m512i q = pair_of(query, p);
            __m512i below = _mm512_sub_epi16(_mm512_load_si512(boxes + p * 2 * COLUMN_LINE), q);
            __m512i above = _mm512_sub_epi16(q, _mm512_load_si512(boxes + (p * 2 + 1) * COLUMN_LINE));
            __m512i outside = _mm512_max_epi16(_mm512_max_epi16(below, above), _mm512_setzero_si512());
            sum = _mm512_dpwssd_epi32(sum, outside, outside);
        }
        _mm512_storeu_si512(out + block * LANES, sum);
    }
}

#else
typedef int panda_no_avx512_columns_here;
#endif
