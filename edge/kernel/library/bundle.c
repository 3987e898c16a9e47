/* libpanda_edge's functions: the banks of a bundle, mapped, and one frame's score by them. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/image_score.h"
#include "library/steps.h"

enum { FACTORS = 0, MEANS = 1 }; /* of `stored`, in a gaussian bank; in an exact one, a level each */
enum { SCORES = 4 };             /* rows of calibration.npy: embedding, max, top1, local */

typedef struct {
    float *weights;
    int64_t *first;
    size_t taps;
} axis_bands;

struct panda_edge_bundle {
    panda_manifest m;
    int threads;
    npy_array embeddings, calibration, normal_map, stored[PANDA_MAX_LEVELS], scales[PANDA_MAX_LEVELS];
    panda_pyramid *pyramid; /* of an exact bank */
    panda_steps steps;
    size_t joint;        /* channels of all levels */
    size_t map_h, map_w; /* cells of the map before it is drawn at the input's size */
    axis_bands rows, columns, sharp_rows, sharp_columns;
    size_t similar; /* normal images that are looked for */
    float *similar_squared;
    int64_t *similar_numbers;
    float *cells, *descriptors;
    float *second; /* another heat map, where the rule is top1 or local */
    int64_t *positions;
};

static bool out_of_memory(panda_edge_error *error) { return panda_edge_fail(error, "not enough memory"); }

static const char *numpy_name(panda_dtype dtype)
{
    return dtype == PANDA_U8 ? "|u1" : dtype == PANDA_F16 ? "<f2" : "<f4";
}

static bool map_pyramids(panda_edge_bundle *b, const panda_source *source, panda_edge_error *error)
{
    panda_level levels[PANDA_MAX_LEVELS];
    for (int l = 0; l < b->m.shape.level_count; l++) {
        const panda_edge_level level = b->m.shape.levels[l];
        char name[64];
        snprintf(name, sizeof name, "bank/stride%02zu.npy", b->m.strides[l]);
        const size_t shape[] = {b->m.images, level.cells, level.channels},
                     scales_shape[] = {b->m.images, level.cells, 2};
        if (!npy_map(source, name, numpy_name(b->m.dtype), shape, 3, &b->stored[l], error))
            return false;
        snprintf(name, sizeof name, "bank/stride%02zu_rows.npy", b->m.strides[l]);
        if (b->m.dtype == PANDA_U8 && !npy_map(source, name, "<f4", scales_shape, 3, &b->scales[l], error))
            return false;
        levels[l] = (panda_level){{b->stored[l].data, b->scales[l].data, b->m.dtype}, level.channels};
    }
    b->pyramid = panda_pyramid_new(levels, b->m.shape.level_count, b->m.images, b->m.grid_h, b->m.grid_w, true);
    return b->pyramid != NULL ? steps_open(source, &b->m, &b->steps, error) : out_of_memory(error);
}

static bool map_gaussians(panda_edge_bundle *b, const panda_source *source, panda_edge_error *error)
{
    const size_t cells = b->map_h * b->map_w, rank = b->m.rank ? b->m.rank : b->joint;
    const size_t means[] = {cells, b->joint}, factors[] = {cells, panda_factor_size(rank, b->joint, b->m.rank == 0)};
    return npy_map(source, "bank/gaussian_mean.npy", "<f4", means, 2, &b->stored[MEANS], error) &&
           npy_map(source, "bank/gaussian_factor.npy", numpy_name(b->m.dtype), factors, 2, &b->stored[FACTORS], error);
}

static bool map_banks(panda_edge_bundle *b, const panda_source *source, panda_edge_error *error)
{
    const size_t embeddings[] = {b->m.vectors, b->m.shape.embedding_size};
    const size_t calibration[] = {SCORES, b->m.shape.calibration_images};
    if (!npy_map(source, "bank/embeddings.npy", "<f4", embeddings, 2, &b->embeddings, error) ||
        (calibration[1] > 0 && !npy_map(source, "calibration.npy", "<f8", calibration, 2, &b->calibration, error)))
        return false;
    const size_t cells[] = {IMAGE_GRID, IMAGE_GRID};
    if (b->m.rule == PANDA_LOCAL && !npy_map(source, "normal_map.npy", "<f4", cells, 2, &b->normal_map, error))
        return false;
    for (size_t i = 0; b->m.rule == PANDA_LOCAL && i < IMAGE_GRID * IMAGE_GRID; i++)
        if (!(((const float *)b->normal_map.data)[i] >= 0 && ((const float *)b->normal_map.data)[i] <= 1e12F))
            return panda_edge_fail(error, "%s/normal_map.npy: holds NaN or what no distance can be; fit again",
                                   source->folder);
    for (size_t i = 0; i < SCORES * calibration[1]; i++)
        if (!(fabs(((const double *)b->calibration.data)[i]) <= (double)FLT_MAX))
            return panda_edge_fail(error,
                                   "%s/calibration.npy: holds NaN or what no score can be; export the bundle again",
                                   source->folder);
    return b->m.gaussian ? map_gaussians(b, source, error) : map_pyramids(b, source, error);
}

