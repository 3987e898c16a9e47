/* The reference of the flat screen. */
#include <stdbool.h>
#include <string.h>

#include "simd/columns.h"

size_t screen_columns_scalar(const int16_t *query, int32_t own, const int16_t *slab, size_t pairs, bool first,
                             uint32_t *groups, int32_t *sums, size_t count, int32_t limit)
{
    size_t kept = 0;
    for (size_t k = 0; k < count; k++) {
        const int16_t *column = slab + groups[k] * (1 + pairs) * COLUMN_LINE;
        int32_t lengths[LANES];
        memcpy(lengths, column, sizeof lengths);
        bool any = false;
        groups[kept] = groups[k];
        for (size_t row = 0; row < LANES; row++) {
            int64_t sum = (first ? 0 : (int64_t)sums[k * LANES + row]) + own + lengths[row];
            for (size_t p = 0; p < pairs; p++)
                for (size_t c = 0; c < 2; c++)
                    sum += (int32_t)query[2 * p + c] * column[(1 + p) * COLUMN_LINE + 2 * row + c];
            sums[kept * LANES + row] = (int32_t)sum;
            any |= sum <= limit;
        }
        kept += any;
    }
    return kept;
}

void box_distances_scalar(const int16_t *query, const int16_t *boxes, size_t blocks, size_t pairs, int32_t *out)
{
    for (size_t block = 0; block < blocks; block++, boxes += pairs * 2 * COLUMN_LINE)
        for (size_t b = 0; b < LANES; b++) {
            int32_t sum = 0;
            for (size_t p = 0; p < pairs; p++)
                for (size_t c = 0; c < 2; c++) {
                    int32_t below = boxes[p * 2 * COLUMN_LINE + 2 * b + c] - query[2 * p + c];
                    int32_t above = query[2 * p + c] - boxes[(p * 2 + 1) * COLUMN_LINE + 2 * b + c];
                    int32_t outside = below > above ? below : above;
                    sum += outside > 0 ? outside * outside : 0;
                }
            out[block * LANES + b] = sum;
        }
}
