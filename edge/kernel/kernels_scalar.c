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

const panda_ops panda_ops_scalar = {l2_tile_f32_scalar, l2_tile_f16_scalar, blend_rows_scalar};
