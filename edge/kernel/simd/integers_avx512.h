/* Rows of `panda_ops_avx512` (simd/ops.h) that work on integers. */
#ifndef PANDA_INTEGERS_AVX512_H
#define PANDA_INTEGERS_AVX512_H

#include "simd/ops.h"

void integer_tile_avx512(const int16_t *panel, const int32_t query_norms[4], const int16_t *quads_data,
                         const int32_t *norms, size_t quads, size_t chunks, int32_t *out, size_t ldo);
size_t select_between_avx512(const int32_t *row, size_t n, int32_t above, int32_t limit, uint32_t *cells);
size_t least_of_avx512(const int32_t *row, size_t n);
size_t screen_quads_avx512(const int16_t *fan, const int32_t query_norms[4], const int16_t *quads_data,
                           const int32_t *norms, size_t chunks, const uint32_t *cells, const int32_t *bases,
                           size_t count, const int32_t limits[4], screen_hit *hits);

#endif