static bool make_bands(axis_bands *bands, size_t length, size_t out_length, double sigma)
{
    bands->weights = malloc(out_length * length * sizeof *bands->weights);
    bands->first = malloc(out_length * sizeof *bands->first);
    return bands->weights != NULL && bands->first != NULL &&
           panda_heatmap_bands(length, out_length, sigma, bands->weights, bands->first, &bands->taps) == PANDA_OK;
}

static bool make_room(panda_edge_bundle *b, panda_edge_error *error)
{
    const size_t cells = b->map_h * b->map_w;
    b->similar = b->m.gaussian || b->m.knn > b->m.neighbors ? b->m.knn : b->m.neighbors;
    if (b->similar > b->m.vectors)
        b->similar = b->m.vectors;
    b->similar_squared = malloc(b->similar * sizeof *b->similar_squared);
    b->similar_numbers = malloc(b->similar * sizeof *b->similar_numbers);
    b->cells = malloc(cells * sizeof *b->cells);
    b->positions = malloc(cells * sizeof *b->positions);
    const bool second = b->m.rule == PANDA_TOP1 || b->m.rule == PANDA_LOCAL;
    b->second = second ? malloc(b->m.shape.height * b->m.shape.width * sizeof *b->second) : NULL;
    b->descriptors = b->m.gaussian ? malloc(cells * b->joint * sizeof *b->descriptors) : NULL;
    bool good = b->similar_squared && b->similar_numbers && b->cells && b->positions &&
                (b->descriptors || !b->m.gaussian) && (b->second || !second) &&
                make_bands(&b->rows, b->map_h, b->m.shape.height, b->m.sigma) &&
                make_bands(&b->columns, b->map_w, b->m.shape.width, b->m.sigma) &&
                make_bands(&b->sharp_rows, b->map_h, b->m.shape.height, b->m.sharp) &&
                make_bands(&b->sharp_columns, b->map_w, b->m.shape.width, b->m.sharp);
    return good || out_of_memory(error);
}

panda_edge_bundle *panda_edge_open(const char *path, int threads, panda_edge_error *error)
{
    panda_source source = {path, {NULL, NULL, 0}};
    panda_simd level;
    panda_edge_bundle *b = calloc(1, sizeof *b);
    bool good = b != NULL || out_of_memory(error);
    if (good && (threads < 1 || threads > PANDA_MAX_THREADS))
        good = panda_edge_fail(error, "threads is %d; give 1 to %d", threads, (int)PANDA_MAX_THREADS);
    if (good && panda_simd_current(&level) != PANDA_OK)
        good = panda_edge_fail(error, "PANDA_SIMD names a level that this machine does not have");
    good = good && manifest_read(&source, &b->m, error);
    if (good) {
        const int levels = b->m.shape.level_count, grid = b->m.gaussian && levels > 1 ? levels - 2 : levels - 1;
        b->threads = threads;
        b->map_h = b->m.grid_h << grid;
        b->map_w = b->m.grid_w << grid;
        for (int l = 0; l < levels; l++)
            b->joint += b->m.shape.levels[l].channels;
        good = map_banks(b, &source, error) && make_room(b, error);
    }
    json_free(&source.json);
    if (good)
        return b;
    panda_edge_close(b);
    return NULL;
}

void panda_edge_close(panda_edge_bundle *b)
{
    if (b == NULL)
        return;
    panda_pyramid_free(b->pyramid);
    steps_close(&b->steps);
    npy_unmap(&b->embeddings);
    npy_unmap(&b->calibration);
    npy_unmap(&b->normal_map);
    for (int l = 0; l < PANDA_MAX_LEVELS; l++) {
        npy_unmap(&b->stored[l]);
        npy_unmap(&b->scales[l]);
    }
    void *const memory[] = {b->rows.weights,
                            b->rows.first,
                            b->columns.weights,
                            b->columns.first,
                            b->sharp_rows.weights,
                            b->sharp_rows.first,
                            b->sharp_columns.weights,
                            b->sharp_columns.first,
                            b->similar_squared,
                            b->similar_numbers,
                            b->cells,
                            b->positions,
                            b->descriptors,
                            b->second,
                            b};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        free(memory[i]);
}

panda_edge_shape panda_edge_shape_of(const panda_edge_bundle *b) { return b->m.shape; }

