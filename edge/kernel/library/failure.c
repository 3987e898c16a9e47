#include "library/failure.h"

#include <stdarg.h>
#include <stdio.h>

bool panda_edge_fail(panda_edge_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->line, sizeof error->line, format, arguments);
    va_end(arguments);
    for (char *c = error->line; *c; c++) /* a name in a manifest may hold anything */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return false;
}
