/* Integer operations that plain C does well enough for the levels without instructions of their own. */
#ifndef PANDA_INTEGERS_H
#define PANDA_INTEGERS_H

#include "simd/ops.h"

/* The rest of a selection, from position j on, behind the `count` cells that it has; returns how many there are then.
 */
static inline size_t select_rest(const int32_t *row, size_t j, size_t n, int32_t above, int32_t limit, uint32_t *cells,
                                 size_t count)
{
    for (; j < n; j++) { /* no branch: which ones pass cannot be predicted */
        cells[count] = (uint32_t)j;
        count += (row[j] > above) & (row[j] <= limit);
    }
    return count;
}

static inline size_t select_between_portable(const int32_t *row, size_t n, int32_t above, int32_t limit,
                                             uint32_t *cells)
{
    return select_rest(row, 0, n, above, limit, cells, 0);
}

static inline size_t least_of_portable(const int32_t *row, size_t n)
{
    size_t at = 0;
    int32_t least = row[0];
    for (size_t j = 1; j < n; j++)
        if (row[j] < least) {
            least = row[j];
            at = j;
        }
    return at;
}

#endif
