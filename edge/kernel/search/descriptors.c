/* A Gaussian bank's descriptors: the levels joined on one grid, and averaged with their neighbours. */
#include <string.h>

#include "base/memory.h"
#include "panda_kernel.h"

typedef struct {
    const float *const *levels;
    const size_t *channels;
    int level_count, target; /* the grid is level `target`'s */
    size_t grid_w, joint;    /* grid_w: of the coarsest level; joint: channels of all */
} joining;

/* Where a cell of the target's grid lies in nested order: its coarsest cell, then two bits a level. */
static size_t nested_cell(const joining *j, size_t y, size_t x)
{
    size_t cell = (y >> j->target) * j->grid_w + (x >> j->target);
    for (int depth = j->target - 1; depth >= 0; depth--)
        cell = 4 * cell + 2 * (y >> depth & 1) + (x >> depth & 1);
    return cell;
}

/* One descriptor: coarser levels as they are, of finer ones the mean of the cell's children. */
static void join(const joining *j, size_t cell, float *out)
{
    for (int l = 0; l < j->level_count; l++) {
        size_t channels = j->channels[l];
        if (l <= j->target) {
            memcpy(out, j->levels[l] + (cell >> 2 * (j->target - l)) * channels, channels * sizeof *out);
        } else {
            size_t children = (size_t)1 << 2 * (l - j->target);
            const float *rows = j->levels[l] + cell * children * channels;
            for (size_t c = 0; c < channels; c++) {
                float sum = 0;
                for (size_t child = 0; child < children; child++)
                    sum += rows[child * channels + c];
                out[c] = sum / (float)children;
            }
        }
        out += channels;
    }
}

/* Means of `side` entries, as far as they are there, along an axis of n entries of `width` numbers, `step` apart. */
static void average_axis(const float *in, size_t n, size_t step, size_t width, size_t side, float *out)
{
    size_t reach = side / 2;
    for (size_t i = 0; i < n; i++) {
        size_t from = i > reach ? i - reach : 0, to = i + reach + 1 < n ? i + reach + 1 : n;
        float *sums = out + i * step;
        memcpy(sums, in + from * step, width * sizeof *sums);
        for (size_t k = from + 1; k < to; k++)
            for (size_t c = 0; c < width; c++)
                sums[c] += in[k * step + c];
        for (size_t c = 0; c < width; c++)
            sums[c] /= (float)(to - from);
    }
}

panda_status panda_joint_descriptors(const float *const *levels, const size_t *channels, int level_count, size_t grid_h,
                                     size_t grid_w, size_t average, float *out)
{
    joining j = {levels, channels, level_count, level_count > 1 ? level_count - 2 : 0, grid_w, 0};
    for (int l = 0; l < level_count; l++)
        j.joint += channels[l];
    size_t height = grid_h << j.target, width = grid_w << j.target, line = width * j.joint;
    float *between = average > 1 ? panda_scratch(height * line * sizeof *between) : out;
    if (between == NULL)
        return PANDA_NO_MEMORY;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            join(&j, nested_cell(&j, y, x), out + y * line + x * j.joint);
    if (average > 1) {
        average_axis(out, height, line, line, average, between);
        for (size_t y = 0; y < height; y++)
            average_axis(between + y * line, width, j.joint, j.joint, average, out + y * line);
    }
    return PANDA_OK;
}
