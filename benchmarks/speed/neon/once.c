/* Calls one kernel once, on numbers that are always the same: once KERNEL, or once none for all but the call. Sizes are
 * of one frame (EfficientNet-Lite0 at 224 pixels), or the stated part of one. `benchmarks.speed.neon` counts its
 * instructions. */
#include <stdlib.h>
#include <string.h>

#include "panda_kernel.h"

static uint64_t state = 88172645463325252u;

static uint32_t bits(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static float *floats(size_t count)
{
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(bits() >> 8) / 8388608.0F - 1;
    return values;
}

static uint16_t *halves(size_t count) /* finite, 2^-3 to 2^1 */
{
    uint16_t *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (uint16_t)((bits() & 0x83ffu) | ((12 + bits() % 4) << 10));
    return values;
}

enum { D = 1280, ROWS = 20, GRID = 7, IMAGES = 2, POSITIONS = 4, JOINT = 176 };

static float distances[GRID * GRID * 16], heatmap[56 * 224];
static int64_t indices[GRID * GRID * 16];

static panda_status topk(bool called)
{
    float *query = floats(D), *bank = floats((size_t)ROWS * D);
    return called ? panda_topk(query, 1, bank, PANDA_F32, ROWS, D, 2, 1, distances, indices) : PANDA_OK;
}

static panda_status gaussian(bool called)
{
    float *x = floats(POSITIONS * JOINT), *mean = floats(POSITIONS * JOINT);
    uint16_t *factors = halves(POSITIONS * panda_factor_size(JOINT, JOINT, true));
    return called ? panda_gaussian_distance(x, mean, factors, PANDA_F16, POSITIONS, JOINT, JOINT, true, 1, distances)
                  : PANDA_OK;
}

static panda_status pyramid(bool called)
{
    const size_t channels[3] = {112, 40, 24};
    panda_level levels[3];
    const float *queries[3];
    for (int l = 0; l < 3; l++) {
        size_t cells = (size_t)GRID * GRID << (2 * l);
        levels[l] = (panda_level){{halves(IMAGES * cells * channels[l]), NULL, PANDA_F16}, channels[l]};
        queries[l] = floats(cells * channels[l]);
    }
    panda_pyramid *made = panda_pyramid_new(levels, 3, IMAGES, GRID, GRID, true);
    const panda_scope all = {NULL, IMAGES, NULL, PANDA_EVERYWHERE, 0};
    return called ? panda_pyramid_nearest(made, queries, all, 0, 1, distances, indices) : PANDA_OK;
}

static panda_status heat(bool called)
{
    float *map = floats(56 * 56), *weights = floats(224 * 12);
    int64_t *first = malloc(224 * sizeof *first);
    for (int i = 0; i < 224; i++)
        first[i] = i * 44 / 224;
    panda_bands all = {weights, first, 12, 224}, quarter = {weights, first, 12, 56};
    return called ? panda_resample(map, 56, 56, quarter, all, heatmap) : PANDA_OK;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        panda_status (*run)(bool called);
    } kernels[] = {{"topk", topk}, {"gaussian", gaussian}, {"pyramid", pyramid}, {"heatmap", heat}};
    for (size_t i = 0; count > 1 && i < sizeof kernels / sizeof *kernels; i++)
        if (strcmp(arguments[1], kernels[i].name) == 0)
            return (int)kernels[i].run(count > 2);
    return 1;
}
