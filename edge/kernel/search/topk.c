/* Exact k nearest rows of a flat bank. Threads share the bank's rows; each keeps its own heaps. */
#include <math.h>

#include "base/memory.h"
#include "base/pool.h"
#include "simd/ops.h"

enum { QUERY_BLOCK = 16, ROW_BLOCK = 64 };

typedef struct {
    float distance;
    int64_t index;
} neighbour;

/* Total order: distance, then index; so the answer does not depend on who looked at which row first. */
static bool farther(neighbour a, neighbour b)
{
    return a.distance > b.distance || (a.distance == b.distance && a.index > b.index);
}

static void sift_down(neighbour *heap, size_t size, size_t at)
{
    neighbour moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && farther(heap[child + 1], heap[child]))
            child++;
        if (!farther(heap[child], moved))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* heap[0] is the farthest of the k kept. */
static void offer(neighbour *heap, size_t k, neighbour candidate)
{
    if (farther(heap[0], candidate)) {
        heap[0] = candidate;
        sift_down(heap, k, 0);
    }
}

typedef struct {
    const panda_ops *ops;
    const float *queries;
    size_t q, d, n, k;
    const void *bank;
    panda_dtype dtype;
    size_t rows_per_task;
    neighbour *heaps; /* (worker, QUERY_BLOCK, k) */
} topk_run;

static void search_rows(void *context, size_t task, int worker)
{
    const topk_run *run = context;
    size_t end = (task + 1) * run->rows_per_task;
    if (end > run->n)
        end = run->n;
    for (size_t row = task * run->rows_per_task; row < end; row += ROW_BLOCK) {
        float tile[QUERY_BLOCK * ROW_BLOCK];
        size_t rows = end - row < ROW_BLOCK ? end - row : ROW_BLOCK;
        l2_tile(run->ops, run->queries, run->q, row_of(run->bank, run->dtype, row, run->d), run->dtype, rows, run->d,
                tile, ROW_BLOCK);
        for (size_t i = 0; i < run->q; i++) {
            neighbour *heap = run->heaps + ((size_t)worker * QUERY_BLOCK + i) * run->k;
            for (size_t j = 0; j < rows; j++) {
                float distance = tile[i * ROW_BLOCK + j];
                if (isnan(distance))
                    distance = INFINITY;
                if (distance <= heap[0].distance)
                    offer(heap, run->k, (neighbour){distance, (int64_t)(row + j)});
            }
        }
    }
}

panda_status panda_topk(const float *queries, size_t q, const void *bank, panda_dtype dtype, size_t n, size_t d,
                        size_t k, int threads, float *distances, int64_t *indices)
{
    const panda_ops *ops = panda_ops_current();
    if (ops == NULL)
        return PANDA_BAD_SIMD;
    if (threads > PANDA_MAX_THREADS)
        threads = PANDA_MAX_THREADS;
    size_t per_worker = QUERY_BLOCK * k;
    if (k > SIZE_MAX / (QUERY_BLOCK * sizeof(neighbour) * (size_t)threads))
        return PANDA_NO_MEMORY;
    neighbour *heaps = panda_scratch((size_t)threads * per_worker * sizeof *heaps);
    if (heaps == NULL)
        return PANDA_NO_MEMORY;
    /* Several tasks a thread, so that a thread that is held up does not hold up the rest. */
    size_t rows_per_task = n / ((size_t)threads * 8) / ROW_BLOCK * ROW_BLOCK + ROW_BLOCK;
    size_t tasks = (n + rows_per_task - 1) / rows_per_task;
    for (size_t first = 0; first < q; first += QUERY_BLOCK) {
        size_t count = q - first < QUERY_BLOCK ? q - first : QUERY_BLOCK;
        for (size_t i = 0; i < (size_t)threads * per_worker; i++)
            heaps[i] = (neighbour){INFINITY, INT64_MAX};
        topk_run run = {ops, queries + first * d, count, d, n, k, bank, dtype, rows_per_task, heaps};
        panda_parallel(threads, tasks, search_rows, &run);
        for (size_t i = 0; i < count; i++) {
            neighbour *heap = heaps + i * k;
            for (int worker = 1; worker < threads; worker++)
                for (size_t j = 0; j < k; j++)
                    offer(heap, k, heaps[(size_t)worker * per_worker + i * k + j]);
            for (size_t size = k; size-- > 0;) { /* heap sort: farthest first, written from the back */
                distances[(first + i) * k + size] = heap[0].distance;
                indices[(first + i) * k + size] = heap[0].index;
                heap[0] = heap[size];
                sift_down(heap, size, 0);
            }
        }
    }
    return PANDA_OK;
}
