#include "library/border_gain.h"

bool border_gain_read(const panda_source *source, const panda_manifest *m, int object, void *state,
                      panda_edge_error *error)
{
    (void)m;
    panda_border_gain *border = state;
    if (json_value(&source->json, object, "gains") == JSON_NONE)
        return panda_edge_fail(error, "manifest.json: gains is missing");
    return json_numbers(&source->json, object, "gains", 1, 16, border->gains, PANDA_MAX_GAINS, &border->count, error);
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

panda_status border_gain_apply(void *state, const panda_manifest *m, const panda_searched *frame, float *distances)
{
    (void)frame;
    const panda_border_gain *border = state;
    const size_t height = m->grid_h << (m->shape.level_count - 1), width = m->grid_w << (m->shape.level_count - 1);
    for (size_t y = 0, i = 0; y < height; y++)
        for (size_t x = 0; x < width; x++, i++) {
            const size_t ring = least(least(y, height - 1 - y), least(x, width - 1 - x));
            if (ring < border->count)
                distances[i] /= border->gains[ring];
        }
    return PANDA_OK;
}
