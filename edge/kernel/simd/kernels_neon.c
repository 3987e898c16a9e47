/* Advanced SIMD of AArch64 (every such CPU has it). */
#if defined(__aarch64__)

#include <arm_neon.h>
#include <string.h>

#include "simd/integers.h"
#include "simd/lanes.h"
#include "simd/ops.h"

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

/* The same of a row of any dtype: bytes become what they stand for. */
INLINE float32x4_t load_any(panda_rows row, size_t c, size_t n, panda_dtype dtype)
{
    if (dtype != PANDA_U8)
        return load_f32x4(row.data, c, n, dtype);
    static const uint32_t numbers[4] = {0, 1, 2, 3};
    uint32_t bytes = 0;
    memcpy(&bytes, (const uint8_t *)row.data + c, n >= 4 ? 4 : n);
    uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(bytes)));
    float32x4_t value = vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
    value = vfmaq_f32(vdupq_n_f32(row.scales[0]), value, vdupq_n_f32(row.scales[1]));
    if (n >= 4)
        return value;
    uint32x4_t lanes = vcltq_u32(vld1q_u32(numbers), vdupq_n_u32((uint32_t)n));
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(value), lanes));
}

/* NA (1 or 4) rows of a against 4 rows of b, all in registers; rows past nb repeat the last one. */
INLINE void l2_block(const float *a, int NA, panda_rows b, size_t nb, size_t d, float *out, size_t ldo,
                     panda_dtype dtype)
{
    panda_rows row[4];
    for (size_t j = 0; j < 4; j++)
        row[j] = rows_from(b, j < nb ? j : nb - 1, d);
    float32x4_t sum[4][4];
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            sum[i][j] = vdupq_n_f32(0);
    for (size_t c = 0; c < d; c += 4) {
        size_t n = d - c;
        float32x4_t g[4];
        for (int j = 0; j < 4; j++)
            g[j] = load_any(row[j], c, n, dtype);
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

INLINE void l2_tile_any(const float *a, size_t na, panda_rows b, size_t nb, size_t d, float *out, size_t ldo,
                        panda_dtype dtype)
{
    size_t i = 0;
    for (; i + 4 <= na; i += 4)
        for (size_t j = 0; j < nb; j += 4)
            l2_block(a + i * d, 4, rows_from(b, j, d), nb - j, d, out + i * ldo + j, ldo, dtype);
    for (; i < na; i++)
        for (size_t j = 0; j < nb; j += 4)
            l2_block(a + i * d, 1, rows_from(b, j, d), nb - j, d, out + i * ldo + j, ldo, dtype);
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

/* Bit 4 * i + j: sums[4 * i + j] <= limits[i]. */
INLINE uint32_t lanes_to_bits(uint32x4_t lanes)
{
    const uint32x4_t bits = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(lanes, bits));
}

/* Columns c ... c + 3 of four rows, turned: out[u] holds column c + u of all of them. */
INLINE void turned_f32x4(panda_rows b, size_t c, size_t d, panda_dtype dtype, float32x4_t out[4])
{
    float32x4_t row[4];
    for (size_t j = 0; j < 4; j++)
        row[j] = load_any(rows_from(b, j, d), c, d - c, dtype);
    float32x4x2_t first = vtrnq_f32(row[0], row[1]), second = vtrnq_f32(row[2], row[3]);
    for (int u = 0; u < 2; u++) {
        out[u] = vcombine_f32(vget_low_f32(first.val[u]), vget_low_f32(second.val[u]));
        out[u + 2] = vcombine_f32(vget_high_f32(first.val[u]), vget_high_f32(second.val[u]));
    }
}

INLINE uint32_t quad_below(const float *spread, panda_rows b, size_t d, float bound, const float limits[4],
                           float out[16], panda_dtype dtype)
{
    float32x4_t sum[4];
    for (int i = 0; i < 4; i++)
        sum[i] = vdupq_n_f32(0);
    for (size_t c = 0;; c += 4) {
        float32x4_t g[4];
        turned_f32x4(b, c, d, dtype, g);
        for (size_t u = 0; u < 4; u++)
            for (size_t i = 0; i < 4; i++) {
                float32x4_t difference = vsubq_f32(vld1q_f32(spread + spread_place(c + u, i)), g[u]);
                sum[i] = vfmaq_f32(sum[i], difference, difference);
            }
        if (c % 8 != 4 && d - c > 4) /* a look at the limits takes as long as two columns */
            continue;
        uint32_t below = 0;
        for (int i = 0; i < 4; i++) {
            float32x4_t sums = vaddq_f32(sum[i], vdupq_n_f32(bound));
            vst1q_f32(out + 4 * i, sums);
            below |= lanes_to_bits(vcleq_f32(sums, vdupq_n_f32(limits[i]))) << (4 * i);
        }
        if (below == 0 || d - c <= 4)
            return below;
    }
}

INLINE size_t next_quad_below_any(const quad_list *list, size_t from, const float limits[4], float out[16],
                                  uint32_t *below, panda_dtype dtype)
{
    for (size_t n = from; n < list->count; n++) {
        if (n + AHEAD < list->count)
            prefetch_rows(list->rows, list->first[n + AHEAD], 4, list->d);
        panda_rows quad = rows_from(list->rows, list->first[n], list->d);
        if ((*below = quad_below(list->spread, quad, list->d, list->bounds[n], limits, out, dtype)) != 0)
            return n;
    }
    return list->count;
}

static void quantise_quad_neon(panda_rows rows, size_t count, size_t d, const float *mean, float scale, int16_t *out,
                               int32_t norms[4], float lengths[4])
{
    int32x4_t norm = vdupq_n_s32(0);
    float32x4_t length[4];
    for (int r = 0; r < 4; r++)
        length[r] = vdupq_n_f32(0);
    for (size_t c = 0; c < d; c += CHUNK, out += QUAD_CHUNK) {
        int32x4_t row[4]; /* four pairs of channels each */
        for (size_t r = 0; r < 4; r++) {
            int16x4_t half[2];
            for (size_t h = 0; h < 2; h++) {
                float32x4_t value = vdupq_n_f32(0);
                size_t at = c + 4 * h;
                if (r < count && at < d)
                    value = vmulq_n_f32(vsubq_f32(load_any(rows_from(rows, r, d), at, d - at, rows.dtype),
                                                  load_f32x4(mean, at, d - at, PANDA_F32)),
                                        scale);
                length[r] = vfmaq_f32(length[r], value, value);
                half[h] = vqmovn_s32(vcvtnq_s32_f32(value));
            }
            row[r] = vreinterpretq_s32_s16(vcombine_s16(half[0], half[1]));
        }
        int32x4_t a = vtrn1q_s32(row[0], row[1]), b = vtrn2q_s32(row[0], row[1]);
        int32x4_t e = vtrn1q_s32(row[2], row[3]), f = vtrn2q_s32(row[2], row[3]);
#define HALVES(half, x, y) vreinterpretq_s16_s64(vzip##half##q_s64(vreinterpretq_s64_s32(x), vreinterpretq_s64_s32(y)))
        const int16x8_t pair[4] = {HALVES(1, a, e), HALVES(1, b, f), HALVES(2, a, e), HALVES(2, b, f)};
#undef HALVES
        for (int p = 0; p < 4; p++) {
            vst1q_s16(out + 8 * p, pair[p]);
            norm = vaddq_s32(norm, vpaddq_s32(vmull_s16(vget_low_s16(pair[p]), vget_low_s16(pair[p])),
                                              vmull_high_s16(pair[p], pair[p])));
        }
    }
    vst1q_s32(norms, norm);
    vst1q_f32(lengths, vpaddq_f32(vpaddq_f32(length[0], length[1]), vpaddq_f32(length[2], length[3])));
}

/* out[4 * i + j] = query_norms[i] + norms[j] - 2 (query row i . row j). */
INLINE void quad_distances(const int16_t *panel, const int32_t query_norms[4], const int16_t *quad,
                           const int32_t *norms, size_t chunks, int32_t out[16])
{
    int32x4_t low[4], high[4];
    for (int i = 0; i < 4; i++)
        low[i] = high[i] = vdupq_n_s32(0);
    for (size_t chunk = 0; chunk < chunks; chunk++, panel += PANEL_CHUNK, quad += QUAD_CHUNK)
        for (int p = 0; p < 4; p++) {
            int16x8_t g = vld1q_s16(quad + 8 * p);
            for (int i = 0; i < 4; i++) {
                int16x8_t q = vld1q_s16(panel + i * QUAD_CHUNK + 8 * p);
                low[i] = vmlal_s16(low[i], vget_low_s16(g), vget_low_s16(q));
                high[i] = vmlal_high_s16(high[i], g, q);
            }
        }
    for (int i = 0; i < 4; i++) {
        int32x4_t both = vaddq_s32(vld1q_s32(norms), vdupq_n_s32(query_norms[i]));
        vst1q_s32(out + 4 * i, vsubq_s32(both, vshlq_n_s32(vpaddq_s32(low[i], high[i]), 1)));
    }
}

static void integer_tile_neon(const int16_t *panel, const int32_t query_norms[4], const int16_t *quads_data,
                              const int32_t *norms, size_t quads, size_t chunks, int32_t *out, size_t ldo)
{
    for (size_t quad = 0; quad < quads; quad++) {
        int32_t tile[16];
        quad_distances(panel, query_norms, quads_data + quad * chunks * QUAD_CHUNK, norms + QUAD * quad, chunks, tile);
        for (size_t i = 0; i < QUAD; i++)
            memcpy(out + i * ldo + QUAD * quad, tile + QUAD * i, QUAD * sizeof *tile);
    }
}

static size_t select_between_neon(const int32_t *row, size_t n, int32_t above, int32_t limit, uint32_t *cells)
{
    const uint32x4_t numbers = {0, 1, 2, 3};
    size_t count = 0, j = 0;
    for (; j + 4 <= n; j += 4) {
        int32x4_t value = vld1q_s32(row + j);
        uint32_t lanes =
            lanes_to_bits(vandq_u32(vcgtq_s32(value, vdupq_n_s32(above)), vcleq_s32(value, vdupq_n_s32(limit))));
        uint8x16_t number = vreinterpretq_u8_u32(vaddq_u32(numbers, vdupq_n_u32((uint32_t)j)));
        vst1q_u32(cells + count, vreinterpretq_u32_u8(vqtbl1q_u8(number, vld1q_u8(lanes_to_front[lanes]))));
        count += (size_t)__builtin_popcount(lanes);
    }
    return select_rest(row, j, n, above, limit, cells, count);
}

static size_t screen_quads_neon(const int16_t *fan, const int32_t query_norms[4], const int16_t *quads_data,
                                const int32_t *norms, size_t chunks, const uint32_t *cells, const int32_t *bases,
                                size_t count, const int32_t limits[4], screen_hit *hits)
{
    size_t found = 0;
    for (size_t n = 0; n < count; n++) {
        screen_hit *hit = &hits[found];
        const int16_t *quad = quads_data + cells[n] * chunks * QUAD_CHUNK;
        int32x4_t norm = vaddq_s32(vld1q_s32(norms + QUAD * (size_t)cells[n]), vdupq_n_s32(bases[n])), low[4], high[4];
        prefetch_quads(quads_data, norms, chunks, cells, n + 12, count < n + 13 ? count : n + 13);
        for (int i = 0; i < 4; i++)
            low[i] = high[i] = vdupq_n_s32(0);
        for (size_t pair = 0; pair < chunks * CHUNK / 2; pair++) {
            int16x8_t g = vld1q_s16(quad + pair * 2 * QUAD);
            for (int i = 0; i < 4; i++) {
                int16x8_t q = vld1q_s16(fan + pair * FAN_PAIR + 2 * QUAD * i);
                low[i] = vmlal_s16(low[i], vget_low_s16(g), vget_low_s16(q));
                high[i] = vmlal_high_s16(high[i], g, q);
            }
        }
        hit->cell = cells[n];
        hit->below = 0;
        for (int i = 0; i < 4; i++) {
            int32x4_t sum = vaddq_s32(vaddq_s32(norm, vdupq_n_s32(query_norms[i])), vpaddq_s32(low[i], high[i]));
            vst1q_s32(hit->sums + 4 * i, sum);
            hit->below |= lanes_to_bits(vcleq_s32(sum, vdupq_n_s32(limits[i]))) << (4 * i);
        }
        found += hit->below != 0;
    }
    return found;
}

#define LEVEL(name) name##_neon
#define TARGET /* every such CPU has it */
#define least_of_neon least_of_portable
#include "simd/level.h"

#else
typedef int panda_no_neon_here;
#endif
