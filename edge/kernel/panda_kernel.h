/* panda_kernel: exact nearest-neighbour search over feature banks and pyramids, and heat-map rendering.
 *
 * Conventions. Matrices are row-major and dense. Distances are squared L2, computed from differences
 * (never as |a|^2 + |b|^2 - 2ab in anything that is returned). A distance that is NaN counts as +inf;
 * equal distances resolve to the lowest index. No function touches Python, and none keeps a pointer
 * after it returns, except panda_pyramid_new and panda_flat_new, whose galleries must outlive the objects.
 */
#ifndef PANDA_KERNEL_H
#define PANDA_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PANDA_MAX_LEVELS = 4, PANDA_MAX_THREADS = 256 };

typedef enum { PANDA_OK = 0, PANDA_NO_MEMORY, PANDA_BAD_SIMD, PANDA_NOT_FINITE, PANDA_INTERRUPTED } panda_status;
/* PANDA_U8, of pyramid levels only: a row holds bytes, each of which stands for the float nearest to
 * offset + scale * byte, offset and scale being the row's own. */
typedef enum { PANDA_F32 = 0, PANDA_F16 = 1, PANDA_U8 = 2 } panda_dtype;

/* The rows of a stored matrix. scales: (rows, 2), offset and scale of each, where dtype is PANDA_U8; else NULL. */
typedef struct {
    const void *data;
    const float *scales;
    panda_dtype dtype;
} panda_rows;

/* --- instruction sets ------------------------------------------------------------------------------------ */

typedef enum { PANDA_SCALAR = 0, PANDA_NEON, PANDA_AVX2, PANDA_AVX512, PANDA_SIMD_COUNT } panda_simd;

const char *panda_simd_name(panda_simd level);
/* Whether both this build and this CPU (and its operating system) have the level. */
bool panda_simd_usable(panda_simd level);
/* The level in use: PANDA_SIMD from the environment if set, else the best usable one. Asked once.
 * PANDA_BAD_SIMD when PANDA_SIMD names a level that does not exist or that this CPU lacks. */
panda_status panda_simd_current(panda_simd *level);
/* Test hook: use this level from now on. Not to be called while a kernel is running. */
panda_status panda_simd_force(panda_simd level);

/* --- flat banks ------------------------------------------------------------------------------------------ */

/* The k <= n rows of bank (n, d) nearest to each row of queries (q, d), ascending.
 * distances is (q, k), indices is (q, k). */
panda_status panda_topk(const float *queries, size_t q, const void *bank, panda_dtype dtype, size_t n, size_t d,
                        size_t k, int threads, float *distances, int64_t *indices);

typedef struct panda_flat panda_flat;

/* A search over the rows of bank (n, d), n < 2^32, for the nearest alone: by a screen of integers, not of every row. It
 * is exact for any order of rows and columns, and fast where rows that are near to each other in memory are near in
 * space and the first columns vary most. NULL when memory is short. The bank must outlive the object, which
 * several threads may search at once. */
panda_flat *panda_flat_new(const void *bank, panda_dtype dtype, size_t n, size_t d);
void panda_flat_free(panda_flat *flat);
/* For each row of queries (q, d) the nearest row of the bank: distances (q,), indices (q,). Faster where queries that
 * follow each other are alike. */
panda_status panda_flat_nearest(panda_flat *flat, const float *queries, size_t q, int threads, float *distances,
                                int64_t *indices);

/* out (n, p) = (rows (n, d) - mean (d,)) basis (d, p). */
panda_status panda_project(const float *rows, size_t n, size_t d, const float *mean, const float *basis, size_t p,
                           int threads, float *out);

/* Greedy k-centre: indices[0] = start, and each further one is the row of points (n, d) farthest from those before
 * it (ties to the lowest index). count <= n < 2^32. `interrupted`, where not NULL, is asked from time to time and
 * ends the run by returning true. PANDA_NOT_FINITE when a point holds NaN or infinity. */
panda_status panda_k_centre(const void *points, panda_dtype dtype, size_t n, size_t d, size_t count, size_t start,
                            int threads, bool (*interrupted)(void *), void *context, int64_t *indices);

/* --- Gaussians ------------------------------------------------------------------------------------------- */

/* distances[p] = |W_p (x_p - mean_p)|^2 for every position p, W_p a factor (rows, d) with W_p^T W_p the inverse
 * covariance. x and mean are (positions, d).
 *
 * factors is (positions, panda_factor_size(...)). A factor is stored in panels of PANDA_PANEL rows (the last one
 * filled up with zero rows), a panel column by column: value (r, c) of a panel is at c * PANDA_PANEL + r. So the
 * rows of a panel are summed side by side, and reading is one straight line. A lower triangular factor
 * (rows == d) keeps only the columns up to the last of the panel's own rows. */
