/* A frame's levels at a wider look: averages over neighbouring cells (FORMAT.md). */
#ifndef PANDA_WIDEN_H
#define PANDA_WIDEN_H

#include "library/manifest.h"

enum { PANDA_WIDE_LEVELS = 2 };

typedef struct {
    int level_count, kept; /* levels before and after */
    size_t grid_h, grid_w; /* of the coarsest level */
    size_t channels[PANDA_MAX_LEVELS];
    size_t kept_cells[PANDA_WIDE_LEVELS], kept_channels[PANDA_WIDE_LEVELS];
    float *raster, *sums; /* room for any one level */
} panda_widening;

/* False where memory is short; widening_end frees what was taken, in either case. */
bool widening_begin(const panda_manifest *m, panda_widening *w);
void widening_end(panda_widening *w);
/* levels[l]: (cells, channels); out[l]: (kept_cells, kept_channels), both in nested order, coarse first. */
void widen(const panda_widening *w, const float *const *levels, float *const *out);

#endif
