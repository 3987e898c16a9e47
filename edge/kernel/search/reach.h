/* Windowed search: the gallery cells that the windows of a few query cells reach, and nothing else of the gallery. */
#ifndef PANDA_REACH_H
#define PANDA_REACH_H

#include "search/quantise.h"

/* Distances at level 0 of `count` <= 4 listed query cells, whose panel is in m->panel[0], to the cells of the block
 * that their windows reach: m->rows (count, columns), the quads of which are in m->reached. What lies outside of a
 * query cell's own window is at INT32_MAX from it. Returns the columns. */
size_t reach_windows(const screen_run *s, const worker_memory *m, size_t first, size_t count,
                     const int32_t query_norms[4]);

#endif
