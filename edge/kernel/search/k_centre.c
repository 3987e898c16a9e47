/* Greedy k-centre (Gonzalez 1985): again and again, take the point farthest from the centres taken so far.
 *
 * The plain method measures every point against every new centre. Here a point's distance to its nearest centre is
 * kept as it was when the point was last looked at. It can only have shrunk since, so it is an upper bound, and a
 * point is looked at again, catching up with all centres it has missed in one go, only when its bound reaches the
 * largest up-to-date distance. Most points never come near that for long stretches.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/pool.h"
#include "simd/ops.h"

enum { POINT_BLOCK = 512, GROUP = 4, CENTRE_BATCH = 256, INTERRUPT_EVERY = 256, WORTH_A_THREAD = 4 /* blocks */ };

typedef struct {
    const panda_ops *ops;
    const void *points;
    panda_dtype dtype;
    size_t n, d, row_bytes, taken, blocks;
    char *centres;    /* (taken, d) rows of the points' own dtype, close together in memory */
    float *nearest;   /* (n,) squared distance to the nearest of the first `seen` centres, -1 for a centre */
    uint32_t *seen;   /* (n,) */
    size_t *farthest; /* (blocks,) point of the largest `nearest`, the lowest of equals */
    float *rows;      /* (worker, GROUP, d) */
    uint32_t *open;   /* blocks to look at */
    float threshold;  /* the largest distance known to be up to date */
} k_centre_run;

static void load_row(const k_centre_run *run, size_t point, float *row)
{
    const void *stored = row_of(run->points, run->dtype, point, run->d);
    if (run->dtype == PANDA_F32)
        memcpy(row, stored, run->row_bytes);
    else
        for (size_t c = 0; c < run->d; c++)
            row[c] = half_to_float(((const uint16_t *)stored)[c]);
}

/* Brings up to GROUP points up to date together, from the first centre that any of them has missed. */
static void catch_up(const k_centre_run *run, const size_t *points, size_t count, float *rows)
{
    float distances[GROUP * CENTRE_BATCH];
    size_t from = run->taken;
    for (size_t i = 0; i < count; i++) {
        load_row(run, points[i], rows + i * run->d);
        from = run->seen[points[i]] < from ? run->seen[points[i]] : from;
        run->seen[points[i]] = (uint32_t)run->taken;
    }
    for (; from < run->taken; from += CENTRE_BATCH) {
        size_t centres = run->taken - from < CENTRE_BATCH ? run->taken - from : CENTRE_BATCH;
        l2_tile(run->ops, rows, count, row_of(run->centres, run->dtype, from, run->d), run->dtype, centres, run->d,
                distances, CENTRE_BATCH);
        for (size_t i = 0; i < count; i++) {
            float nearest = run->nearest[points[i]];
            for (size_t j = 0; j < centres; j++) /* NaN is near to nothing */
                nearest = distances[i * CENTRE_BATCH + j] < nearest ? distances[i * CENTRE_BATCH + j] : nearest;
            run->nearest[points[i]] = nearest;
        }
    }
}

static void find_farthest(const k_centre_run *run, size_t block)
{
    size_t from = block * POINT_BLOCK, to = run->n - from < POINT_BLOCK ? run->n : from + POINT_BLOCK, best = from;
    for (size_t i = from + 1; i < to; i++)
        best = run->nearest[i] > run->nearest[best] ? i : best;
    run->farthest[block] = best;
}

static void look_at_block(void *context, size_t task, int worker)
{
    const k_centre_run *run = context;
    size_t block = run->open[task], from = block * POINT_BLOCK;
    size_t to = run->n - from < POINT_BLOCK ? run->n : from + POINT_BLOCK;
    float *rows = run->rows + (size_t)worker * GROUP * run->d;
    size_t group[GROUP], count = 0;
    for (size_t i = from; i < to; i++)
        if (run->nearest[i] >= run->threshold && run->seen[i] < run->taken) {
            group[count++] = i;
            if (count == GROUP) {
                catch_up(run, group, count, rows);
                count = 0;
            }
        }
    catch_up(run, group, count, rows);
    find_farthest(run, block);
}

static size_t farthest_of_all(const k_centre_run *run)
{
    size_t best = run->farthest[0];
    for (size_t block = 1; block < run->blocks; block++)
        best = run->nearest[run->farthest[block]] > run->nearest[best] ? run->farthest[block] : best;
    return best;
}

/* The point farthest from the centres taken. */
static size_t next_centre(k_centre_run *run, int threads)
{
    size_t likely = farthest_of_all(run), count = 0;
    catch_up(run, &likely, 1, run->rows);
    run->threshold = run->nearest[likely];
    find_farthest(run, likely / POINT_BLOCK);
    for (size_t block = 0; block < run->blocks; block++)
        if (run->nearest[run->farthest[block]] >= run->threshold)
            run->open[count++] = (uint32_t)block;
    panda_parallel(count < WORTH_A_THREAD ? 1 : threads, count, look_at_block, run);
    return farthest_of_all(run);
}

static panda_status run_k_centre(k_centre_run *run, size_t count, size_t start, int threads,
                                 bool (*interrupted)(void *), void *context, int64_t *indices)
{
    for (size_t i = 0; i < run->n; i++)
        run->nearest[i] = INFINITY;
    memset(run->seen, 0, run->n * sizeof *run->seen);
    for (size_t block = 0; block < run->blocks; block++)
        run->farthest[block] = block * POINT_BLOCK;
    for (size_t next = start;; next = next_centre(run, threads)) {
        if (run->taken > 0 && isinf(run->nearest[next]))
            return PANDA_NOT_FINITE;
        indices[run->taken] = (int64_t)next;
        memcpy(run->centres + run->taken * run->row_bytes, row_of(run->points, run->dtype, next, run->d),
               run->row_bytes);
        run->nearest[next] = -1;
        find_farthest(run, next / POINT_BLOCK);
        if (++run->taken == count)
            return PANDA_OK;
        if (run->taken % INTERRUPT_EVERY == 0 && interrupted != NULL && interrupted(context))
            return PANDA_INTERRUPTED;
    }
}

panda_status panda_k_centre(const void *points, panda_dtype dtype, size_t n, size_t d, size_t count, size_t start,
                            int threads, bool (*interrupted)(void *), void *context, int64_t *indices)
{
    k_centre_run run = {.ops = panda_ops_current(), .points = points, .dtype = dtype, .n = n, .d = d};
    if (run.ops == NULL)
        return PANDA_BAD_SIMD;
    if (threads > PANDA_MAX_THREADS)
        threads = PANDA_MAX_THREADS;
    run.row_bytes = d * (dtype == PANDA_F16 ? sizeof(uint16_t) : sizeof(float));
    run.blocks = (n + POINT_BLOCK - 1) / POINT_BLOCK;
    run.centres = malloc(count * run.row_bytes);
    run.nearest = malloc(n * sizeof *run.nearest);
    run.seen = malloc(n * sizeof *run.seen);
    run.farthest = malloc(run.blocks * sizeof *run.farthest);
    run.rows = malloc((size_t)threads * GROUP * d * sizeof *run.rows);
    run.open = malloc(run.blocks * sizeof *run.open);
    panda_status status = PANDA_NO_MEMORY;
    if (run.centres && run.nearest && run.seen && run.farthest && run.rows && run.open)
        status = run_k_centre(&run, count, start, threads, interrupted, context, indices);
    free(run.centres);
    free(run.nearest);
    free(run.seen);
    free(run.farthest);
    free(run.rows);
    free(run.open);
    return status;
}
