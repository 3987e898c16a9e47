/* Gaussians and the resampling of heat maps. */
#include "input.h"

static void gaussian(input *in)
{
    size_t positions = number(in, 1, 20), d = number(in, 1, 50);
    bool triangular = number(in, 0, 1);
    size_t rows = triangular ? d : number(in, 1, 50);
    panda_dtype dtype = floats(in);
    float *x = array(in, positions * d * sizeof *x), *mean = array(in, positions * d * sizeof *mean);
    void *factors = array(in, positions * panda_factor_size(rows, d, triangular) * size_of(dtype));
    float *distances = array(in, positions * sizeof *distances);
    if (panda_gaussian_distance(x, mean, factors, dtype, positions, rows, d, triangular, (int)number(in, 1, 2),
                                distances) == PANDA_OK)
        for (size_t i = 0; i < positions; i++)
            require(distances[i] >= 0 || distances[i] != distances[i], "a distance below zero");
    free(x), free(mean), free(factors), free(distances);
}

static panda_bands bands(input *in, size_t length)
{
    size_t taps = number(in, 1, length), out = number(in, 1, 40);
    int64_t *first = array(in, out * sizeof *first);
    for (size_t i = 0; i < out; i++) /* the binding refuses others */
        first[i] = (int64_t)((uint64_t)first[i] % (length - taps + 1));
    return (panda_bands){array(in, out * taps * sizeof(float)), first, taps, out};
}

static void resample(input *in)
{
    size_t h = number(in, 1, 30), w = number(in, 1, 30);
    panda_bands rows = bands(in, h), columns = bands(in, w);
    float *map = array(in, h * w * sizeof *map), *out = array(in, rows.length * columns.length * sizeof *out);
    require(panda_resample(map, h, w, rows, columns, out) == PANDA_OK, "a resampled map");
    free(map), free(out);
    free((void *)rows.weights), free((void *)rows.first), free((void *)columns.weights), free((void *)columns.first);
}

static void run(const uint8_t *data, size_t size)
{
    input in = {data, size};
    choose_simd(&in);
    if (number(&in, 0, 1))
        gaussian(&in);
    else
        resample(&in);
}

TARGET(run)
