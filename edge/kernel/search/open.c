#include "search/open.h"

void spread_forget(spread_query *spread)
{
    for (int l = 0; l < PANDA_MAX_LEVELS; l++)
        spread->first[l] = SIZE_MAX;
}

float exact_sum(const pyramid_run *run, int level, size_t q, size_t g)
{
    float sum = 0;
    for (int l = 0; l <= level; l++) {
        const panda_level *of = &run->p->level[l];
        size_t below = 2 * (size_t)(level - l);
        float term;
        l2_rows(run->ops, run->query[l] + (q >> below) * of->channels, 1, rows_from(of->rows, g >> below, of->channels),
                1, of->channels, &term, 1);
        sum += term;
    }
    return sum;
}

void measure(cell_search *c, size_t q, size_t g)
{
    const pyramid_run *run = c->run;
    int finest = run->p->level_count - 1;
    cell_search_update(c, q, g, exact_sum(run, finest, c->cell * run->p->finest + q, g));
}

/* The children of query row q of level l - 1, spread out. */
static const float *spread_children(const cell_search *c, spread_query *spread, int l, size_t q)
{
    size_t first = c->cell * power_of_4(l) + 4 * q, channels = c->run->p->level[l].channels;
    if (spread->first[l] != first) {
        spread->first[l] = first;
        spread_rows(c->run->query[l] + first * channels, channels, spread->rows[l]);
    }
    return spread->rows[l];
}

/* Opens the pair of query row q and gallery row g of level l - 1, whose levels up to there add up to `sum`. */
static void open_pair(cell_search *c, spread_query *spread, int l, size_t q, size_t g, float sum)
{
    const panda_pyramid *p = c->run->p;
    const size_t first = 4 * g;
    float *limit = c->limit[l] + 4 * q, sums[16];
    uint32_t below = 0;
    const quad_list one = {
        spread_children(c, spread, l, q), p->level[l].rows, p->level[l].channels, &first, &sum, 1,
    };
    c->run->ops->next_quad_below(&one, 0, limit, sums, &below);
    for (; below != 0; below &= below - 1) {
        size_t bit = (size_t)__builtin_ctz(below), child = 4 * q + bit / 4, row = first + bit % 4;
        if (is_finest(p, l))
            cell_search_update(c, child, row, sums[bit]);
        else if (sums[bit] <= limit[bit / 4])
            open_pair(c, spread, l + 1, child, row, sums[bit]);
    }
    c->limit[l - 1][q] = largest_of_4(limit);
}

/* What the integers leave of a pair is a bound: only where it lets something through are the levels so far measured. */
void open_candidates(cell_search *c, spread_query *spread, int l, size_t q, candidates pairs)
{
    const pyramid_run *run = c->run;
    const panda_level *level = &run->p->level[l];
    const size_t row = c->cell * power_of_4(l - 1) + q;
    const quad_list list = {
        spread_children(c, spread, l, q), level->rows, level->channels, pairs.first, pairs.least, pairs.count,
    };
    float sums[16];
    uint32_t below = 0;
    for (size_t n = 0; (n = run->ops->next_quad_below(&list, n, c->limit[l] + 4 * q, sums, &below)) < pairs.count;
         n++) {
        c->visiting = pairs.visited[n];
        open_pair(c, spread, l, q, pairs.first[n] / 4, exact_sum(run, l - 1, row, pairs.first[n] / 4));
    }
}
