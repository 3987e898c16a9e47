/* Squared Mahalanobis distances from packed whitening factors: one pass over the factors, at the memory's speed. */
#include "base/memory.h"
#include "base/pool.h"
#include "simd/ops.h"

enum { POSITION_BLOCK = 8 };

typedef struct {
    const panda_ops *ops;
    const float *x, *mean;
    const void *factors;
    panda_dtype dtype;
    size_t positions, d, panels;
    bool triangular;
    float *centred; /* (worker, d) */
    float *distances;
} gaussian_run;

size_t panda_factor_size(size_t rows, size_t d, bool triangular)
{
    size_t size = 0;
    for (size_t panel = 0; panel < panel_count(rows); panel++)
        size += PANDA_PANEL * panel_width(panel, d, triangular);
    return size;
}

static void measure_positions(void *context, size_t task, int worker)
{
    const gaussian_run *run = context;
    size_t size = panda_factor_size(run->panels * PANDA_PANEL, run->d, run->triangular);
    float *centred = run->centred + (size_t)worker * run->d;
    size_t to = (task + 1) * POSITION_BLOCK < run->positions ? (task + 1) * POSITION_BLOCK : run->positions;
    for (size_t p = task * POSITION_BLOCK; p < to; p++) {
        for (size_t c = 0; c < run->d; c++)
            centred[c] = run->x[p * run->d + c] - run->mean[p * run->d + c];
        const void *factor = row_of(run->factors, run->dtype, p, size);
        run->distances[p] = run->dtype == PANDA_F16
                                ? run->ops->whitened_norm_f16(factor, centred, run->d, run->panels, run->triangular)
                                : run->ops->whitened_norm_f32(factor, centred, run->d, run->panels, run->triangular);
    }
}

panda_status panda_gaussian_distance(const float *x, const float *mean, const void *factors, panda_dtype dtype,
                                     size_t positions, size_t rows, size_t d, bool triangular, int threads,
                                     float *distances)
{
    gaussian_run run = {panda_ops_current(), x,          mean, factors,  dtype, positions, d,
                        panel_count(rows),   triangular, NULL, distances};
    if (run.ops == NULL)
        return PANDA_BAD_SIMD;
    if (threads > PANDA_MAX_THREADS)
        threads = PANDA_MAX_THREADS;
    run.centred = panda_scratch((size_t)threads * d * sizeof *run.centred);
    if (run.centred == NULL)
        return PANDA_NO_MEMORY;
    panda_parallel(threads, (positions + POSITION_BLOCK - 1) / POSITION_BLOCK, measure_positions, &run);
    return PANDA_OK;
}
