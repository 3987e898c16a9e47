/* The searches at every level against plain loops in double, on integer features whose distances are exact, so
 * that ties must resolve to the lowest index, and on real-valued ones to 1e-5 relative. */
#include <string.h>

#include "base/half.h"
#include "check.h"

static uint16_t small_integer_half(int value)
{
    static const uint16_t magnitude[] = {0x0000, 0x3c00, 0x4000, 0x4200}; /* 0, 1, 2, 3 */
    return (uint16_t)((value < 0 ? 0x8000 : 0) | magnitude[abs(value)]);
}

static void fill(float *as_float, uint16_t *as_half, size_t count, bool integers)
{
    uint16_t *halves = random_halves(count);
    for (size_t i = 0; i < count; i++) {
        uint16_t half = integers ? small_integer_half((int)(random_bits() % 5) - 2) : halves[i];
        as_float[i] = half_to_float(half);
        if (as_half)
            as_half[i] = half;
    }
    free(halves);
}

/* A row as bytes, the small integers exactly; `as_float` becomes what the bytes stand for. */
static void fill_bytes(uint8_t *bytes, float scales[2], float *as_float, size_t d)
{
    scales[0] = -2;
    scales[1] = 0.5F;
    for (size_t c = 0; c < d; c++) {
        bytes[c] = (uint8_t)fminf(255, fmaxf(0, 2 * (as_float[c] + 2)));
        as_float[c] = scales[0] + scales[1] * bytes[c];
    }
}

static double squared_distance(const float *a, const float *b, size_t d)
{
    double sum = 0;
    for (size_t c = 0; c < d; c++)
        sum += ((double)a[c] - b[c]) * ((double)a[c] - b[c]);
    return sum;
}

static void topk_case(size_t q, size_t n, size_t d, size_t k, int threads, bool integers)
{
    float *queries = allocate(q * d * sizeof *queries), *bank = allocate(n * d * sizeof *bank);
    uint16_t *halves = allocate(n * d * sizeof *halves);
    fill(queries, NULL, q * d, integers);
    fill(bank, halves, n * d, integers);
    float *distances = allocate(q * k * sizeof *distances);
    int64_t *indices = allocate(q * k * sizeof *indices);
    for (int half = 0; half < 2; half++) {
        CHECK(panda_topk(queries, q, half ? (void *)halves : (void *)bank, half ? PANDA_F16 : PANDA_F32, n, d, k,
                         threads, distances, indices) == PANDA_OK,
              "n %zu", n);
        for (size_t i = 0; i < q; i++)
            for (size_t j = 0; j < k; j++) {
                /* Rank of the reported row: how many rows come before it in the order (distance, index). */
                int64_t index = indices[i * k + j];
                double distance = squared_distance(queries + i * d, bank + (size_t)index * d, d);
                CHECK(near(distances[i * k + j], distance, 1e-5), "query %zu, rank %zu", i, j);
                size_t nearer = 0, not_farther = 0;
                for (size_t row = 0; row < n; row++) {
                    double other = squared_distance(queries + i * d, bank + row * d, d);
                    nearer += other < distance * (1 - 1e-5) || (integers && other == distance && (int64_t)row < index);
                    not_farther += other <= distance * (1 + 1e-5);
                }
                CHECK(nearer <= j && j < not_farther, "query %zu, rank %zu is %zu", i, j, nearer);
                CHECK(!integers || nearer == j, "query %zu, rank %zu is %zu", i, j, nearer);
            }
    }
    free(queries), free(bank), free(halves), free(distances), free(indices);
}

static void topk_test(void)
{
    topk_case(1, 1, 1, 1, 1, true);
    topk_case(3, 200, 2, 17, 2, true);
    topk_case(18, 70, 3, 70, 3, true);
    topk_case(5, 333, 33, 4, 2, false);
}

typedef struct {
    size_t grid_h, grid_w, images;
    int level_count;
    size_t channels[PANDA_MAX_LEVELS];
    bool nested, integers;
    float epsilon;
    bool windowed;
    unsigned some_cells; /* how many of four query cells are searched for; 0: all */
    int32_t window;
} pyramid_case;

