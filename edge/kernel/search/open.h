/* What the screen lets through, measured exactly. */
#ifndef PANDA_OPEN_H
#define PANDA_OPEN_H

#include "search/cell_search.h"

/* Of each level, the four query rows that were spread out last (simd/ops.h). */
typedef struct {
    float *rows[PANDA_MAX_LEVELS];
    size_t first[PANDA_MAX_LEVELS]; /* the first of them, or SIZE_MAX */
} spread_query;

void spread_forget(spread_query *spread);

/* What levels 0 to `level` add up to for row `q` of the query and row g of the gallery, both of that level. */
float exact_sum(const pyramid_run *run, int level, size_t q, size_t g);
/* Position q (numbered below the coarse cell) and gallery row g of the finest level, where that is a screened one. */
void measure(cell_search *c, size_t q, size_t g);
/* Query row q (numbered below the coarse cell) of level l - 1, and of the gallery's rows of that level those that their
 * integers do not tell to be too far. */
typedef struct {
    const size_t *first;     /* rows of level l, each the first child of one of level l - 1 */
    const uint32_t *visited; /* the gallery cells that they belong to */
    const float *least;      /* at least what levels up to l - 1 add up to */
    size_t count;
} candidates;
/* Opens these pairs, down to the finest level. */
void open_candidates(cell_search *c, spread_query *spread, int l, size_t q, candidates pairs);

#endif
