/* Exact nearest neighbour in a large flat bank, without looking at every row.
 *
 * The bank is kept a second time, as 16-bit integers (flat_integers.c tells what they promise), in leaves of 64 rows
 * with a box around each. A query first measures the rows of the leaf whose box is nearest, and those that its
 * neighbours found. That gives a limit. Leaves whose boxes are beyond it are closed; of the others, a few channels
 * after the other are added up, 16 rows side by side, and groups of which no row can still be within the limit are
 * dropped. What is left after the last screened channels is measured exactly, from the stored rows.
 */
#include "search/flat_integers.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/pool.h"

enum {
    TASK_QUERIES = 28, /* that go over the bank together, block by block, so that a block stays in the cache */
    BLOCK_LEAVES = 64
};

typedef struct {
    const panda_flat *f;
    const panda_ops *ops;
    const float *queries;
    size_t q;
    float *distances;
    int64_t *indices;
    const flat_room *room;
} flat_run;

typedef struct {
    const float *row;
    float best;
    int64_t index;
    int32_t limit; /* in integers; below 0: the query is not finite, and far from everything */
    flat_query integers;
} flat_search;

/* One worker's memory. */
typedef struct {
    flat_search *searches;
    int32_t *boxes; /* (TASK_QUERIES, leaves filled up to whole blocks) */
    int32_t *sums;  /* (BLOCK_LEAVES * LEAF_GROUPS, LANES) */
    uint32_t *leaves, *groups;
} flat_memory;

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* A worker's memory within `memory`; *size becomes how much that is, also where memory is NULL. */
static flat_memory lay_out(char *memory, const panda_flat *f, size_t *size)
{
    const size_t bytes[] = {
        TASK_QUERIES * sizeof(flat_search),
        TASK_QUERIES * f->blocks * LANES * sizeof(int32_t),
        BLOCK_LEAVES * LEAF_ROWS * sizeof(int32_t),
        (BLOCK_LEAVES + 16) * sizeof(uint32_t),
        BLOCK_LEAVES * LEAF_GROUPS * sizeof(uint32_t),
    };
    char *part[5];
    *size = 0;
    for (int i = 0; i < 5; i++) {
        part[i] = memory ? memory + *size : NULL;
        *size += aligned(bytes[i]);
    }
    return (flat_memory){(flat_search *)part[0], (int32_t *)part[1], (int32_t *)part[2], (uint32_t *)part[3],
                         (uint32_t *)part[4]};
}

static void flat_room_free(flat_room *room)
{
    if (room != NULL)
        panda_free_aligned(room->memory);
    free(room);
}

/* The spare room where it is there and large enough, else a new one; NULL when memory is short. */
static flat_room *take_room(panda_flat *f, int workers)
{
    flat_room *room = atomic_exchange(&f->spare, NULL);
    if (room != NULL && room->workers >= workers)
        return room;
    flat_room_free(room);
    if ((room = panda_allocate_zeroed(sizeof *room)) == NULL)
        return NULL;
    room->workers = workers;
    lay_out(NULL, f, &room->size);
    if ((room->memory = panda_allocate_aligned(64, room->size * (size_t)workers)) != NULL)
        return room;
    free(room);
    return NULL;
}

void panda_flat_free(panda_flat *f)
{
    if (f == NULL)
        return;
    for (int s = 0; s < STAGES; s++)
        panda_free_aligned(f->slab[s]);
    panda_free_aligned(f->boxes);
    flat_room_free(atomic_load(&f->spare));
    free(f);
}

panda_flat *panda_flat_new(const void *bank, panda_dtype dtype, size_t n, size_t d)
{
    panda_flat *f = panda_allocate_zeroed(sizeof *f);
    if (f == NULL)
        return NULL;
    f->rows = bank;
    f->dtype = dtype;
    f->n = n;
    f->d = d;
    if (flat_make_integers(f))
        return f;
    panda_flat_free(f);
    return NULL;
}

/* Measures rows [from, to) of the bank, at most LEAF_ROWS. */
static void measure(const flat_run *run, flat_search *s, size_t from, size_t to)
{
    const panda_flat *f = run->f;
    float distances[LEAF_ROWS], before = s->best;
    l2_tile(run->ops, s->row, 1, row_of(f->rows, f->dtype, from, f->d), f->dtype, to - from, f->d, distances,
            LEAF_ROWS);
    for (size_t row = from; row < to; row++) {
        float distance = distances[row - from];
        if (distance < s->best || (distance == s->best && (int64_t)row < s->index)) {
            s->best = distance;
            s->index = (int64_t)row;
        }
    }
    if (s->best < before)
        s->limit = flat_limit(f, &s->integers, s->best);
}

