#include "library/widen.h"

#include <stdlib.h>
#include <string.h>

/* Numbers of a level's raster: rows, cells a row, channels. */
typedef struct {
    size_t height, width, channels;
} raster;

static raster raster_of(const panda_widening *w, int l)
{
    return (raster){w->grid_h << l, w->grid_w << l, w->channels[l]};
}

bool widening_begin(const panda_manifest *m, panda_widening *w)
{
    *w = (panda_widening){.level_count = m->shape.level_count, .grid_h = m->grid_h, .grid_w = m->grid_w};
    size_t most = 0;
    for (int l = 0; l < w->level_count; l++) {
        const int kept = l < PANDA_WIDE_LEVELS ? l : PANDA_WIDE_LEVELS - 1;
        const panda_edge_level level = m->shape.levels[l];
        w->channels[l] = level.channels;
        if (l == kept)
            w->kept_cells[kept] = level.cells;
        w->kept_channels[kept] += level.channels;
        w->kept = kept + 1;
        size_t numbers; /* the caller has such a level, but not in floats */
        if (__builtin_mul_overflow(level.cells, level.channels * sizeof(float), &numbers))
            return false;
        most = numbers > most ? numbers : most;
    }
    w->raster = malloc(most);
    w->sums = malloc(most);
    return w->raster != NULL && w->sums != NULL;
}

void widening_end(panda_widening *w)
{
    free(w->raster);
    free(w->sums);
    w->raster = w->sums = NULL;
}

/* Where a cell of level l lies in nested order: its coarsest cell, then two bits a level. */
static size_t nested_cell(const panda_widening *w, int l, size_t y, size_t x)
{
    size_t cell = (y >> l) * w->grid_w + (x >> l);
    for (int depth = l - 1; depth >= 0; depth--)
        cell = 4 * cell + 2 * (y >> depth & 1) + (x >> depth & 1);
    return cell;
}

/* out = (before + here) + after, of n numbers each; NULL: zeros beyond the border. */
static void add_three(const float *before, const float *here, const float *after, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = before ? before[i] + here[i] : here[i];
    for (size_t i = 0; after != NULL && i < n; i++)
        out[i] += after[i];
}

/* w->raster's means over 3 x 3 cells, in its place. */
static void average(const panda_widening *w, raster r)
{
    const size_t line = r.width * r.channels;
    for (size_t y = 0; y < r.height; y++) {
        const float *here = w->raster + y * line;
        add_three(y > 0 ? here - line : NULL, here, y + 1 < r.height ? here + line : NULL, line, w->sums + y * line);
    }
    for (size_t y = 0; y < r.height; y++)
        for (size_t x = 0; x < r.width; x++) {
            const float *here = w->sums + y * line + x * r.channels;
            float *out = w->raster + y * line + x * r.channels;
            add_three(x > 0 ? here - r.channels : NULL, here, x + 1 < r.width ? here + r.channels : NULL, r.channels,
                      out);
            for (size_t c = 0; c < r.channels; c++)
                out[c] /= 9;
        }
}

/* w->raster's means over 2 x 2 cells, in its place: what is written is never read again. */
static raster halve(const panda_widening *w, raster r)
{
    const size_t line = r.width * r.channels;
    float *out = w->raster;
    for (size_t y = 0; y < r.height; y += 2)
        for (size_t x = 0; x < r.width; x += 2) {
            const float *upper = w->raster + y * line + x * r.channels, *lower = upper + line;
            for (size_t c = 0; c < r.channels; c++)
                out[c] = ((upper[c] + lower[c]) + (upper[r.channels + c] + lower[r.channels + c])) / 4;
            out += r.channels;
        }
    return (raster){r.height / 2, r.width / 2, r.channels};
}

void widen(const panda_widening *w, const float *const *levels, float *const *out)
{
    size_t at = 0; /* channel of the present level in the last kept one */
    for (int l = 0; l < w->level_count; l++) {
        raster r = raster_of(w, l);
        const size_t bytes = r.channels * sizeof(float);
        for (size_t y = 0; y < r.height; y++)
            for (size_t x = 0; x < r.width; x++)
                memcpy(w->raster + (y * r.width + x) * r.channels, levels[l] + nested_cell(w, l, y, x) * r.channels,
                       bytes);
        average(w, r);
        const int kept = l < w->kept ? l : w->kept - 1;
        for (int finer = kept; finer < l; finer++)
            r = halve(w, r);
        for (size_t y = 0; y < r.height; y++)
            for (size_t x = 0; x < r.width; x++)
                memcpy(out[kept] + nested_cell(w, kept, y, x) * w->kept_channels[kept] + at,
                       w->raster + (y * r.width + x) * r.channels, bytes);
        at = kept == w->kept - 1 ? at + r.channels : 0;
    }
}
