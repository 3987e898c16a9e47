/* Context: 3 x 3 averages of a frame, compared with those of normal images (FORMAT.md). */
#ifndef PANDA_CONTEXT_H
#define PANDA_CONTEXT_H

#include "library/leave_one_out.h"

typedef struct {
    double factor, floor, above;
    panda_leave_one_out own;                /* of the averages */
    int kept;                               /* levels of the averages */
    float *query[PANDA_AVERAGE_LEVELS];     /* a frame's */
    npy_array stored[PANDA_AVERAGE_LEVELS]; /* halves, all images' */
    panda_pyramid *pyramid;                 /* of `stored` */
    float *cells;                           /* of the finer kept level */
    int64_t *positions;
    uint8_t *high; /* (grid_h, grid_w): coarsest cells where it is asked */
} panda_context;

bool context_read(const panda_source *source, const panda_manifest *m, int object, void *state,
                  panda_edge_error *error);
/* Adds what the averages find beyond normal images below coarsest cells where a distance is high. */
panda_status context_apply(void *state, const panda_manifest *m, const panda_searched *frame, float *distances);
void context_close(void *state);

#endif
