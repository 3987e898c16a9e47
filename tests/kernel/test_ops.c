/* Every operation of every level against the scalar one, over dimensions 1 to 97 and beyond.
 * Tolerance: a float32 sum of d terms >= 0 is off by at most about d * 6e-8 relative. */
#include <string.h>

#include "check.h"
#include "half.h"
#include "ops.h"

static const size_t long_rows[] = {112, 128, 176, 512, 1280, 1792};

static void tile_case(size_t d, size_t na, size_t nb)
{
    const panda_ops *ops = panda_ops_current();
    float *a = random_floats(na * d), *b = random_floats(nb * d);
    uint16_t *h = random_halves(nb * d);
    size_t ldo = nb + 3;
    float *got = allocate(na * ldo * sizeof *got), *wanted = allocate(na * ldo * sizeof *wanted);
    double tolerance = 1e-7 * (double)(d + 8);
    for (int half = 0; half < 2; half++) {
        for (size_t i = 0; i < na * ldo; i++)
            got[i] = wanted[i] = -7;
        l2_tile(ops, a, na, half ? (void *)h : (void *)b, half ? PANDA_F16 : PANDA_F32, nb, d, got, ldo);
        l2_tile(&panda_ops_scalar, a, na, half ? (void *)h : (void *)b, half ? PANDA_F16 : PANDA_F32, nb, d, wanted,
                ldo);
        for (size_t i = 0; i < na; i++)
            for (size_t j = 0; j < ldo; j++)
                CHECK(j < nb ? near(got[i * ldo + j], wanted[i * ldo + j], tolerance) : got[i * ldo + j] == -7,
                      "d %zu, %zu x %zu, half %d, at %zu, %zu: %g and %g", d, na, nb, half, i, j, got[i * ldo + j],
                      wanted[i * ldo + j]);
    }
    free(a), free(b), free(h), free(got), free(wanted);
}

static void l2_tile_test(void)
{
    for (size_t d = 1; d <= 97; d++)
        for (size_t n = 1; n <= 9; n++)
            tile_case(d, 1 + (d + n) % 9, n);
    for (size_t i = 0; i < sizeof long_rows / sizeof *long_rows; i++)
        tile_case(long_rows[i], 4, 16);
}

/* One pair of rows gives the same bits wherever it stands in a tile: ties depend on it. */
static void position_test(void)
{
    enum { D = 37, N = 11 };
    const panda_ops *ops = panda_ops_current();
    float *row = random_floats(D), *a = allocate(N * D * sizeof *a), *b = allocate(N * D * sizeof *b);
    float *other = random_floats(D), out[N * N];
    for (size_t i = 0; i < N; i++) {
        memcpy(a + i * D, row, D * sizeof *row);
        memcpy(b + i * D, other, D * sizeof *other);
    }
    for (size_t na = 1; na <= N; na++)
        for (size_t nb = 1; nb <= N; nb++) {
            ops->l2_tile_f32(a, na, b, nb, D, out, N);
            float first;
            ops->l2_tile_f32(a, 1, b, 1, D, &first, 1);
            for (size_t i = 0; i < na; i++)
                for (size_t j = 0; j < nb; j++)
                    CHECK(memcmp(&out[i * N + j], &first, sizeof first) == 0, "%zu x %zu at %zu, %zu", na, nb, i, j);
        }
    free(row), free(other), free(a), free(b);
}

static void blend_rows_test(void)
{
    for (size_t width = 1; width <= 97; width++)
        for (size_t n = 1; n <= 12; n += 11) {
            float *weights = random_floats(n), *rows = random_floats(n * (width + 2));
            float *got = allocate(width * sizeof *got), *wanted = allocate(width * sizeof *wanted);
            panda_ops_current()->blend_rows(weights, rows, n, width + 2, width, got);
            panda_ops_scalar.blend_rows(weights, rows, n, width + 2, width, wanted);
            for (size_t x = 0; x < width; x++)
                CHECK(fabsf(got[x] - wanted[x]) < 1e-6F * (float)n, "width %zu, n %zu, at %zu", width, n, x);
            free(weights), free(rows), free(got), free(wanted);
        }
}

/* Halves of every kind reach float as IEEE 754 says: checked through the level's own conversion. */
static void half_test(void)
{
    const panda_ops *ops = panda_ops_current();
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t half = (uint16_t)bits;
        float zero = 0, got, value = half_to_float(half);
        int exponent = (int)((bits >> 10) & 31), fraction = (int)(bits & 1023);
        double wanted = exponent == 31 ? (fraction ? NAN : INFINITY)
                        : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                       : ldexp(fraction, -24);
        CHECK(isnan(wanted) ? isnan(value) : fabsf(value) == (float)wanted, "half %04x is %g", bits, value);
        CHECK(isnan(wanted) || !signbit(value) == !(bits & 0x8000), "sign of half %04x", bits);
        ops->l2_tile_f16(&zero, 1, &half, 1, 1, &got, 1);
        CHECK(isnan(wanted) ? isnan(got) : near(got, wanted * wanted, 1e-6), "half %04x squared is %g", bits, got);
    }
}

int main(void)
{
    at_every_level("l2_tile", l2_tile_test);
    at_every_level("equal rows, equal bits", position_test);
    at_every_level("blend_rows", blend_rows_test);
    at_every_level("halves", half_test);
    return 0;
}
