/* The reference: plain loops, accumulated in double. Every other level is tested against this file. */
#include "half.h"
#include "ops.h"

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

const panda_ops panda_ops_scalar = {
    .l2_tile_f32 = l2_tile_f32_scalar,
    .l2_tile_f16 = l2_tile_f16_scalar,
    .blend_rows = blend_rows_scalar,
    .whitened_norm_f32 = whitened_norm_f32_scalar,
    .whitened_norm_f16 = whitened_norm_f16_scalar,
};
