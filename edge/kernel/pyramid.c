/* Exact nearest neighbour over joint pyramid descriptors, by branch and bound from coarse to fine.
 *
 * The joint squared distance is a sum over levels of terms >= 0, so the sum over the coarser levels bounds the
 * distance of every pair of positions below a pair of cells. A pair of cells is opened only while that sum does
 * not exceed the worst distance found so far among the query cell's own finest positions. Float addition of
 * non-negative numbers is monotone, so pruning loses nothing to rounding.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"
#include "pool.h"

enum {
    QUERY_BLOCK = 4,     /* coarse query cells that share one pass over the gallery */
    GALLERY_BLOCK = 8192 /* coarse gallery cells whose distances are held at once, per query cell */
};

struct panda_pyramid {
    panda_level level[PANDA_MAX_LEVELS];
    int level_count;
    size_t images, cells, height, width; /* cells: of the coarsest grid; height, width: of the finest */
    size_t fan;                          /* gallery children of a gallery cell: 4, or 1 for a joint bank */
    size_t finest;                       /* finest positions of a coarse cell: 4^(level_count - 1) */
    int64_t *place;                      /* nested number of a finest position -> its row-major number */
    float *rows;                         /* (worker, QUERY_BLOCK, block) coarse distances */
    size_t rows_size;
};

static size_t power_of_4(int exponent) { return (size_t)1 << (2 * exponent); }

panda_pyramid *panda_pyramid_new(const panda_level *levels, int level_count, size_t images, size_t grid_h,
                                 size_t grid_w, bool nested)
{
    panda_pyramid *p = calloc(1, sizeof *p);
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
    p->place = malloc(p->height * p->width * sizeof *p->place);
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
    free(p);
}

typedef struct {
    panda_pyramid *p;
    const panda_ops *ops;
    const float *const *query;
    const int64_t *chosen; /* gallery images, or NULL for 0 ... count - 1 */
    size_t count;
    int64_t first_index; /* the lowest index there is: what stands when nothing is nearer than +inf */
    float shrink;        /* 1 / (1 + epsilon)^2, rounded towards 1 */
    size_t block;        /* gallery units (images, or single descriptors) in one pass */
    size_t unit_cells;   /* coarse cells of a unit */
    float *distances;
    int64_t *indices;
} pyramid_run;

/* The search of one coarse query cell: limit[l][i] is the largest lower bound at which the i-th cell of level l
 * below it must still be opened. best and index belong to its finest positions. */
typedef struct {
    const pyramid_run *run;
    size_t cell;
    float limit[PANDA_MAX_LEVELS][64];
    float best[64];
    int64_t index[64];
} cell_search;

static int64_t index_of(const panda_pyramid *p, size_t gallery_row)
{
    if (p->fan == 1)
        return (int64_t)gallery_row;
    size_t area = p->height * p->width;
    return (int64_t)(gallery_row / area * area) + p->place[gallery_row % area];
}

static void update(cell_search *s, size_t position, size_t gallery_row, float distance)
{
    if (distance > s->best[position])
        return;
    int64_t index = index_of(s->run->p, gallery_row);
    if (distance < s->best[position] || index < s->index[position]) {
        s->best[position] = distance;
        s->index[position] = index;
        s->limit[s->run->p->level_count - 1][position] = distance * s->run->shrink;
    }
}

static float larger(float a, float b) { return a > b ? a : b; }

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
            if (l == p->level_count - 1)
                update(s, 4 * q + i, g * fan + j, total);
            else
                open_pair(s, l + 1, 4 * q + i, g * fan + j, total);
        }
    s->limit[l - 1][q] = larger(larger(limit[0], limit[1]), larger(limit[2], limit[3]));
}

static size_t coarse_row(const pyramid_run *run, size_t unit, size_t cell)
{
    size_t image = run->chosen ? (size_t)run->chosen[unit] : unit;
    return image * run->unit_cells + cell;
}

