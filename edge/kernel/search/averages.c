/* Averages for context: every level of a frame averaged over neighbouring cells (FORMAT.md). */
#include <stdatomic.h>
#include <string.h>

#include "base/half.h"
#include "base/memory.h"
#include "base/pool.h"
#include "panda_kernel.h"

typedef struct {
    int level_count, kept; /* levels before and after */
    size_t grid_h, grid_w; /* of the coarsest level */
    size_t channels[PANDA_MAX_LEVELS], kept_channels[PANDA_AVERAGE_LEVELS];
    size_t most; /* numbers of the largest level */
} averaging;

/* A level's cells row by row. */
typedef struct {
    size_t height, width, channels;
    float *cells;
} raster;

static size_t cells_of(const averaging *w, int l) { return w->grid_h * w->grid_w << 2 * l; }

static averaging averaging_of(const size_t *channels, int level_count, size_t grid_h, size_t grid_w)
{
    averaging w = {.level_count = level_count, .grid_h = grid_h, .grid_w = grid_w};
    for (int l = 0; l < level_count; l++) {
        const int kept = l < PANDA_AVERAGE_LEVELS ? l : PANDA_AVERAGE_LEVELS - 1;
        const size_t numbers = cells_of(&w, l) * channels[l];
        w.channels[l] = channels[l];
        w.kept_channels[kept] += channels[l];
        w.kept = kept + 1;
        w.most = numbers > w.most ? numbers : w.most;
    }
    return w;
}

/* Where a cell of level l lies in nested order: its coarsest cell, then two bits a level. */
static size_t nested_cell(const averaging *w, int l, size_t y, size_t x)
{
    size_t cell = (y >> l) * w->grid_w + (x >> l);
    for (int depth = l - 1; depth >= 0; depth--)
        cell = 4 * cell + 2 * (y >> depth & 1) + (x >> depth & 1);
    return cell;
}

/* out = (before + here) + after, of n numbers each; NULL: zeros beyond the border. */
static void add_three(const float *before, const float *here, const float *after, size_t n, float *restrict out)
{
    if (before != NULL && after != NULL)
        for (size_t i = 0; i < n; i++)
            out[i] = (before[i] + here[i]) + after[i];
    else if (before != NULL || after != NULL)
        for (size_t i = 0; i < n; i++)
            out[i] = here[i] + (before != NULL ? before : after)[i];
    else
        memcpy(out, here, n * sizeof *out);
}

/* Means over 3 x 3 cells, in their place. sums: room for as many numbers. */
static void average(raster r, float *sums)
{
    const size_t line = r.width * r.channels, last = line - r.channels;
    for (size_t y = 0; y < r.height; y++) {
        const float *here = r.cells + y * line;
        add_three(y > 0 ? here - line : NULL, here, y + 1 < r.height ? here + line : NULL, line, sums + y * line);
    }
    for (size_t y = 0; y < r.height; y++) {
        const float *here = sums + y * line, *next = r.width > 1 ? here + r.channels : NULL;
        float *out = r.cells + y * line;
        add_three(NULL, here, next, r.channels, out);
        if (r.width > 2)
            add_three(here, next, next + r.channels, last - r.channels, out + r.channels);
        if (r.width > 1)
            add_three(here + last - r.channels, here + last, NULL, r.channels, out + last);
        for (size_t i = 0; i < line; i++)
            out[i] /= 9;
    }
}

/* Means over 2 x 2 cells, in their place: what is written is never read again. */
static raster halve(raster r)
{
    const size_t line = r.width * r.channels;
    float *out = r.cells;
    for (size_t y = 0; y < r.height; y += 2)
        for (size_t x = 0; x < r.width; x += 2) {
            const float *upper = r.cells + y * line + x * r.channels, *lower = upper + line;
            for (size_t c = 0; c < r.channels; c++)
                out[c] = ((upper[c] + lower[c]) + (upper[r.channels + c] + lower[r.channels + c])) / 4;
            out += r.channels;
        }
    return (raster){r.height / 2, r.width / 2, r.channels, r.cells};
}

