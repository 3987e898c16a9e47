/* Opening what should be a plain file, whatever stands there: a pipe or a device is refused, and never waited for. */
#ifndef PANDA_REGULAR_H
#define PANDA_REGULAR_H

#include <stddef.h>

#include "library/failure.h"

/* A descriptor for reading, and the file's length; -1, and a line that says why, where there is no plain file. path:
 * UTF-8 on Windows, elsewhere the bytes that the system is given. */
int open_regular(const char *path, size_t *length, panda_edge_error *error);
void close_regular(int file);

/* Reads up to `most` bytes, less only at the end of the file; false where it cannot be read. */
bool read_regular(int file, char *bytes, size_t most, size_t *got);

/* The file's first `length` bytes, more than 0, read-only in memory until they are unmapped; NULL, and errno, where
 * the system cannot. */
void *map_regular(int file, size_t length);
void unmap_regular(void *map, size_t length);

#endif
