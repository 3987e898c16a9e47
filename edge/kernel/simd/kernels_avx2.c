/* AVX2 with FMA and F16C. Only functions marked TARGET use them, so the file compiles with any flags. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "simd/integers.h"
#include "simd/lanes.h"
#include "simd/ops.h"

#define TARGET __attribute__((target("avx2,fma,f16c")))
#define INLINE static inline __attribute__((always_inline)) TARGET

/* Lane sums of four vectors, as one vector. The order of additions is the same for every one of them. */
INLINE __m128 sum4_f32x8(__m256 a, __m256 b, __m256 c, __m256 d)
{
    __m256 abcd = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1));
}

INLINE __m256i first_lanes(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Up to 8 values from column c on; the lanes past n read nothing and are zero. */
INLINE __m256 load_f32x8(const void *row, size_t c, size_t n, panda_dtype dtype)
{
    if (dtype == PANDA_F32)
        return n >= 8 ? _mm256_loadu_ps((const float *)row + c)
                      : _mm256_maskload_ps((const float *)row + c, first_lanes(n));
    const uint16_t *half = (const uint16_t *)row + c;
    if (n >= 8)
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)half));
    uint16_t padded[8] = {0};
    memcpy(padded, half, n * sizeof *half);
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)padded));
}

/* The same of bytes, as what they stand for. */
INLINE __m256 load_u8x8(const uint8_t *row, size_t c, size_t n, const float scales[2])
{
    uint64_t bytes = 0;
    memcpy(&bytes, row + c, n >= 8 ? 8 : n);
    __m256 value = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes)));
    value = _mm256_fmadd_ps(value, _mm256_broadcast_ss(scales + 1), _mm256_broadcast_ss(scales));
    return n >= 8 ? value : _mm256_and_ps(value, _mm256_castsi256_ps(first_lanes(n)));
}

INLINE __m256 load_any_f32x8(panda_rows row, size_t c, size_t n, panda_dtype dtype)
{
    return dtype == PANDA_U8 ? load_u8x8(row.data, c, n, row.scales) : load_f32x8(row.data, c, n, dtype);
}

