/* AVX-512 (F, BW, DQ, VL). Only functions marked TARGET use it, so the file compiles with any flags. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "ops.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")))
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

/* NA (1 or 4) rows of a against 4 rows of b, all in registers; rows past nb repeat the last one. */
INLINE void l2_block(const float *a, int NA, const void *b, size_t nb, size_t d, float *out, size_t ldo,
                     panda_dtype dtype)
{
    const void *row[4];
    for (size_t j = 0; j < 4; j++)
        row[j] = row_of(b, dtype, j < nb ? j : nb - 1, d);
    __m512 sum[4][4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            sum[i][j] = _mm512_setzero_ps();
    for (size_t c = 0; c < d; c += 16) {
        __mmask16 lanes = d - c >= 16 ? 0xffff : (__mmask16)((1u << (d - c)) - 1);
        __m512 g[4];
        for (int j = 0; j < 4; j++)
            g[j] = load_f32x16(row[j], c, lanes, dtype);
        for (int i = 0; i < NA; i++) {
            __m512 q = _mm512_maskz_loadu_ps(lanes, a + (size_t)i * d + c);
            for (int j = 0; j < 4; j++) {
                __m512 difference = _mm512_sub_ps(q, g[j]);
                sum[i][j] = _mm512_fmadd_ps(difference, difference, sum[i][j]);
            }
        }
    }
    __mmask8 columns = nb >= 4 ? 0xf : (__mmask8)((1u << nb) - 1);
    for (int i = 0; i < NA; i++)
        _mm_mask_storeu_ps(out + (size_t)i * ldo, columns, sum4_f32x16(sum[i][0], sum[i][1], sum[i][2], sum[i][3]));
}

INLINE void l2_tile_any(const float *a, size_t na, const void *b, size_t nb, size_t d, float *out, size_t ldo,
                        panda_dtype dtype)
{
    size_t i = 0;
    for (; i + 4 <= na; i += 4)
        for (size_t j = 0; j < nb; j += 4)
            l2_block(a + i * d, 4, row_of(b, dtype, j, d), nb - j, d, out + i * ldo + j, ldo, dtype);
    for (; i < na; i++)
        for (size_t j = 0; j < nb; j += 4)
            l2_block(a + i * d, 1, row_of(b, dtype, j, d), nb - j, d, out + i * ldo + j, ldo, dtype);
}

TARGET static void l2_tile_f32_avx512(const float *a, size_t na, const float *b, size_t nb, size_t d, float *out,
                                      size_t ldo)
{
    l2_tile_any(a, na, b, nb, d, out, ldo, PANDA_F32);
}

TARGET static void l2_tile_f16_avx512(const float *a, size_t na, const uint16_t *b, size_t nb, size_t d, float *out,
                                      size_t ldo)
{
    l2_tile_any(a, na, b, nb, d, out, ldo, PANDA_F16);
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

TARGET static float whitened_norm_f32_avx512(const float *factor, const float *x, size_t d, size_t panels,
                                             bool triangular)
{
    return whitened_norm_any(factor, x, d, panels, triangular, PANDA_F32);
}

TARGET static float whitened_norm_f16_avx512(const uint16_t *factor, const float *x, size_t d, size_t panels,
                                             bool triangular)
{
    return whitened_norm_any(factor, x, d, panels, triangular, PANDA_F16);
}

const panda_ops panda_ops_avx512 = {
    .l2_tile_f32 = l2_tile_f32_avx512,
    .l2_tile_f16 = l2_tile_f16_avx512,
    .blend_rows = blend_rows_avx512,
    .whitened_norm_f32 = whitened_norm_f32_avx512,
    .whitened_norm_f16 = whitened_norm_f16_avx512,
};

#else
typedef int panda_no_avx512_here;
#endif
