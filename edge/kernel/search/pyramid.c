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
    p->grid_h = grid_h;
    p->grid_w = grid_w;
    p->height = grid_h << (level_count - 1);
    p->width = grid_w << (level_count - 1);
    p->fan = nested ? 4 : 1;
    p->finest = power_of_4(level_count - 1);
    p->place = panda_allocate(p->height * p->width * sizeof *p->place);
    p->listed = panda_allocate(p->cells * sizeof *p->listed);
    if (p->place == NULL || p->listed == NULL) {
        panda_pyramid_free(p);
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
    free(p->listed);
    free(p->coarse);
    free(p->rows);
    screen_workspace_free(p->screen);
    free(p);
}

/* Lists the query cells that are searched for, and says of the positions below the others that they are not. */
static panda_status list_cells(pyramid_run *run, const uint8_t *wanted)
{
    panda_pyramid *p = run->p;
    size_t d = p->level[0].channels;
    if (wanted != NULL && p->coarse == NULL && (p->coarse = panda_allocate(p->cells * d * sizeof *p->coarse)) == NULL)
        return PANDA_NO_MEMORY;
    for (size_t cell = 0; cell < p->cells; cell++) {
        if (wanted == NULL || wanted[cell]) {
            if (wanted != NULL)
                memcpy(p->coarse + run->listed_count * d, run->query[0] + cell * d, d * sizeof *p->coarse);
            p->listed[run->listed_count++] = (uint32_t)cell;
            continue;
        }
        for (size_t position = cell * p->finest; position < (cell + 1) * p->finest; position++) {
            run->distances[p->place[position]] = 0;
            run->indices[p->place[position]] = -1;
        }
    }
    run->listed = p->listed;
    run->coarse = wanted ? p->coarse : run->query[0];
    return PANDA_OK;
}

panda_status panda_pyramid_nearest(panda_pyramid *p, const float *const *query, panda_scope scope, float epsilon,
                                   int threads, float *distances, int64_t *indices)
{
    pyramid_run run = {.p = p, .ops = panda_ops_current(), .query = query, .chosen = scope.images};
    if (run.ops == NULL)
        return PANDA_BAD_SIMD;
    run.count = scope.images ? scope.image_count : p->images;
    run.window = scope.window;
    run.enough = scope.enough;
    run.threads = threads < PANDA_MAX_THREADS ? threads : PANDA_MAX_THREADS;
    run.distances = distances;
    run.indices = indices;
    run.shrink = epsilon > 0 ? 1 / ((1 + epsilon) * (1 + epsilon)) * (1 + 1e-6F) : 1;
    int64_t lowest = 0;
    for (size_t i = 0; scope.images && i < scope.image_count; i++)
        lowest = i == 0 || scope.images[i] < lowest ? scope.images[i] : lowest;
    run.first_index = lowest * (p->fan == 1 ? 1 : (int64_t)(p->height * p->width));
    panda_status status = list_cells(&run, scope.cells);
    if (status != PANDA_OK || run.listed_count == 0)
        return status;
    return screen_search(&run, &status) ? status : plain_search(&run);
}
