/* next_quad_below of both x86 levels: a level's file includes this once it has TARGET, INLINE, and load_any_f32x8,
 * which reads up to 8 values of a row from column c on, zeros past n.
 *
 * Vector u of a chunk holds columns u and u + 4 of all four gallery rows, so nothing is added up across lanes before
 * the halves of a sum meet. */

/* Row j's columns c ... c + 7, for the four rows, turned: out[u] as above. */
INLINE void turned_f32x8(panda_rows b, size_t c, size_t d, panda_dtype dtype, __m256 out[4])
{
    __m256 row[4];
    for (size_t j = 0; j < 4; j++)
        row[j] = load_any_f32x8(rows_from(b, j, d), c, d - c, dtype);
    __m256d low_01 = _mm256_castps_pd(_mm256_unpacklo_ps(row[0], row[1]));
    __m256d low_23 = _mm256_castps_pd(_mm256_unpacklo_ps(row[2], row[3]));
    __m256d high_01 = _mm256_castps_pd(_mm256_unpackhi_ps(row[0], row[1]));
    __m256d high_23 = _mm256_castps_pd(_mm256_unpackhi_ps(row[2], row[3]));
    out[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(low_01, low_23));
    out[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low_01, low_23));
    out[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high_01, high_23));
    out[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high_01, high_23));
}

/* Halves of a added up in the low half, those of b in the high one. */
INLINE __m256 both_halves_f32x8(__m256 a, __m256 b)
{
    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}

INLINE uint32_t quad_below(const float *spread, panda_rows b, size_t d, float bound, const __m256 limits[2],
                           float out[16], panda_dtype dtype)
{
    __m256 even[4], odd[4];
    for (int i = 0; i < 4; i++)
        even[i] = odd[i] = _mm256_setzero_ps();
    for (size_t c = 0;; c += SPREAD, spread += 4 * 4 * SPREAD) {
        __m256 g[4];
        turned_f32x8(b, c, d, dtype, g);
        for (size_t i = 0; i < 4; i++)
            for (size_t u = 0; u < 4; u += 2) {
                __m256 first = _mm256_sub_ps(_mm256_loadu_ps(spread + (u * 4 + i) * SPREAD), g[u]);
                __m256 second = _mm256_sub_ps(_mm256_loadu_ps(spread + (u * 4 + 4 + i) * SPREAD), g[u + 1]);
                even[i] = _mm256_fmadd_ps(first, first, even[i]);
                odd[i] = _mm256_fmadd_ps(second, second, odd[i]);
            }
        uint32_t below = 0;
        for (int half = 0; half < 2; half++) {
            __m256 first = _mm256_add_ps(even[2 * half], odd[2 * half]);
            __m256 second = _mm256_add_ps(even[2 * half + 1], odd[2 * half + 1]);
            __m256 sums = _mm256_add_ps(both_halves_f32x8(first, second), _mm256_set1_ps(bound));
            _mm256_storeu_ps(out + 8 * half, sums);
            below |= (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(sums, limits[half], _CMP_LE_OQ)) << (8 * half);
        }
        if (below == 0 || d - c <= SPREAD)
            return below;
    }
}

INLINE size_t next_quad_below_any(const quad_list *list, size_t from, const float limits[4], float out[16],
                                  uint32_t *below, panda_dtype dtype)
{
    const __m256 limit[2] = {
        _mm256_set_m128(_mm_set1_ps(limits[1]), _mm_set1_ps(limits[0])),
        _mm256_set_m128(_mm_set1_ps(limits[3]), _mm_set1_ps(limits[2])),
    };
    const panda_rows rows = {list->rows.data, list->rows.scales, dtype};
    for (size_t n = from; n < list->count; n++) {
        if (n + AHEAD < list->count)
            prefetch_rows(list->rows, list->first[n + AHEAD], 4, list->d);
        panda_rows quad = rows_from(rows, list->first[n], list->d);
        if ((*below = quad_below(list->spread, quad, list->d, list->bounds[n], limit, out, dtype)) != 0)
            return n;
    }
    return list->count;
}
