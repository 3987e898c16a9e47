/* A bundle's arrays, mapped. */
#ifndef PANDA_NPY_H
#define PANDA_NPY_H

#include "library/failure.h"

typedef struct {
    void *map;
    size_t length;
    const void *data; /* the first number, as aligned as the file has it: numpy aligns to 64 bytes */
} npy_array;

/* Maps FOLDER/NAME, which must be of just this dtype ("<f4", "<f2", "<f8", "|u1"), shape and length, in C order. */
bool npy_map(const char *folder, const char *name, const char *dtype, const size_t *shape, int dimensions,
             npy_array *array, panda_edge_error *error);
void npy_unmap(npy_array *array);

#endif
