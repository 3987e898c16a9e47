/* Pyramids and joint banks of any grid and dtype, windows, cells left out, repeated images. */
#include "input.h"

enum { MOST_CELLS = 25, MOST_CHANNELS = 20 };

static size_t cells_of(size_t coarse, int level) { return coarse << (2 * level); }

static void run(const uint8_t *data, size_t size)
{
    input in = {data, size};
    choose_simd(&in);
    int levels = (int)number(&in, 1, 3);
    size_t images = number(&in, 1, 12), h = number(&in, 1, 5), w = number(&in, 1, 5);
    bool nested = number(&in, 0, 1);
    panda_dtype dtype = (panda_dtype)number(&in, 0, 2);
    panda_level gallery[PANDA_MAX_LEVELS];
    float *query[PANDA_MAX_LEVELS];
    for (int level = 0; level < levels; level++) {
        size_t channels = number(&in, 1, MOST_CHANNELS), cells = cells_of(h * w, level);
        size_t rows = nested ? images * cells : images;
        float *scales = dtype == PANDA_U8 ? array(&in, rows * 2 * sizeof *scales) : NULL;
        gallery[level] = (panda_level){{array(&in, rows * channels * size_of(dtype)), scales, dtype}, channels};
        query[level] = array(&in, cells * channels * sizeof(float));
    }
    panda_scope scope = {NULL, images, NULL, PANDA_EVERYWHERE, 0};
    int64_t some[24];
    if (nested && number(&in, 0, 1)) {
        scope.image_count = number(&in, 1, sizeof some / sizeof *some);
        scope.images = some;
        for (size_t i = 0; i < scope.image_count; i++)
            some[i] = (int64_t)number(&in, 0, images - 1);
    }
    if (nested && number(&in, 0, 1))
        scope.window = (int32_t)number(&in, 0, 6);
    uint8_t cells[MOST_CELLS];
    if (number(&in, 0, 1)) {
        for (size_t i = 0; i < h * w; i++)
            cells[i] = (uint8_t)number(&in, 0, 1);
        scope.cells = cells;
    }
    float epsilon = (float)number(&in, 0, 4) / 4;
    int threads = (int)number(&in, 1, 2);
    size_t finest = cells_of(h * w, levels - 1);
    float *distances = array(&in, finest * sizeof *distances);
    int64_t *indices = array(&in, finest * sizeof *indices);
    panda_pyramid *pyramid = panda_pyramid_new(gallery, levels, images, h, w, nested);
    require(pyramid != NULL, "a pyramid");
    for (int again = 0; again < 2; again++) /* its workspace is kept from one search to the next */
        if (panda_pyramid_nearest(pyramid, (const float *const *)query, scope, epsilon, threads, distances, indices) ==
            PANDA_OK)
            check_found(distances, indices, finest, (int64_t)(nested ? images * finest : images));
    panda_pyramid_free(pyramid);
    for (int level = 0; level < levels; level++)
        free((void *)gallery[level].rows.data), free((void *)gallery[level].rows.scales), free(query[level]);
    free(distances), free(indices);
}

TARGET(run)
