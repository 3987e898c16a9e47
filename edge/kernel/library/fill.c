#include "library/fill.h"

#include <math.h>
#include <stdlib.h>

enum { SIDE_BY_SIDE = 16 };      /* columns that are gone through at once */
static const float MOST = 1.25F; /* times itself, that a value is raised to */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static float highest(float a, float b) { return a > b ? a : b; }
static float lowest(float a, float b) { return a < b ? a : b; }

bool filling_begin(const panda_manifest *m, panda_filling *f)
{
    *f = (panda_filling){m->shape.height, m->shape.width, m->fill_pixels / 2, (float)m->fill_above, NULL, NULL};
    if (m->fill_pixels == 0)
        return true;
    const size_t longest = f->height > f->width ? f->height : f->width;
    f->closed = malloc(f->height * f->width * sizeof *f->closed);
    f->lines = malloc(3 * longest * SIDE_BY_SIDE * sizeof *f->lines); /* a square that reaches further is cut off */
    return f->closed != NULL && f->lines != NULL;
}

void filling_end(panda_filling *f)
{
    free(f->closed);
    free(f->lines);
    f->closed = f->lines = NULL;
}

/* Each of all but the last side - 1 of `count` entries of `lanes` numbers becomes the highest of itself and those after
 * it, `side` in all: by runs of twice the length each, then by two that overlap. */
static void highest_of_runs(float *lines, size_t count, size_t lanes, size_t side)
{
    size_t width = 1;
    for (; 2 * width <= side; width *= 2)
        for (size_t i = 0; i < (count - width) * lanes; i++)
            lines[i] = highest(lines[i], lines[i + width * lanes]);
    for (size_t i = 0; i < (count - side + 1) * lanes; i++)
        lines[i] = highest(lines[i], lines[i + (side - width) * lanes]);
}

/* Each of `count` entries of `lanes` numbers, `step` apart, becomes the extreme of those at most `half` away: the
 * highest by sign 1, the lowest by sign -1. */
static void extreme(const panda_filling *f, float *values, size_t count, size_t step, size_t lanes, float sign)
{
    const size_t half = least(f->half, count - 1);
    float *const own = f->lines + half * lanes;
    for (size_t i = 0; i < half * lanes; i++) /* past the ends nothing counts */
        f->lines[i] = own[count * lanes + i] = -INFINITY;
    for (size_t i = 0; i < count; i++)
        for (size_t lane = 0; lane < lanes; lane++)
            own[i * lanes + lane] = sign * values[i * step + lane];
    highest_of_runs(f->lines, count + 2 * half, lanes, 2 * half + 1);
    for (size_t i = 0; i < count; i++)
        for (size_t lane = 0; lane < lanes; lane++)
            values[i * step + lane] = sign * f->lines[i * lanes + lane];
}

static void extreme_in_squares(const panda_filling *f, float sign)
{
    for (size_t x = 0; x < f->width; x += SIDE_BY_SIDE)
        extreme(f, f->closed + x, f->height, f->width, least(SIDE_BY_SIDE, f->width - x), sign);
    for (size_t y = 0; y < f->height; y++)
        extreme(f, f->closed + y * f->width, f->width, 1, 1, sign);
}

void fill(const panda_filling *f, float *heatmap)
{
    if (f->closed == NULL)
        return;
    const size_t values = f->height * f->width;
    bool any = false;
    for (size_t i = 0; i < values; i++) {
        f->closed[i] = highest(heatmap[i] - f->above, 0);
        any |= f->closed[i] > 0;
    }
    if (!any)
        return;
    extreme_in_squares(f, 1);
    extreme_in_squares(f, -1);
    for (size_t i = 0; i < values; i++) {
        const float excess = highest(heatmap[i] - f->above, 0);
        const float between = lowest(heatmap[i], f->above) + highest(f->closed[i], excess);
        heatmap[i] = lowest(between, MOST * heatmap[i]);
    }
}