/* One level of a frame, its cells in `r` already, into the kept level of `out`, from channel `at` on. */
static void average_level(const averaging *w, int l, raster r, float *sums, float *const *out, size_t at)
{
    const int kept = l < w->kept ? l : w->kept - 1;
    average(r, sums);
    for (int finer = kept; finer < l; finer++)
        r = halve(r);
    for (size_t y = 0; y < r.height; y++)
        for (size_t x = 0; x < r.width; x++)
            memcpy(out[kept] + nested_cell(w, kept, y, x) * w->kept_channels[kept] + at,
                   r.cells + (y * r.width + x) * r.channels, r.channels * sizeof(float));
}

/* A row of d numbers, in floats. */
static void read_row(panda_rows rows, size_t row, size_t d, float *out)
{
    if (rows.dtype == PANDA_U8) {
        const float *scales = rows.scales + 2 * row;
        const uint8_t *bytes = (const uint8_t *)rows.data + row * d;
        for (size_t c = 0; c < d; c++)
            out[c] = scales[0] + scales[1] * (float)bytes[c];
    } else if (rows.dtype == PANDA_F16) {
        const uint16_t *halves = (const uint16_t *)rows.data + row * d;
        for (size_t c = 0; c < d; c++)
            out[c] = half_to_float(halves[c]);
    } else {
        memcpy(out, (const float *)rows.data + row * d, d * sizeof *out);
    }
}

/* Frame `image` of rows of nested order, level by level. room: 2 * w->most numbers. */
static void average_frame(const averaging *w, const panda_rows *rows, size_t image, float *room, float *const *out)
{
    size_t at = 0; /* channel of the present level in the last kept one */
    for (int l = 0; l < w->level_count; l++) {
        raster r = {w->grid_h << l, w->grid_w << l, w->channels[l], room};
        const size_t first = image * cells_of(w, l);
        for (size_t y = 0; y < r.height; y++)
            for (size_t x = 0; x < r.width; x++)
                read_row(rows[l], first + nested_cell(w, l, y, x), r.channels,
                         r.cells + (y * r.width + x) * r.channels);
        average_level(w, l, r, room + w->most, out, at);
        at = l >= w->kept - 1 ? at + r.channels : 0;
    }
}

panda_status panda_averages(const float *const *levels, const size_t *channels, int level_count, size_t grid_h,
                            size_t grid_w, float *const *out)
{
    const averaging w = averaging_of(channels, level_count, grid_h, grid_w);
    panda_rows rows[PANDA_MAX_LEVELS];
    for (int l = 0; l < level_count; l++)
        rows[l] = (panda_rows){levels[l], NULL, PANDA_F32};
    float *room = panda_scratch(2 * w.most * sizeof *room);
    if (room == NULL)
        return PANDA_NO_MEMORY;
    average_frame(&w, rows, 0, room, out);
    return PANDA_OK;
}

typedef struct {
    averaging w;
    panda_rows rows[PANDA_MAX_LEVELS];
    uint16_t *const *out;
    atomic_bool failed;
} gallery_run;

static void average_one(void *context, size_t image, int worker)
{
    (void)worker;
    gallery_run *run = context;
    const averaging *w = &run->w;
    size_t numbers[PANDA_AVERAGE_LEVELS], all = 0;
    for (int k = 0; k < w->kept; k++)
        all += numbers[k] = cells_of(w, k) * w->kept_channels[k];
    float *room = panda_scratch((2 * w->most + all) * sizeof *room);
    if (room == NULL) {
        run->failed = true;
        return;
    }
    float *kept[PANDA_AVERAGE_LEVELS] = {room + 2 * w->most};
    for (int k = 1; k < w->kept; k++)
        kept[k] = kept[k - 1] + numbers[k - 1];
    average_frame(w, run->rows, image, room, kept);
    for (int k = 0; k < w->kept; k++)
        for (size_t i = 0; i < numbers[k]; i++)
            run->out[k][image * numbers[k] + i] = float_to_half(kept[k][i]);
}

panda_status panda_gallery_averages(const panda_level *levels, int level_count, size_t images, size_t grid_h,
                                    size_t grid_w, int threads, uint16_t *const *out)
{
    size_t channels[PANDA_MAX_LEVELS] = {0};
    for (int l = 0; l < level_count; l++)
        channels[l] = levels[l].channels;
    gallery_run run = {.w = averaging_of(channels, level_count, grid_h, grid_w), .out = out};
    for (int l = 0; l < level_count; l++)
        run.rows[l] = levels[l].rows;
    panda_parallel(threads, images, average_one, &run);
    return run.failed ? PANDA_NO_MEMORY : PANDA_OK;
}
