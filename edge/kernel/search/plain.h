/* The plain search, which is also the scalar reference: any gallery, any level, any numbers. */
#ifndef PANDA_PLAIN_H
#define PANDA_PLAIN_H

#include "search/cell_search.h"

panda_status plain_search(const pyramid_run *run);

#endif
