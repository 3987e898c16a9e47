/* What one instruction set provides. Internal: panda_kernel.h is the public face. */
#ifndef PANDA_OPS_H
#define PANDA_OPS_H

#include "panda_kernel.h"
#include "simd/columns.h"

/* out[i * ldo + j] = |a_i - b_j|^2 for the rows a (na, d) and b (nb, d). For one pair of rows the result does
 * not depend on where in the tile it stands, so equal rows give bitwise equal distances. */
typedef void l2_tile_f32(const float *a, size_t na, const float *b, size_t nb, size_t d, float *out, size_t ldo);
typedef void l2_tile_f16(const float *a, size_t na, const uint16_t *b, size_t nb, size_t d, float *out, size_t ldo);
typedef void l2_tile_u8(const float *a, size_t na, const uint8_t *b, const float *scales, size_t nb, size_t d,
                        float *out, size_t ldo);
/* Four rows of a, spread out by spread_rows, against quads of gallery rows: the n-th quad begins with row first[n] of
 * rows (., d), and bounds[n] is added to its distances. */
typedef struct {
    const float *spread;
    panda_rows rows;
    size_t d;
    const size_t *first;
    const float *bounds;
    size_t count;
} quad_list;
/* The first quad, from `from` on, of which any distance is within its row's limit, or count. For this one,
 * out[4 * i + j] = bound + |a_i - b_j|^2, and bit 4 * i + j of *below is whether that is at most limits[i]. Equal rows
 * give bitwise equal distances. */
typedef size_t next_quad_below(const quad_list *list, size_t from, const float limits[4], float out[16],
                               uint32_t *below);
/* out[x] = sum over j < n of weights[j] * rows[j * stride + x], x < width. */
typedef void blend_rows(const float *weights, const float *rows, size_t n, size_t stride, size_t width, float *out);

/* |W x|^2 for a factor W of `panels` panels (panda_gaussian_distance tells the layout) and x (d,). */
typedef float whitened_norm_f32(const float *factor, const float *x, size_t d, size_t panels, bool triangular);
typedef float whitened_norm_f16(const uint16_t *factor, const float *x, size_t d, size_t panels, bool triangular);

/* --- 16-bit integer screening (screen.c tells what for) ---
 * Rows are handled four at a time, as quads: (chunks, 4 pairs, 4 rows, 2) int16, a chunk being 8 channels, so that
 * 64 bytes hold 8 channels of 4 rows. A query quad is spread out to a panel, (chunks, 4 rows, 4 pairs, 4 copies, 2),
 * to meet them lane by lane; or, times -2, to a fan, (chunks, 4 pairs, 4 rows, 4 copies, 2). Sums with a fan need not
 * be added up across lanes, but each pair of channels is read by itself: better for few chunks. */
enum { CHUNK = 8, QUAD = 4, QUAD_CHUNK = CHUNK * QUAD, PANEL_CHUNK = CHUNK * QUAD * 4, FAN_PAIR = QUAD * QUAD * 2 };

/* out = the quad of round((row - mean) * scale), for count <= 4 rows; missing rows and channels are zero.
 * norms: squared length of each integer row. lengths: of each row before rounding, where more than 2^28, or NaN,
 * the integers are worthless. */
typedef void quantise_quad(panda_rows rows, size_t count, size_t d, const float *mean, float scale, int16_t *out,
                           int32_t norms[4], float lengths[4]);
/* out[i * ldo + j] = query_norms[i] + norms[j] - 2 (query row i . row j), for 4 query rows, j < 4 * quads. */
typedef void integer_tile(const int16_t *panel, const int32_t query_norms[4], const int16_t *quads_data,
                          const int32_t *norms, size_t quads, size_t chunks, int32_t *out, size_t ldo);
/* Positions j < n with above < row[j] <= limit, ascending, to cells; returns how many. cells has room for n + 16. */
typedef size_t select_between(const int32_t *row, size_t n, int32_t above, int32_t limit, uint32_t *cells);

/* The lowest position of the least of row (n,). */
typedef size_t least_of(const int32_t *row, size_t n);

typedef struct {
    uint32_t cell;
    uint32_t below; /* bit 4 i + j: sums[4 * i + j] <= limits[i] */
    int32_t sums[16];
} screen_hit;

/* For each of count quads (numbers in cells): sums[4 * i + j] = its base + the integer tile of the query fan and the
 * quad. Those with anything at or below its query row's limit go to hits; returns how many. */
