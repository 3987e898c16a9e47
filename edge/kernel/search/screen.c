/* Pyramid search with a screen of 16-bit integers before the exact distances.
 *
 * The two coarsest levels are rounded to integers of one common step s, about the mean of the query. With a and b the
 * rounded query and gallery rows, both within s * sqrt(C) / 2 of the true ones (C the channels of these levels), the
 * triangle inequality gives root of the true distance >= s * |a - b| - E,    E = s * sqrt(C), and |a - b|^2 is exact in
 * 32-bit integers. So a pair whose integer distance, summed over the levels so far, exceeds ((sqrt(limit) + E) / s)^2
 * cannot be nearer than the limit.
 *
 * Of the next level, few rows are ever looked at, so rounding all of them would not pay. Its distances are exact, and
 * added to (s * |a - b| - E)^2 at first. Only where that is within a limit are the coarser levels measured exactly,
 * too.
 */
#include "search/screen.h"

#include "base/pool.h"
#include "search/open.h"
#include "search/quantise.h"
#include "search/reach.h"

enum {
    GALLERY_BLOCK = 16 << 20, /* bytes of gallery integers that are held at once, or one image more */
    TILE_QUADS = 64,          /* of level 0, that all query cells of a task meet while a core's own cache has them */
    ROUNDS = 4,               /* gallery cells are looked into nearest first, in rounds of as much distance each */
    PARTS = 3 /* a child's pairs are opened nearest first, then up to 1/4, 1/2 and all of the way to its limit */
};

static int32_t limit_of_level_0(const screen_run *s, const cell_search *c)
{
    return integer_limit(s, c->limit[0][0], (float)LEVEL_0_MAX);
}

static void integer_limits(const screen_run *s, const float limits[4], int32_t integers[4])
{
    for (int i = 0; i < 4; i++)
        integers[i] = integer_limit(s, limits[i], MOST_INTEGER);
}

/* The search of one query cell within one gallery block. */
typedef struct {
    const screen_run *s;
    const worker_memory *m;
    const int32_t *row; /* (columns,): distances at level 0 to the block's cells, or to those that a window reaches */
    size_t columns;
    cell_search *c;
    int32_t norms[4]; /* of the query rows in panel 1 */
} block_search;

/* The padded cell of the block that a column of the distances at level 0 stands for. */
static uint32_t cell_of(const block_search *b, size_t column)
{
    if (b->s->run.window == PANDA_EVERYWHERE)
        return (uint32_t)column;
    return QUAD * b->m->reached[column / QUAD] + column % QUAD;
}

/* Opens, for one child of the query cell, its `count` open pairs, the more promising ones first: the sooner the
 * limit falls, the less there is to open. */
static void open_in_parts(const block_search *b, size_t child, size_t count)
{
    const worker_memory *m = b->m;
    const panda_ops *ops = b->s->run.ops;
    const panda_level *finer = &b->s->run.p->level[SCREENED];
    int32_t above = -INT32_MAX, nearest = m->open_bases[ops->least_of(m->open_bases, count)];
    for (int part = PARTS; part >= 0; part--) {
        int32_t farthest = integer_limit(b->s, b->c->limit[1][child], MOST_INTEGER);
        if (farthest < nearest)
            return;
        int32_t ceiling = part == PARTS ? nearest : nearest + (int32_t)(((int64_t)farthest - nearest) >> part);
        size_t chosen = ops->select_between(m->open_bases, count, above, ceiling, m->chosen);
        for (size_t n = 0; n < chosen; n++) {
            const screen_hit *hit = &m->hits[m->open_pairs[m->chosen[n]] / 4];
            m->visited[n] = hit->cell;
            m->first[n] = 4 * (4 * gallery_cell(b->s, hit->cell) + m->open_pairs[m->chosen[n]] % 4);
            m->least[n] = least_distance(b->s, m->open_bases[m->chosen[n]]);
            if (n < AHEAD) /* later ones are asked for while these are looked at */
                prefetch_rows(finer->rows, m->first[n], 4, finer->channels);
        }
        if (chosen > 0)
            open_candidates(b->c, m->spread, SCREENED, child, (candidates){m->first, m->visited, m->least, chosen});
        above = ceiling;
    }
}