/* Looks at the gallery units [from, to), whose coarse distances to the query cell are in `row`. */
static void search_block(cell_search *s, size_t from, size_t to, const float *row)
{
    const pyramid_run *run = s->run;
    size_t cells = run->unit_cells, nearest = 0;
    bool leaf = run->p->level_count == 1;
    for (size_t j = 1; j < (to - from) * cells; j++)
        if (row[j] < row[nearest] || isnan(row[nearest]))
            nearest = j;
    /* The nearest coarse cell first: its distances make the bound tight for the pass in memory order. */
    if (!leaf && row[nearest] <= s->limit[0][0])
        open_pair(s, 1, 0, coarse_row(run, from + nearest / cells, nearest % cells), row[nearest]);
    for (size_t unit = from; unit < to; unit++)
        for (size_t cell = 0; cell < cells; cell++, row++) {
            if (!(*row <= s->limit[0][0]))
                continue;
            if (leaf)
                update(s, 0, coarse_row(run, unit, cell), *row);
            else
                open_pair(s, 1, 0, coarse_row(run, unit, cell), *row);
        }
}

static void search_cells(void *context, size_t task, int worker)
{
    const pyramid_run *run = context;
    const panda_pyramid *p = run->p;
    const panda_level *level = &p->level[0];
    size_t first = task * QUERY_BLOCK;
    size_t cells = p->cells - first < QUERY_BLOCK ? p->cells - first : QUERY_BLOCK;
    size_t row_length = run->block * run->unit_cells;
    float *rows = p->rows + (size_t)worker * QUERY_BLOCK * row_length;
    cell_search search[QUERY_BLOCK];
    for (size_t c = 0; c < cells; c++) {
        cell_search *s = &search[c];
        s->run = run;
        s->cell = first + c;
        for (int l = 0; l < p->level_count; l++)
            for (size_t i = 0; i < power_of_4(l); i++)
                s->limit[l][i] = INFINITY;
        for (size_t i = 0; i < p->finest; i++) {
            s->best[i] = INFINITY;
            s->index[i] = run->first_index;
        }
    }
    for (size_t from = 0; from < run->count; from += run->block) {
        size_t to = run->count - from < run->block ? run->count : from + run->block;
        size_t step = run->chosen ? 1 : to - from; /* unchosen units lie one after the other */
        for (size_t unit = from; unit < to; unit += step)
            l2_tile(run->ops, run->query[0] + first * level->channels, cells,
                    row_of(level->data, level->dtype, coarse_row(run, unit, 0), level->channels), level->dtype,
                    step * run->unit_cells, level->channels, rows + (unit - from) * run->unit_cells, row_length);
        for (size_t c = 0; c < cells; c++)
            search_block(&search[c], from, to, rows + c * row_length);
    }
    for (size_t c = 0; c < cells; c++)
        for (size_t i = 0; i < p->finest; i++) {
            int64_t place = p->place[search[c].cell * p->finest + i];
            run->distances[place] = search[c].best[i];
            run->indices[place] = search[c].index[i];
        }
}

panda_status panda_pyramid_nearest(panda_pyramid *p, const float *const *query, const int64_t *chosen,
                                   size_t chosen_count, float epsilon, int threads, float *distances, int64_t *indices)
{
    const panda_ops *ops = panda_ops_current();
    if (ops == NULL)
        return PANDA_BAD_SIMD;
    if (threads > PANDA_MAX_THREADS)
        threads = PANDA_MAX_THREADS;
    pyramid_run run = {
        .p = p, .ops = ops, .query = query, .chosen = chosen, .distances = distances, .indices = indices};
    run.count = chosen ? chosen_count : p->images;
    run.unit_cells = p->fan == 1 ? 1 : p->cells;
    run.block = GALLERY_BLOCK / run.unit_cells + 1;
    if (run.block > run.count)
        run.block = run.count;
    run.shrink = epsilon > 0 ? 1 / ((1 + epsilon) * (1 + epsilon)) * (1 + 1e-6F) : 1;
    int64_t lowest = 0;
    for (size_t i = 0; chosen && i < chosen_count; i++)
        lowest = i == 0 || chosen[i] < lowest ? chosen[i] : lowest;
    run.first_index = lowest * (p->fan == 1 ? 1 : (int64_t)(p->height * p->width));

    size_t needed = (size_t)threads * QUERY_BLOCK * run.block * run.unit_cells;
    if (needed > p->rows_size) {
        free(p->rows);
        p->rows = malloc(needed * sizeof *p->rows);
        p->rows_size = p->rows ? needed : 0;
        if (p->rows == NULL)
            return PANDA_NO_MEMORY;
    }
    panda_parallel(threads, (p->cells + QUERY_BLOCK - 1) / QUERY_BLOCK, search_cells, &run);
    return PANDA_OK;
}
