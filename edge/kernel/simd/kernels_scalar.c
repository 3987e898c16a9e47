/* The reference: plain loops, accumulated in double. Every other level is tested against this file. */
#include <math.h>

#include "base/half.h"
#include "simd/integers.h"
#include "simd/ops.h"

static void l2_tile_f32_scalar(const float *a, size_t na, const float *b, size_t nb, size_t d, float *out, size_t ldo)
{
    for (size_t i = 0; i < na; i++)
        for (size_t j = 0; j < nb; j++) {
            double sum = 0;
            for (size_t c = 0; c < d; c++) {
                double difference = (double)a[i * d + c] - b[j * d + c];
                sum += difference * difference;
            }
            out[i * ldo + j] = (float)sum;
        }
}

static void l2_tile_f16_scalar(const float *a, size_t na, const uint16_t *b, size_t nb, size_t d, float *out,
                               size_t ldo)
{
    for (size_t i = 0; i < na; i++)
        for (size_t j = 0; j < nb; j++) {
            double sum = 0;
            for (size_t c = 0; c < d; c++) {
                double difference = (double)a[i * d + c] - half_to_float(b[j * d + c]);
                sum += difference * difference;
            }
            out[i * ldo + j] = (float)sum;
        }
}

static void l2_tile_u8_scalar(const float *a, size_t na, const uint8_t *b, const float *scales, size_t nb, size_t d,
                              float *out, size_t ldo)
{
    for (size_t i = 0; i < na; i++)
        for (size_t j = 0; j < nb; j++) {
            double sum = 0;
            for (size_t c = 0; c < d; c++) {
                double difference = (double)a[i * d + c] - fmaf(scales[2 * j + 1], b[j * d + c], scales[2 * j]);
                sum += difference * difference;
            }
            out[i * ldo + j] = (float)sum;
        }
}

static uint32_t l2_quad_below_scalar(const float *a, panda_rows b, size_t d, float bound, const float limits[4],
                                     float out[16])
{
    uint32_t below = 0;
    l2_rows(&panda_ops_scalar, a, 4, b, 4, d, out, 4);
    for (size_t i = 0; i < 16; i++) {
        out[i] += bound;
        below |= (uint32_t)(out[i] <= limits[i / 4]) << i;
    }
    return below;
}

static void blend_rows_scalar(const float *weights, const float *rows, size_t n, size_t stride, size_t width,
                              float *out)
{
    for (size_t x = 0; x < width; x++) {
        double sum = 0;
        for (size_t j = 0; j < n; j++)
            sum += (double)weights[j] * rows[j * stride + x];
        out[x] = (float)sum;
    }
}

static float whitened_norm_f32_scalar(const float *factor, const float *x, size_t d, size_t panels, bool triangular)
{
    double norm = 0;
    for (size_t panel = 0; panel < panels; panel++) {
        size_t width = panel_width(panel, d, triangular);
        for (size_t r = 0; r < PANDA_PANEL; r++) {
            double sum = 0;
            for (size_t c = 0; c < width; c++)
                sum += (double)factor[c * PANDA_PANEL + r] * x[c];
            norm += sum * sum;
        }
        factor += width * PANDA_PANEL;
    }
    return (float)norm;
}

static float whitened_norm_f16_scalar(const uint16_t *factor, const float *x, size_t d, size_t panels, bool triangular)
{
    double norm = 0;
    for (size_t panel = 0; panel < panels; panel++) {
        size_t width = panel_width(panel, d, triangular);
        for (size_t r = 0; r < PANDA_PANEL; r++) {
            double sum = 0;
            for (size_t c = 0; c < width; c++)
                sum += (double)half_to_float(factor[c * PANDA_PANEL + r]) * x[c];
            norm += sum * sum;
        }
        factor += width * PANDA_PANEL;
    }
    return (float)norm;
}

static float value_at(panda_rows rows, size_t r, size_t c, size_t d)
{
    const void *row = row_of(rows.data, rows.dtype, r, d);
    if (rows.dtype == PANDA_U8)
        return fmaf(rows.scales[2 * r + 1], ((const uint8_t *)row)[c], rows.scales[2 * r]);
    return rows.dtype == PANDA_F16 ? half_to_float(((const uint16_t *)row)[c]) : ((const float *)row)[c];
}