/* NA (1 or 2) rows of a against 4 rows of b, all in registers; rows past nb repeat the last one. */
INLINE void l2_block(const float *a, int NA, panda_rows b, size_t nb, size_t d, float *out, size_t ldo,
                     panda_dtype dtype)
{
    panda_rows row[4];
    for (size_t j = 0; j < 4; j++)
        row[j] = rows_from(b, j < nb ? j : nb - 1, d);
    __m256 sum[2][4];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
            sum[i][j] = _mm256_setzero_ps();
    for (size_t c = 0; c < d; c += 8) {
        size_t n = d - c;
        __m256 g[4];
        for (int j = 0; j < 4; j++)
            g[j] = load_any_f32x8(row[j], c, n, dtype);
        for (int i = 0; i < NA; i++) {
            __m256 q = load_f32x8(a + (size_t)i * d, c, n, PANDA_F32);
            for (int j = 0; j < 4; j++) {
                __m256 difference = _mm256_sub_ps(q, g[j]);
                sum[i][j] = _mm256_fmadd_ps(difference, difference, sum[i][j]);
            }
        }
    }
    for (int i = 0; i < NA; i++) {
        __m128 sums = sum4_f32x8(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
        if (nb >= 4)
            _mm_storeu_ps(out + (size_t)i * ldo, sums);
        else
            _mm_maskstore_ps(out + (size_t)i * ldo, _mm256_castsi256_si128(first_lanes(nb)), sums);
    }
}

INLINE void l2_tile_any(const float *a, size_t na, panda_rows b, size_t nb, size_t d, float *out, size_t ldo,
                        panda_dtype dtype)
{
    size_t i = 0;
    for (; i + 2 <= na; i += 2)
        for (size_t j = 0; j < nb; j += 4)
            l2_block(a + i * d, 2, rows_from(b, j, d), nb - j, d, out + i * ldo + j, ldo, dtype);
    for (; i < na; i++)
        for (size_t j = 0; j < nb; j += 4)
            l2_block(a + i * d, 1, rows_from(b, j, d), nb - j, d, out + i * ldo + j, ldo, dtype);
}

TARGET static void blend_rows_avx2(const float *weights, const float *rows, size_t n, size_t stride, size_t width,
                                   float *out)
{
    for (size_t x = 0; x < width; x += 8) {
        __m256i lanes = first_lanes(width - x < 8 ? width - x : 8);
        __m256 sum = _mm256_setzero_ps();
        for (size_t j = 0; j < n; j++)
            sum = _mm256_fmadd_ps(_mm256_set1_ps(weights[j]), _mm256_maskload_ps(rows + j * stride + x, lanes), sum);
        _mm256_maskstore_ps(out + x, lanes, sum);
    }
}

/* Two columns at a time into separate sums: a multiply-add waits for the one before it. */
INLINE float whitened_norm_any(const void *factor, const float *x, size_t d, size_t panels, bool triangular,
                               panda_dtype dtype)
{
    __m256 norm = _mm256_setzero_ps();
    size_t at = 0;
    for (size_t panel = 0; panel < panels; panel++) {
        size_t width = panel_width(panel, d, triangular), c = 0;
        __m256 even[2], odd[2];
        for (int i = 0; i < 2; i++)
            even[i] = odd[i] = _mm256_setzero_ps();
        for (; c + 2 <= width; c += 2, at += 2 * PANDA_PANEL)
            for (int i = 0; i < 2; i++) {
                even[i] =
                    _mm256_fmadd_ps(_mm256_set1_ps(x[c]), load_f32x8(factor, at + 8 * (size_t)i, 8, dtype), even[i]);
                odd[i] = _mm256_fmadd_ps(_mm256_set1_ps(x[c + 1]),
                                         load_f32x8(factor, at + PANDA_PANEL + 8 * (size_t)i, 8, dtype), odd[i]);
            }
        if (c < width) {
            for (int i = 0; i < 2; i++)
                even[i] =
                    _mm256_fmadd_ps(_mm256_set1_ps(x[c]), load_f32x8(factor, at + 8 * (size_t)i, 8, dtype), even[i]);
            at += PANDA_PANEL;
        }
        for (int i = 0; i < 2; i++) {
            even[i] = _mm256_add_ps(even[i], odd[i]);
            norm = _mm256_fmadd_ps(even[i], even[i], norm);
        }
    }
    return _mm_cvtss_f32(sum4_f32x8(norm, norm, norm, norm));
}

INLINE __m128i sum_lanes_i32x8(__m256i a)
{
    return _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}

TARGET static void quantise_quad_avx2(panda_rows rows, size_t count, size_t d, const float *mean, float scale,
                                      int16_t *out, int32_t norms[4], float lengths[4])
{
    __m256i norm = _mm256_setzero_si256();
    __m256 length[4];
    for (int r = 0; r < 4; r++)
        length[r] = _mm256_setzero_ps();
    for (size_t c = 0; c < d; c += CHUNK, out += QUAD_CHUNK) {
        __m256 centre = load_f32x8(mean, c, d - c, PANDA_F32);
        __m256i rounded[4];
        for (size_t r = 0; r < 4; r++) {
            __m256 value = _mm256_setzero_ps();
            if (r < count)
                value =
                    _mm256_mul_ps(_mm256_sub_ps(load_any_f32x8(rows_from(rows, r, d), c, d - c, rows.dtype), centre),
                                  _mm256_set1_ps(scale));
            length[r] = _mm256_fmadd_ps(value, value, length[r]);
            rounded[r] = _mm256_cvtps_epi32(value);
        }
        /* Pairs of channels p of rows r, as 32-bit lanes: from r0p0 r0p1 r1p0 r1p1 | r0p2 ... to p0 of all rows. */
        __m256 a = _mm256_castsi256_ps(_mm256_packs_epi32(rounded[0], rounded[1]));
        __m256 b = _mm256_castsi256_ps(_mm256_packs_epi32(rounded[2], rounded[3]));
        __m256i even = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
        __m256i odd = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
        __m256i first = _mm256_permute2x128_si256(even, odd, 0x20);
        __m256i second = _mm256_permute2x128_si256(even, odd, 0x31);
        _mm256_storeu_si256((__m256i *)out, first);
        _mm256_storeu_si256((__m256i *)(out + QUAD_CHUNK / 2), second);
        norm = _mm256_add_epi32(norm, _mm256_madd_epi16(first, first));
        norm = _mm256_add_epi32(norm, _mm256_madd_epi16(second, second));
    }
    _mm_storeu_si128((__m128i *)norms, sum_lanes_i32x8(norm));
    _mm_storeu_ps(lengths, sum4_f32x8(length[0], length[1], length[2], length[3]));
}

/* out[4 * i + j] = query_norms[i] + norms[j] - 2 (query row i . row j). */
INLINE void quad_distances(const int16_t *panel, const int32_t query_norms[4], const int16_t *quad,
                           const int32_t *norms, size_t chunks, int32_t out[16])
{
    __m256i sum[4];
    for (int i = 0; i < 4; i++)
        sum[i] = _mm256_setzero_si256();
    for (size_t chunk = 0; chunk < chunks; chunk++, panel += PANEL_CHUNK, quad += QUAD_CHUNK) {
        __m256i first = _mm256_loadu_si256((const __m256i *)quad);
        __m256i second = _mm256_loadu_si256((const __m256i *)(quad + QUAD_CHUNK / 2));
        for (int i = 0; i < 4; i++) {
            const __m256i *q = (const __m256i *)(panel + i * QUAD_CHUNK);
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_loadu_si256(q), first));
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_loadu_si256(q + 1), second));
        }
    }
    __m128i own = _mm_loadu_si128((const __m128i *)norms);
    for (int i = 0; i < 4; i++) {
        __m128i dot = sum_lanes_i32x8(sum[i]);
        __m128i both = _mm_add_epi32(own, _mm_set1_epi32(query_norms[i]));
        _mm_storeu_si128((__m128i *)(out + 4 * i), _mm_sub_epi32(both, _mm_slli_epi32(dot, 1)));
    }
}

