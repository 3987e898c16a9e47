/* What one instruction set provides. Internal: panda_kernel.h is the public face. */
#ifndef PANDA_OPS_H
#define PANDA_OPS_H

#include "panda_kernel.h"

/* out[i * ldo + j] = |a_i - b_j|^2 for the rows a (na, d) and b (nb, d). For one pair of rows the result does
 * not depend on where in the tile it stands, so equal rows give bitwise equal distances. */
typedef void l2_tile_f32(const float *a, size_t na, const float *b, size_t nb, size_t d, float *out, size_t ldo);
typedef void l2_tile_f16(const float *a, size_t na, const uint16_t *b, size_t nb, size_t d, float *out, size_t ldo);
/* out[x] = sum over j < n of weights[j] * rows[j * stride + x], x < width. */
typedef void blend_rows(const float *weights, const float *rows, size_t n, size_t stride, size_t width, float *out);

/* |W x|^2 for a factor W of `panels` panels (panda_gaussian_distance tells the layout) and x (d,). */
typedef float whitened_norm_f32(const float *factor, const float *x, size_t d, size_t panels, bool triangular);
typedef float whitened_norm_f16(const uint16_t *factor, const float *x, size_t d, size_t panels, bool triangular);

typedef struct {
    l2_tile_f32 *l2_tile_f32;
    l2_tile_f16 *l2_tile_f16;
    blend_rows *blend_rows;
    whitened_norm_f32 *whitened_norm_f32;
    whitened_norm_f16 *whitened_norm_f16;
} panda_ops;

extern const panda_ops panda_ops_scalar;
#if defined(__x86_64__)
extern const panda_ops panda_ops_avx2;
extern const panda_ops panda_ops_avx512;
#elif defined(__aarch64__)
extern const panda_ops panda_ops_neon;
#endif

/* The functions of the level in use; NULL when PANDA_SIMD asks for what is not there. */
const panda_ops *panda_ops_current(void);

static inline void l2_tile(const panda_ops *ops, const float *a, size_t na, const void *b, panda_dtype dtype, size_t nb,
                           size_t d, float *out, size_t ldo)
{
    if (dtype == PANDA_F16)
        ops->l2_tile_f16(a, na, b, nb, d, out, ldo);
    else
        ops->l2_tile_f32(a, na, b, nb, d, out, ldo);
}

static inline size_t panel_count(size_t rows) { return (rows + PANDA_PANEL - 1) / PANDA_PANEL; }

static inline size_t panel_width(size_t panel, size_t d, bool triangular)
{
    size_t own = (panel + 1) * PANDA_PANEL;
    return triangular && own < d ? own : d;
}

static inline const void *row_of(const void *base, panda_dtype dtype, size_t row, size_t d)
{
    return (const char *)base + row * d * (dtype == PANDA_F16 ? sizeof(uint16_t) : sizeof(float));
}

#endif