static void quantise_quad_scalar(panda_rows rows, size_t count, size_t d, const float *mean, float scale, int16_t *out,
                                 int32_t norms[4], float lengths[4])
{
    size_t chunks = (d + CHUNK - 1) / CHUNK;
    memset(out, 0, chunks * QUAD_CHUNK * sizeof *out);
    for (size_t r = 0; r < QUAD; r++) {
        int64_t norm = 0;
        double length = 0;
        for (size_t c = 0; r < count && c < d; c++) {
            float scaled = (value_at(rows, r, c, d) - mean[c]) * scale;
            length += (double)scaled * scaled;
            int16_t rounded = fabsf(scaled) < 32767 ? (int16_t)lrintf(scaled) : 0;
            norm += rounded * rounded;
            out[c / CHUNK * QUAD_CHUNK + c % CHUNK / 2 * (2 * QUAD) + 2 * r + c % 2] = rounded;
        }
        norms[r] = (int32_t)(norm < INT32_MAX ? norm : INT32_MAX);
        lengths[r] = (float)length;
    }
}

static int32_t integer_distance(const int16_t *panel, const int16_t *quad, size_t i, size_t j, size_t chunks)
{
    int64_t dot = 0;
    for (size_t c = 0; c < chunks * CHUNK; c++)
        dot += panel[c / CHUNK * PANEL_CHUNK + i * QUAD_CHUNK + c % CHUNK / 2 * (2 * QUAD) + 2 * j + c % 2] *
               quad[c / CHUNK * QUAD_CHUNK + c % CHUNK / 2 * (2 * QUAD) + 2 * j + c % 2];
    return (int32_t)(-2 * dot);
}

static void integer_tile_scalar(const int16_t *panel, const int32_t query_norms[4], const int16_t *quads_data,
                                const int32_t *norms, size_t quads, size_t chunks, int32_t *out, size_t ldo)
{
    for (size_t quad = 0; quad < quads; quad++)
        for (size_t i = 0; i < QUAD; i++)
            for (size_t j = 0; j < QUAD; j++)
                out[i * ldo + QUAD * quad + j] =
                    query_norms[i] + norms[QUAD * quad + j] +
                    integer_distance(panel, quads_data + quad * chunks * QUAD_CHUNK, i, j, chunks);
}

static int32_t fan_product(const int16_t *fan, const int16_t *quad, size_t i, size_t j, size_t chunks)
{
    int64_t sum = 0;
    for (size_t pair = 0; pair < chunks * CHUNK / 2; pair++)
        for (size_t c = 0; c < 2; c++)
            sum += fan[pair * FAN_PAIR + i * 2 * QUAD + 2 * j + c] * quad[pair * 2 * QUAD + 2 * j + c];
    return (int32_t)sum;
}

static size_t screen_quads_scalar(const int16_t *fan, const int32_t query_norms[4], const int16_t *quads_data,
                                  const int32_t *norms, size_t chunks, const uint32_t *cells, const int32_t *bases,
                                  size_t count, const int32_t limits[4], screen_hit *hits)
{
    size_t found = 0;
    for (size_t n = 0; n < count; n++) {
        screen_hit *hit = &hits[found];
        size_t cell = cells[n];
        hit->cell = cells[n];
        hit->below = 0;
        for (size_t i = 0; i < 16; i++) {
            hit->sums[i] = bases[n] + query_norms[i / 4] + norms[QUAD * cell + i % 4] +
                           fan_product(fan, quads_data + cell * chunks * QUAD_CHUNK, i / 4, i % 4, chunks);
            hit->below |= (uint32_t)(hit->sums[i] <= limits[i / 4]) << i;
        }
        found += hit->below != 0;
    }
    return found;
}

const panda_ops panda_ops_scalar = {
    .l2_tile_f32 = l2_tile_f32_scalar,
    .l2_tile_f16 = l2_tile_f16_scalar,
    .l2_tile_u8 = l2_tile_u8_scalar,
    .l2_quad_below = l2_quad_below_scalar,
    .blend_rows = blend_rows_scalar,
    .whitened_norm_f32 = whitened_norm_f32_scalar,
    .whitened_norm_f16 = whitened_norm_f16_scalar,
    .quantise_quad = quantise_quad_scalar,
    .integer_tile = integer_tile_scalar,
    .select_between = select_between_portable,
    .least_of = least_of_portable,
    .screen_quads = screen_quads_scalar,
    .screen_columns = screen_columns_scalar,
    .box_distances = box_distances_scalar,
};