enum { PANDA_PANEL = 16 };
size_t panda_factor_size(size_t rows, size_t d, bool triangular);
panda_status panda_gaussian_distance(const float *x, const float *mean, const void *factors, panda_dtype dtype,
                                     size_t positions, size_t rows, size_t d, bool triangular, int threads,
                                     float *distances);

/* The descriptors that a Gaussian is of: on the grid of the second-finest level (the only one, of one), row by row,
 * finer cells averaged, coarser ones repeated, the levels joined; then each averaged over average x average cells, at
 * the border over those that are there (average odd). levels[l]: (grid_h * grid_w * 4^l, channels[l]) in nested order.
 * out: (cells, all channels). */
panda_status panda_joint_descriptors(const float *const *levels, const size_t *channels, int level_count, size_t grid_h,
                                     size_t grid_w, size_t average, float *out);

/* --- pyramids -------------------------------------------------------------------------------------------- */

/* One level of a gallery, coarse first: rows of `channels` values in nested order (ARCHITECTURE.md). */
typedef struct {
    panda_rows rows;
    size_t channels;
} panda_level;

typedef struct panda_pyramid panda_pyramid;

/* A search over `images` pyramids whose coarsest grid is grid_h x grid_w and whose every further level is
 * twice as fine. nested == true: level l of the gallery has images * grid_h * grid_w * 4^l rows.
 * nested == false: a joint bank of `images` descriptors without positions, so each level has `images` rows.
 * NULL when memory is short. One object serves one thread at a time. */
panda_pyramid *panda_pyramid_new(const panda_level *levels, int level_count, size_t images, size_t grid_h,
                                 size_t grid_w, bool nested);
void panda_pyramid_free(panda_pyramid *pyramid);

/* What a search looks at. images: `image_count` >= 1 gallery images (NULL: all of them). cells: (grid_h, grid_w), the
 * coarsest query cells that are searched for, 0 for none (NULL: all); at positions below the others, the distance is 0
 * and the index -1. window: a position is compared only with those of the gallery whose coarsest cell lies at most so
 * many rows and columns from its own (PANDA_EVERYWHERE: with all; the only choice of a joint bank). enough: once a
 * position has found a squared distance below this, it may stop at it, nearest or not (0: never). */
enum { PANDA_EVERYWHERE = -1 };
typedef struct {
    const int64_t *images;
    size_t image_count;
    const uint8_t *cells;
    int32_t window;
    float enough;
} panda_scope;

/* Nearest gallery position of every position of the finest query grid (H, W), under
 *     d(p, g) = sum over levels of |query_l(cell of p) - gallery_l(cell of g)|^2.
 * query[l] is (grid cells * 4^l, channels_l) in nested order. epsilon >= 0: sqrt(distance) may exceed the true one by
 * a factor 1 + epsilon. distances and indices are (H, W) row-major; an index is image * H * W + row * W + column
 * (nested), or the descriptor's number (joint bank). */
panda_status panda_pyramid_nearest(panda_pyramid *pyramid, const float *const *query, panda_scope scope, float epsilon,
                                   int threads, float *distances, int64_t *indices);

enum { PANDA_AVERAGE_LEVELS = 2 };

/* A frame's averages for context (FORMAT.md): each level's values averaged over 3 x 3 cells of it, zeros beyond the
 * border, in two levels at most: those finer than the second-coarsest averaged over its cells, behind its own channels.
 * levels[l]: (grid cells * 4^l, channels[l]), out[l]: as many cells, both in nested order. */
panda_status panda_averages(const float *const *levels, const size_t *channels, int level_count, size_t grid_h,
                            size_t grid_w, float *const *out);
/* The same of all frames of a gallery, rounded to halves. */
panda_status panda_gallery_averages(const panda_level *levels, int level_count, size_t images, size_t grid_h,
                                    size_t grid_w, int threads, uint16_t *const *out);

/* --- heat maps ------------------------------------------------------------------------------------------- */

/* One axis of a separable linear resampling: output i = sum over t < taps of weights[i * taps + t] *
 * input[first[i] + t]; first[i] + taps <= input length for every i. */
typedef struct {
    const float *weights;
    const int64_t *first;
    size_t taps;
    size_t length;
} panda_bands;

/* The bands that upsample an axis bilinearly (half-pixel centres), and blur it by a Gaussian of sigma output positions
 * (0: not), reflected at the borders and cut at 4 sigma. length, out_length >= 1, 0 <= sigma < 1e4. first:
 * (out_length,). weights: room for (out_length, length), of which (out_length, *taps) is filled. */
panda_status panda_heatmap_bands(size_t length, size_t out_length, double sigma, float *weights, int64_t *first,
                                 size_t *taps);

/* out (rows.length, columns.length) = R * map (h, w) * C^T. */
panda_status panda_resample(const float *map, size_t h, size_t w, panda_bands rows, panda_bands columns, float *out);

#endif
