/* What both ways of searching a pyramid (plain.c, screen.c) stand on: a gallery, one run over it, and what a coarse
 * query cell has found so far. */
#ifndef PANDA_CELL_SEARCH_H
#define PANDA_CELL_SEARCH_H

#include <math.h>

#include "simd/ops.h"

enum { MAX_FINEST = 64 }; /* 4^(PANDA_MAX_LEVELS - 1) */

typedef struct screen_workspace screen_workspace; /* workspace.h */

struct panda_pyramid {
    panda_level level[PANDA_MAX_LEVELS];
    int level_count;
    size_t images, cells, height, width; /* cells: of the coarsest grid; height, width: of the finest */
    size_t grid_h, grid_w;               /* of the coarsest */
    size_t fan;                          /* gallery children of a gallery cell: 4, or 1 for a joint bank */
    size_t finest;                       /* finest positions of a coarse cell: 4^(level_count - 1) */
    int64_t *place;                      /* nested number of a finest position -> its row-major number */
    uint32_t *listed;                    /* (cells,): the coarse query cells that are searched for, ascending */
    float *coarse;                       /* where not all are listed: their level-0 rows, one after the other */
    float *rows;                         /* plain search: (worker, query block, block) coarse distances */
    size_t rows_size;
    screen_workspace *screen;
};

/* One call of panda_pyramid_nearest. */
typedef struct {
    panda_pyramid *p;
    const panda_ops *ops;
    const float *const *query;
    const int64_t *chosen; /* gallery images, or NULL for 0 ... count - 1 */
    size_t count;
    const uint32_t *listed; /* coarse query cells, with their level-0 rows in `coarse` */
    const float *coarse;
    size_t listed_count;
    int32_t window;
    int64_t first_index; /* of the lowest gallery image there is */
    float shrink;        /* 1 / (1 + epsilon)^2, rounded towards 1 */
    float enough;        /* a position with a distance below this is done */
    int threads;
    float *distances;
    int64_t *indices;
} pyramid_run;

/* The search of one coarse query cell. best and index belong to its finest positions, limit[l][i] to its i-th cell
 * of level l: a pair of cells need not be looked into where a lower bound of its distances exceeds the limit.
 * A query row that is not finite is at +inf from everything: the limit -1 closes the positions below it. It closes
 * those that have found enough, too. */
typedef struct {
    const pyramid_run *run;
    size_t cell;
    float limit[PANDA_MAX_LEVELS][MAX_FINEST];
    float best[MAX_FINEST];
    int64_t index[MAX_FINEST];
    /* Screened search: the gallery cell being looked into, and the one that each position's best came from. */
    uint32_t visiting, origin[MAX_FINEST];
} cell_search;

/* The second condition tells the compiler where recursion over levels must end. */
static inline bool is_finest(const panda_pyramid *p, int level)
{
    return level >= p->level_count - 1 || level >= PANDA_MAX_LEVELS - 1;
}

static inline size_t power_of_4(int exponent) { return (size_t)1 << (2 * exponent); }

void cell_search_begin(cell_search *search, const pyramid_run *run, size_t cell);
void cell_search_end(const cell_search *search);
/* Position `position` has found a gallery row of the finest level at this distance. */
void cell_search_update(cell_search *search, size_t position, size_t gallery_row, float distance);
/* Sets the limits of the cells of levels above `level` from those of `level`. */
void cell_search_raise(cell_search *search, int level);

/* Coarse cells, rows top <= r < bottom, columns left <= c < right. */
typedef struct {
    size_t top, bottom, left, right;
} cell_box;

/* The gallery cells, in every image, that a coarse query cell is compared with. */
cell_box box_of(const pyramid_run *run, size_t cell);
/* The smallest box around those of the listed query cells [first, first + count). */
cell_box box_of_listed(const pyramid_run *run, size_t first, size_t count);

/* Query rows of level l below a coarse cell, from the i-th on. */
static inline const float *rows_below(const pyramid_run *run, int l, size_t cell, size_t i)
{
    return run->query[l] + (cell * power_of_4(l) + i) * run->p->level[l].channels;
}

static inline size_t gallery_image(const pyramid_run *run, size_t unit)
{
    return run->chosen ? (size_t)run->chosen[unit] : unit;
}

static inline float larger(float a, float b) { return a > b ? a : b; }

static inline float largest_of_4(const float *values)
{
    return larger(larger(values[0], values[1]), larger(values[2], values[3]));
}

#endif
