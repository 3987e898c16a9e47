/* A wider look at frames: what its distances add to those of the finest cells (FORMAT.md). */
#ifndef PANDA_WIDE_H
#define PANDA_WIDE_H

#include "library/npy.h"

typedef struct {
    int kept;                            /* levels of the wider look */
    float *query[PANDA_WIDE_LEVELS];     /* a frame's */
    npy_array stored[PANDA_WIDE_LEVELS]; /* halves, all images' */
    npy_array own;                       /* distances of what is stored to other normal images */
    panda_pyramid *pyramid;              /* of `stored`; NULL: the bundle asks for no wider look */
    float *cells;                        /* of the finer kept level */
    int64_t *positions;
    uint8_t *high; /* (grid_h, grid_w): coarsest cells where it is taken */
} panda_wide;

/* Maps what is searched; nothing where the manifest asks for no wider look. wide_close frees what was taken, whatever
 * the answer. */
bool wide_open(const panda_source *source, const panda_manifest *m, panda_wide *wide, panda_edge_error *error);
void wide_close(panda_wide *wide);
/* Adds to the distances of the finest cells, row by row, what the wider look finds beyond the usual where one is high.
 */
panda_status wide_add(panda_wide *wide, const panda_manifest *m, const float *const *levels, panda_scope scope,
                      int threads, float *distances);

#endif
