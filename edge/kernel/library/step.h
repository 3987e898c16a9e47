/* What a step of the heat map is: a row of the table in steps.c. */
#ifndef PANDA_STEP_H
#define PANDA_STEP_H

#include "library/npy.h"

/* A frame that was searched. levels: its features; scope: the normal images that it is compared with; matches: of each
 * finest cell, row by row, the place of the nearest one there. */
typedef struct {
    const float *const *levels;
    panda_scope scope;
    const int64_t *matches;
    int threads;
} panda_searched;

typedef struct {
    const char *name; /* in the manifest */
    size_t size;      /* bytes of its state, which is all zeros at first */
    /* Reads its parameters from the manifest's object, checks them, and maps its files. */
    bool (*read)(const panda_source *source, const panda_manifest *m, int object, void *state, panda_edge_error *error);
    /* Changes the L2 distances of the finest cells, row by row. */
    panda_status (*apply)(void *state, const panda_manifest *m, const panda_searched *frame, float *distances);
    /* Frees what the state holds, whatever `read` answered; NULL: nothing. */
    void (*close)(void *state);
} panda_step;

#endif
