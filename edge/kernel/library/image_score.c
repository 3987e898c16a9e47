#include "library/image_score.h"

#include <math.h>

static const double LEAST = 1e-6; /* that a distance is divided by */

/* Moves the `count` highest of n values to the end (Hoare's selection). */
static void highest_last(float *values, size_t n, size_t count)
{
    size_t first = 0, last = n - 1, wanted = n - count;
    while (first < last) {
        const float pivot = values[first + (last - first) / 2];
        size_t i = first, j = last;
        for (;;) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i >= j)
                break;
            const float lower = values[j];
            values[j--] = values[i];
            values[i++] = lower;
        }
        if (wanted <= j)
            last = j;
        else
            first = j + 1;
    }
}

float image_maximum(const float *map, size_t n)
{
    float highest = map[0];
    for (size_t i = 1; i < n; i++)
        highest = map[i] > highest ? map[i] : highest;
    return highest;
}

float image_top1(float *map, size_t n)
{
    const double share = rint(0.01 * (double)n);
    const size_t count = share < 1 ? 1 : (size_t)share;
    highest_last(map, n, count);
    double sum = 0;
    for (size_t i = n - count; i < n; i++)
        sum += (double)map[i];
    return (float)(sum / (double)count);
}

float image_local(const float *sharp, size_t height, size_t width, const float *normal)
{
    enum { CELLS = IMAGE_GRID * IMAGE_GRID };
    double mean = 0;
    for (size_t i = 0; i < CELLS; i++)
        mean += (double)normal[i] / CELLS;
    float score = 0;
    for (size_t cell = 0; cell < CELLS; cell++) {
        const size_t row = cell / IMAGE_GRID, column = cell % IMAGE_GRID;
        const size_t top = row * height / IMAGE_GRID, left = column * width / IMAGE_GRID;
        size_t bottom = (row + 1) * height / IMAGE_GRID, right = (column + 1) * width / IMAGE_GRID;
        bottom = bottom > top ? bottom : top + 1; /* of a map with fewer values than cells */
        right = right > left ? right : left + 1;
        float largest = 0;
        for (size_t y = top; y < bottom; y++) {
            const float found = image_maximum(sharp + y * width + left, right - left);
            largest = found > largest ? found : largest;
        }
        const double expected = (double)normal[cell] + mean;
        const float ratio = largest / (float)(expected > LEAST ? expected : LEAST);
        score = ratio > score ? ratio : score;
    }
    return score;
}
