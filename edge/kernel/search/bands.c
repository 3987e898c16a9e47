/* The weights of a heat map's upsampling and blur along one axis (heatmap.c applies them). */
#include <math.h>

#include "base/memory.h"
#include "panda_kernel.h"

/* Reflection: d c b a | a b c d | d c b a, as often as it takes. */
static size_t reflected(int64_t at, size_t length)
{
    int64_t period = 2 * (int64_t)length, within = at % period;
    if (within < 0)
        within += period;
    return (size_t)(within < (int64_t)length ? within : period - 1 - within);
}

/* One row of the matrix: bilinear with half-pixel centres (output i reads input position (i + 0.5) * length / out -
 * 0.5, clamped), weighted by the Gaussian around output i. */
static void add_row(size_t length, size_t out_length, size_t i, const double *gauss, int64_t radius, double *row)
{
    for (size_t j = 0; j < length; j++)
        row[j] = 0;
    for (int64_t offset = -radius; offset <= radius; offset++) {
        size_t source = reflected((int64_t)i + offset, out_length);
        double position = ((double)source + 0.5) * ((double)length / (double)out_length) - 0.5;
        position = position > 0 ? position : 0;
        size_t low = (size_t)position;
        low = low < length - 1 ? low : length - 1;
        size_t high = low + 1 < length ? low + 1 : length - 1;
        double fraction = position - (double)low, weight = gauss[offset + radius];
        row[low] += weight * (1 - fraction);
        row[high] += weight * fraction;
    }
}

panda_status panda_heatmap_bands(size_t length, size_t out_length, double sigma, float *weights, int64_t *first,
                                 size_t *taps)
{
    int64_t radius = (int64_t)(4 * sigma + 0.5); /* the Gaussian is cut at 4 sigma */
    double *gauss = panda_scratch(((size_t)(2 * radius + 1) + length) * sizeof *gauss);
    if (gauss == NULL)
        return PANDA_NO_MEMORY;
    double *row = gauss + 2 * radius + 1, sum = 0;
    for (int64_t offset = -radius; offset <= radius; offset++) {
        double away = sigma > 0 ? (double)offset / sigma : 0;
        sum += gauss[offset + radius] = exp(-0.5 * away * away);
    }
    for (int64_t offset = 0; offset <= 2 * radius; offset++)
        gauss[offset] /= sum;
    *taps = 1;
    for (size_t i = 0; i < out_length; i++) { /* where each band begins, and the longest's length */
        add_row(length, out_length, i, gauss, radius, row);
        size_t begin = 0, end = length;
        while (begin < length - 1 && row[begin] == 0)
            begin++;
        while (end > begin + 1 && row[end - 1] == 0)
            end--;
        first[i] = (int64_t)begin;
        *taps = end - begin > *taps ? end - begin : *taps;
    }
    for (size_t i = 0; i < out_length; i++) {
        add_row(length, out_length, i, gauss, radius, row);
        if ((size_t)first[i] > length - *taps)
            first[i] = (int64_t)(length - *taps);
        for (size_t t = 0; t < *taps; t++)
            weights[i * *taps + t] = (float)row[(size_t)first[i] + t];
    }
    return PANDA_OK;
}
