/* The screened search: the fast way, for galleries with positions and levels with instructions of their own. */
#ifndef PANDA_SCREEN_H
#define PANDA_SCREEN_H

#include "search/cell_search.h"

/* Whether the screened search can serve this run; then it has done so, or is out of memory. */
bool screen_search(const pyramid_run *run, panda_status *status);

#endif
