/* Every operation of every level against the scalar one, over dimensions 1 to 97 and beyond.
 * Tolerance: a float32 sum of d terms >= 0 is off by at most about d * 6e-8 relative. */
#include <string.h>

#include "base/half.h"
#include "check.h"
#include "simd/ops.h"

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
    uint8_t *bytes = random_bytes(nb * d);
    float *scales = random_floats(2 * nb);
    const panda_rows rows = {bytes, scales, PANDA_U8};
    l2_rows(ops, a, na, rows, nb, d, got, ldo);
    l2_rows(&panda_ops_scalar, a, na, rows, nb, d, wanted, ldo);
    for (size_t i = 0; i < na; i++)
        for (size_t j = 0; j < ldo; j++)
            CHECK(j < nb ? near(got[i * ldo + j], wanted[i * ldo + j], tolerance) : got[i * ldo + j] == -7,
                  "d %zu, %zu x %zu, bytes, at %zu, %zu: %g and %g", d, na, nb, i, j, got[i * ldo + j],
                  wanted[i * ldo + j]);
    free(bytes), free(scales);
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

/* The integer operations are exact, so every level must agree with scalar to the bit. */
static void integers_case(size_t d, size_t count, panda_dtype dtype)
{
    enum { QUADS = 5 };
    const panda_ops *ops = panda_ops_current(), *reference = &panda_ops_scalar;
    size_t chunks = (d + CHUNK - 1) / CHUNK, size = chunks * QUAD_CHUNK;
    float *mean = random_floats(d), *rows = random_floats(4 * d);
    uint16_t *halves = random_halves(4 * d);
    uint8_t *bytes = random_bytes(4 * d);
    float *scales = random_floats(8);
    for (size_t r = 0; r < 4; r++)
        scales[2 * r + 1] /= 50; /* values of up to 6, as the others */
    const panda_rows data = {dtype == PANDA_F16  ? (void *)halves
                             : dtype == PANDA_U8 ? (void *)bytes
                                                 : (void *)rows,
                             dtype == PANDA_U8 ? scales : NULL, dtype};
    int16_t *quads = allocate(QUADS * size * sizeof *quads), *wanted_quad = allocate(size * sizeof *wanted_quad);
    int16_t *panel = allocate(chunks * PANEL_CHUNK * sizeof *panel);
    int32_t norms[4 * QUADS], wanted_norms[4], query_norms[4];
    float lengths[4], wanted_lengths[4];
    ops->quantise_quad(data, count, d, mean, 50, quads, norms, lengths);
    reference->quantise_quad(data, count, d, mean, 50, wanted_quad, wanted_norms, wanted_lengths);
    for (size_t i = 0; i < size; i++)
        CHECK(abs(quads[i] - wanted_quad[i]) <= 1, "d %zu, %zu rows, at %zu: %d and %d", d, count, i, quads[i],
              wanted_quad[i]);
    for (int r = 0; r < 4; r++) {
        int32_t norm = 0;
        for (size_t c = 0; c < chunks * CHUNK; c++) {
            int value = quads[c / CHUNK * QUAD_CHUNK + c % CHUNK / 2 * 8 + 2 * (size_t)r + c % 2];
            norm += value * value;
        }
        CHECK(norms[r] == norm, "d %zu, row %d: norm %d, wanted %d", d, r, norms[r], norm);
        CHECK(near(lengths[r], wanted_lengths[r], 1e-5), "d %zu, row %d: %g, wanted %g", d, r, lengths[r],
              wanted_lengths[r]);
    }

    for (size_t i = 0; i < QUADS * size; i++)
        quads[i] = (int16_t)(random_bits() % 401) - 200;
    for (size_t i = 0; i < chunks * PANEL_CHUNK; i++)
        panel[i] = (int16_t)(random_bits() % 401) - 200;
    for (size_t i = 0; i < 4 * QUADS; i++)
        norms[i] = (int32_t)(random_bits() % 1000000);
    for (int i = 0; i < 4; i++)
        query_norms[i] = (int32_t)(random_bits() % 1000000);
    int32_t got[4 * 4 * QUADS], wanted[4 * 4 * QUADS];
    ops->integer_tile(panel, query_norms, quads, norms, QUADS, chunks, got, 4 * QUADS);
    reference->integer_tile(panel, query_norms, quads, norms, QUADS, chunks, wanted, 4 * QUADS);
    CHECK(memcmp(got, wanted, sizeof got) == 0, "integer_tile, d %zu", d);

    const uint32_t cells[] = {4, 0, 2, 2, 1};
    const int32_t bases[] = {7, -500000, 100000, 0, 3}, limits[] = {500000, 1000000, -200000, 1500000};
    screen_hit hits[QUADS], wanted_hits[QUADS];
    for (size_t n = 0; n <= QUADS; n++) {
        size_t found = ops->screen_quads(panel, query_norms, quads, norms, chunks, cells, bases, n, limits, hits);
        size_t expected =
            reference->screen_quads(panel, query_norms, quads, norms, chunks, cells, bases, n, limits, wanted_hits);
        CHECK(found == expected && memcmp(hits, wanted_hits, found * sizeof *hits) == 0, "screen_quads, d %zu", d);
    }
    free(bytes), free(scales);
    free(mean), free(rows), free(halves), free(quads), free(wanted_quad), free(panel);
}

