#include "library/context.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* malloc of a * b * bytes; NULL, too, where that is no size. */
static void *room(size_t a, size_t b, size_t bytes)
{
    return __builtin_mul_overflow(a, b, &a) || __builtin_mul_overflow(a, bytes, &bytes) ? NULL : malloc(bytes);
}

static size_t kept_cells(const panda_manifest *m, int level) { return m->grid_h * m->grid_w << 2 * level; }

/* Of a kept level: the last one has those of all finer ones, too. */
static size_t kept_channels(const panda_context *context, const panda_manifest *m, int level)
{
    size_t channels = 0;
    for (int l = level; l < (level + 1 < context->kept ? level + 1 : m->shape.level_count); l++)
        channels += m->shape.levels[l].channels;
    return channels;
}

static bool take_room(panda_context *context, const panda_manifest *m)
{
    const size_t cells = kept_cells(m, context->kept - 1);
    bool good = true;
    for (int l = 0; l < context->kept; l++) {
        const size_t numbers = kept_cells(m, l) * kept_channels(context, m, l); /* no more than the bank's frame has */
        good &= (context->query[l] = room(numbers, 1, sizeof(float))) != NULL;
    }
    good &= (context->cells = room(cells, 1, sizeof *context->cells)) != NULL;
    good &= (context->high = room(m->grid_h, m->grid_w, 1)) != NULL;
    return good && (context->positions = room(cells, 1, sizeof *context->positions)) != NULL;
}

/* What is searched: the averages of the bank's frames. */
static bool map_stored(panda_context *context, const panda_source *source, const panda_manifest *m,
                       panda_edge_error *error)
{
    for (int l = 0; l < context->kept; l++) {
        char name[64];
        snprintf(name, sizeof name, "bank/context_stride%02zu.npy", m->strides[l]);
        const size_t shape[] = {m->images, kept_cells(m, l), kept_channels(context, m, l)};
        if (!npy_map(source, name, "<f2", shape, 3, &context->stored[l], error))
            return false;
    }
    return true;
}

static bool make_pyramid(panda_context *context, const panda_manifest *m)
{
    panda_level kept[PANDA_AVERAGE_LEVELS];
    for (int l = 0; l < context->kept; l++)
        kept[l] = (panda_level){{context->stored[l].data, NULL, PANDA_F16}, kept_channels(context, m, l)};
    context->pyramid = panda_pyramid_new(kept, context->kept, m->images, m->grid_h, m->grid_w, true);
    return context->pyramid != NULL;
}

bool context_read(const panda_source *source, const panda_manifest *m, int object, void *state, panda_edge_error *error)
{
    panda_context *context = state;
    const json_text *json = &source->json;
    context->kept = m->shape.level_count < PANDA_AVERAGE_LEVELS ? m->shape.level_count : PANDA_AVERAGE_LEVELS;
    if (!json_number(json, object, "factor", 0, 1e6, &context->factor, error) ||
        !json_number(json, object, "floor", 0, 1e12, &context->floor, error) ||
        !json_number(json, object, "above", 0, 1e12, &context->above, error) ||
        !leave_one_out_map(source, m, object, "bank/context_leave_one_out.npy", context->kept - 1, &context->own,
                           error) ||
        !map_stored(context, source, m, error))
        return false;
    return (take_room(context, m) && make_pyramid(context, m)) || panda_edge_fail(error, "not enough memory");
}

void context_close(void *state)
{
    panda_context *context = state;
    panda_pyramid_free(context->pyramid);
    npy_unmap(&context->own.values);
    for (int l = 0; l < PANDA_AVERAGE_LEVELS; l++) {
        free(context->query[l]);
        npy_unmap(&context->stored[l]);
    }
    free(context->cells);
    free(context->positions);
    free(context->high);
}

/* Marks the coarsest cells below which a distance is high; whether there are any. */
static bool find_high(const panda_context *context, const panda_manifest *m, const float *distances)
{
    const int finest = m->shape.level_count - 1;
    bool any = false;
    memset(context->high, 0, m->grid_h * m->grid_w);
    for (size_t y = 0, i = 0; y < m->grid_h << finest; y++)
        for (size_t x = 0; x < m->grid_w << finest; x++, i++)
            if (distances[i] > (float)context->above) {
                context->high[(y >> finest) * m->grid_w + (x >> finest)] = 1;
                any = true;
            }
    return any;
}

/* A squared distance to these images below which nothing is added, whatever is subtracted. */
static float adds_nothing(const panda_context *context, const panda_manifest *m, const panda_scope *scope)
{
    if (!(context->factor > 0))
        return 0;
    const double nothing =
        context->floor / context->factor + leave_one_out_least(&context->own, scope, kept_cells(m, context->kept - 1));
    return nothing > 0 ? (float)(nothing * nothing * (1 - 1e-5)) : 0; /* less a little, for rounding */
}

panda_status context_apply(void *state, const panda_manifest *m, const panda_searched *frame, float *distances)
{
    panda_context *context = state;
    if (!find_high(context, m, distances))
        return PANDA_OK;
    panda_scope scope = frame->scope;
    scope.cells = context->high;
    scope.enough = adds_nothing(context, m, &scope);
    size_t channels[PANDA_MAX_LEVELS];
    for (int l = 0; l < m->shape.level_count; l++)
        channels[l] = m->shape.levels[l].channels;
    panda_status status =
        panda_averages(frame->levels, channels, m->shape.level_count, m->grid_h, m->grid_w, context->query);
    if (status == PANDA_OK)
        status = panda_pyramid_nearest(context->pyramid, (const float *const *)context->query, scope, 0, frame->threads,
                                       context->cells, context->positions);
    if (status != PANDA_OK)
        return status;
    const int kept = context->kept, finer = m->shape.level_count - kept; /* cells double so many times */
    const size_t height = m->grid_h << (kept - 1), width = m->grid_w << (kept - 1);
    for (size_t y = 0, i = 0; y < height; y++)
        for (size_t x = 0; x < width; x++, i++) {
            const float left = leave_one_out_less(&context->own, sqrtf(context->cells[i]), context->positions[i]);
            const float beyond = left * (float)context->factor - (float)context->floor;
            for (size_t below = y << finer; below < (y + 1) << finer && !(beyond < 0); below++)
                for (size_t at = x << finer; at < (x + 1) << finer; at++)
                    distances[(below * (width << finer)) + at] += beyond;
        }
    return PANDA_OK;
}
