/* The reference: plain loops, accumulated in double. Every other level is tested against this file. */
#include <math.h>

#include "base/half.h"
#include "simd/integers.h"
#include "simd/ops.h"

#define INLINE static inline __attribute__((always_inline))

INLINE float value_at(panda_rows rows, size_t r, size_t c, size_t d)
{
    const void *row = row_of(rows.data, rows.dtype, r, d);
    if (rows.dtype == PANDA_U8)
        return fmaf(rows.scales[2 * r + 1], ((const uint8_t *)row)[c], rows.scales[2 * r]);
    return rows.dtype == PANDA_F16 ? half_to_float(((const uint16_t *)row)[c]) : ((const float *)row)[c];
}

INLINE void l2_tile_any(const float *a, size_t na, panda_rows b, size_t nb, size_t d, float *out, size_t ldo,
                        panda_dtype dtype)
{
    b.dtype = dtype;
    for (size_t i = 0; i < na; i++)
        for (size_t j = 0; j < nb; j++) {
            double sum = 0;
            for (size_t c = 0; c < d; c++) {
                double difference = (double)a[i * d + c] - value_at(b, j, c, d);
                sum += difference * difference;
            }
            out[i * ldo + j] = (float)sum;
        }
}

INLINE size_t next_quad_below_any(const quad_list *list, size_t from, const float limits[4], float out[16],
                                  uint32_t *below, panda_dtype dtype)
{
    panda_rows rows = list->rows;
    rows.dtype = dtype;
    for (size_t n = from; n < list->count; n++) {
        *below = 0;
        for (size_t i = 0; i < 4; i++)
            for (size_t j = 0; j < 4; j++) {
                double sum = 0;
                for (size_t c = 0; c < list->d; c++) {
                    double value = value_at(rows, list->first[n] + j, c, list->d);
                    sum += (list->spread[spread_place(c, i)] - value) * (list->spread[spread_place(c, i)] - value);
                }
                out[4 * i + j] = (float)sum + list->bounds[n];
                *below |= (uint32_t)(out[4 * i + j] <= limits[i]) << (4 * i + j);
            }
        if (*below != 0)
            return n;
    }
    return list->count;
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

INLINE float whitened_norm_any(const void *factor, const float *x, size_t d, size_t panels, bool triangular,
                               panda_dtype dtype)
{
    double norm = 0;
    size_t at = 0;
    for (size_t panel = 0; panel < panels; panel++) {
        size_t width = panel_width(panel, d, triangular);
        for (size_t r = 0; r < PANDA_PANEL; r++) {
            double sum = 0;
            for (size_t c = 0; c < width; c++)
                sum += (double)value_at((panda_rows){factor, NULL, dtype}, 0, at + c * PANDA_PANEL + r, d) * x[c];
            norm += sum * sum;
        }
        at += width * PANDA_PANEL;
    }
    return (float)norm;
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

#define LEVEL(name) name##_scalar
#define TARGET /* every CPU has it */
#define select_between_scalar select_between_portable
#define least_of_scalar least_of_portable
#include "simd/level.h"
