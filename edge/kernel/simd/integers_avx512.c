/* The 16-bit screen of pyramids with AVX-512 (F, BW, DQ, VL, VNNI). Only functions marked TARGET use it. */
#if defined(__x86_64__)

#include "simd/integers_avx512.h"

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")))
#define INLINE static inline __attribute__((always_inline)) TARGET

/* Sums of the four 128-bit lanes of four vectors: lane i of the result is of vector i. */
INLINE __m512i sum4_lanes_i32x16(__m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i ab = _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xee));
    __m512i cd = _mm512_add_epi32(_mm512_shuffle_i32x4(c, d, 0x44), _mm512_shuffle_i32x4(c, d, 0xee));
    return _mm512_add_epi32(_mm512_shuffle_i32x4(ab, cd, 0x88), _mm512_shuffle_i32x4(ab, cd, 0xdd));
}

/* Four query rows against N quads: out[n] = query row i . row j in lane 4 * i + j. */
INLINE void dot_quads(const int16_t *panel, const int16_t *const *quad, int N, size_t chunks, __m512i *out)
{
    __m512i sum[4][2];
    for (int i = 0; i < 4; i++)
        for (int n = 0; n < 2; n++)
            sum[i][n] = _mm512_setzero_si512();
    for (size_t chunk = 0; chunk < chunks; chunk++, panel += PANEL_CHUNK) {
        __m512i g[2];
        for (int n = 0; n < N; n++)
            g[n] = _mm512_loadu_si512(quad[n] + chunk * QUAD_CHUNK);
        for (int i = 0; i < 4; i++) {
            __m512i q = _mm512_loadu_si512(panel + i * QUAD_CHUNK);
            for (int n = 0; n < N; n++)
                sum[i][n] = _mm512_dpwssd_epi32(sum[i][n], q, g[n]);
        }
    }
    for (int n = 0; n < N; n++)
        out[n] = sum4_lanes_i32x16(sum[0][n], sum[1][n], sum[2][n], sum[3][n]);
}

/* query_norms[i] + norms[j] - 2 dot in lane 4 * i + j. */
INLINE __m512i distance_i32x16(__m512i dot, __m512i query_norms, const int32_t *norms)
{
    __m512i sum = _mm512_add_epi32(query_norms, _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)norms)));
    return _mm512_sub_epi32(sum, _mm512_slli_epi32(dot, 1));
}

/* query_norms[i] in lanes 4 * i ... 4 * i + 3. */
INLINE __m512i by_query_row(const int32_t values[4])
{
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3),
                                    _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)values)));
}

TARGET void integer_tile_avx512(const int16_t *panel, const int32_t query_norms[4], const int16_t *quads_data,
                                const int32_t *norms, size_t quads, size_t chunks, int32_t *out, size_t ldo)
{
    __m512i own = by_query_row(query_norms);
    for (size_t quad = 0; quad < quads; quad += 2) {
        const int16_t *first = quads_data + quad * chunks * QUAD_CHUNK;
        const int16_t *const two[2] = {first, first + chunks * QUAD_CHUNK};
        size_t n = quads - quad < 2 ? 1 : 2;
        __m512i dot[2];
        if (n == 2)
            dot_quads(panel, two, 2, chunks, dot);
        else
            dot_quads(panel, two, 1, chunks, dot);
        for (size_t k = 0; k < n; k++) {
            __m512i distance = distance_i32x16(dot[k], own, norms + QUAD * (quad + k));
            int32_t *column = out + QUAD * (quad + k);
            _mm_storeu_si128((__m128i *)column, _mm512_castsi512_si128(distance));
            _mm_storeu_si128((__m128i *)(column + ldo), _mm512_extracti32x4_epi32(distance, 1));
            _mm_storeu_si128((__m128i *)(column + 2 * ldo), _mm512_extracti32x4_epi32(distance, 2));
            _mm_storeu_si128((__m128i *)(column + 3 * ldo), _mm512_extracti32x4_epi32(distance, 3));
        }
    }
}

