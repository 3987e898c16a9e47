/* Bilinear upsampling and Gaussian blur at once: both are linear and separable, so each axis is one banded matrix. */
#include "base/memory.h"
#include "simd/ops.h"

static void transpose(const float *in, size_t rows, size_t columns, float *out)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            out[j * rows + i] = in[i * columns + j];
}

static void apply(const panda_ops *ops, panda_bands bands, const float *rows, size_t width, float *out)
{
    for (size_t i = 0; i < bands.length; i++)
        ops->blend_rows(bands.weights + i * bands.taps, rows + (size_t)bands.first[i] * width, bands.taps, width, width,
                        out + i * width);
}

panda_status panda_resample(const float *map, size_t h, size_t w, panda_bands rows, panda_bands columns, float *out)
{
    const panda_ops *ops = panda_ops_current();
    if (ops == NULL)
        return PANDA_BAD_SIMD;
    /* The horizontal pass works on the small map, transposed, so that both passes run along whole rows. */
    float *buffer = panda_scratch((h * w + 2 * h * columns.length) * sizeof *buffer);
    if (buffer == NULL)
        return PANDA_NO_MEMORY;
    float *turned = buffer, *stretched = turned + h * w, *back = stretched + h * columns.length;
    transpose(map, h, w, turned);
    apply(ops, columns, turned, h, stretched);
    transpose(stretched, columns.length, h, back);
    apply(ops, rows, back, columns.length, out);
    return PANDA_OK;
}
