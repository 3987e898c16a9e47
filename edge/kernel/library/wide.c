#include "library/wide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/own.h"

/* malloc of a * b * bytes; NULL, too, where that is no size. */
static void *room(size_t a, size_t b, size_t bytes)
{
    return __builtin_mul_overflow(a, b, &a) || __builtin_mul_overflow(a, bytes, &bytes) ? NULL : malloc(bytes);
}

static size_t kept_cells(const panda_manifest *m, int level) { return m->grid_h * m->grid_w << 2 * level; }

/* Of a kept level: the last one has those of all finer ones, too. */
static size_t kept_channels(const panda_wide *wide, const panda_manifest *m, int level)
{
    size_t channels = 0;
    for (int l = level; l < (level + 1 < wide->kept ? level + 1 : m->shape.level_count); l++)
        channels += m->shape.levels[l].channels;
    return channels;
}

static bool take_room(panda_wide *wide, const panda_manifest *m)
{
    const size_t cells = kept_cells(m, wide->kept - 1);
    bool good = true;
    for (int l = 0; l < wide->kept; l++) {
        const size_t numbers = kept_cells(m, l) * kept_channels(wide, m, l); /* no more than the bank's frame has */
        good &= (wide->query[l] = room(numbers, 1, sizeof(float))) != NULL;
    }
    good &= (wide->cells = room(cells, 1, sizeof *wide->cells)) != NULL;
    good &= (wide->high = room(m->grid_h, m->grid_w, 1)) != NULL;
    return good && (wide->positions = room(cells, 1, sizeof *wide->positions)) != NULL;
}

/* What is searched: the bank's frames at a wider look. */
static bool map_stored(panda_wide *wide, const panda_source *source, const panda_manifest *m, panda_edge_error *error)
{
    for (int l = 0; l < wide->kept; l++) {
        char name[64];
        snprintf(name, sizeof name, "bank/wide_stride%02zu.npy", m->strides[l]);
        const size_t shape[] = {m->images, kept_cells(m, l), kept_channels(wide, m, l)};
        if (!npy_map(source, name, "<f2", shape, 3, &wide->stored[l], error))
            return false;
    }
    return true;
}

static bool make_pyramid(panda_wide *wide, const panda_manifest *m)
{
    panda_level kept[PANDA_WIDE_LEVELS];
    for (int l = 0; l < wide->kept; l++)
        kept[l] = (panda_level){{wide->stored[l].data, NULL, PANDA_F16}, kept_channels(wide, m, l)};
    wide->pyramid = panda_pyramid_new(kept, wide->kept, m->images, m->grid_h, m->grid_w, true);
    return wide->pyramid != NULL;
}

bool wide_open(const panda_source *source, const panda_manifest *m, panda_wide *wide, panda_edge_error *error)
{
    if (!m->wide)
        return true;
    wide->kept = m->shape.level_count < PANDA_WIDE_LEVELS ? m->shape.level_count : PANDA_WIDE_LEVELS;
    const size_t own[] = {m->images, m->grid_h << (wide->kept - 1), m->grid_w << (wide->kept - 1)};
    if (m->discount > 0 && !npy_map(source, "bank/wide_own_distances.npy", "<f2", own, 3, &wide->own, error))
        return false;
    if (!map_stored(wide, source, m, error))
        return false;
    return (take_room(wide, m) && make_pyramid(wide, m)) || panda_edge_fail(error, "not enough memory");
}

void wide_close(panda_wide *wide)
{
    panda_pyramid_free(wide->pyramid);
    npy_unmap(&wide->own);
    for (int l = 0; l < PANDA_WIDE_LEVELS; l++) {
        free(wide->query[l]);
        npy_unmap(&wide->stored[l]);
    }
    free(wide->cells);
    free(wide->positions);
    free(wide->high);
    *wide = (panda_wide){0};
}

/* Marks the coarsest cells below which a distance is high; whether there are any. */
static bool find_high(const panda_wide *wide, const panda_manifest *m, const float *distances)
{
    const int finest = m->shape.level_count - 1;
    bool any = false;
    memset(wide->high, 0, m->grid_h * m->grid_w);
    for (size_t y = 0, i = 0; y < m->grid_h << finest; y++)
        for (size_t x = 0; x < m->grid_w << finest; x++, i++)
            if (distances[i] > (float)m->wide_above) {
                wide->high[(y >> finest) * m->grid_w + (x >> finest)] = 1;
                any = true;
            }
    return any;
}

/* A squared distance to these images below which nothing is added, whatever is taken off. */
static float adds_nothing(const panda_wide *wide, const panda_manifest *m, const panda_scope *scope)
{
    if (!(m->wide_factor > 0))
        return 0;
    double nothing = m->wide_floor / m->wide_factor;
    const size_t cells = kept_cells(m, wide->kept - 1);
    const uint16_t *own = wide->own.data;
    float least = INFINITY;
    for (size_t i = 0; own != NULL && i < scope->image_count; i++)
        for (size_t cell = 0; cell < cells; cell++)
            least = fminf(least, half_to_float(own[(size_t)scope->images[i] * cells + cell]));
    if (own != NULL)
        nothing += m->discount * (double)least;
    return nothing > 0 ? (float)(nothing * nothing * (1 - 1e-5)) : 0; /* less a little, for rounding */
}

panda_status wide_add(panda_wide *wide, const panda_manifest *m, const float *const *levels, panda_scope scope,
                      int threads, float *distances)
{
    if (wide->pyramid == NULL || !find_high(wide, m, distances))
        return PANDA_OK;
    scope.cells = wide->high;
    scope.enough = adds_nothing(wide, m, &scope);
    size_t channels[PANDA_MAX_LEVELS];
    for (int l = 0; l < m->shape.level_count; l++)
        channels[l] = m->shape.levels[l].channels;
    panda_status status = panda_widen(levels, channels, m->shape.level_count, m->grid_h, m->grid_w, wide->query);
    if (status == PANDA_OK)
        status = panda_pyramid_nearest(wide->pyramid, (const float *const *)wide->query, scope, 0, threads, wide->cells,
                                       wide->positions);
    if (status != PANDA_OK)
        return status;
    const int kept = wide->kept, finer = m->shape.level_count - kept; /* cells double so many times */
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