/* Compressed in a register and stored whole: compressing straight to memory is slow on some CPUs. */
TARGET size_t select_between_avx512(const int32_t *row, size_t n, int32_t above, int32_t limit, uint32_t *cells)
{
    size_t count = 0;
    __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (size_t j = 0; j < n; j += 16, numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(16))) {
        __mmask16 lanes = n - j >= 16 ? 0xffff : (__mmask16)((1u << (n - j)) - 1);
        __m512i value = _mm512_maskz_loadu_epi32(lanes, row + j);
        __mmask16 between = _mm512_mask_cmple_epi32_mask(lanes, value, _mm512_set1_epi32(limit));
        between = _mm512_mask_cmpgt_epi32_mask(between, value, _mm512_set1_epi32(above));
        _mm512_storeu_si512(cells + count, _mm512_maskz_compress_epi32(between, numbers));
        count += (size_t)__builtin_popcount(between);
    }
    return count;
}

TARGET size_t least_of_avx512(const int32_t *row, size_t n)
{
    __m512i least = _mm512_set1_epi32(INT32_MAX);
    for (size_t j = 0; j < n; j += 16) {
        __mmask16 lanes = n - j >= 16 ? 0xffff : (__mmask16)((1u << (n - j)) - 1);
        least = _mm512_mask_min_epi32(least, lanes, least, _mm512_maskz_loadu_epi32(lanes, row + j));
    }
    const int32_t value = _mm512_reduce_min_epi32(least);
    for (size_t j = 0;; j += 16) {
        __mmask16 lanes = n - j >= 16 ? 0xffff : (__mmask16)((1u << (n - j)) - 1);
        __mmask16 equal =
            _mm512_mask_cmpeq_epi32_mask(lanes, _mm512_maskz_loadu_epi32(lanes, row + j), _mm512_set1_epi32(value));
        if (equal)
            return j + (size_t)__builtin_ctz(equal);
    }
}

/* Four quads at a time; past the last one, the last again. */
TARGET size_t screen_quads_avx512(const int16_t *fan, const int32_t query_norms[4], const int16_t *quads_data,
                                  const int32_t *norms, size_t chunks, const uint32_t *cells, const int32_t *bases,
                                  size_t count, const int32_t limits[4], screen_hit *hits)
{
    __m512i own = by_query_row(query_norms), limit = by_query_row(limits);
    size_t found = 0;
    for (size_t n = 0; n < count; n += 4) {
        prefetch_quads(quads_data, norms, chunks, cells, n + 12, count < n + 16 ? count : n + 16);
        const int16_t *quad[4];
        __m512i sum[4];
        for (size_t k = 0; k < 4; k++) {
            size_t at = n + k < count ? n + k : count - 1, cell = cells[at];
            quad[k] = quads_data + cell * chunks * QUAD_CHUNK;
            sum[k] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(norms + QUAD * cell)));
            sum[k] = _mm512_add_epi32(_mm512_add_epi32(sum[k], own), _mm512_set1_epi32(bases[at]));
        }
        for (size_t pair = 0; pair < chunks * CHUNK / 2; pair++) {
            __m512i q = _mm512_loadu_si512(fan + pair * FAN_PAIR);
            for (size_t k = 0; k < 4; k++) {
                __m128i g = _mm_loadu_si128((const __m128i *)(quad[k] + pair * 2 * QUAD));
                sum[k] = _mm512_dpwssd_epi32(sum[k], q, _mm512_broadcast_i32x4(g));
            }
        }
        for (size_t k = 0; k < 4 && n + k < count; k++) {
            __mmask16 below = _mm512_cmple_epi32_mask(sum[k], limit);
            if (below) {
                hits[found].cell = cells[n + k];
                hits[found].below = below;
                _mm512_storeu_si512(hits[found++].sums, sum[k]);
            }
        }
    }
    return found;
}

#else
typedef int panda_no_avx512_integers_here;
#endif
