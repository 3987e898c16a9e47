/* AVX2 with FMA and F16C. Only functions marked TARGET use them, so the file compiles with any flags. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "half.h"
#include "ops.h"

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

/* NA (1 or 2) rows of a against 4 rows of b, all in registers; rows past nb repeat the last one. */
INLINE void l2_block(const float *a, int NA, const void *b, size_t nb, size_t d, float *out, size_t ldo,
                     panda_dtype dtype)
{
    const void *row[4];
    for (size_t j = 0; j < 4; j++)
        row[j] = row_of(b, dtype, j < nb ? j : nb - 1, d);
    __m256 sum[2][4];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
            sum[i][j] = _mm256_setzero_ps();
    for (size_t c = 0; c < d; c += 8) {
        size_t n = d - c;
        __m256 g[4];
        for (int j = 0; j < 4; j++)
            g[j] = load_f32x8(row[j], c, n, dtype);
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

INLINE void l2_tile_any(const float *a, size_t na, const void *b, size_t nb, size_t d, float *out, size_t ldo,
                        panda_dtype dtype)
{
    size_t i = 0;
    for (; i + 2 <= na; i += 2)
        for (size_t j = 0; j < nb; j += 4)
            l2_block(a + i * d, 2, row_of(b, dtype, j, d), nb - j, d, out + i * ldo + j, ldo, dtype);
    for (; i < na; i++)
        for (size_t j = 0; j < nb; j += 4)
            l2_block(a + i * d, 1, row_of(b, dtype, j, d), nb - j, d, out + i * ldo + j, ldo, dtype);
}

TARGET static void l2_tile_f32_avx2(const float *a, size_t na, const float *b, size_t nb, size_t d, float *out,
                                    size_t ldo)
{
    l2_tile_any(a, na, b, nb, d, out, ldo, PANDA_F32);
}

TARGET static void l2_tile_f16_avx2(const float *a, size_t na, const uint16_t *b, size_t nb, size_t d, float *out,
                                    size_t ldo)
{
    l2_tile_any(a, na, b, nb, d, out, ldo, PANDA_F16);
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

TARGET static float whitened_norm_f32_avx2(const float *factor, const float *x, size_t d, size_t panels,
                                           bool triangular)
{
    return whitened_norm_any(factor, x, d, panels, triangular, PANDA_F32);
}

TARGET static float whitened_norm_f16_avx2(const uint16_t *factor, const float *x, size_t d, size_t panels,
                                           bool triangular)
{
    return whitened_norm_any(factor, x, d, panels, triangular, PANDA_F16);
}

const panda_ops panda_ops_avx2 = {
    .l2_tile_f32 = l2_tile_f32_avx2,
    .l2_tile_f16 = l2_tile_f16_avx2,
    .blend_rows = blend_rows_avx2,
    .whitened_norm_f32 = whitened_norm_f32_avx2,
    .whitened_norm_f16 = whitened_norm_f16_avx2,
};

#else
typedef int panda_no_avx2_here;
#endif
