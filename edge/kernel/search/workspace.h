/* The screened search: what its parts share. workspace.c holds the memory, quantise.c makes the integers, screen.c
 * searches them. */
#ifndef PANDA_SCREEN_H
#define PANDA_SCREEN_H

#include "search/pyramid.h"

enum {
    SCREENED = 3,   /* levels that are screened, at most */
    TASK_CELLS = 8, /* coarse query cells of a task: whole quads */
    BATCH = 64,     /* gallery cells screened between two looks at the limit */
    MOST_HITS = 192 /* hits gathered before they are opened, so that the most promising can go first */
};

/* Integers reach LONGEST in length, so that three levels' distances, of at most (2 LONGEST)^2 each, fit 32 bits.
 * The query reaches 1 / HEADROOM of that; gallery rows may be longer than the query's. */
static const float LONGEST = 13000;
static const float HEADROOM = 1.6F;
static const float MOST_INTEGER = 2147483520; /* the largest float below 2^31 */
enum {
    FAR_NORM = 500000000,  /* of a gallery row that is far off or not finite */
    PAD_NORM = 1500000000, /* of a row that is not there: its distance exceeds LEVEL_0_MAX, so it is never selected */
    LEVEL_0_MAX = 1200000000
};

struct screen_workspace {
    int screened;
    size_t chunks[SCREENED];
    size_t quad_size[SCREENED]; /* int16 in a quad of a level */
    size_t image_bytes;         /* of one gallery image's integers */
    float *mean[SCREENED];
    int16_t *quads[SCREENED]; /* the gallery block's integers, with the squared lengths of their rows */
    int32_t *norms[SCREENED];
    size_t capacity;     /* padded coarse cells of a block that there is room for */
    cell_search *search; /* (cells,): lasts over the gallery blocks */
    char *worker_memory;
    size_t worker_size;
    int workers;
};

typedef struct {
    pyramid_run run;
    screen_workspace *w;
    float scale, step, error; /* 1 / s, s, E */
    float query_norm;         /* the longest query row, in steps */
    size_t padded;            /* coarse cells of a gallery image, filled up to whole quads */
    size_t from, units;       /* the present block of gallery units */
} screen_run;

/* One worker's memory. */
typedef struct {
    int16_t
        *panel[SCREENED]; /* of a coarse query quad; of a query cell's children; of its four times four grandchildren */
    int16_t *quad;
    int32_t *rows; /* (4, padded cells of the block): distances at level 0 */
    uint32_t *cells;
    screen_hit *hits, *finer_hits;
    uint32_t *open_cells; /* pairs of one query child that passed level 1 */
    int32_t *open_bases;
} worker_memory;

/* NULL when memory is short. */
screen_workspace *screen_workspace_new(const panda_pyramid *p);
/* Room for a block of `capacity` padded coarse gallery cells and for `threads` workers. Grows only. */
bool screen_workspace_reserve(screen_workspace *w, size_t capacity, int threads);
worker_memory worker_memory_of(const screen_workspace *w, int worker);

/* Sets the step, from the query alone. False where the query's spread is nothing that integers can take. */
bool choose_step(screen_run *s);
/* All screened levels of one gallery unit: a panda_job with a screen_run. */
void quantise_unit(void *context, size_t task, int worker);
/* Up to 4 query rows of level l, as a panel at level 0, as a fan at finer ones. Rows that are not finite have all their
 * positions closed: what they hold is no matter. */
void quantise_query(const screen_run *s, const worker_memory *m, int l, size_t row, size_t count, int16_t *panel,
                    int32_t norms[4]);
/* The largest integer distance at which a pair may still be within the limit, `most` at most; -INT32_MAX where nothing
 * may. */
int32_t integer_limit(const screen_run *s, float limit, float most);

#endif
