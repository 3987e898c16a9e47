/* Opening what should be a plain file, whatever stands there: a pipe or a device is refused, and never waited for. */
#ifndef PANDA_REGULAR_H
#define PANDA_REGULAR_H

#include <stddef.h>

#include "library/failure.h"

/* A descriptor for reading, and the file's length; -1, and a line that says why, where there is no plain file. */
int open_regular(const char *path, size_t *length, panda_edge_error *error);

#endif
