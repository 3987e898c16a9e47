/* Greedy k-centre (Gonzalez 1985): again and again, take the point farthest from the centres taken so far.
 *
 * The plain method measures every point against every new centre. Here a point whose nearest centre c lies at
 * d(p, c) is left alone when the new centre is at 2 d(p, c) or more from c: by the triangle inequality it cannot
 * be nearer. That costs one distance per centre and one comparison per point instead of one distance per point.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "half.h"
#include "ops.h"
#include "pool.h"

enum { POINT_BLOCK = 4096, CENTRE_BLOCK = 1024, INTERRUPT_EVERY = 256 };

typedef struct {
    float distance;
    int64_t index;
} farthest_point;

typedef struct {
    const panda_ops *ops;
    const void *points;
    panda_dtype dtype;
    size_t n, d, taken;
    float *newest;             /* (d,) the newest centre */
    char *centres;             /* (taken, d) rows of the points' own dtype, close together in memory */
    float *to_centre;          /* (taken,) squared distance of the newest centre to each centre */
    float *nearest;            /* (n,) squared distance to the nearest centre, -1 for a centre */
    uint32_t *owner;           /* (n,) number of that centre */
    farthest_point *candidate; /* (blocks of points,) */
} k_centre_run;

static void measure_centres(void *context, size_t task, int worker)
{
    (void)worker;
    const k_centre_run *run = context;
    size_t from = task * CENTRE_BLOCK, count = run->taken - from < CENTRE_BLOCK ? run->taken - from : CENTRE_BLOCK;
    l2_tile(run->ops, run->newest, 1, row_of(run->centres, run->dtype, from, run->d), run->dtype, count, run->d,
            run->to_centre + from, count);
}

static void measure_points(void *context, size_t task, int worker)
{
    (void)worker;
    const k_centre_run *run = context;
    const float slack = 4 * (1 + 1e-5F); /* squared: (2 d)^2, and rounding must not prune */
    size_t from = task * POINT_BLOCK, to = run->n - from < POINT_BLOCK ? run->n : from + POINT_BLOCK;
    farthest_point farthest = {-INFINITY, (int64_t)from};
    for (size_t p = from; p < to; p += 4) { /* neighbours are alike: four share a decision */
        size_t count = to - p < 4 ? to - p : 4;
        bool open = false;
        for (size_t i = p; i < p + count; i++)
            open |= run->to_centre[run->owner[i]] < run->nearest[i] * slack;
        if (open) {
            float distance[4];
            l2_tile(run->ops, run->newest, 1, row_of(run->points, run->dtype, p, run->d), run->dtype, count, run->d,
                    distance, 4);
            for (size_t i = 0; i < count; i++)
                if (!(distance[i] >= run->nearest[p + i])) { /* NaN is nearest to nothing, as infinity is */
                    run->nearest[p + i] = isnan(distance[i]) ? INFINITY : distance[i];
                    run->owner[p + i] = (uint32_t)(run->taken - 1);
                }
        }
        for (size_t i = p; i < p + count; i++)
            if (run->nearest[i] > farthest.distance)
                farthest = (farthest_point){run->nearest[i], (int64_t)i};
    }
    run->candidate[task] = farthest;
}

static void take(k_centre_run *run, int64_t point)
{
    const void *row = row_of(run->points, run->dtype, (size_t)point, run->d);
    size_t bytes = run->d * (run->dtype == PANDA_F16 ? sizeof(uint16_t) : sizeof(float));
    memcpy(run->centres + run->taken * bytes, row, bytes);
    if (run->dtype == PANDA_F16)
        for (size_t c = 0; c < run->d; c++)
            run->newest[c] = half_to_float(((const uint16_t *)row)[c]);
    else
        memcpy(run->newest, row, bytes);
    run->nearest[point] = -1;
    run->taken++;
}

static panda_status run_k_centre(k_centre_run *run, size_t count, int64_t start, int threads,
                                 bool (*interrupted)(void *), void *context, int64_t *indices)
{
    size_t blocks = (run->n + POINT_BLOCK - 1) / POINT_BLOCK;
    for (size_t i = 0; i < run->n; i++)
        run->nearest[i] = INFINITY;
    memset(run->owner, 0, run->n * sizeof *run->owner);
    run->taken = 0;
    for (int64_t next = start; run->taken < count;) {
        indices[run->taken] = next;
        take(run, next);
        panda_parallel(threads, (run->taken + CENTRE_BLOCK - 1) / CENTRE_BLOCK, measure_centres, run);
        panda_parallel(threads, blocks, measure_points, run);
        farthest_point farthest = run->candidate[0];
        for (size_t block = 1; block < blocks; block++)
            if (run->candidate[block].distance > farthest.distance)
                farthest = run->candidate[block];
        if (!isfinite(farthest.distance))
            return PANDA_NOT_FINITE;
        next = farthest.index;
        if (run->taken % INTERRUPT_EVERY == 0 && interrupted != NULL && interrupted(context))
            return PANDA_INTERRUPTED;
    }
    return PANDA_OK;
}

panda_status panda_k_centre(const void *points, panda_dtype dtype, size_t n, size_t d, size_t count, size_t start,
                            int threads, bool (*interrupted)(void *), void *context, int64_t *indices)
{
    k_centre_run run = {.ops = panda_ops_current(), .points = points, .dtype = dtype, .n = n, .d = d};
    if (run.ops == NULL)
        return PANDA_BAD_SIMD;
    run.newest = malloc(d * sizeof *run.newest);
    run.centres = malloc(count * d * (dtype == PANDA_F16 ? sizeof(uint16_t) : sizeof(float)));
    run.to_centre = malloc(count * sizeof *run.to_centre);
    run.nearest = malloc(n * sizeof *run.nearest);
    run.owner = malloc(n * sizeof *run.owner);
    run.candidate = malloc((n / POINT_BLOCK + 1) * sizeof *run.candidate);
    panda_status status = PANDA_NO_MEMORY;
    if (run.newest && run.centres && run.to_centre && run.nearest && run.owner && run.candidate)
        status = run_k_centre(&run, count, (int64_t)start, threads, interrupted, context, indices);
    free(run.newest);
    free(run.centres);
    free(run.to_centre);
    free(run.nearest);
    free(run.owner);
    free(run.candidate);
    return status;
}
