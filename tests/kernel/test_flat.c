/* The flat search and the parts of its screen at every level: operations against the scalar ones, integer for integer;
 * searches against plain loops, on integer features whose distances are exact, so that ties must resolve to the lowest
 * index, and on real-valued ones against the plain top-k, to the bit. */
#include <string.h>

#include "base/half.h"
#include "base/memory.h"
#include "check.h"
#include "simd/ops.h"

static int16_t small_int16(int most) { return (int16_t)((int)(random_bits() % (unsigned)(2 * most + 1)) - most); }

/* Whole lines, filled with values of at most `most`. */
static int16_t *random_lines(size_t lines, int most)
{
    int16_t *values = panda_allocate_aligned(64, lines * 64);
    CHECK(values != NULL, "%zu lines", lines);
    for (size_t i = 0; i < lines * COLUMN_LINE; i++)
        values[i] = small_int16(most);
    return values;
}

static void screen_case(size_t pairs, size_t groups, bool first)
{
    const panda_ops *ops = panda_ops_current();
    int16_t *slab = random_lines(groups * (1 + pairs), 2000), query[64];
    for (size_t i = 0; i < 2 * pairs; i++)
        query[i] = small_int16(4000);
    for (size_t g = 0; g < groups; g++)
        for (size_t row = 0; row < LANES; row++) {
            int32_t length = (int32_t)(random_bits() % 100000000u);
            memcpy(slab + g * (1 + pairs) * COLUMN_LINE + 2 * row, &length, sizeof length);
        }
    uint32_t *got_groups = allocate(groups * sizeof *got_groups),
             *groups_wanted = allocate(groups * sizeof *groups_wanted);
    size_t sums = groups * LANES * sizeof(int32_t), count = 0;
    int32_t *got = allocate(sums), *wanted = allocate(sums);
    for (size_t g = 0; g < groups; g++)
        if (random_bits() % 4 != 0) {
            got_groups[count] = groups_wanted[count] = (uint32_t)g;
            count++;
        }
    for (size_t i = 0; i < groups * LANES; i++)
        got[i] = wanted[i] = (int32_t)(random_bits() % 1000000u);
    int32_t limit = 12000000;
    size_t kept = ops->screen_columns(query, 1234567, slab, pairs, first, got_groups, got, count, limit);
    size_t kept_wanted =
        panda_ops_scalar.screen_columns(query, 1234567, slab, pairs, first, groups_wanted, wanted, count, limit);
    CHECK(kept == kept_wanted, "pairs %zu: %zu and %zu of %zu", pairs, kept, kept_wanted, count);
    CHECK(memcmp(got_groups, groups_wanted, kept * sizeof *got_groups) == 0, "pairs %zu", pairs);
    CHECK(memcmp(got, wanted, kept * LANES * sizeof *got) == 0, "pairs %zu", pairs);
    CHECK(count < 20 || (kept > 0 && kept < count), "%zu of %zu", kept, count);
    panda_free_aligned(slab), free(got_groups), free(groups_wanted), free(got), free(wanted);
}

static void screen_test(void)
{
    for (size_t pairs = 1; pairs <= 9; pairs++)
        for (int first = 0; first < 2; first++) {
            screen_case(pairs, 1, first);
            screen_case(pairs, 40, first);
        }
}

static void box_test(void)
{
    enum { BLOCKS = 3, PAIRS = 4 };
    int16_t *boxes = random_lines(BLOCKS * PAIRS * 2, 5000), query[2 * PAIRS];
    int32_t got[BLOCKS * LANES], wanted[BLOCKS * LANES];
    for (size_t line = 0; line < BLOCKS * PAIRS; line++)
        for (size_t i = 0; i < COLUMN_LINE; i++) {
            int16_t *low = boxes + 2 * line * COLUMN_LINE + i, *high = low + COLUMN_LINE, swap = *low;
            if (*low > *high)
                *low = *high, *high = swap;
            if (random_bits() % 3 == 0)
                *low = -15001, *high = 15001;
        }
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < 2 * PAIRS; i++)
            query[i] = (size_t)round == i ? 15001 : small_int16(5000);
        panda_ops_current()->box_distances(query, boxes, BLOCKS, PAIRS, got);
        panda_ops_scalar.box_distances(query, boxes, BLOCKS, PAIRS, wanted);
        CHECK(memcmp(got, wanted, sizeof got) == 0, "round %d", round);
    }
    panda_free_aligned(boxes);
}

typedef struct {
    size_t n, d, q;
    int threads;
    enum { INTEGERS, REALS, CLOSE, FAR } kind;
} flat_case;

static uint16_t half_of(int value)
{
    static const uint16_t magnitude[] = {0x0000, 0x3c00, 0x4000, 0x4200}; /* 0, 1, 2, 3 */
    return (uint16_t)((value < 0 ? 0x8000 : 0) | magnitude[abs(value)]);
}

