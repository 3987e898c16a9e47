/* Filling heat maps: what lies between high places is raised to them (FORMAT.md). */
#ifndef PANDA_FILL_H
#define PANDA_FILL_H

#include "library/manifest.h"

typedef struct {
    size_t height, width, half; /* of the map; reach of the closing's square to each side */
    float above;
    float *closed, *lines; /* a map, and some lines of it with what is around them */
} panda_filling;

/* Takes the memory for maps of the manifest's input, none where nothing is to be filled. False where it is short;
 * filling_end frees what was taken. */
bool filling_begin(const panda_manifest *m, panda_filling *f);
void filling_end(panda_filling *f);
/* heatmap: (height, width), finite; changed in its place. */
void fill(const panda_filling *f, float *heatmap);

#endif