/* Row number of level l below which a finest row-major position of the grid lies, in nested order. */
static size_t nested_cell(const pyramid_case *c, size_t row, size_t column, int l)
{
    int last = c->level_count - 1;
    size_t number = (row >> last) * c->grid_w + (column >> last);
    for (int depth = 1; depth <= l; depth++)
        number = 4 * number + 2 * ((row >> (last - depth)) & 1) + ((column >> (last - depth)) & 1);
    return number;
}

static size_t apart(size_t a, size_t b) { return a > b ? a - b : b - a; }

/* Whether two finest positions' coarsest cells lie within the case's window. */
static bool within(const pyramid_case *c, size_t a, size_t b)
{
    int last = c->level_count - 1;
    size_t width = c->grid_w << last, reach = (size_t)c->window;
    return !c->windowed || (apart(a / width >> last, b / width >> last) <= reach &&
                            apart(a % width >> last, b % width >> last) <= reach);
}

static void run_pyramid_case(const pyramid_case *c, panda_dtype dtype, const int64_t *chosen, size_t chosen_count,
                             int threads)
{
    int levels = c->level_count;
    size_t height = c->grid_h << (levels - 1), width = c->grid_w << (levels - 1), area = height * width;
    float *query[PANDA_MAX_LEVELS], *gallery[PANDA_MAX_LEVELS];
    uint16_t *halves[PANDA_MAX_LEVELS];
    uint8_t *bytes[PANDA_MAX_LEVELS];
    float *scales[PANDA_MAX_LEVELS];
    panda_level level[PANDA_MAX_LEVELS];
    size_t cells[PANDA_MAX_LEVELS];
    for (int l = 0; l < levels; l++) {
        size_t d = c->channels[l];
        cells[l] = (c->grid_h * c->grid_w) << (2 * l);
        size_t rows = c->images * (c->nested ? cells[l] : 1);
        query[l] = allocate(cells[l] * d * sizeof(float));
        gallery[l] = allocate(rows * d * sizeof(float));
        halves[l] = allocate(rows * d * sizeof(uint16_t));
        fill(query[l], NULL, cells[l] * d, c->integers);
        fill(gallery[l], halves[l], rows * d, c->integers);
        bytes[l] = allocate(rows * d);
        scales[l] = allocate(rows * 2 * sizeof(float));
        for (size_t r = 0; dtype == PANDA_U8 && r < rows; r++)
            fill_bytes(bytes[l] + r * d, scales[l] + 2 * r, gallery[l] + r * d, d);
        const panda_rows kinds[] = {{gallery[l], NULL, dtype}, {halves[l], NULL, dtype}, {bytes[l], scales[l], dtype}};
        level[l] = (panda_level){kinds[dtype], d};
    }
    panda_pyramid *p = panda_pyramid_new(level, levels, c->images, c->grid_h, c->grid_w, c->nested);
    CHECK(p != NULL, "memory");
    float *distances = allocate(area * sizeof *distances);
    int64_t *indices = allocate(area * sizeof *indices);
    uint8_t *wanted = allocate(cells[0]);
    for (size_t cell = 0; cell < cells[0]; cell++)
        wanted[cell] = random_bits() % 4 < c->some_cells;
    const panda_scope scope = {chosen, chosen_count, c->some_cells ? wanted : NULL,
                               c->windowed ? c->window : PANDA_EVERYWHERE, 0};
    CHECK(panda_pyramid_nearest(p, (const float *const *)query, scope, c->epsilon, threads, distances, indices) ==
              PANDA_OK,
          "search");
    size_t units = chosen ? chosen_count : c->images, places = c->nested ? area : 1;
    for (size_t position = 0; position < area; position++) {
        if (c->some_cells && !wanted[nested_cell(c, position / width, position % width, 0)]) {
            CHECK(distances[position] == 0 && indices[position] == -1, "position %zu is not searched for", position);
            continue;
        }
        double nearest = INFINITY, at_index = NAN;
        int64_t lowest = INT64_MAX;
        for (size_t unit = 0; unit < units; unit++)
            for (size_t place = 0; place < places; place++) {
                int64_t image = chosen ? chosen[unit] : (int64_t)unit;
                int64_t index = image * (int64_t)places + (int64_t)place;
                double sum = 0;
                if (!within(c, position, place))
                    continue;
                for (int l = 0; l < levels; l++) {
                    size_t d = c->channels[l], own = nested_cell(c, position / width, position % width, l);
                    size_t row = (size_t)image;
                    if (c->nested)
                        row = row * cells[l] + nested_cell(c, place / width, place % width, l);
                    sum += squared_distance(query[l] + own * d, gallery[l] + row * d, d);
                }
                if (sum < nearest || (sum == nearest && index < lowest)) {
                    nearest = sum;
                    lowest = index;
                }
                if (index == indices[position])
                    at_index = sum;
            }
        double allowed = nearest * (1 + c->epsilon) * (1 + c->epsilon) * (1 + 1e-5);
        CHECK(near(distances[position], at_index, 1e-5), "position %zu: %g, really %g", position, distances[position],
              at_index);
        CHECK(at_index <= allowed, "position %zu: %g, nearest %g", position, at_index, nearest);
        CHECK(!c->integers || c->epsilon > 0 || indices[position] == lowest, "position %zu: %lld, nearest is %lld",
              position, (long long)indices[position], (long long)lowest);
    }
    panda_pyramid_free(p);
    for (int l = 0; l < levels; l++)
        free(query[l]), free(gallery[l]), free(halves[l]), free(bytes[l]), free(scales[l]);
    free(distances), free(indices), free(wanted);
}

