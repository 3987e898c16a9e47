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
    size_t fan;                          /* gallery children of a gallery cell: 4, or 1 for a joint bank */
    size_t finest;                       /* finest positions of a coarse cell: 4^(level_count - 1) */
    int64_t *place;                      /* nested number of a finest position -> its row-major number */
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
    int64_t first_index; /* the lowest index there is: what stands when nothing is nearer than +inf */
    float shrink;        /* 1 / (1 + epsilon)^2, rounded towards 1 */
    int threads;
    float *distances;
    int64_t *indices;
} pyramid_run;

/* The search of one coarse query cell. best and index belong to its finest positions, limit[l][i] to its i-th cell
 * of level l: a pair of cells need not be looked into where a lower bound of its distances exceeds the limit.
 * A query row that is not finite is at +inf from everything: the limit -1 closes the positions below it. */
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
