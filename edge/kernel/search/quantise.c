#include "search/quantise.h"

#include <string.h>

enum { NOT_YET, BEGUN, DONE }; /* rounding a cell's children */

/* Row r of the listed query cells' rows of level l. */
static const float *listed_row(const pyramid_run *run, int l, size_t r)
{
    return rows_below(run, l, run->listed[r >> 2 * l], r % power_of_4(l));
}

bool choose_step(screen_run *s)
{
    const panda_pyramid *p = s->run.p;
    float longest = 0;
    size_t channels = 0;
    for (int l = 0; l < s->w->screened; l++) {
        size_t d = p->level[l].channels, rows = s->run.listed_count * power_of_4(l), finite = 0;
        float *mean = s->w->mean[l];
        channels += d;
        memset(mean, 0, d * sizeof *mean);
        for (size_t r = 0; r < rows; r++) {
            const float *row = listed_row(&s->run, l, r);
            float sum = 0, nothing = 0; /* NaN where the row is not finite: its positions are closed */
            for (size_t c = 0; c < d; c++) {
                sum += fabsf(row[c]);
                nothing += 0 * row[c];
            }
            if (nothing != 0)
                continue;
            if (!(sum < 1e15F)) /* such a row is open, as what is stored may be as large */
                return false;
            finite++;
            for (size_t c = 0; c < d; c++)
                mean[c] += row[c];
        }
        for (size_t c = 0; c < d && finite > 0; c++)
            mean[c] /= (float)finite;
        for (size_t r = 0; r < rows; r++) {
            float length;
            s->run.ops->l2_tile_f32(listed_row(&s->run, l, r), 1, mean, 1, d, &length, 1);
            if (isfinite(length))
                longest = larger(longest, length);
        }
    }
    longest = sqrtf(longest);
    if (!(longest > 1e-12F && longest < 1e12F) || channels > 100000)
        return false;
    s->query_norm = LONGEST / HEADROOM;
    s->scale = s->query_norm / longest;
    s->step = 1 / s->scale;
    s->error = s->step * sqrtf((float)channels) * 1.01F; /* and the rounding of (row - mean) * scale itself */
    return true;
}

/* A row too long for the integers is replaced by the origin, at a distance that its length guarantees. */
static void quantise_gallery(const screen_run *s, panda_rows rows, size_t channels, size_t count, const float *mean,
                             int16_t *quad, int32_t norms[4])
{
    float lengths[4];
    s->run.ops->quantise_quad(rows, count, channels, mean, s->scale, quad, norms, lengths);
    for (size_t r = 0; r < count; r++) {
        if (lengths[r] <= LONGEST * LONGEST)
            continue;
        for (size_t c = 0; c < (channels + CHUNK - 1) / CHUNK * CHUNK; c += 2)
            memset(quad + c * QUAD + 2 * r, 0, 2 * sizeof *quad);
        float beyond = sqrtf(lengths[r]) * (1 - 1e-5F) - s->query_norm * (1 + 1e-5F);
        /* The query's own norm, at most 2 % above query_norm^2 in integers, is added later. */
        float norm = beyond * beyond - s->query_norm * s->query_norm * 1.02F;
        norms[r] = norm < (float)FAR_NORM ? (int32_t)norm : FAR_NORM;
    }
    for (size_t r = count; r < 4; r++)
        norms[r] = PAD_NORM;
}

size_t gallery_cell(const screen_run *s, size_t padded_cell)
{
    const uint32_t cell = (uint32_t)padded_cell, padded = (uint32_t)s->w->padded;
    return gallery_image(&s->run, s->from + cell / padded) * s->run.p->cells + cell % padded;
}

/* Up to four gallery rows of level l, from `row` on, as the block's quad. */
static void quantise_rows(const screen_run *s, int l, size_t row, size_t count, size_t quad)
{
    const panda_level *level = &s->run.p->level[l];
    quantise_gallery(s, rows_from(level->rows, row, level->channels), level->channels, count, s->w->mean[l],
                     s->w->quads[l] + quad * s->w->quad_size[l], s->w->norms[l] + quad * QUAD);
}

