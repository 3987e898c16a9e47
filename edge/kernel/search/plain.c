/* Exact nearest neighbour over joint pyramid descriptors, by branch and bound from coarse to fine.
 *
 * The joint squared distance is a sum over levels of terms >= 0, so the sum over the coarser levels bounds the
 * distance of every pair of positions below a pair of cells. A pair of cells is opened only while that sum does
 * not exceed the worst distance found so far among the query cell's own finest positions. Float addition of
 * non-negative numbers is monotone, so pruning loses nothing to rounding.
 */
#include "search/plain.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/pool.h"

enum {
    QUERY_BLOCK = 4,     /* coarse query cells that share one pass over the gallery */
    GALLERY_BLOCK = 8192 /* coarse gallery cells whose distances are held at once, per query cell */
};

typedef struct {
    pyramid_run run;
    size_t block;      /* gallery units (images, or single descriptors) in one pass */
    size_t unit_cells; /* coarse cells of a unit */
} plain_run;

/* Opens the pair of query cell q (numbered below the coarse cell) and gallery row g, both of level l - 1, whose
 * levels up to there add up to `sum`. */
static void open_pair(cell_search *s, int l, size_t q, size_t g, float sum)
{
    const panda_pyramid *p = s->run->p;
    const panda_level *level = &p->level[l];
    size_t fan = p->fan, first = s->cell * power_of_4(l) + 4 * q;
    float tile[16];
    l2_tile(s->run->ops, s->run->query[l] + first * level->channels, 4,
            row_of(level->data, level->dtype, g * fan, level->channels), level->dtype, fan, level->channels, tile, 4);
    float *limit = s->limit[l] + 4 * q;
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < fan; j++) {
            float total = sum + tile[4 * i + j];
            if (!(total <= limit[i])) /* NaN is never near */
                continue;
            if (is_finest(p, l))
                cell_search_update(s, 4 * q + i, g * fan + j, total);
            else
                open_pair(s, l + 1, 4 * q + i, g * fan + j, total);
        }
    s->limit[l - 1][q] = largest_of_4(limit);
}

static size_t coarse_row(const plain_run *plain, size_t unit, size_t cell)
{
    return gallery_image(&plain->run, unit) * plain->unit_cells + cell;
}

/* Looks at the gallery units [from, to), whose coarse distances to the query cell are in `row`. */
static void search_block(cell_search *s, const plain_run *plain, size_t from, size_t to, const float *row)
{
    size_t cells = plain->unit_cells, nearest = 0;
    bool leaf = plain->run.p->level_count == 1;
    for (size_t j = 1; j < (to - from) * cells; j++)
        if (row[j] < row[nearest] || isnan(row[nearest]))
            nearest = j;
    /* The nearest coarse cell first: its distances make the bound tight for the pass in memory order. */
    if (!leaf && row[nearest] <= s->limit[0][0])
        open_pair(s, 1, 0, coarse_row(plain, from + nearest / cells, nearest % cells), row[nearest]);
    for (size_t unit = from; unit < to; unit++)
        for (size_t cell = 0; cell < cells; cell++, row++) {
            if (!(*row <= s->limit[0][0]))
                continue;
            if (leaf)
                cell_search_update(s, 0, coarse_row(plain, unit, cell), *row);
            else
                open_pair(s, 1, 0, coarse_row(plain, unit, cell), *row);
        }
}

static void search_cells(void *context, size_t task, int worker)
{
    const plain_run *plain = context;
    const pyramid_run *run = &plain->run;
    const panda_pyramid *p = run->p;
    const panda_level *level = &p->level[0];
    size_t first = task * QUERY_BLOCK;
    size_t cells = p->cells - first < QUERY_BLOCK ? p->cells - first : QUERY_BLOCK;
    size_t row_length = plain->block * plain->unit_cells;
    float *rows = p->rows + (size_t)worker * QUERY_BLOCK * row_length;
    cell_search search[QUERY_BLOCK];
    for (size_t c = 0; c < cells; c++)
        cell_search_begin(&search[c], run, first + c);
    for (size_t from = 0; from < run->count; from += plain->block) {
        size_t to = run->count - from < plain->block ? run->count : from + plain->block;
        size_t step = run->chosen ? 1 : to - from; /* unchosen units lie one after the other */
        for (size_t unit = from; unit < to; unit += step)
            l2_tile(run->ops, run->query[0] + first * level->channels, cells,
                    row_of(level->data, level->dtype, coarse_row(plain, unit, 0), level->channels), level->dtype,
                    step * plain->unit_cells, level->channels, rows + (unit - from) * plain->unit_cells, row_length);
        for (size_t c = 0; c < cells; c++)
            search_block(&search[c], plain, from, to, rows + c * row_length);
    }
    for (size_t c = 0; c < cells; c++)
        cell_search_end(&search[c]);
}

panda_status plain_search(const pyramid_run *run)
{
    panda_pyramid *p = run->p;
    plain_run plain = {.run = *run, .unit_cells = p->fan == 1 ? 1 : p->cells};
    plain.block = GALLERY_BLOCK / plain.unit_cells + 1;
    if (plain.block > run->count)
        plain.block = run->count;
    size_t needed = (size_t)run->threads * QUERY_BLOCK * plain.block * plain.unit_cells;
    if (needed > p->rows_size) {
        free(p->rows);
        p->rows = panda_allocate(needed * sizeof *p->rows);
        p->rows_size = p->rows ? needed : 0;
        if (p->rows == NULL)
            return PANDA_NO_MEMORY;
    }
    panda_parallel(run->threads, (p->cells + QUERY_BLOCK - 1) / QUERY_BLOCK, search_cells, &plain);
    return PANDA_OK;
}
