/* AVX-512 (F, BW, DQ, VL, VNNI: Ice Lake, Zen 4 and later). Only functions marked TARGET use it, so the file compiles
 * with any flags. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "simd/integers_avx512.h"
#include "simd/ops.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")))
#define INLINE static inline __attribute__((always_inline)) TARGET

/* Lane sums of four vectors, as one vector. The order of additions is the same for every one of them. */
INLINE __m128 sum4_f32x16(__m512 a, __m512 b, __m512 c, __m512 d)
{
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    __m512 abcd = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(abcd), _mm512_extractf32x8_ps(abcd, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

INLINE __m512 load_f32x16(const void *row, size_t c, __mmask16 lanes, panda_dtype dtype)
{
    if (dtype == PANDA_F16)
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes, (const uint16_t *)row + c));
    return _mm512_maskz_loadu_ps(lanes, (const float *)row + c);
}

/* The same of a row of any dtype: bytes become what they stand for. */
INLINE __m512 load_any(panda_rows row, size_t c, __mmask16 lanes, panda_dtype dtype)
{
    if (dtype != PANDA_U8)
        return load_f32x16(row.data, c, lanes, dtype);
    __m128i bytes = _mm_maskz_loadu_epi8(lanes, (const uint8_t *)row.data + c);
    return _mm512_maskz_fmadd_ps(lanes, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), _mm512_set1_ps(row.scales[1]),
                                 _mm512_set1_ps(row.scales[0]));
}

/* Up to 8 values from column c on, as above. */
INLINE __m256 load_any_f32x8(panda_rows row, size_t c, size_t n, panda_dtype dtype)
{
    __mmask8 lanes = n >= 8 ? 0xff : (__mmask8)((1u << n) - 1);
    if (dtype == PANDA_F32)
        return _mm256_maskz_loadu_ps(lanes, (const float *)row.data + c);
    if (dtype == PANDA_F16)
        return _mm256_cvtph_ps(_mm_maskz_loadu_epi16(lanes, (const uint16_t *)row.data + c));
    __m256i bytes = _mm256_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, (const uint8_t *)row.data + c));
    return _mm256_maskz_fmadd_ps(lanes, _mm256_cvtepi32_ps(bytes), _mm256_set1_ps(row.scales[1]),
                                 _mm256_set1_ps(row.scales[0]));
}