void quantise_unit(void *context, size_t task, int worker)
{
    (void)worker;
    const screen_run *s = context;
    const size_t padded = s->w->padded, image = gallery_image(&s->run, s->from + task);
    for (int l = 0; l < (s->few ? 1 : s->w->screened); l++) {
        const size_t rows = s->run.p->cells * power_of_4(l), quads = padded * power_of_4(l) / QUAD;
        for (size_t row = 0; row < rows; row += QUAD)
            quantise_rows(s, l, image * rows + row, rows - row < QUAD ? rows - row : QUAD, task * quads + row / QUAD);
    }
    for (size_t cell = 0; s->few && cell < padded; cell++)
        atomic_store_explicit(&s->w->rounded[task * padded + cell], NOT_YET, memory_order_relaxed);
}

/* A few dozen numbers, so that a worker that meets another one at it waits without leaving its processor. */
static void quantise_children_of(const screen_run *s, uint32_t cell)
{
    atomic_uchar *state = &s->w->rounded[cell];
    unsigned char found = NOT_YET;
    if (atomic_compare_exchange_strong(state, &found, BEGUN)) {
        quantise_rows(s, 1, QUAD * gallery_cell(s, cell), QUAD, cell);
        atomic_store_explicit(state, DONE, memory_order_release);
    }
    while (atomic_load_explicit(state, memory_order_acquire) != DONE)
        ;
}

void quantise_children(const screen_run *s, const uint32_t *cells, size_t count)
{
    const panda_level *level = &s->run.p->level[1];
    uint32_t missing[BATCH];
    size_t left = 0;
    for (size_t n = 0; n < count; n++)
        if (atomic_load_explicit(&s->w->rounded[cells[n]], memory_order_acquire) != DONE) {
            prefetch_rows(level->rows, QUAD * gallery_cell(s, cells[n]), QUAD, level->channels);
            missing[left++] = cells[n];
        }
    for (size_t n = 0; n < left; n++)
        quantise_children_of(s, missing[n]);
}

static void spread_to_panel(const int16_t *quad, size_t chunks, int16_t *panel)
{
    for (size_t chunk = 0; chunk < chunks; chunk++)
        for (size_t r = 0; r < QUAD; r++)
            for (size_t pair = 0; pair < 4; pair++)
                for (size_t copy = 0; copy < 4; copy++)
                    memcpy(panel + chunk * PANEL_CHUNK + r * QUAD_CHUNK + pair * 8 + copy * 2,
                           quad + chunk * QUAD_CHUNK + pair * 8 + r * 2, 2 * sizeof(int16_t));
}

static void spread_to_fan(const int16_t *quad, size_t chunks, int16_t *fan)
{
    for (size_t pair = 0; pair < chunks * CHUNK / 2; pair++)
        for (size_t r = 0; r < QUAD; r++)
            for (size_t i = 0; i < 2 * QUAD; i++)
                fan[pair * FAN_PAIR + r * 2 * QUAD + i] = (int16_t)(-2 * quad[pair * 2 * QUAD + 2 * r + i % 2]);
}

void quantise_query(const screen_run *s, const worker_memory *m, int l, const float *rows, size_t count, int16_t *panel,
                    int32_t norms[4])
{
    size_t d = s->run.p->level[l].channels;
    float lengths[4];
    s->run.ops->quantise_quad((panda_rows){rows, NULL, PANDA_F32}, count, d, s->w->mean[l], s->scale, m->quad, norms,
                              lengths);
    for (size_t r = 0; r < QUAD; r++)
        if (r >= count || !(lengths[r] <= LONGEST * LONGEST))
            norms[r] = 0;
    if (l == 0)
        spread_to_panel(m->quad, s->w->chunks[l], panel);
    else
        spread_to_fan(m->quad, s->w->chunks[l], panel);
}

int32_t integer_limit(const screen_run *s, float limit, float most)
{
    if (!(limit >= 0))
        return -INT32_MAX;
    float root = (sqrtf(limit) + s->error) * s->scale;
    float squared = root * root * (1 + 1e-5F) + 1;
    return squared < most ? (int32_t)squared : (int32_t)most;
}
