/* The 16-bit screen of a flat bank (search/flat.c): rows in groups of 16, side by side, so that a register holds one
 * pair of channels of all of them and no sum crosses lanes. */
#ifndef PANDA_COLUMNS_H
#define PANDA_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LANES = 16,             /* rows of a group */
    COLUMN_LINE = 2 * LANES /* int16 of one pair of channels of a group: 64 bytes */
};

/* One stage of the screen: `pairs` further pairs of channels of all groups. slab is (groups, 1 + pairs, 16, 2) int16: a
 * line of 16 int32, the squared length of each row in these channels, then the pairs. query is -2 times the query's
 * pairs, own its squared length in them. For each of count group numbers,
 *     sums[k * 16 + row] (0 where first) += own + length + query . row,
 * which is the squared distance in the channels up to here. Groups of which some sum is at most limit stay, numbers and
 * sums moved to the front; returns how many. */
typedef size_t screen_columns(const int16_t *query, int32_t own, const int16_t *slab, size_t pairs, bool first,
                              uint32_t *groups, int32_t *sums, size_t count, int32_t limit);

/* out[b] = squared distance of the query, `pairs` pairs of channels, to box b. boxes is (blocks, pairs, 2, 16, 2)
 * int16: of a pair of channels the lowest corners of 16 boxes, then the highest. All values and their differences fit
 * int16. */
typedef void box_distances(const int16_t *query, const int16_t *boxes, size_t blocks, size_t pairs, int32_t *out);

screen_columns screen_columns_scalar;
box_distances box_distances_scalar;
#if defined(__x86_64__)
screen_columns screen_columns_avx2, screen_columns_avx512;
box_distances box_distances_avx2, box_distances_avx512;
#elif defined(__aarch64__)
screen_columns screen_columns_neon;
box_distances box_distances_neon;
#endif

#endif
