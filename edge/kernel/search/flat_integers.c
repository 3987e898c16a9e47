/* Rounding a flat bank and its queries to the integers of the screen.
 *
 * Every row x of the bank lies in the box of all rows. A query q outside of it is moved to the nearest point q' of the
 * box, channel by channel, and |q - x|^2 >= |q - q'|^2 + |q' - x|^2, as in no channel does x lie on q's side of q'.
 * With a and b the integers of q' and x, s integers a unit, and e, f how far they are from s q' and s x (measured, not
 * the worst case), the triangle inequality gives s |q' - x| >= |a - b| - e - f. All of this holds over the first
 * channels alone, too. So a row whose integer distance exceeds (sqrt(s^2 (limit - |q - q'|^2)) + e + f)^2 cannot be
 * nearer than the limit.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/memory.h"
#include "search/flat_integers.h"

static double value_at(const panda_flat *f, size_t row, size_t c)
{
    return f->dtype == PANDA_F16 ? half_to_float(((const uint16_t *)f->rows)[row * f->d + c])
                                 : ((const float *)f->rows)[row * f->d + c];
}

static bool row_is_finite(const panda_flat *f, size_t row)
{
    double sum = 0;
    for (size_t c = 0; c < f->screened; c++)
        sum += 0 * value_at(f, row, c);
    return sum == 0;
}

/* The box of all finite rows, and the scale that takes it to HALF in length from its middle. */
static void measure_box(panda_flat *f)
{
    for (size_t c = 0; c < f->screened; c++) {
        f->low[c] = INFINITY;
        f->high[c] = -INFINITY;
    }
    for (size_t row = 0; row < f->n; row++)
        for (size_t c = 0; c < f->screened && (c > 0 || row_is_finite(f, row)); c++) {
            double value = value_at(f, row, c);
            f->low[c] = value < f->low[c] ? value : f->low[c];
            f->high[c] = value > f->high[c] ? value : f->high[c];
        }
    double squared = 0;
    for (size_t c = 0; c < f->screened; c++) {
        if (f->low[c] > f->high[c]) /* no row is finite */
            f->low[c] = f->high[c] = 0;
        f->middle[c] = f->low[c] / 2 + f->high[c] / 2;
        squared += (f->high[c] - f->middle[c]) * (f->high[c] - f->middle[c]);
    }
    f->scale = squared > 0 ? HALF / sqrt(squared) : 1;
}

static void fill_group(panda_flat *f, size_t group)
{
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t row = group * LANES + lane, c = 0;
        bool present = row < f->n && row_is_finite(f, row);
        double off = 0;
        for (int s = 0; s < f->stages; s++) {
            int16_t *column = f->slab[s] + group * (1 + f->pairs[s]) * COLUMN_LINE;
            int32_t length = 0;
            for (size_t i = 0; i < 2 * f->pairs[s]; i++, c++) {
                double value = present && c < f->screened ? (value_at(f, row, c) - f->middle[c]) * f->scale : 0;
                int32_t rounded = (int32_t)lrint(value);
                off += (value - rounded) * (value - rounded);
                length += rounded * rounded;
                column[(1 + i / 2) * COLUMN_LINE + 2 * lane + i % 2] = (int16_t)rounded;
            }
            if (!present)
                length = s == 0 ? NOWHERE : 0;
            memcpy(column + 2 * lane, &length, sizeof length);
        }
        f->error = sqrt(off) > f->error ? sqrt(off) : f->error;
    }
}

/* What the box of a leaf spans in channel c of the first stage; of rows that are not there, nothing. */
static void bound_channel(const panda_flat *f, size_t leaf, size_t c, int16_t *lowest, int16_t *highest)
{
    *lowest = INT16_MAX;
    *highest = INT16_MIN;
    for (size_t row = leaf * LEAF_ROWS; row < (leaf + 1) * LEAF_ROWS && row < f->n; row++) {
        const int16_t *column = f->slab[0] + row / LANES * (1 + f->pairs[0]) * COLUMN_LINE;
        int16_t value = column[(1 + c / 2) * COLUMN_LINE + 2 * (row % LANES) + c % 2];
        *lowest = value < *lowest ? value : *lowest;
        *highest = value > *highest ? value : *highest;
    }
    if (leaf >= f->leaves) /* fills up a block */
        *lowest = *highest = 0;
}

