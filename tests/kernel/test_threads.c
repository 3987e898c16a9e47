/* Every search that uses the pool, by four threads and from two callers at once: the bits of one thread. Under the
 * thread sanitizer this says whether anything that tasks or callers share is written without a lock. */
#include <string.h>

#include "callers.h"

enum { ROWS = 2600, QUERIES = 150, D = 24, CHOSEN = 40, GRID = 4, IMAGES = 12, LEVELS = 3, CELLS = GRID * GRID * 16 };
enum { CALLERS = 2, ROUNDS = 2, ANSWERS = QUERIES * 8 + CHOSEN + CELLS * 2 };

/* What all callers read. */
static float *bank, *queries, *mean, *basis, *factors, *levels[LEVELS], *query_levels[LEVELS];
static panda_flat *flat;

typedef struct {
    int threads;
    float distances[ANSWERS];
    int64_t indices[ANSWERS];
    float projected[ROWS * D];
    float gaussian[ROWS];
} answers;

static void ask(answers *a)
{
    memset(a->distances, 0, sizeof a->distances);
    memset(a->indices, 0, sizeof a->indices);
    float *distances = a->distances;
    int64_t *indices = a->indices;
    CHECK(panda_topk(queries, QUERIES, bank, PANDA_F32, ROWS, D, 7, a->threads, distances, indices) == PANDA_OK,
          "topk");
    distances += QUERIES * 7;
    indices += QUERIES * 7;
    CHECK(panda_flat_nearest(flat, queries, QUERIES, a->threads, distances, indices) == PANDA_OK, "flat");
    distances += QUERIES;
    indices += QUERIES;
    CHECK(panda_k_centre(bank, PANDA_F32, ROWS, D, CHOSEN, 0, a->threads, NULL, NULL, indices) == PANDA_OK, "k-centre");
    distances += CHOSEN;
    indices += CHOSEN;
    panda_level level[LEVELS];
    for (int l = 0; l < LEVELS; l++)
        level[l] = (panda_level){{levels[l], NULL, PANDA_F32}, D};
    panda_pyramid *pyramid = panda_pyramid_new(level, LEVELS, IMAGES, GRID, GRID, true);
    CHECK(pyramid != NULL, "memory");
    panda_scope scope = {NULL, 0, NULL, PANDA_EVERYWHERE, 0};
    for (int near = 0; near < 2; near++) {
        CHECK(panda_pyramid_nearest(pyramid, (const float *const *)query_levels, scope, 0, a->threads, distances,
                                    indices) == PANDA_OK,
              "pyramid");
        distances += CELLS;
        indices += CELLS;
        scope.window = 1;
    }
    panda_pyramid_free(pyramid);
    CHECK(panda_project(bank, ROWS, D, mean, basis, D, a->threads, a->projected) == PANDA_OK, "project");
    CHECK(panda_gaussian_distance(bank, queries, factors, PANDA_F32, QUERIES, D, D, false, a->threads, a->gaussian) ==
              PANDA_OK,
          "gaussian");
}

static void caller(void *wanted)
{
    answers *got = calloc(1, sizeof *got);
    CHECK(got != NULL, "memory");
    got->threads = 4;
    for (int round = 0; round < ROUNDS; round++) {
        ask(got);
        CHECK(memcmp(got->distances, ((answers *)wanted)->distances, sizeof got->distances) == 0, "distances");
        CHECK(memcmp(got->indices, ((answers *)wanted)->indices, sizeof got->indices) == 0, "indices");
        CHECK(memcmp(got->projected, ((answers *)wanted)->projected, sizeof got->projected) == 0, "projected");
        CHECK(memcmp(got->gaussian, ((answers *)wanted)->gaussian, sizeof got->gaussian) == 0, "gaussian");
    }
    free(got);
}

static void at_once(void)
{
    answers *wanted = calloc(1, sizeof *wanted);
    CHECK(wanted != NULL, "memory");
    wanted->threads = 1;
    ask(wanted);
    run_callers(CALLERS, caller, wanted);
    free(wanted);
}

int main(void)
{
    bank = random_floats(ROWS * D);
    queries = random_floats(QUERIES * D);
    mean = random_floats(D);
    basis = random_floats(D * D);
    factors = random_floats(QUERIES * panda_factor_size(D, D, false));
    for (int l = 0; l < LEVELS; l++) {
        size_t cells = (size_t)GRID * GRID << (2 * l);
        levels[l] = random_floats(IMAGES * cells * D);
        query_levels[l] = random_floats(cells * D);
    }
    flat = panda_flat_new(bank, PANDA_F32, ROWS, D);
    CHECK(flat != NULL, "memory");
    at_every_level("all searches at once", at_once);
    panda_flat_free(flat);
    float *all[] = {bank,           queries,   mean,      basis,           factors,
                    levels[0],      levels[1], levels[2], query_levels[0], query_levels[1],
                    query_levels[2]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    return 0;
}
