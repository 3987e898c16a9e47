/* The steps from searched distances to a heat map, in the manifest's order (FORMAT.md). */
#ifndef PANDA_STEPS_H
#define PANDA_STEPS_H

#include "library/step.h"

enum { PANDA_MAX_STEPS = 16 };

typedef struct {
    const panda_step *kinds[PANDA_MAX_STEPS];
    void *states[PANDA_MAX_STEPS];
    int count;
} panda_steps;

/* steps_close frees what was taken, whatever the answer. */
bool steps_open(const panda_source *source, const panda_manifest *m, panda_steps *steps, panda_edge_error *error);
panda_status steps_apply(const panda_steps *steps, const panda_manifest *m, const panda_searched *frame,
                         float *distances);
void steps_close(panda_steps *steps);

#endif
