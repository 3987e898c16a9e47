/* The flat screen with AArch64 Advanced SIMD. */
#if defined(__aarch64__)

#include <arm_neon.h>
#include <stdbool.h>

#include "simd/columns.h"

size_t screen_columns_neon(const int16_t *query, int32_t own, const int16_t *slab, size_t pairs, bool first,
                           uint32_t *groups, int32_t *sums, size_t count, int32_t limit)
{
    const int32x4_t most = vdupq_n_s32(limit), norm = vdupq_n_s32(own);
    size_t kept = 0;
    for (size_t k = 0; k < count; k++) {
        const int16_t *column = slab + groups[k] * (1 + pairs) * COLUMN_LINE;
        int32x4_t sum[4];
        for (int i = 0; i < 4; i++) {
            sum[i] = vaddq_s32(norm, vld1q_s32((const int32_t *)(const void *)column + 4 * i));
            if (!first)
                sum[i] = vaddq_s32(sum[i], vld1q_s32(sums + k * LANES + 4 * i));
        }
        for (size_t p = 0; p < pairs; p++)
            for (int half = 0; half < 2; half++) { /* val[0]: first channels of 8 rows, val[1]: second ones */
                int16x8x2_t rows = vld2q_s16(column + (1 + p) * COLUMN_LINE + half * LANES);
                for (int c = 0; c < 2; c++) {
                    int16_t q = query[2 * p + (size_t)c];
                    sum[2 * half] = vmlal_n_s16(sum[2 * half], vget_low_s16(rows.val[c]), q);
                    sum[2 * half + 1] = vmlal_high_n_s16(sum[2 * half + 1], rows.val[c], q);
                }
            }
        groups[kept] = groups[k];
        for (int i = 0; i < 4; i++)
            vst1q_s32(sums + kept * LANES + 4 * i, sum[i]);
        int32x4_t least = vminq_s32(vminq_s32(sum[0], sum[1]), vminq_s32(sum[2], sum[3]));
        kept += vmaxvq_u32(vcleq_s32(least, most)) != 0;
    }
    return kept;
}

void box_distances_neon(const int16_t *query, const int16_t *boxes, size_t blocks, size_t pairs, int32_t *out)
{
    for (size_t block = 0; block < blocks; block++, boxes += pairs * 2 * COLUMN_LINE)
        for (size_t half = 0; half < 2; half++) {
            int32x4_t low = vdupq_n_s32(0), high = vdupq_n_s32(0);
            for (size_t p = 0; p < pairs; p++) {
                int16x8x2_t lowest = vld2q_s16(boxes + p * 2 * COLUMN_LINE + half * LANES);
                int16x8x2_t highest = vld2q_s16(boxes + (p * 2 + 1) * COLUMN_LINE + half * LANES);
                for (int c = 0; c < 2; c++) {
                    int16x8_t q = vdupq_n_s16(query[2 * p + (size_t)c]);
                    int16x8_t outside = vmaxq_s16(vsubq_s16(lowest.val[c], q), vsubq_s16(q, highest.val[c]));
                    outside = vmaxq_s16(outside, vdupq_n_s16(0));
                    low = vmlal_s16(low, vget_low_s16(outside), vget_low_s16(outside));
                    high = vmlal_high_s16(high, outside, outside);
                }
            }
            vst1q_s32(out + block * LANES + 8 * half, low);
            vst1q_s32(out + block * LANES + 8 * half + 4, high);
        }
}

#else
typedef int panda_no_neon_columns_here;
#endif
