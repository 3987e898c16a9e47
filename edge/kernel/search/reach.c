#include "search/reach.h"

/* Quads of an image that a line of a box touches, without those of the line before. */
typedef struct {
    size_t first, end;
} quad_run;

static quad_run quads_of_line(const pyramid_run *run, cell_box box, size_t line)
{
    size_t begin = line * run->p->grid_w + box.left, last = line * run->p->grid_w + box.right - 1;
    size_t first = begin / QUAD, behind = 0;
    if (line > box.top)
        behind = (last - run->p->grid_w) / QUAD + 1;
    return (quad_run){first > behind ? first : behind, last / QUAD + 1};
}

/* Writes which of the cells of the quads [run.first, run.end) lie outside of a window. */
static void mark_outside(const pyramid_run *run, cell_box window, quad_run quads, int32_t *outside)
{
    for (size_t cell = quads.first * QUAD; cell < quads.end * QUAD; cell++) {
        size_t y = cell / run->p->grid_w, x = cell % run->p->grid_w;
        *outside++ = y >= window.top && y < window.bottom && x >= window.left && x < window.right ? 0 : -1;
    }
}

size_t reach_windows(const screen_run *s, const worker_memory *m, size_t first, size_t count,
                     const int32_t query_norms[4])
{
    const pyramid_run *run = &s->run;
    const screen_workspace *w = s->w;
    const cell_box box = box_of_listed(run, first, count);
    size_t columns = 0; /* of one image */
    for (size_t line = box.top; line < box.bottom; line++) {
        quad_run quads = quads_of_line(run, box, line);
        for (size_t i = 0; i < count; i++)
            mark_outside(run, box_of(run, run->listed[first + i]), quads, m->outside + i * w->padded + columns);
        columns += (quads.end - quads.first) * QUAD;
    }
    const size_t all = s->units * columns;
    for (size_t unit = 0, column = 0; unit < s->units; unit++) {
        for (size_t line = box.top; line < box.bottom; line++) {
            quad_run quads = quads_of_line(run, box, line);
            size_t at = unit * (w->padded / QUAD) + quads.first, length = quads.end - quads.first;
            run->ops->integer_tile(m->panel[0], query_norms, w->quads[0] + at * w->quad_size[0],
                                   w->norms[0] + at * QUAD, length, w->chunks[0], m->rows + column, all);
            for (size_t quad = 0; quad < length; quad++)
                m->reached[column / QUAD + quad] = (uint32_t)(at + quad);
            column += length * QUAD;
        }
        for (size_t i = 0; i < count; i++) {
            int32_t *row = m->rows + i * all + unit * columns;
            const int32_t *outside = m->outside + i * w->padded;
            for (size_t j = 0; j < columns; j++)
                row[j] = (row[j] & ~outside[j]) | (outside[j] & INT32_MAX);
        }
    }
    return all;
}