typedef size_t screen_quads(const int16_t *fan, const int32_t query_norms[4], const int16_t *quads_data,
                            const int32_t *norms, size_t chunks, const uint32_t *cells, const int32_t *bases,
                            size_t count, const int32_t limits[4], screen_hit *hits);

typedef struct {
    l2_tile_f32 *l2_tile_f32;
    l2_tile_f16 *l2_tile_f16;
    l2_tile_u8 *l2_tile_u8;
    next_quad_below *next_quad_below;
    blend_rows *blend_rows;
    whitened_norm_f32 *whitened_norm_f32;
    whitened_norm_f16 *whitened_norm_f16;
    quantise_quad *quantise_quad;
    integer_tile *integer_tile;
    select_between *select_between;
    least_of *least_of;
    screen_quads *screen_quads;
    screen_columns *screen_columns;
    box_distances *box_distances;
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

/* Asks for the quads cells[from ... to) and their norms ahead of time: for a quad's first lines, the hardware follows
 * on its own. */
static inline void prefetch_quads(const int16_t *quads_data, const int32_t *norms, size_t chunks, const uint32_t *cells,
                                  size_t from, size_t to)
{
    for (size_t n = from; n < to; n++) {
        __builtin_prefetch(norms + QUAD * (size_t)cells[n]);
        for (size_t chunk = 0; chunk < chunks && chunk < 2; chunk++)
            __builtin_prefetch(quads_data + (cells[n] * chunks + chunk) * QUAD_CHUNK);
    }
}

enum {
    SPREAD = 8, /* columns of a chunk of spread-out rows */
    AHEAD = 8   /* how many quads of a list before it is looked at, a quad is asked for */
};

/* Floats that four rows of d columns take when spread out. */
static inline size_t spread_size(size_t d) { return (d + SPREAD - 1) / SPREAD * SPREAD * 16; }

/* Where the copies of row i's column c begin. */
static inline size_t spread_place(size_t c, size_t i)
{
    return ((c / SPREAD * 4 + c % 4) * 4 + i) * SPREAD + c % SPREAD / 4 * 4;
}

/* Spreads four rows (4, d) out: (chunks, 4, 4 rows, 2, 4 copies), u of a chunk holding its columns u and u + 4; zeros
 * past the last column. */
static inline void spread_rows(const float *rows, size_t d, float *out)
{
    for (size_t chunk = 0; chunk < d; chunk += SPREAD)
        for (size_t u = 0; u < 4; u++)
            for (size_t i = 0; i < 4; i++)
                for (size_t c = chunk + u; c < chunk + SPREAD; c += 4, out += 4)
                    out[0] = out[1] = out[2] = out[3] = c < d ? rows[i * d + c] : 0;
}

static inline size_t panel_count(size_t rows) { return (rows + PANDA_PANEL - 1) / PANDA_PANEL; }

static inline size_t panel_width(size_t panel, size_t d, bool triangular)
{
    size_t own = (panel + 1) * PANDA_PANEL;
    return triangular && own < d ? own : d;
}

static inline const void *row_of(const void *base, panda_dtype dtype, size_t row, size_t d)
{
    static const size_t size[] = {[PANDA_F32] = sizeof(float), [PANDA_F16] = sizeof(uint16_t), [PANDA_U8] = 1};
    return (const char *)base + row * d * size[dtype];
}

/* The same rows, from one on. */
static inline panda_rows rows_from(panda_rows rows, size_t row, size_t d)
{
    return (panda_rows){row_of(rows.data, rows.dtype, row, d), rows.scales ? rows.scales + 2 * row : NULL, rows.dtype};
}

/* Asks for rows ahead of time. */
static inline void prefetch_rows(panda_rows rows, size_t first, size_t count, size_t d)
{
    const char *begin = row_of(rows.data, rows.dtype, first, d), *end = row_of(rows.data, rows.dtype, first + count, d);
    for (; begin < end; begin += 64)
        __builtin_prefetch(begin);
    __builtin_prefetch(end - 1);
}

/* l2_tile for rows of any dtype. */
static inline void l2_rows(const panda_ops *ops, const float *a, size_t na, panda_rows b, size_t nb, size_t d,
                           float *out, size_t ldo)
{
    if (b.dtype == PANDA_U8)
        ops->l2_tile_u8(a, na, b.data, b.scales, nb, d, out, ldo);
    else
        l2_tile(ops, a, na, b.data, b.dtype, nb, d, out, ldo);
}

#endif
