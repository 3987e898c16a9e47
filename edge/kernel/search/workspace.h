/* The memory of the screened search (screen.c), and its measures: taken by the first frame, kept for the next ones. */
#ifndef PANDA_WORKSPACE_H
#define PANDA_WORKSPACE_H

#include <stdatomic.h>

#include "search/open.h"

enum {
    SCREENED = 2,    /* levels that are screened, at most */
    TASK_CELLS = 8,  /* coarse query cells of a task: whole quads */
    BATCH = 64,      /* gallery cells screened between two looks at the limit */
    MOST_HITS = 192, /* hits gathered before they are opened, so that the most promising can go first */
    MOST_PAIRS = 4 * (MOST_HITS + BATCH) /* of one query child */
};

struct screen_workspace {
    int screened;
    size_t padded; /* coarse cells of a gallery image, filled up to whole quads */
    size_t chunks[SCREENED];
    size_t quad_size[SCREENED]; /* int16 in a quad of a level */
    size_t widest;              /* channels of a level below the coarsest, at most */
    size_t image_bytes;         /* of one gallery image's integers */
    float *mean[SCREENED];
    int16_t *quads[SCREENED]; /* the gallery block's integers, with the squared lengths of their rows */
    int32_t *norms[SCREENED];
    atomic_uchar *rounded; /* (capacity,): how far a padded cell's children at level 1 are, by quantise.c */
    size_t capacity;       /* padded coarse cells of a block that there is room for */
    cell_search *search;   /* (cells,): lasts over the gallery blocks */
    char *worker_memory;
    size_t worker_size;
    int workers;
};

/* One worker's memory. */
typedef struct {
    int16_t *panel[SCREENED]; /* of the coarse query quads of a task; of a query cell's children */
    int16_t *quad;
    int32_t *rows;      /* (TASK_CELLS, columns): distances at level 0, to the block's padded cells or those reached */
    uint32_t *columns;  /* of the distances at level 0, those selected */
    int32_t *distances; /* these */
    uint32_t *between;  /* of these, those of one round */
    uint32_t *reached;  /* windowed search: which quads of the block the columns of `rows` are of (reach.c) */
    int32_t *outside;   /* (4, padded cells of an image): -1 where a reached cell is not in a query cell's window */
    screen_hit *hits;
    uint32_t
        *open_pairs;     /* of one query child, the pairs that passed level 1: 4 times the hit, and the gallery child */
    int32_t *open_bases; /* their integer distances */
    uint32_t *chosen;    /* of these, those of one part, as `candidates` has them */
    size_t *first;
    uint32_t *visited;
    float *least;
    spread_query *spread;
} worker_memory;

/* NULL when memory is short. */
screen_workspace *screen_workspace_new(const panda_pyramid *p);
void screen_workspace_free(screen_workspace *w);
/* Room for a block of `capacity` padded coarse gallery cells and for `threads` workers. Grows only. */
bool screen_workspace_reserve(screen_workspace *w, size_t capacity, int threads);
worker_memory worker_memory_of(const screen_workspace *w, int worker);

#endif