static void begin(const flat_run *run, const flat_memory *m, size_t i, size_t query)
{
    const panda_flat *f = run->f;
    flat_search *s = &m->searches[i];
    int32_t *boxes = m->boxes + i * f->blocks * LANES;
    s->row = run->queries + query * f->d;
    s->best = INFINITY;
    s->index = 0;
    s->limit = -1;
    if (!flat_quantise(f, s->row, &s->integers))
        return;
    s->limit = MOST_DISTANCE;
    run->ops->box_distances(s->integers.box_pairs, f->boxes, f->blocks, BOX_PAIRS, boxes);
    size_t leaf = run->ops->least_of(boxes, f->leaves);
    measure(run, s, leaf * LEAF_ROWS, leaf + 1 < f->leaves ? (leaf + 1) * LEAF_ROWS : f->n);
}

/* What the query beside it has found is likely near to this one, too. */
static void try_answer_of(const flat_run *run, flat_search *s, const flat_search *beside)
{
    if (s->limit >= 0 && isfinite(beside->best) && beside->index != s->index)
        measure(run, s, (size_t)beside->index, (size_t)beside->index + 1);
}

/* Looks at leaves [from, from + count). */
static void search_leaves(const flat_run *run, const flat_memory *m, size_t i, size_t from, size_t count)
{
    const panda_flat *f = run->f;
    flat_search *s = &m->searches[i];
    const int32_t *boxes = m->boxes + i * f->blocks * LANES + from;
    size_t open = run->ops->select_between(boxes, count, -1, s->limit, m->leaves), left = 0;
    for (size_t k = 0; k < open; k++)
        for (size_t group = (from + m->leaves[k]) * LEAF_GROUPS, g = 0; g < LEAF_GROUPS && group + g < f->groups; g++)
            m->groups[left++] = (uint32_t)(group + g);
    const int16_t *pairs = s->integers.pairs;
    for (int stage = 0; stage < f->stages && left > 0; pairs += 2 * f->pairs[stage++])
        left = run->ops->screen_columns(pairs, s->integers.own[stage], f->slab[stage], f->pairs[stage], stage == 0,
                                        m->groups, m->sums, left, s->limit);
    for (size_t k = 0; k < left; k++)
        for (size_t lane = 0; lane < LANES; lane++)
            if (m->sums[k * LANES + lane] <= s->limit) {
                size_t row = m->groups[k] * (size_t)LANES + lane;
                measure(run, s, row, row + 1);
            }
}

static void search_queries(void *context, size_t task, int worker)
{
    const flat_run *run = context;
    const panda_flat *f = run->f;
    size_t size, first = task * TASK_QUERIES;
    size_t count = run->q - first < TASK_QUERIES ? run->q - first : TASK_QUERIES;
    flat_memory m = lay_out(run->room->memory + (size_t)worker * run->room->size, f, &size);
    for (size_t i = 0; i < count; i++)
        begin(run, &m, i, first + i);
    for (size_t i = 1; i < count; i++)
        try_answer_of(run, &m.searches[i], &m.searches[i - 1]);
    for (size_t i = count - 1; i > 0; i--)
        try_answer_of(run, &m.searches[i - 1], &m.searches[i]);
    for (size_t from = 0; from < f->leaves; from += BLOCK_LEAVES)
        for (size_t i = 0; i < count; i++)
            if (m.searches[i].limit >= 0)
                search_leaves(run, &m, i, from, f->leaves - from < BLOCK_LEAVES ? f->leaves - from : BLOCK_LEAVES);
    for (size_t i = 0; i < count; i++) {
        run->distances[first + i] = m.searches[i].best;
        run->indices[first + i] = m.searches[i].index;
    }
}

panda_status panda_flat_nearest(panda_flat *f, const float *queries, size_t q, int threads, float *distances,
                                int64_t *indices)
{
    flat_run run = {f, panda_ops_current(), queries, q, distances, indices, NULL};
    if (run.ops == NULL)
        return PANDA_BAD_SIMD;
    if (threads > PANDA_MAX_THREADS)
        threads = PANDA_MAX_THREADS;
    flat_room *room = take_room(f, threads > 1 ? threads : 1);
    if (room == NULL)
        return PANDA_NO_MEMORY;
    run.room = room;
    panda_parallel(threads, (q + TASK_QUERIES - 1) / TASK_QUERIES, search_queries, &run);
    flat_room_free(atomic_exchange(&f->spare, room));
    return PANDA_OK;
}
