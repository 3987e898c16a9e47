#include "search/quantise.h"

#include <string.h>

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

void quantise_unit(void *context, size_t task, int worker)
{
    (void)worker;
    const screen_run *s = context;
    const panda_pyramid *p = s->run.p;
    size_t image = gallery_image(&s->run, s->from + task);
    for (int l = 0; l < s->w->screened; l++) {
        const panda_level *level = &p->level[l];
        size_t rows = p->cells * power_of_4(l), quads = s->w->padded * power_of_4(l) / QUAD;
        for (size_t row = 0; row < rows; row += QUAD) {
            size_t quad = task * quads + row / QUAD;
            quantise_gallery(s, rows_from(level->rows, image * rows + row, level->channels), level->channels,
                             rows - row < QUAD ? rows - row : QUAD, s->w->mean[l],
                             s->w->quads[l] + quad * s->w->quad_size[l], s->w->norms[l] + quad * QUAD);
        }
    }
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

float least_distance(const screen_run *s, int32_t integer)
{
    float root = sqrtf((float)(integer > 0 ? integer : 0)) * s->step * (1 - 1e-6F) - s->error;
    return root > 0 ? root * root * (1 - 1e-5F) : 0;
}