/* Opens the pairs of level 1 that passed its screen. */
static void open_hits(const block_search *b, size_t hits)
{
    cell_search *c = b->c;
    const worker_memory *m = b->m;
    if (b->s->run.p->level_count > SCREENED)
        for (uint32_t i = 0; i < 4; i++) {
            const int32_t farthest = integer_limit(b->s, c->limit[1][i], MOST_INTEGER);
            size_t count = 0;
            for (uint32_t n = 0; n < hits; n++)
                for (uint32_t j = 0; j < 4; j++) { /* no branch: which ones pass cannot be predicted */
                    m->open_pairs[count] = 4 * n + j;
                    m->open_bases[count] = m->hits[n].sums[4 * i + j];
                    count += m->open_bases[count] <= farthest;
                }
            if (count > 0)
                open_in_parts(b, i, count);
        }
    else
        for (size_t n = 0; n < hits; n++) {
            const screen_hit *hit = &m->hits[n];
            size_t gallery = 4 * gallery_cell(b->s, hit->cell);
            c->visiting = hit->cell;
            for (uint32_t left = hit->below; left != 0; left &= left - 1) {
                size_t bit = (size_t)__builtin_ctz(left);
                if (hit->sums[bit] <= integer_limit(b->s, c->limit[1][bit / 4], MOST_INTEGER))
                    measure(c, bit / 4, gallery + bit % 4);
            }
        }
    c->limit[0][0] = largest_of_4(c->limit[1]);
}

/* Screens padded cells of the block, at integer distances `bases` at level 0, at level 1; what passes is added to the
 * `pending` hits. Returns their number. */
static size_t screen_cells(const block_search *b, const uint32_t *cells, const int32_t *bases, size_t count,
                           size_t pending)
{
    const screen_workspace *w = b->s->w;
    int32_t limits[4];
    integer_limits(b->s, b->c->limit[1], limits);
    if (b->s->few)
        quantise_children(b->s, cells, count);
    return pending + b->s->run.ops->screen_quads(b->m->panel[1], b->norms, w->quads[1], w->norms[1], w->chunks[1],
                                                 cells, bases, count, limits, b->m->hits + pending);
}

/* Looks into those of the `near` selected gallery cells whose distance at level 0 is above `above` and at most
 * `ceiling`. */
static void open_between(const block_search *b, size_t near, int32_t above, int32_t ceiling)
{
    const screen_run *s = b->s;
    const worker_memory *m = b->m;
    uint32_t cells[BATCH];
    int32_t bases[BATCH], limit = limit_of_level_0(s, b->c);
    size_t count = s->run.ops->select_between(m->distances, near, above, ceiling, m->between), pending = 0;
    for (size_t k = 0; k < count;) {
        size_t size = 0;
        for (; k < count && size < BATCH; k++) {
            cells[size] = cell_of(b, m->columns[m->between[k]]);
            bases[size] = m->distances[m->between[k]];
            size += bases[size] <= limit;
        }
        pending = screen_cells(b, cells, bases, size, pending);
        if (pending >= MOST_HITS || k == count) {
            open_hits(b, pending);
            pending = 0;
            limit = limit_of_level_0(s, b->c);
        }
    }
}

/* Columns worth trying first: the nearest one at level 0, and where the matches of the query cell on the left go on to
 * the right (those may lie outside of a window, where too little is searched to gain from them). */
static size_t find_seeds(const block_search *b, const cell_search *left, uint32_t *seeds)
{
    const screen_run *s = b->s;
    const panda_pyramid *p = s->run.p;
    size_t count = 1, side = (size_t)1 << (p->level_count - 1);
    seeds[0] = (uint32_t)s->run.ops->least_of(b->row, b->columns);
    if (left == NULL || s->run.window != PANDA_EVERYWHERE)
        return count;
    for (size_t y = 0; y < side; y++) {
        size_t position = 0; /* nested number of the cell's position (y, side - 1) */
        for (int bit = p->level_count - 2; bit >= 0; bit--)
            position = 4 * position + 2 * (y >> bit & 1) + 1;
        size_t unit = left->origin[position] / s->w->padded, place = (size_t)left->index[position];
        size_t column = place % p->width + 1, line = place / p->width % p->height;
        if (!isfinite(left->best[position]) || unit >= s->units || column >= p->width)
            continue;
        uint32_t seed = (uint32_t)(unit * s->w->padded + line / side * (p->width / side) + column / side);
        bool known = false;
        for (size_t k = 0; k < count; k++)
            known |= seeds[k] == seed;
        if (!known)
            seeds[count++] = seed;
    }
    return count;
}

static void search_leaves(const block_search *b)
{
    const screen_run *s = b->s;
    const uint32_t *columns = b->m->columns;
    int32_t limit = limit_of_level_0(s, b->c);
    size_t count = s->run.ops->select_between(b->row, b->columns, -INT32_MAX, limit, b->m->columns);
    for (size_t k = 0; k < count; k++)
        if (b->row[columns[k]] <= limit) {
            measure(b->c, 0, gallery_cell(s, cell_of(b, columns[k])));
            limit = limit_of_level_0(s, b->c);
        }
}

