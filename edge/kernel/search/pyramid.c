/* The pyramid search as panda_kernel.h promises it: makes a gallery, and picks the way of searching it. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/plain.h"
#include "search/screen.h"
#include "search/workspace.h"

panda_pyramid *panda_pyramid_new(const panda_level *levels, int level_count, size_t images, size_t grid_h,
                                 size_t grid_w, bool nested)
{
    panda_pyramid *p = panda_allocate_zeroed(sizeof *p);
    if (p == NULL)
        return NULL;
    memcpy(p->level, levels, (size_t)level_count * sizeof *levels);
    p->level_count = level_count;
    p->images = images;
    p->cells = grid_h * grid_w;
    p->height = grid_h << (level_count - 1);
    p->width = grid_w << (level_count - 1);
    p->fan = nested ? 4 : 1;
    p->finest = power_of_4(level_count - 1);
    p->place = panda_allocate(p->height * p->width * sizeof *p->place);
    if (p->place == NULL) {
        free(p);
        return NULL;
    }
    for (size_t nested_number = 0; nested_number < p->height * p->width; nested_number++) {
        size_t coarse = nested_number / p->finest, row = coarse / grid_w, column = coarse % grid_w;
        for (int l = level_count - 2; l >= 0; l--) {
            size_t child = nested_number / power_of_4(l) % 4;
            row = 2 * row + child / 2;
            column = 2 * column + child % 2;
        }
        p->place[nested_number] = (int64_t)(row * p->width + column);
    }
    return p;
}

void panda_pyramid_free(panda_pyramid *p)
{
    if (p == NULL)
        return;
    free(p->place);
    free(p->rows);
    screen_workspace_free(p->screen);
    free(p);
}

panda_status panda_pyramid_nearest(panda_pyramid *p, const float *const *query, const int64_t *chosen,
                                   size_t chosen_count, float epsilon, int threads, float *distances, int64_t *indices)
{
    pyramid_run run = {.p = p, .ops = panda_ops_current(), .query = query, .chosen = chosen};
    if (run.ops == NULL)
        return PANDA_BAD_SIMD;
    run.count = chosen ? chosen_count : p->images;
    run.threads = threads < PANDA_MAX_THREADS ? threads : PANDA_MAX_THREADS;
    run.distances = distances;
    run.indices = indices;
    run.shrink = epsilon > 0 ? 1 / ((1 + epsilon) * (1 + epsilon)) * (1 + 1e-6F) : 1;
    int64_t lowest = 0;
    for (size_t i = 0; chosen && i < chosen_count; i++)
        lowest = i == 0 || chosen[i] < lowest ? chosen[i] : lowest;
    run.first_index = lowest * (p->fan == 1 ? 1 : (int64_t)(p->height * p->width));
    panda_status status;
    return screen_search(&run, &status) ? status : plain_search(&run);
}
