/* Leave-one-out: a share of what the match itself is from other normal images is subtracted (FORMAT.md). */
#ifndef PANDA_LEAVE_ONE_OUT_H
#define PANDA_LEAVE_ONE_OUT_H

#include "library/step.h"

typedef struct {
    npy_array values; /* halves, (images, h, w): L2 distances of what is stored to other normal images */
    double share;
} panda_leave_one_out;

bool leave_one_out_read(const panda_source *source, const panda_manifest *m, int object, void *state,
                        panda_edge_error *error);
panda_status leave_one_out_apply(void *state, const panda_manifest *m, const panda_searched *frame, float *distances);
void leave_one_out_close(void *state);

/* Reads the share, and maps a file of such distances of grid_h << depth rows. */
bool leave_one_out_map(const panda_source *source, const panda_manifest *m, int object, const char *name, int depth,
                       panda_leave_one_out *own, panda_edge_error *error);
/* An L2 distance less the share of the match's own; not below 0. */
float leave_one_out_less(const panda_leave_one_out *own, float distance, int64_t match);
/* The least that is subtracted from any distance to these images, of so many cells each. */
double leave_one_out_least(const panda_leave_one_out *own, const panda_scope *scope, size_t cells);

#endif