static void search_cell(block_search *b, const cell_search *left)
{
    const screen_run *s = b->s;
    const worker_memory *m = b->m;
    cell_search *c = b->c;
    uint32_t batch[BATCH];
    size_t size = find_seeds(b, left, batch);
    if (s->w->screened == 1) {
        measure(c, 0, gallery_cell(s, cell_of(b, batch[0])));
        search_leaves(b);
        return;
    }
    quantise_query(s, m, 1, rows_below(&s->run, 1, c->cell, 0), 4, m->panel[1], b->norms);
    int32_t bases[BATCH], nearest = b->row[batch[0]], above = -INT32_MAX;
    for (size_t k = 0; k < size; k++) {
        bases[k] = b->row[batch[k]];
        batch[k] = cell_of(b, batch[k]);
    }
    open_hits(b, screen_cells(b, batch, bases, size, 0));
    int32_t limit = limit_of_level_0(s, c);
    size_t near = s->run.ops->select_between(b->row, b->columns, above, limit, m->columns);
    for (size_t k = 0; k < near; k++)
        m->distances[k] = b->row[m->columns[k]];
    for (int round = 1; round <= ROUNDS && limit > above; round++) {
        int32_t ceiling = round == ROUNDS ? limit : nearest + (int32_t)((int64_t)(limit - nearest) * round / ROUNDS);
        open_between(b, near, above, ceiling);
        above = ceiling;
        limit = limit_of_level_0(s, c);
    }
}

/* How many listed query cells, from `first` on, share one pass over the gallery: all, or, where there is a window, at
 * most a quad of those side by side. */
static size_t cells_at_once(const pyramid_run *run, size_t first, size_t last)
{
    size_t most = last - first < QUAD ? last - first : QUAD, count = 1;
    if (run->window == PANDA_EVERYWHERE)
        return last - first;
    while (count < most && run->listed[first + count] == run->listed[first] + count &&
           run->listed[first + count] % run->p->grid_w != 0)
        count++;
    return count;
}

/* Distances at level 0 of `count` listed query cells to the block: m->rows (count, columns). Returns the columns. */
static size_t level_0(const screen_run *s, const worker_memory *m, size_t first, size_t count)
{
    const screen_workspace *w = s->w;
    const size_t panel = w->chunks[0] * PANEL_CHUNK, columns = s->units * w->padded, quads = columns / QUAD;
    int32_t norms[TASK_CELLS];
    for (size_t i = 0; i < count; i += QUAD)
        quantise_query(s, m, 0, s->run.coarse + (first + i) * s->run.p->level[0].channels,
                       count - i < QUAD ? count - i : QUAD, m->panel[0] + i / QUAD * panel, norms + i);
    if (s->run.window != PANDA_EVERYWHERE)
        return reach_windows(s, m, first, count, norms);
    for (size_t from = 0; from < quads; from += TILE_QUADS)
        for (size_t i = 0; i < count; i += QUAD)
            s->run.ops->integer_tile(m->panel[0] + i / QUAD * panel, norms + i, w->quads[0] + from * w->quad_size[0],
                                     w->norms[0] + from * QUAD, quads - from < TILE_QUADS ? quads - from : TILE_QUADS,
                                     w->chunks[0], m->rows + i * columns + from * QUAD, columns);
    return columns;
}

static void search_cells(void *context, size_t task, int worker)
{
    const screen_run *s = context;
    const pyramid_run *run = &s->run;
    worker_memory m = worker_memory_of(s->w, worker);
    spread_forget(m.spread);
    size_t begin = task * TASK_CELLS,
           end = begin + TASK_CELLS < run->listed_count ? begin + TASK_CELLS : run->listed_count;
    for (size_t first = begin, count; first < end; first += count) {
        count = cells_at_once(run, first, end);
        size_t columns = level_0(s, &m, first, count);
        for (size_t i = 0; i < count; i++) {
            cell_search *c = &s->w->search[first + i];
            block_search b = {.s = s, .m = &m, .row = m.rows + i * columns, .columns = columns, .c = c};
            if (s->from == 0)
                cell_search_begin(c, run, run->listed[first + i]);
            search_cell(&b, first + i > begin ? c - 1 : NULL);
            if (s->from + s->units == run->count)
                cell_search_end(c);
        }
    }
}

bool screen_search(const pyramid_run *run, panda_status *status)
{
    panda_pyramid *p = run->p;
    if (p->fan == 1 || run->ops == &panda_ops_scalar)
        return false;
    if (p->screen == NULL)
        p->screen = screen_workspace_new(p);
    screen_run s = {.run = *run, .w = p->screen, .few = 2 * run->listed_count <= p->cells};
    *status = PANDA_NO_MEMORY;
    if (s.w == NULL)
        return true;
    size_t block = GALLERY_BLOCK / s.w->image_bytes + 1;
    if (block > run->count)
        block = run->count;
    if (!screen_workspace_reserve(s.w, block * s.w->padded, run->threads))
        return true;
    if (!choose_step(&s))
        return false;
    for (s.from = 0; s.from < run->count; s.from += s.units) {
        s.units = run->count - s.from < block ? run->count - s.from : block;
        panda_parallel(run->threads, s.units, quantise_unit, &s);
        panda_parallel(run->threads, (run->listed_count + TASK_CELLS - 1) / TASK_CELLS, search_cells, &s);
    }
    *status = PANDA_OK;
    return true;
}
