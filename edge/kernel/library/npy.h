/* A bundle's arrays, mapped. */
#ifndef PANDA_NPY_H
#define PANDA_NPY_H

#include "library/manifest.h"

typedef struct {
    void *map;
    size_t length;
    const void *data; /* the first number, as aligned as the file has it: numpy aligns to 64 bytes */
} npy_array;

/* Maps a file of the bundle, which must have the manifest's length and SHA-256, and just this dtype ("<f4", "<f2",
 * "<f8",
 * "|u1") and shape, in C order. It is read once, for its hash. */
bool npy_map(const panda_source *source, const char *name, const char *dtype, const size_t *shape, int dimensions,
             npy_array *array, panda_edge_error *error);
void npy_unmap(npy_array *array);

#endif