TARGET static void integer_tile_avx2(const int16_t *panel, const int32_t query_norms[4], const int16_t *quads_data,
                                     const int32_t *norms, size_t quads, size_t chunks, int32_t *out, size_t ldo)
{
    for (size_t quad = 0; quad < quads; quad++) {
        int32_t tile[16];
        quad_distances(panel, query_norms, quads_data + quad * chunks * QUAD_CHUNK, norms + QUAD * quad, chunks, tile);
        for (size_t i = 0; i < QUAD; i++)
            memcpy(out + i * ldo + QUAD * quad, tile + QUAD * i, QUAD * sizeof *tile);
    }
}

/* Without a branch for what passes, which cannot be predicted. */
TARGET static size_t select_between_avx2(const int32_t *row, size_t n, int32_t above, int32_t limit, uint32_t *cells)
{
    const __m256i low = _mm256_set1_epi32(above), high = _mm256_set1_epi32(limit);
    __m128i number = _mm_setr_epi32(0, 1, 2, 3);
    size_t count = 0, j = 0;
    for (; j + 8 <= n; j += 8) {
        __m256i value = _mm256_loadu_si256((const __m256i *)(row + j));
        __m256i between = _mm256_andnot_si256(_mm256_cmpgt_epi32(value, high), _mm256_cmpgt_epi32(value, low));
        unsigned lanes = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(between));
        for (int half = 0; half < 2; half++, lanes >>= 4, number = _mm_add_epi32(number, _mm_set1_epi32(4))) {
            __m128i order = _mm_loadu_si128((const __m128i *)lanes_to_front[lanes & 15]);
            _mm_storeu_si128((__m128i *)(cells + count), _mm_shuffle_epi8(number, order));
            count += (size_t)__builtin_popcount(lanes & 15);
        }
    }
    return select_rest(row, j, n, above, limit, cells, count);
}

