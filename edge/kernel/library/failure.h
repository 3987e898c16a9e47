/* One line that says what was got, what was expected, what to do. */
#ifndef PANDA_FAILURE_H
#define PANDA_FAILURE_H

#include "panda_edge.h"

/* Writes the line, of which what does not fit is cut, and is false. */
bool panda_edge_fail(panda_edge_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
