/* Advanced SIMD of AArch64 (every such CPU has it). */
#if defined(__aarch64__)

#include <arm_neon.h>

#include "half.h"
#include "ops.h"

#define INLINE static inline __attribute__((always_inline))

/* Up to 4 values from column c on; the lanes past n read nothing and are zero. */
INLINE float32x4_t load_f32x4(const void *row, size_t c, size_t n, panda_dtype dtype)
{
    if (dtype == PANDA_F32) {
        const float *value = (const float *)row + c;
        if (n >= 4)
            return vld1q_f32(value);
        float padded[4] = {0};
        memcpy(padded, value, n * sizeof *value);
        return vld1q_f32(padded);
    }
    const uint16_t *half = (const uint16_t *)row + c;
    if (n >= 4)
        return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(half)));
    uint16_t padded[4] = {0};
    memcpy(padded, half, n * sizeof *half);
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(padded)));
}

/* NA (1 or 4) rows of a against 4 rows of b, all in registers; rows past nb repeat the last one. */
INLINE void l2_block(const float *a, int NA, const void *b, size_t nb, size_t d, float *out, size_t ldo,
                     panda_dtype dtype)
{
    const void *row[4];
    for (size_t j = 0; j < 4; j++)
        row[j] = row_of(b, dtype, j < nb ? j : nb - 1, d);
    float32x4_t sum[4][4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            sum[i][j] = vdupq_n_f32(0);
    for (size_t c = 0; c < d; c += 4) {
        size_t n = d - c;
        float32x4_t g[4];
        for (int j = 0; j < 4; j++)
            g[j] = load_f32x4(row[j], c, n, dtype);
        for (int i = 0; i < NA; i++) {
            float32x4_t q = load_f32x4(a + (size_t)i * d, c, n, PANDA_F32);
            for (int j = 0; j < 4; j++) {
                float32x4_t difference = vsubq_f32(q, g[j]);
                sum[i][j] = vfmaq_f32(sum[i][j], difference, difference);
            }
        }
    }
    for (int i = 0; i < NA; i++) {
        float32x4_t sums = vpaddq_f32(vpaddq_f32(sum[i][0], sum[i][1]), vpaddq_f32(sum[i][2], sum[i][3]));
        if (nb >= 4) {
            vst1q_f32(out + (size_t)i * ldo, sums);
        } else {
            float four[4];
            vst1q_f32(four, sums);
            memcpy(out + (size_t)i * ldo, four, nb * sizeof *four);
        }
    }
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

static void l2_tile_f32_neon(const float *a, size_t na, const float *b, size_t nb, size_t d, float *out, size_t ldo)
{
    l2_tile_any(a, na, b, nb, d, out, ldo, PANDA_F32);
}

static void l2_tile_f16_neon(const float *a, size_t na, const uint16_t *b, size_t nb, size_t d, float *out, size_t ldo)
{
    l2_tile_any(a, na, b, nb, d, out, ldo, PANDA_F16);
}

static void blend_rows_neon(const float *weights, const float *rows, size_t n, size_t stride, size_t width, float *out)
{
    size_t x = 0;
    for (; x + 4 <= width; x += 4) {
        float32x4_t sum = vdupq_n_f32(0);
        for (size_t j = 0; j < n; j++)
            sum = vfmaq_n_f32(sum, vld1q_f32(rows + j * stride + x), weights[j]);
        vst1q_f32(out + x, sum);
    }
    for (; x < width; x++) {
        float sum = 0;
        for (size_t j = 0; j < n; j++)
            sum += weights[j] * rows[j * stride + x];
        out[x] = sum;
    }
}

/* Two columns at a time into separate sums: a multiply-add waits for the one before it. */
INLINE float whitened_norm_any(const void *factor, const float *x, size_t d, size_t panels, bool triangular,
                               panda_dtype dtype)
{
    float32x4_t norm = vdupq_n_f32(0);
    size_t at = 0;
    for (size_t panel = 0; panel < panels; panel++) {
        size_t width = panel_width(panel, d, triangular), c = 0;
        float32x4_t even[4], odd[4];
        for (int i = 0; i < 4; i++)
            even[i] = odd[i] = vdupq_n_f32(0);
        for (; c + 2 <= width; c += 2, at += 2 * PANDA_PANEL)
            for (int i = 0; i < 4; i++) {
                even[i] = vfmaq_n_f32(even[i], load_f32x4(factor, at + 4 * (size_t)i, 4, dtype), x[c]);
                odd[i] = vfmaq_n_f32(odd[i], load_f32x4(factor, at + PANDA_PANEL + 4 * (size_t)i, 4, dtype), x[c + 1]);
            }
        if (c < width) {
            for (int i = 0; i < 4; i++)
                even[i] = vfmaq_n_f32(even[i], load_f32x4(factor, at + 4 * (size_t)i, 4, dtype), x[c]);
            at += PANDA_PANEL;
        }
        for (int i = 0; i < 4; i++) {
            even[i] = vaddq_f32(even[i], odd[i]);
            norm = vfmaq_f32(norm, even[i], even[i]);
        }
    }
    return vaddvq_f32(norm);
}

static float whitened_norm_f32_neon(const float *factor, const float *x, size_t d, size_t panels, bool triangular)
{
    return whitened_norm_any(factor, x, d, panels, triangular, PANDA_F32);
}

static float whitened_norm_f16_neon(const uint16_t *factor, const float *x, size_t d, size_t panels, bool triangular)
{
    return whitened_norm_any(factor, x, d, panels, triangular, PANDA_F16);
}

const panda_ops panda_ops_neon = {
    .l2_tile_f32 = l2_tile_f32_neon,
    .l2_tile_f16 = l2_tile_f16_neon,
    .blend_rows = blend_rows_neon,
    .whitened_norm_f32 = whitened_norm_f32_neon,
    .whitened_norm_f16 = whitened_norm_f16_neon,
};

#else
typedef int panda_no_neon_here;
#endif
