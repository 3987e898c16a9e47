/* What is taken off distances: a share of what the match itself is from other normal images (FORMAT.md). */
#ifndef PANDA_OWN_H
#define PANDA_OWN_H

#include <math.h>

#include "base/half.h"
#include "library/npy.h"

/* The L2 distance of a squared one, less the share of `own`, halves, at the match's place; not below 0. */
static inline float less_own(float squared, int64_t match, const npy_array *own, double share)
{
    const float distance = sqrtf(squared);
    if (own->data == NULL)
        return distance;
    const uint16_t *const halves = own->data;
    const float left = distance - (float)share * half_to_float(halves[match < 0 ? 0 : match]);
    return left < 0 ? 0 : left;
}

#endif