TARGET static size_t least_of_avx2(const int32_t *row, size_t n)
{
    size_t j = 8;
    if (n < 8)
        return least_of_portable(row, n);
    __m256i least = _mm256_loadu_si256((const __m256i *)row);
    for (; j + 8 <= n; j += 8)
        least = _mm256_min_epi32(least, _mm256_loadu_si256((const __m256i *)(row + j)));
    least = _mm256_min_epi32(least, _mm256_loadu_si256((const __m256i *)(row + n - 8)));
    __m128i half = _mm_min_epi32(_mm256_castsi256_si128(least), _mm256_extracti128_si256(least, 1));
    half = _mm_min_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    const int32_t value = _mm_cvtsi128_si32(_mm_min_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
    for (j = 0; j + 8 <= n; j += 8) {
        __m256i equal = _mm256_cmpeq_epi32(_mm256_loadu_si256((const __m256i *)(row + j)), _mm256_set1_epi32(value));
        if (!_mm256_testz_si256(equal, equal))
            break;
    }
    while (row[j] != value)
        j++;
    return j;
}

/* values[i] in lanes 4 * i ... 4 * i + 3 of both vectors together. */
INLINE void by_query_row(const int32_t values[4], __m256i out[2])
{
    __m256i all = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)values));
    out[0] = _mm256_permutevar8x32_epi32(all, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
    out[1] = _mm256_permutevar8x32_epi32(all, _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3));
}

/* Four quads at a time; past the last one, the last again. */
TARGET static size_t screen_quads_avx2(const int16_t *fan, const int32_t query_norms[4], const int16_t *quads_data,
                                       const int32_t *norms, size_t chunks, const uint32_t *cells, const int32_t *bases,
                                       size_t count, const int32_t limits[4], screen_hit *hits)
{
    __m256i own[2], limit[2];
    size_t found = 0;
    by_query_row(query_norms, own);
    by_query_row(limits, limit);
    for (size_t n = 0; n < count; n += 4) {
        prefetch_quads(quads_data, norms, chunks, cells, n + 12, count < n + 16 ? count : n + 16);
        const int16_t *quad[4];
        __m256i sum[4][2];
        for (size_t k = 0; k < 4; k++) {
            size_t at = n + k < count ? n + k : count - 1, cell = cells[at];
            quad[k] = quads_data + cell * chunks * QUAD_CHUNK;
            __m256i norm = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(norms + QUAD * cell)));
            norm = _mm256_add_epi32(norm, _mm256_set1_epi32(bases[at]));
            for (int h = 0; h < 2; h++)
                sum[k][h] = _mm256_add_epi32(norm, own[h]);
        }
        for (size_t pair = 0; pair < chunks * CHUNK / 2; pair++) {
            const __m256i *q = (const __m256i *)(fan + pair * FAN_PAIR);
            const __m256i first = _mm256_loadu_si256(q), second = _mm256_loadu_si256(q + 1);
            for (size_t k = 0; k < 4; k++) {
                __m128i rows = _mm_loadu_si128((const __m128i *)(quad[k] + pair * 2 * QUAD));
                __m256i g = _mm256_broadcastsi128_si256(rows);
                sum[k][0] = _mm256_add_epi32(sum[k][0], _mm256_madd_epi16(first, g));
                sum[k][1] = _mm256_add_epi32(sum[k][1], _mm256_madd_epi16(second, g));
            }
        }
        for (size_t k = 0; k < 4 && n + k < count; k++) {
            screen_hit *hit = &hits[found];
            hit->cell = cells[n + k];
            hit->below = 0;
            for (int h = 0; h < 2; h++) {
                __m256i above = _mm256_cmpgt_epi32(sum[k][h], limit[h]);
                hit->below |= (uint32_t)(~_mm256_movemask_ps(_mm256_castsi256_ps(above)) & 255) << (8 * h);
                _mm256_storeu_si256((__m256i *)(hit->sums + 8 * h), sum[k][h]);
            }
            found += hit->below != 0;
        }
    }
    return found;
}

#include "simd/quad_below.h"

#define LEVEL(name) name##_avx2
#include "simd/level.h"

#else
typedef int panda_no_avx2_here;
#endif
