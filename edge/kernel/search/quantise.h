/* Rounding to the integers of the screened search; screen.c says what they promise. */
#ifndef PANDA_QUANTISE_H
#define PANDA_QUANTISE_H

#include "search/workspace.h"

/* Integers reach LONGEST in length, so that two levels' distances, of at most (2 LONGEST)^2 each, fit 32 bits.
 * The query reaches 1 / HEADROOM of that; gallery rows may be longer than the query's. */
static const float LONGEST = 13000;
static const float HEADROOM = 1.6F;
static const float MOST_INTEGER = 2147483520; /* the largest float below 2^31 */
enum {
    FAR_NORM = 500000000,  /* of a gallery row that is far off or not finite */
    PAD_NORM = 1500000000, /* of a row that is not there: its distance exceeds LEVEL_0_MAX, so it is never selected */
    LEVEL_0_MAX = 1200000000
};

/* One run of the screened search. */
typedef struct {
    pyramid_run run;
    screen_workspace *w;
    float scale, step, error; /* 1 / s, s, E */
    float query_norm;         /* the longest query row, in steps */
    size_t from, units;       /* the present block of gallery units */
    bool few;                 /* few query cells: level 1 is rounded where one of them looks */
} screen_run;

/* Sets the step, from the query alone. False where the query's spread is nothing that integers can take. */
bool choose_step(screen_run *s);
/* All screened levels of one gallery unit, or level 0 where few query cells are searched for: a panda_job with a
 * screen_run. */
void quantise_unit(void *context, size_t task, int worker);
/* The same for the children, at level 1, of padded cells of the block: each the first time that any worker asks. */
void quantise_children(const screen_run *s, const uint32_t *cells, size_t count);
/* Gallery row of level 0 that a padded cell number of the block stands for. */
size_t gallery_cell(const screen_run *s, size_t padded_cell);
/* Up to 4 query rows of level l, as a panel at level 0, as a fan at finer ones. Rows that are not finite have all their
 * positions closed: what they hold is no matter. */
void quantise_query(const screen_run *s, const worker_memory *m, int l, const float *rows, size_t count, int16_t *panel,
                    int32_t norms[4]);
/* The largest integer distance at which a pair may still be within the limit, `most` at most; -INT32_MAX where nothing
 * may. */
int32_t integer_limit(const screen_run *s, float limit, float most);
/* The least that a pair at this integer distance may truly be apart. */
static inline float least_distance(const screen_run *s, int32_t integer)
{
    float root = sqrtf((float)(integer > 0 ? integer : 0)) * s->step * (1 - 1e-6F) - s->error;
    return root > 0 ? root * root * (1 - 1e-5F) : 0;
}

#endif
