/* What a coarse query cell has found so far, and the limits that follow from it. */
#include "search/cell_search.h"

static bool row_is_finite(const float *row, size_t d)
{
    float sum = 0; /* 0 * x is NaN for what is not finite, else 0 */
    for (size_t c = 0; c < d; c++)
        sum += 0 * row[c];
    return sum == 0;
}

void cell_search_begin(cell_search *s, const pyramid_run *run, size_t cell)
{
    const panda_pyramid *p = run->p;
    s->run = run;
    s->cell = cell;
    float *open = s->limit[p->level_count - 1];
    for (size_t i = 0; i < p->finest; i++) {
        s->best[i] = open[i] = INFINITY;
        s->index[i] = run->first_index;
    }
    for (int l = 0; l < p->level_count; l++) {
        size_t d = p->level[l].channels, below = p->finest / power_of_4(l);
        for (size_t i = 0; i < power_of_4(l); i++)
            if (!row_is_finite(run->query[l] + (cell * power_of_4(l) + i) * d, d))
                for (size_t position = i * below; position < (i + 1) * below; position++)
                    open[position] = -1;
    }
    cell_search_raise(s, p->level_count - 1);
}

void cell_search_end(const cell_search *s)
{
    const panda_pyramid *p = s->run->p;
    for (size_t i = 0; i < p->finest; i++) {
        int64_t place = p->place[s->cell * p->finest + i];
        s->run->distances[place] = s->best[i];
        s->run->indices[place] = s->index[i];
    }
}

void cell_search_raise(cell_search *s, int level)
{
    for (int l = level; l > 0; l--)
        for (size_t i = 0; i < power_of_4(l - 1); i++)
            s->limit[l - 1][i] = largest_of_4(s->limit[l] + 4 * i);
}

static int64_t index_of(const panda_pyramid *p, size_t gallery_row)
{
    if (p->fan == 1)
        return (int64_t)gallery_row;
    size_t area = p->height * p->width;
    return (int64_t)(gallery_row / area * area) + p->place[gallery_row % area];
}

void cell_search_update(cell_search *s, size_t position, size_t gallery_row, float distance)
{
    if (!(distance <= s->best[position]))
        return;
    int64_t index = index_of(s->run->p, gallery_row);
    if (distance < s->best[position] || index < s->index[position]) {
        s->best[position] = distance;
        s->index[position] = index;
        s->origin[position] = s->visiting;
        s->limit[s->run->p->level_count - 1][position] = distance * s->run->shrink;
    }
}