/* The normal images that a frame is compared with, and where in them. */
static panda_scope scope_of(const panda_edge_bundle *b)
{
    return (panda_scope){b->similar_numbers, b->m.neighbors < b->similar ? b->m.neighbors : b->similar, NULL,
                         b->m.window, 0};
}

/* Squared distance of each cell of the map to what is normal there. */
static panda_status measure_cells(panda_edge_bundle *b, const float *const *levels)
{
    if (!b->m.gaussian)
        return panda_pyramid_nearest(b->pyramid, levels, scope_of(b), 0, b->threads, b->cells, b->positions);
    size_t channels[PANDA_MAX_LEVELS];
    for (int l = 0; l < b->m.shape.level_count; l++)
        channels[l] = b->m.shape.levels[l].channels;
    panda_status status = panda_joint_descriptors(levels, channels, b->m.shape.level_count, b->m.grid_h, b->m.grid_w,
                                                  b->m.average, b->descriptors);
    if (status != PANDA_OK)
        return status;
    return panda_gaussian_distance(b->descriptors, b->stored[MEANS].data, b->stored[FACTORS].data, b->m.dtype,
                                   b->map_h * b->map_w, b->m.rank ? b->m.rank : b->joint, b->joint, b->m.rank == 0,
                                   b->threads, b->cells);
}

/* (1 + how many normal images score at least as high) / (n + 1): split conformal prediction
 * (docs/decisions/0009-conformal-calibration.md). */
static double p_value(const panda_edge_bundle *b, const panda_edge_result *result)
{
    const size_t images = b->m.shape.calibration_images;
    if (images == 0)
        return NAN;
    const double *normal = (const double *)b->calibration.data + (size_t)b->m.rule * images;
    size_t as_high = 0;
    for (size_t i = 0; i < images; i++)
        as_high += normal[i] >= (double)result->score;
    return (double)(1 + as_high) / (double)(images + 1);
}

static bool draw(const panda_edge_bundle *b, axis_bands by_row, axis_bands by_column, float *heatmap)
{
    panda_bands rows = {by_row.weights, by_row.first, by_row.taps, b->m.shape.height};
    panda_bands columns = {by_column.weights, by_column.first, by_column.taps, b->m.shape.width};
    return panda_resample(b->cells, b->map_h, b->map_w, rows, columns, heatmap) == PANDA_OK;
}

/* The image score that decides. heatmap: drawn. */
static bool decide(panda_edge_bundle *b, const float *heatmap, panda_edge_result *result)
{
    const size_t height = b->m.shape.height, width = b->m.shape.width;
    switch (b->m.rule) {
    case PANDA_EMBEDDING:
        result->score = result->embedding_distance;
        return true;
    case PANDA_MAXIMUM:
        result->score = image_maximum(heatmap, height * width);
        return true;
    case PANDA_TOP1:
        memcpy(b->second, heatmap, height * width * sizeof *heatmap);
        result->score = image_top1(b->second, height * width);
        return true;
    case PANDA_LOCAL:
        if (!draw(b, b->sharp_rows, b->sharp_columns, b->second))
            return false;
        result->score = image_local(b->second, height, width, b->normal_map.data);
        return true;
    }
    return false;
}

bool panda_edge_score(panda_edge_bundle *b, const float *embedding, const float *const *levels,
                      panda_edge_result *result, float *heatmap, panda_edge_error *error)
{
    panda_status status =
        panda_topk(embedding, 1, b->embeddings.data, PANDA_F32, b->m.vectors, b->m.shape.embedding_size, b->similar,
                   b->threads, b->similar_squared, b->similar_numbers);
    if (status == PANDA_OK)
        status = measure_cells(b, levels);
    if (status == PANDA_OK) {
        for (size_t i = 0; i < b->map_h * b->map_w; i++)
            b->cells[i] = sqrtf(b->cells[i]);
        const panda_searched frame = {levels, scope_of(b), b->positions, b->threads};
        status = steps_apply(&b->steps, &b->m, &frame, b->cells);
    }
    if (status != PANDA_OK)
        return out_of_memory(error);
    *result = (panda_edge_result){0, 0, NAN};
    for (size_t i = 0; i < b->m.knn; i++)
        result->embedding_distance += b->similar_squared[i];
    result->embedding_distance /= (float)b->m.knn;
    if (!draw(b, b->rows, b->columns, heatmap))
        return out_of_memory(error);
    const size_t values = b->m.shape.height * b->m.shape.width;
    bool finite = isfinite(result->embedding_distance);
    for (size_t i = 0; i < values; i++)
        finite &= isfinite(heatmap[i]) != 0;
    if (!finite) /* a NaN would pass every threshold unseen */
        return panda_edge_fail(error, "the distances are not finite; features or the bundle's banks are damaged");
    if (!decide(b, heatmap, result))
        return out_of_memory(error);
    result->p_value = p_value(b, result);
    return true;
}