static void fill_boxes(panda_flat *f)
{
    for (size_t leaf = 0; leaf < f->blocks * LANES; leaf++)
        for (size_t c = 0; c < 2 * BOX_PAIRS; c++) {
            int16_t *lines = f->boxes + (leaf / LANES * BOX_PAIRS + c / 2) * 2 * COLUMN_LINE;
            size_t at = leaf % LANES * 2 + c % 2;
            bound_channel(f, leaf, c, &lines[at], &lines[COLUMN_LINE + at]);
        }
}

bool flat_make_integers(panda_flat *f)
{
    f->screened = f->d < SCREENED_MOST ? f->d : SCREENED_MOST;
    f->groups = (f->n + LANES - 1) / LANES;
    f->leaves = (f->n + LEAF_ROWS - 1) / LEAF_ROWS;
    f->blocks = (f->leaves + LANES - 1) / LANES;
    for (size_t from = 0; from < f->screened && f->stages < STAGES; f->stages++) {
        size_t most = f->stages < 2 ? 8 : 16, left = f->screened - from;
        f->pairs[f->stages] = f->stages == 0 ? BOX_PAIRS : (left < most ? left + 1 : most) / 2;
        from += most;
        size_t bytes = f->groups * (1 + f->pairs[f->stages]) * COLUMN_LINE * sizeof(int16_t);
        if ((f->slab[f->stages] = panda_allocate_lines(bytes)) == NULL)
            return false;
    }
    f->boxes = panda_allocate_lines(f->blocks * BOX_PAIRS * 2 * COLUMN_LINE * sizeof *f->boxes);
    if (f->boxes == NULL)
        return false;
    measure_box(f);
    for (size_t group = 0; group < f->groups; group++)
        fill_group(f, group);
    fill_boxes(f);
    return true;
}

bool flat_quantise(const panda_flat *f, const float *row, flat_query *query)
{
    memset(query, 0, sizeof *query);
    double sum = 0, off = 0;
    for (size_t c = 0; c < f->d; c++)
        sum += 0 * (double)row[c];
    if (sum != 0 || isnan(sum))
        return false;
    size_t c = 0;
    for (int s = 0; s < f->stages; s++)
        for (size_t i = 0; i < 2 * f->pairs[s] && c < f->screened; i++, c++) {
            double inside = row[c] < f->low[c] ? f->low[c] : row[c] > f->high[c] ? f->high[c] : row[c];
            double value = (inside - f->middle[c]) * f->scale;
            int32_t rounded = (int32_t)lrint(value);
            query->moved += (row[c] - inside) * (row[c] - inside);
            off += (value - rounded) * (value - rounded);
            query->own[s] += rounded * rounded;
            query->pairs[c] = (int16_t)(-2 * rounded);
            if (c < 2 * BOX_PAIRS)
                query->box_pairs[c] = (int16_t)rounded;
        }
    query->error = sqrt(off);
    return true;
}

int32_t flat_limit(const panda_flat *f, const flat_query *query, float limit)
{
    /* The limit is a distance summed in float32, and so is what it is compared with: hence the first factor. */
    double inside = ((double)limit * (1 + 1e-4) - query->moved * (1 - 1e-9)) * f->scale * f->scale;
    double root = (inside > 0 ? sqrt(inside) : 0) + query->error + f->error;
    double squared = root * root * (1 + 1e-9) + 1;
    return squared < MOST_DISTANCE ? (int32_t)squared : MOST_DISTANCE;
}