static void search_case(flat_case c, panda_dtype dtype)
{
    float *bank = random_floats(c.n * c.d), *queries = random_floats(c.q * c.d);
    uint16_t *halves = random_halves(c.n * c.d);
    for (size_t i = 0; i < c.n * c.d; i++) {
        if (c.kind == INTEGERS)
            halves[i] = half_of((int)(random_bits() % 5) - 2);
        bank[i] = dtype == PANDA_F16   ? half_to_float(halves[i])
                  : c.kind == INTEGERS ? half_to_float(halves[i])
                                       : bank[i];
    }
    for (size_t i = 0; i < c.q; i++) /* beside a row of the bank, or where they may */
        for (size_t j = 0; j < c.d; j++) {
            float *x = &queries[i * c.d + j], row = bank[random_bits() % c.n * c.d + j];
            if (c.kind == INTEGERS)
                *x = (float)((int)(random_bits() % 7) - 3);
            else if (c.kind == CLOSE)
                *x = bank[(i * 31 % c.n) * c.d + j] * (1 + *x * 1e-3F);
            else if (c.kind == FAR)
                *x = i % 3 == 0 ? *x * 1e4F : i % 3 == 1 ? NAN : row;
        }
    if (c.kind == FAR && c.n > 4 && dtype == PANDA_F32)
        bank[3 * c.d] = NAN, bank[2 * c.d + c.d - 1] = INFINITY;
    const void *rows = dtype == PANDA_F16 ? (void *)halves : (void *)bank;
    panda_flat *flat = panda_flat_new(rows, dtype, c.n, c.d);
    CHECK(flat != NULL, "n %zu", c.n);
    float *got = allocate(c.q * sizeof *got), *wanted = allocate(c.q * sizeof *wanted);
    int64_t *index = allocate(c.q * sizeof *index), *index_wanted = allocate(c.q * sizeof *index_wanted);
    for (int again = 0; again < 2; again++) {
        CHECK(panda_flat_nearest(flat, queries, c.q, c.threads, got, index) == PANDA_OK, "n %zu", c.n);
        CHECK(panda_topk(queries, c.q, rows, dtype, c.n, c.d, 1, 1, wanted, index_wanted) == PANDA_OK, "n %zu", c.n);
        for (size_t i = 0; i < c.q; i++) {
            if (isinf(wanted[i]))
                index_wanted[i] = 0; /* nothing is near */
            CHECK(got[i] == wanted[i] && index[i] == index_wanted[i],
                  "kind %d, n %zu, d %zu, query %zu: row %lld at %g, not %lld at %g", (int)c.kind, c.n, c.d, i,
                  (long long)index[i], got[i], (long long)index_wanted[i], wanted[i]);
        }
    }
    panda_flat_free(flat);
    free(bank), free(queries), free(halves), free(got), free(wanted), free(index), free(index_wanted);
}

static void search_test(void)
{
    static const size_t sizes[] = {1, 15, 16, 17, 63, 64, 65, 300, 1100},
                        channels[] = {1, 2, 7, 8, 9, 16, 17, 33, 96, 97, 130};
    for (int kind = INTEGERS; kind <= FAR; kind++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            for (size_t j = i % 3; j < sizeof channels / sizeof *channels; j += 3) {
                flat_case c = {sizes[i], channels[j], 1 + (i * 13 + j * 29) % 60, 1 + (int)(j % 3), kind};
                search_case(c, PANDA_F32);
                search_case(c, PANDA_F16);
            }
    search_case((flat_case){5000, 12, 30, 2, CLOSE}, PANDA_F16); /* several blocks of leaves */
}

static void project_test(void)
{
    static const size_t shapes[][3] = {{1, 1, 1}, {17, 9, 33}, {40, 70, 16}};
    for (size_t k = 0; k < 3; k++) {
        size_t n = shapes[k][0], d = shapes[k][1], p = shapes[k][2];
        float *rows = random_floats(n * d), *mean = random_floats(d), *basis = random_floats(d * p);
        float *out = allocate(n * p * sizeof *out);
        CHECK(panda_project(rows, n, d, mean, basis, p, 2, out) == PANDA_OK, "n %zu", n);
        for (size_t i = 0; i < n * p; i++) {
            double sum = 0;
            for (size_t c = 0; c < d; c++)
                sum += ((double)rows[i / p * d + c] - mean[c]) * basis[c * p + i % p];
            CHECK(fabs(out[i] - sum) < 1e-6 * (double)(d + 8), "n %zu, d %zu, p %zu, at %zu", n, d, p, i);
        }
        free(rows), free(mean), free(basis), free(out);
    }
}

int main(void)
{
    at_every_level("flat screen", screen_test);
    at_every_level("boxes", box_test);
    at_every_level("flat search", search_test);
    at_every_level("rows turned into a basis", project_test);
    return 0;
}
