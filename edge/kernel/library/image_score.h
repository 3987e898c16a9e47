/* Image scores of a heat map (FORMAT.md, "Image decision"). Maps are finite, row by row. */
#ifndef PANDA_IMAGE_SCORE_H
#define PANDA_IMAGE_SCORE_H

#include <stddef.h>

enum { IMAGE_GRID = 28 }; /* cells a side of normal_map.npy */

/* The largest of n values. */
float image_maximum(const float *map, size_t n);
/* The mean of the highest hundredth of n values; changes their order. */
float image_top1(float *map, size_t n);
/* The largest ratio of a cell's largest value to what normal pictures have there. normal: (IMAGE_GRID, IMAGE_GRID). */
float image_local(const float *sharp, size_t height, size_t width, const float *normal);

#endif
