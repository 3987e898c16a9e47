/* Border gain: distances near the frame's border are divided by how much larger they are there in normal images. */
#ifndef PANDA_BORDER_GAIN_H
#define PANDA_BORDER_GAIN_H

#include "library/step.h"

enum { PANDA_MAX_GAINS = 64 };

typedef struct {
    float gains[PANDA_MAX_GAINS]; /* of cells 0, 1, ... from the border */
    size_t count;
} panda_border_gain;

bool border_gain_read(const panda_source *source, const panda_manifest *m, int object, void *state,
                      panda_edge_error *error);
panda_status border_gain_apply(void *state, const panda_manifest *m, const panda_searched *frame, float *distances);

#endif