/* sums[i] = distances of row i < NA (1 or 4) of a to 4 rows of b, all in registers; rows past nb repeat the last. */
INLINE void l2_sums(const float *a, int NA, panda_rows b, size_t nb, size_t d, panda_dtype dtype, __m128 sums[4])
{
    panda_rows row[4];
    for (size_t j = 0; j < 4; j++)
        row[j] = rows_from(b, j < nb ? j : nb - 1, d);
    __m512 sum[4][4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            sum[i][j] = _mm512_setzero_ps();
    for (size_t c = 0; c < d; c += 16) {
        __mmask16 lanes = d - c >= 16 ? 0xffff : (__mmask16)((1u << (d - c)) - 1);
        __m512 g[4];
        for (int j = 0; j < 4; j++)
            g[j] = load_any(row[j], c, lanes, dtype);
        for (int i = 0; i < NA; i++) {
            __m512 q = _mm512_maskz_loadu_ps(lanes, a + (size_t)i * d + c);
            for (int j = 0; j < 4; j++) {
                __m512 difference = _mm512_sub_ps(q, g[j]);
                sum[i][j] = _mm512_fmadd_ps(difference, difference, sum[i][j]);
            }
        }
    }
    for (int i = 0; i < NA; i++)
        sums[i] = sum4_f32x16(sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
}

/* The sum of one pair, in the order of l2_sums. */
INLINE float l2_pair(const float *a, panda_rows b, size_t d, panda_dtype dtype)
{
    __m512 sum = _mm512_setzero_ps();
    for (size_t c = 0; c < d; c += 16) {
        __mmask16 lanes = d - c >= 16 ? 0xffff : (__mmask16)((1u << (d - c)) - 1);
        __m512 difference = _mm512_sub_ps(_mm512_maskz_loadu_ps(lanes, a + c), load_any(b, c, lanes, dtype));
        sum = _mm512_fmadd_ps(difference, difference, sum);
    }
    return _mm_cvtss_f32(sum4_f32x16(sum, sum, sum, sum));
}

INLINE void l2_block(const float *a, int NA, panda_rows b, size_t nb, size_t d, float *out, size_t ldo,
                     panda_dtype dtype)
{
    __m128 sums[4];
    l2_sums(a, NA, b, nb, d, dtype, sums);
    __mmask8 columns = nb >= 4 ? 0xf : (__mmask8)((1u << nb) - 1);
    for (int i = 0; i < NA; i++)
        _mm_mask_storeu_ps(out + (size_t)i * ldo, columns, sums[i]);
}

INLINE void l2_tile_any(const float *a, size_t na, panda_rows b, size_t nb, size_t d, float *out, size_t ldo,
                        panda_dtype dtype)
{
    size_t i = 0;
    for (; i < na && nb == 1; i++)
        out[i * ldo] = l2_pair(a + i * d, b, d, dtype);
    for (; i + 4 <= na; i += 4)
        for (size_t j = 0; j < nb; j += 4)
            l2_block(a + i * d, 4, rows_from(b, j, d), nb - j, d, out + i * ldo + j, ldo, dtype);
    for (; i < na; i++)
        for (size_t j = 0; j < nb; j += 4)
            l2_block(a + i * d, 1, rows_from(b, j, d), nb - j, d, out + i * ldo + j, ldo, dtype);
}

TARGET static void blend_rows_avx512(const float *weights, const float *rows, size_t n, size_t stride, size_t width,
                                     float *out)
{
    for (size_t x = 0; x < width; x += 16) {
        __mmask16 lanes = width - x >= 16 ? 0xffff : (__mmask16)((1u << (width - x)) - 1);
        __m512 sum = _mm512_setzero_ps();
        for (size_t j = 0; j < n; j++)
            sum = _mm512_fmadd_ps(_mm512_set1_ps(weights[j]), _mm512_maskz_loadu_ps(lanes, rows + j * stride + x), sum);
        _mm512_mask_storeu_ps(out + x, lanes, sum);
    }
}

/* Two columns at a time into separate sums: a multiply-add waits for the one before it. */
INLINE float whitened_norm_any(const void *factor, const float *x, size_t d, size_t panels, bool triangular,
                               panda_dtype dtype)
{
    __m512 norm = _mm512_setzero_ps();
    size_t at = 0;
    for (size_t panel = 0; panel < panels; panel++) {
        size_t width = panel_width(panel, d, triangular), c = 0;
        __m512 even[1], odd[1];
        for (int i = 0; i < 1; i++)
            even[i] = odd[i] = _mm512_setzero_ps();
        for (; c + 2 <= width; c += 2, at += 2 * PANDA_PANEL)
            for (int i = 0; i < 1; i++) {
                even[i] = _mm512_fmadd_ps(_mm512_set1_ps(x[c]), load_f32x16(factor, at, 0xffff, dtype), even[i]);
                odd[i] = _mm512_fmadd_ps(_mm512_set1_ps(x[c + 1]), load_f32x16(factor, at + PANDA_PANEL, 0xffff, dtype),
                                         odd[i]);
            }
        if (c < width) {
            for (int i = 0; i < 1; i++)
                even[i] = _mm512_fmadd_ps(_mm512_set1_ps(x[c]), load_f32x16(factor, at, 0xffff, dtype), even[i]);
            at += PANDA_PANEL;
        }
        for (int i = 0; i < 1; i++) {
            even[i] = _mm512_add_ps(even[i], odd[i]);
            norm = _mm512_fmadd_ps(even[i], even[i], norm);
        }
    }
    return _mm512_reduce_add_ps(norm);
}

INLINE __m128i sum_lanes_i32x16(__m512i a)
{
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

INLINE void quantise_quad_any(panda_rows rows, size_t count, size_t d, const float *mean, float scale, int16_t *out,
                              int32_t norms[4], float lengths[4], panda_dtype dtype)
{
    __m512i norm = _mm512_setzero_si512();
    __m512 length[4];
    for (int r = 0; r < 4; r++)
        length[r] = _mm512_setzero_ps();
    for (size_t c = 0; c < d; c += 16) {
        __mmask16 lanes = d - c >= 16 ? 0xffff : (__mmask16)((1u << (d - c)) - 1);
        __m512 centre = _mm512_maskz_loadu_ps(lanes, mean + c);
        __m512i rounded[4];
        for (size_t r = 0; r < 4; r++) {
            __mmask16 present = r < count ? lanes : 0;
            __m512 value = load_any(rows_from(rows, r < count ? r : 0, d), c, present, dtype);
            value = _mm512_maskz_mul_ps(present, _mm512_sub_ps(value, centre), _mm512_set1_ps(scale));
            length[r] = _mm512_fmadd_ps(value, value, length[r]);
            rounded[r] = _mm512_cvtps_epi32(value);
        }
        /* Pairs of channels p of rows r, as 32-bit lanes: from r0p0 r0p1 r1p0 r1p1 | r0p2 ... to p0 of all rows. */
        __m512 a = _mm512_castsi512_ps(_mm512_packs_epi32(rounded[0], rounded[1]));
        __m512 b = _mm512_castsi512_ps(_mm512_packs_epi32(rounded[2], rounded[3]));
        __m512i even = _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0x88));
        __m512i odd = _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0xdd));
        __m512i quad = _mm512_permutex2var_epi64(even, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), odd);
        _mm512_storeu_si512(out + c * QUAD, quad);
        norm = _mm512_dpwssd_epi32(norm, quad, quad);
        if (d - c > CHUNK) {
            quad = _mm512_permutex2var_epi64(even, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), odd);
            _mm512_storeu_si512(out + (c + CHUNK) * QUAD, quad);
            norm = _mm512_dpwssd_epi32(norm, quad, quad);
        }
    }
    _mm_storeu_si128((__m128i *)norms, sum_lanes_i32x16(norm));
    _mm_storeu_ps(lengths, sum4_f32x16(length[0], length[1], length[2], length[3]));
}

TARGET static void quantise_quad_avx512(panda_rows rows, size_t count, size_t d, const float *mean, float scale,
                                        int16_t *out, int32_t norms[4], float lengths[4])
{
    if (rows.dtype == PANDA_U8)
        quantise_quad_any(rows, count, d, mean, scale, out, norms, lengths, PANDA_U8);
    else if (rows.dtype == PANDA_F16)
        quantise_quad_any(rows, count, d, mean, scale, out, norms, lengths, PANDA_F16);
    else
        quantise_quad_any(rows, count, d, mean, scale, out, norms, lengths, PANDA_F32);
}

#include "simd/quad_below.h"

#define LEVEL(name) name##_avx512
#include "simd/level.h"

#else
typedef int panda_no_avx512_here;
#endif
