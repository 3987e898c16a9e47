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
    l2_rows(s->run->ops, s->run->query[l] + first * level->channels, 4,
            rows_from(level->rows, g * fan, level->channels), fan, level->channels, tile, 4);
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

/* The cells of a block that a query cell is compared with, as runs of neighbours: (units, lines, length). */
typedef struct {
    size_t units, lines, length, first, across;
} cell_runs;

static cell_runs runs_of(const plain_run *plain, size_t cell, size_t units)
{
    const pyramid_run *run = &plain->run;
    if (run->window == PANDA_EVERYWHERE)
        return (cell_runs){1, 1, units * plain->unit_cells, 0, 0};
    cell_box box = box_of(run, cell);
    return (cell_runs){units, box.bottom - box.top, box.right - box.left, box.top * run->p->grid_w + box.left,
                       run->p->grid_w};
}

/* Opens the pair of the query cell and cell j of the block that begins with unit `from`. */
static void open_cell(cell_search *s, const plain_run *plain, size_t from, size_t j, float sum)
{
    size_t row = coarse_row(plain, from + j / plain->unit_cells, j % plain->unit_cells);
    if (plain->run.p->level_count == 1)
        cell_search_update(s, 0, row, sum);
    else
        open_pair(s, 1, 0, row, sum);
}

/* Looks at the gallery units [from, to), whose coarse distances to the query cell are in `row`. */
static void search_block(cell_search *s, const plain_run *plain, size_t from, size_t to, const float *row)
{
    const cell_runs runs = runs_of(plain, s->cell, to - from);
    size_t nearest = runs.first;
    for (size_t unit = 0; unit < runs.units; unit++)
        for (size_t y = 0; y < runs.lines; y++) {
            size_t begin = unit * plain->unit_cells + runs.first + y * runs.across;
            for (size_t j = begin; j < begin + runs.length; j++)
                if (row[j] < row[nearest] || isnan(row[nearest]))
                    nearest = j;
        }
    /* The nearest coarse cell first: its distances make the bound tight for the pass in memory order. */
    if (plain->run.p->level_count > 1 && row[nearest] <= s->limit[0][0])
        open_cell(s, plain, from, nearest, row[nearest]);
    for (size_t unit = 0; unit < runs.units; unit++)
        for (size_t y = 0; y < runs.lines; y++) {
            size_t begin = unit * plain->unit_cells + runs.first + y * runs.across;
            for (size_t j = begin; j < begin + runs.length; j++)
                if (row[j] <= s->limit[0][0])
                    open_cell(s, plain, from, j, row[j]);
        }
}

/* Coarse distances of `count` listed query cells to the gallery units [from, to), at least to those cells within box:
 * (count, row_length), a unit's cells one after the other. */
static void coarse_distances(const plain_run *plain, size_t first, size_t count, size_t from, size_t to, cell_box box,
                             float *rows, size_t row_length)
{
    const pyramid_run *run = &plain->run;
    const panda_level *level = &run->p->level[0];
    size_t step = run->chosen ? 1 : to - from; /* unchosen units lie one after the other */
    size_t top = 0, bottom = 1, begin = 0, length = step * plain->unit_cells;
    if (run->window != PANDA_EVERYWHERE) {
        step = 1;
        top = box.top, bottom = box.bottom, begin = box.left, length = box.right - box.left;
    }
    for (size_t unit = from; unit < to; unit += step)
        for (size_t y = top; y < bottom; y++) {
            size_t cell = y * run->p->grid_w + begin;
            l2_rows(run->ops, run->coarse + first * level->channels, count,
                    rows_from(level->rows, coarse_row(plain, unit, cell), level->channels), length, level->channels,
                    rows + (unit - from) * plain->unit_cells + cell, row_length);
        }
}

static void search_cells(void *context, size_t task, int worker)
{
    const plain_run *plain = context;
    const pyramid_run *run = &plain->run;
    size_t first = task * QUERY_BLOCK;
    size_t cells = run->listed_count - first < QUERY_BLOCK ? run->listed_count - first : QUERY_BLOCK;
    size_t row_length = plain->block * plain->unit_cells;
    float *rows = run->p->rows + (size_t)worker * QUERY_BLOCK * row_length;
    cell_box box = box_of_listed(run, first, cells);
    cell_search search[QUERY_BLOCK];
    for (size_t c = 0; c < cells; c++)
        cell_search_begin(&search[c], run, run->listed[first + c]);
    for (size_t from = 0; from < run->count; from += plain->block) {
        size_t to = run->count - from < plain->block ? run->count : from + plain->block;
        coarse_distances(plain, first, cells, from, to, box, rows, row_length);
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
    panda_parallel(run->threads, (run->listed_count + QUERY_BLOCK - 1) / QUERY_BLOCK, search_cells, &plain);
    return PANDA_OK;
}
