#include "library/leave_one_out.h"

#include <math.h>

#include "base/half.h"

bool leave_one_out_map(const panda_source *source, const panda_manifest *m, int object, const char *name, int depth,
                       panda_leave_one_out *own, panda_edge_error *error)
{
    const size_t shape[] = {m->images, m->grid_h << depth, m->grid_w << depth};
    return json_number(&source->json, object, "share", 0, 1, &own->share, error) &&
           npy_map(source, name, "<f2", shape, 3, &own->values, error);
}

float leave_one_out_less(const panda_leave_one_out *own, float distance, int64_t match)
{
    const uint16_t *const halves = own->values.data;
    const float left = distance - (float)own->share * half_to_float(halves[match < 0 ? 0 : match]);
    return left < 0 ? 0 : left;
}

double leave_one_out_least(const panda_leave_one_out *own, const panda_scope *scope, size_t cells)
{
    const uint16_t *const halves = own->values.data;
    float least = INFINITY;
    for (size_t i = 0; i < scope->image_count; i++)
        for (size_t cell = 0; cell < cells; cell++)
            least = fminf(least, half_to_float(halves[(size_t)scope->images[i] * cells + cell]));
    return own->share * (double)least;
}

bool leave_one_out_read(const panda_source *source, const panda_manifest *m, int object, void *state,
                        panda_edge_error *error)
{
    return leave_one_out_map(source, m, object, "bank/leave_one_out.npy", m->shape.level_count - 1, state, error);
}

panda_status leave_one_out_apply(void *state, const panda_manifest *m, const panda_searched *frame, float *distances)
{
    const size_t cells = m->shape.levels[m->shape.level_count - 1].cells;
    for (size_t i = 0; i < cells; i++)
        distances[i] = leave_one_out_less(state, distances[i], frame->matches[i]);
    return PANDA_OK;
}

void leave_one_out_close(void *state) { npy_unmap(&((panda_leave_one_out *)state)->values); }
