#include "library/wide.h"

#include <stdlib.h>

#include "library/own.h"

/* malloc of a * b * bytes; NULL, too, where that is no size. */
static void *room(size_t a, size_t b, size_t bytes)
{
    return __builtin_mul_overflow(a, b, &a) || __builtin_mul_overflow(a, bytes, &bytes) ? NULL : malloc(bytes);
}

/* `count` rows from the first one on, in floats. */
static void read_rows(const panda_level *level, size_t first, size_t count, float *out)
{
    const size_t d = level->channels, from = first * d;
    for (size_t row = 0, i = 0; row < count; row++)
        for (size_t c = 0; c < d; c++, i++) {
            if (level->rows.dtype == PANDA_U8) {
                const float *const scales = level->rows.scales + 2 * (first + row);
                out[i] = scales[0] + scales[1] * (float)((const uint8_t *)level->rows.data)[from + i];
            } else {
                out[i] = level->rows.dtype == PANDA_F16 ? half_to_float(((const uint16_t *)level->rows.data)[from + i])
                                                        : ((const float *)level->rows.data)[from + i];
            }
        }
}

/* The bank's frames at a wider look, one after the other. frame: room for one, of each level. */
static void widen_stored(panda_wide *wide, const panda_manifest *m, const panda_level *levels, float *const *frame)
{
    for (size_t image = 0; image < m->images; image++) {
        for (int l = 0; l < m->shape.level_count; l++)
            read_rows(&levels[l], image * m->shape.levels[l].cells, m->shape.levels[l].cells, frame[l]);
        widen(&wide->widening, (const float *const *)frame, wide->query);
        for (int l = 0; l < wide->widening.kept; l++) {
            const size_t numbers = wide->widening.kept_cells[l] * wide->widening.kept_channels[l];
            for (size_t i = 0; i < numbers; i++)
                wide->stored[l][image * numbers + i] = float_to_half(wide->query[l][i]);
        }
    }
}

static bool take_room(panda_wide *wide, size_t images)
{
    const panda_widening *const w = &wide->widening;
    const size_t cells = w->kept_cells[w->kept - 1];
    bool good = true;
    for (int l = 0; l < w->kept; l++) {
        const size_t numbers = w->kept_cells[l] * w->kept_channels[l]; /* no more than the bank's, which are there */
        good &= (wide->query[l] = room(numbers, 1, sizeof(float))) != NULL;
        good &= (wide->stored[l] = room(images, numbers, sizeof(uint16_t))) != NULL;
    }
    good &= (wide->cells = room(cells, 1, sizeof *wide->cells)) != NULL;
    return good && (wide->positions = room(cells, 1, sizeof *wide->positions)) != NULL;
}

static bool make_stored(panda_wide *wide, const panda_manifest *m, const panda_level *levels)
{
    float *frame[PANDA_MAX_LEVELS] = {NULL};
    bool good = widening_begin(m, &wide->widening) && take_room(wide, m->images);
    for (int l = 0; good && l < m->shape.level_count; l++)
        good = (frame[l] = room(m->shape.levels[l].cells, levels[l].channels, sizeof(float))) != NULL;
    if (good)
        widen_stored(wide, m, levels, frame);
    for (int l = 0; l < PANDA_MAX_LEVELS; l++)
        free(frame[l]);
    return good;
}

static bool make_pyramid(panda_wide *wide, const panda_manifest *m)
{
    panda_level levels[PANDA_WIDE_LEVELS];
    for (int l = 0; l < wide->widening.kept; l++)
        levels[l] = (panda_level){{wide->stored[l], NULL, PANDA_F16}, wide->widening.kept_channels[l]};
    wide->pyramid = panda_pyramid_new(levels, wide->widening.kept, m->images, m->grid_h, m->grid_w, true);
    return wide->pyramid != NULL;
}

bool wide_open(const panda_source *source, const panda_manifest *m, const panda_level *levels, panda_wide *wide,
               panda_edge_error *error)
{
    if (!m->wide)
        return true;
    const int finer = m->shape.level_count > 1;
    const size_t own[] = {m->images, m->grid_h << finer, m->grid_w << finer};
    if (m->discount > 0 && !npy_map(source, "bank/wide_own_distances.npy", "<f2", own, 3, &wide->own, error))
        return false;
    return (make_stored(wide, m, levels) && make_pyramid(wide, m)) || panda_edge_fail(error, "not enough memory");
}

void wide_close(panda_wide *wide)
{
    panda_pyramid_free(wide->pyramid);
    npy_unmap(&wide->own);
    widening_end(&wide->widening);
    for (int l = 0; l < PANDA_WIDE_LEVELS; l++) {
        free(wide->query[l]);
        free(wide->stored[l]);
    }
    free(wide->cells);
    free(wide->positions);
    *wide = (panda_wide){0};
}

panda_status wide_add(panda_wide *wide, const panda_manifest *m, const float *const *levels, panda_scope scope,
                      int threads, float *distances)
{
    if (wide->pyramid == NULL)
        return PANDA_OK;
    widen(&wide->widening, levels, wide->query);
    panda_status status = panda_pyramid_nearest(wide->pyramid, (const float *const *)wide->query, scope, 0, threads,
                                                wide->cells, wide->positions);
    if (status != PANDA_OK)
        return status;
    const int kept = wide->widening.kept, finer = m->shape.level_count - kept; /* cells double so many times */
    const size_t height = m->grid_h << (kept - 1), width = m->grid_w << (kept - 1);
    for (size_t y = 0, i = 0; y < height; y++)
        for (size_t x = 0; x < width; x++, i++) {
            const float own = less_own(wide->cells[i], wide->positions[i], &wide->own, m->discount);
            const float beyond = own * (float)m->wide_factor - (float)m->wide_floor;
            for (size_t below = y << finer; below < (y + 1) << finer && !(beyond < 0); below++)
                for (size_t at = x << finer; at < (x + 1) << finer; at++)
                    distances[(below * (width << finer)) + at] += beyond;
        }
    return PANDA_OK;
}
