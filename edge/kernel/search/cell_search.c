/* What a coarse query cell has found so far, and the limits that follow from it. */
#include "search/cell_search.h"

#include <string.h>

static bool row_is_finite(const float *row, size_t d)
{
    uint32_t odd = 0; /* by bits, as sums would wait for each other */
    for (size_t c = 0; c < d; c++) {
        uint32_t bits;
        memcpy(&bits, row + c, sizeof bits);
        odd |= (bits & 0x7f800000U) == 0x7f800000U;
    }
    return odd == 0;
}

cell_box box_of(const pyramid_run *run, size_t cell)
{
    const panda_pyramid *p = run->p;
    if (p->fan == 1)
        return (cell_box){0, 1, 0, 1};
    if (run->window == PANDA_EVERYWHERE)
        return (cell_box){0, p->grid_h, 0, p->grid_w};
    size_t row = cell / p->grid_w, column = cell % p->grid_w, reach = (size_t)run->window;
    return (cell_box){
        .top = row > reach ? row - reach : 0,
        .bottom = row + reach + 1 < p->grid_h ? row + reach + 1 : p->grid_h,
        .left = column > reach ? column - reach : 0,
        .right = column + reach + 1 < p->grid_w ? column + reach + 1 : p->grid_w,
    };
}

cell_box box_of_listed(const pyramid_run *run, size_t first, size_t count)
{
    cell_box all = box_of(run, run->listed[first]);
    for (size_t i = 1; i < count; i++) {
        cell_box one = box_of(run, run->listed[first + i]);
        all.top = one.top < all.top ? one.top : all.top;
        all.bottom = one.bottom > all.bottom ? one.bottom : all.bottom;
        all.left = one.left < all.left ? one.left : all.left;
        all.right = one.right > all.right ? one.right : all.right;
    }
    return all;
}

/* The lowest index there is: what stands when nothing is nearer than +inf. */
static int64_t lowest_index(const pyramid_run *run, size_t cell)
{
    const panda_pyramid *p = run->p;
    cell_box box = box_of(run, cell);
    return run->first_index + (int64_t)((box.top * p->width + box.left) << (p->level_count - 1));
}

void cell_search_begin(cell_search *s, const pyramid_run *run, size_t cell)
{
    const panda_pyramid *p = run->p;
    s->run = run;
    s->cell = cell;
    float *open = s->limit[p->level_count - 1];
    const int64_t lowest = lowest_index(run, cell);
    for (size_t i = 0; i < p->finest; i++) {
        s->best[i] = open[i] = INFINITY;
        s->index[i] = lowest;
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
        s->limit[s->run->p->level_count - 1][position] = distance < s->run->enough ? -1 : distance * s->run->shrink;
    }
}
