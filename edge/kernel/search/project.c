/* Rows turned into the directions of a basis: a product of two matrices, after the mean is taken off. */
#include "base/memory.h"
#include "base/pool.h"
#include "simd/ops.h"

enum { ROW_BLOCK = 16 };

typedef struct {
    const panda_ops *ops;
    const float *rows, *mean, *basis;
    size_t n, d, p;
    float *centred; /* (worker, d) */
    float *out;
} project_run;

static void project_rows(void *context, size_t task, int worker)
{
    const project_run *run = context;
    float *centred = run->centred + (size_t)worker * run->d;
    size_t to = (task + 1) * ROW_BLOCK < run->n ? (task + 1) * ROW_BLOCK : run->n;
    for (size_t row = task * ROW_BLOCK; row < to; row++) {
        for (size_t c = 0; c < run->d; c++)
            centred[c] = run->rows[row * run->d + c] - run->mean[c];
        run->ops->blend_rows(centred, run->basis, run->d, run->p, run->p, run->out + row * run->p);
    }
}

panda_status panda_project(const float *rows, size_t n, size_t d, const float *mean, const float *basis, size_t p,
                           int threads, float *out)
{
    project_run run = {panda_ops_current(), rows, mean, basis, n, d, p, NULL, out};
    if (run.ops == NULL)
        return PANDA_BAD_SIMD;
    if (threads > PANDA_MAX_THREADS)
        threads = PANDA_MAX_THREADS;
    run.centred = panda_scratch((size_t)threads * d * sizeof *run.centred);
    if (run.centred == NULL)
        return PANDA_NO_MEMORY;
    panda_parallel(threads, (n + ROW_BLOCK - 1) / ROW_BLOCK, project_rows, &run);
    return PANDA_OK;
}