static void pyramid_test(void)
{
    static const pyramid_case cases[] = {
        {1, 1, 3, 1, {5}, true, true, 0, false, 0, 0},
        {1, 1, 2, 3, {3, 2, 1}, true, true, 0, false, 0, 0},
        {3, 2, 4, 2, {7, 5}, true, false, 0, false, 0, 0},
        {2, 3, 5, 3, {17, 9, 4}, true, false, 0, false, 0, 0},
        {2, 3, 5, 3, {2, 1, 1}, true, true, 0, false, 0, 0},
        {1, 2, 3, 4, {33, 18, 5, 2}, true, false, 0, false, 0, 0},
        {2, 2, 4, 3, {9, 6, 3}, true, false, .1F, false, 0, 0},
        {3, 3, 40, 3, {5, 4, 3}, false, false, 0, false, 0, 0},
        {2, 1, 300, 2, {1, 1}, false, true, 0, false, 0, 0},
        {5, 4, 3, 3, {112, 40, 24}, true, false, 0, false, 0, 0},
        {8, 9, 12, 3, {20, 12, 5}, true, false, 0, false, 1, 0},
        {8, 9, 12, 2, {20, 12}, true, true, 0, false, 1, 0},
        {.grid_h = 5,
         .grid_w = 4,
         .images = 3,
         .level_count = 3,
         .channels = {30, 12, 5},
         .nested = true,
         .integers = true,
         .windowed = true,
         .window = 1},
        {.grid_h = 1,
         .grid_w = 9,
         .images = 4,
         .level_count = 2,
         .channels = {9, 4},
         .nested = true,
         .integers = true,
         .windowed = true,
         .window = 2,
         .some_cells = 3},
        {.grid_h = 4,
         .grid_w = 3,
         .images = 3,
         .level_count = 1,
         .channels = {11},
         .nested = true,
         .windowed = true,
         .window = 0},
        {.grid_h = 3,
         .grid_w = 3,
         .images = 3,
         .level_count = 4,
         .channels = {9, 5, 3, 2},
         .nested = true,
         .epsilon = .1F,
         .windowed = true,
         .window = 1,
         .some_cells = 1},
        {.grid_h = 3, .grid_w = 3, .images = 40, .level_count = 2, .channels = {5, 4}, .some_cells = 3},
    };
    static const int64_t chosen[] = {2, 0, 2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int dtype = PANDA_F32; dtype <= PANDA_U8; dtype++) {
            run_pyramid_case(&cases[i], (panda_dtype)dtype, NULL, 0, 1 + dtype % 2);
            if (cases[i].nested && cases[i].images >= 3)
                run_pyramid_case(&cases[i], (panda_dtype)dtype, chosen, 3, 2);
        }
}

int main(void)
{
    at_every_level("top-k", topk_test);
    at_every_level("pyramid", pyramid_test);
    return 0;
}