static void integers_test(void)
{
    for (size_t d = 1; d <= 97; d++)
        for (size_t count = 1; count <= 4; count++)
            for (int dtype = PANDA_F32; dtype <= PANDA_U8; dtype++)
                integers_case(d, count, (panda_dtype)dtype);
    for (size_t n = 1; n <= 70; n++) {
        int32_t row[70];
        uint32_t cells[70 + 16], wanted[70 + 16];
        for (size_t i = 0; i < n; i++)
            row[i] = (int32_t)(random_bits() % 9) - 4;
        CHECK(panda_ops_current()->least_of(row, n) == panda_ops_scalar.least_of(row, n), "n %zu", n);
        size_t found = panda_ops_current()->select_between(row, n, -3, 2, cells);
        CHECK(found == panda_ops_scalar.select_between(row, n, -3, 2, wanted), "n %zu", n);
        CHECK(memcmp(cells, wanted, found * sizeof *cells) == 0, "n %zu", n);
    }
}

/* Quads of a list within limits that let through none, some and all of them; each is what l2_rows says. */
static void next_quad_below_case(const float *a, panda_rows b, size_t d)
{
    enum { QUADS = 20 };
    const panda_ops *ops = panda_ops_current();
    float *spread = malloc(spread_size(d) * sizeof *spread), bounds[QUADS], tile[16], out[16];
    size_t first[QUADS];
    spread_rows(a, d, spread);
    for (size_t n = 0; n < QUADS; n++) {
        first[n] = random_bits() % 9;
        bounds[n] = 0.1F * (float)(random_bits() % 8);
    }
    const quad_list list = {spread, b, d, first, bounds, QUADS};
    for (int loose = 0; loose < 4; loose++) {
        const float limits[4] = {0.2F * (float)(loose * d), 0.3F * (float)(loose * d), -1,
                                 loose > 2 ? INFINITY : 0.05F};
        uint32_t below = 0, wanted;
        for (size_t n = 0, next = 0; n < QUADS; n++) {
            l2_rows(ops, a, 4, rows_from(b, first[n], d), 4, d, tile, 4);
            wanted = 0;
            for (size_t i = 0; i < 16; i++)
                wanted |= (uint32_t)(tile[i] + bounds[n] <= limits[i / 4]) << i;
            if (n == next)
                next = ops->next_quad_below(&list, n, limits, out, &below);
            CHECK((wanted != 0) == (n == next), "d %zu, quad %zu: %x, next %zu", d, n, wanted, next);
            if (n != next)
                continue;
            CHECK(below == wanted, "d %zu, quad %zu: %x, wanted %x", d, n, below, wanted);
            for (size_t i = 0; i < 16; i++)
                CHECK(near(out[i], tile[i] + bounds[n], 1e-5), "d %zu, quad %zu, at %zu", d, n, i);
            next++;
        }
    }
    free(spread);
}

static void next_quad_below_test(void)
{
    for (size_t d = 1; d <= 97; d++) {
        float *a = random_floats(4 * d), *b = random_floats(12 * d), *scales = random_floats(24);
        uint16_t *halves = random_halves(12 * d);
        uint8_t *bytes = random_bytes(12 * d);
        next_quad_below_case(a, (panda_rows){b, NULL, PANDA_F32}, d);
        next_quad_below_case(a, (panda_rows){halves, NULL, PANDA_F16}, d);
        next_quad_below_case(a, (panda_rows){bytes, scales, PANDA_U8}, d);
        free(a), free(b), free(scales), free(halves), free(bytes);
    }
}

static void whitened_norm_test(void)
{
    for (size_t d = 1; d <= 50; d++)
        for (int triangular = 0; triangular < 2; triangular++) {
            size_t size = panda_factor_size(d, d, triangular);
            float *factor = random_floats(size), *x = random_floats(d);
            uint16_t *halves = random_halves(size);
            size_t panels = panel_count(d);
            float got = panda_ops_current()->whitened_norm_f32(factor, x, d, panels, triangular);
            CHECK(near(got, panda_ops_scalar.whitened_norm_f32(factor, x, d, panels, triangular), 1e-5), "d %zu", d);
            got = panda_ops_current()->whitened_norm_f16(halves, x, d, panels, triangular);
            CHECK(near(got, panda_ops_scalar.whitened_norm_f16(halves, x, d, panels, triangular), 1e-5), "d %zu", d);
            free(factor), free(x), free(halves);
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
    at_every_level("next_quad_below", next_quad_below_test);
    at_every_level("whitened_norm", whitened_norm_test);
    at_every_level("integers", integers_test);
    return 0;
}
