/* Flat banks: top-k, the screened nearest row, k-centre, projection. */
#include "input.h"

static void topk(input *in, size_t q, size_t n, size_t d, panda_dtype dtype, int threads)
{
    size_t k = number(in, 1, n);
    float *queries = array(in, q * d * sizeof *queries);
    void *bank = array(in, n * d * size_of(dtype));
    float *distances = array(in, q * k * sizeof *distances);
    int64_t *indices = array(in, q * k * sizeof *indices);
    if (panda_topk(queries, q, bank, dtype, n, d, k, threads, distances, indices) == PANDA_OK)
        check_found(distances, indices, q * k, (int64_t)n);
    free(queries), free(bank), free(distances), free(indices);
}

static void nearest(input *in, size_t q, size_t n, size_t d, panda_dtype dtype, int threads)
{
    void *bank = array(in, n * d * size_of(dtype));
    float *queries = array(in, q * d * sizeof *queries);
    float *distances = array(in, q * sizeof *distances);
    int64_t *indices = array(in, q * sizeof *indices);
    panda_flat *flat = panda_flat_new(bank, dtype, n, d);
    require(flat != NULL, "a flat search");
    if (panda_flat_nearest(flat, queries, q, threads, distances, indices) == PANDA_OK)
        check_found(distances, indices, q, (int64_t)n);
    panda_flat_free(flat);
    free(queries), free(bank), free(distances), free(indices);
}

static void k_centre(input *in, size_t n, size_t d, panda_dtype dtype, int threads)
{
    size_t count = number(in, 1, n), start = number(in, 0, n - 1);
    void *points = array(in, n * d * size_of(dtype));
    int64_t *indices = array(in, count * sizeof *indices);
    if (panda_k_centre(points, dtype, n, d, count, start, threads, NULL, NULL, indices) == PANDA_OK)
        for (size_t i = 0; i < count; i++)
            require(indices[i] >= 0 && (size_t)indices[i] < n, "a centre outside of the points");
    free(points), free(indices);
}

static void project(input *in, size_t n, size_t d, int threads)
{
    size_t p = number(in, 1, 40);
    float *rows = array(in, n * d * sizeof *rows), *mean = array(in, d * sizeof *mean);
    float *basis = array(in, d * p * sizeof *basis), *out = array(in, n * p * sizeof *out);
    require(panda_project(rows, n, d, mean, basis, p, threads, out) == PANDA_OK, "a projection");
    free(rows), free(mean), free(basis), free(out);
}

static void run(const uint8_t *data, size_t size)
{
    input in = {data, size};
    choose_simd(&in);
    size_t which = number(&in, 0, 3), q = number(&in, 1, 40), n = number(&in, 1, 200), d = number(&in, 1, 70);
    int threads = (int)number(&in, 1, 2);
    panda_dtype dtype = floats(&in);
    if (which == 0)
        topk(&in, q, n, d, dtype, threads);
    else if (which == 1)
        nearest(&in, q, n, d, dtype, threads);
    else if (which == 2)
        k_centre(&in, n, d, dtype, threads);
    else
        project(&in, q, d, threads);
}

TARGET(run)
