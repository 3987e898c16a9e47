/* What the kernels of every level have alike: a function for each type that rows are stored in, and the table. A
 * level's file includes this at its end, with TARGET, and with LEVEL(name), which gives a name the level's ending. It
 * has defined l2_tile_any, next_quad_below_any and whitened_norm_any, which know the type when they are compiled, and
 * the rest of the table.
 */

TARGET static void LEVEL(l2_tile_f32)(const float *a, size_t na, const float *b, size_t nb, size_t d, float *out,
                                      size_t ldo)
{
    l2_tile_any(a, na, (panda_rows){b, NULL, PANDA_F32}, nb, d, out, ldo, PANDA_F32);
}

TARGET static void LEVEL(l2_tile_f16)(const float *a, size_t na, const uint16_t *b, size_t nb, size_t d, float *out,
                                      size_t ldo)
{
    l2_tile_any(a, na, (panda_rows){b, NULL, PANDA_F16}, nb, d, out, ldo, PANDA_F16);
}

TARGET static void LEVEL(l2_tile_u8)(const float *a, size_t na, const uint8_t *b, const float *scales, size_t nb,
                                     size_t d, float *out, size_t ldo)
{
    l2_tile_any(a, na, (panda_rows){b, scales, PANDA_U8}, nb, d, out, ldo, PANDA_U8);
}

TARGET static float LEVEL(whitened_norm_f32)(const float *factor, const float *x, size_t d, size_t panels,
                                             bool triangular)
{
    return whitened_norm_any(factor, x, d, panels, triangular, PANDA_F32);
}

TARGET static float LEVEL(whitened_norm_f16)(const uint16_t *factor, const float *x, size_t d, size_t panels,
                                             bool triangular)
{
    return whitened_norm_any(factor, x, d, panels, triangular, PANDA_F16);
}

TARGET static size_t LEVEL(next_quad_below)(const quad_list *list, size_t from, const float limits[4], float out[16],
                                            uint32_t *below)
{
    if (list->rows.dtype == PANDA_U8)
        return next_quad_below_any(list, from, limits, out, below, PANDA_U8);
    if (list->rows.dtype == PANDA_F16)
        return next_quad_below_any(list, from, limits, out, below, PANDA_F16);
    return next_quad_below_any(list, from, limits, out, below, PANDA_F32);
}

const panda_ops LEVEL(panda_ops) = {
    .l2_tile_f32 = LEVEL(l2_tile_f32),
    .l2_tile_f16 = LEVEL(l2_tile_f16),
    .l2_tile_u8 = LEVEL(l2_tile_u8),
    .next_quad_below = LEVEL(next_quad_below),
    .blend_rows = LEVEL(blend_rows),
    .whitened_norm_f32 = LEVEL(whitened_norm_f32),
    .whitened_norm_f16 = LEVEL(whitened_norm_f16),
    .quantise_quad = LEVEL(quantise_quad),
    .integer_tile = LEVEL(integer_tile),
    .select_between = LEVEL(select_between),
    .least_of = LEVEL(least_of),
    .screen_quads = LEVEL(screen_quads),
    .screen_columns = LEVEL(screen_columns),
    .box_distances = LEVEL(box_distances),
};
