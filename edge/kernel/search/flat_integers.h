/* The integers of the flat search (flat.c): a bank as they hold it, and a query row. */
#ifndef PANDA_FLAT_INTEGERS_H
#define PANDA_FLAT_INTEGERS_H

#include <stdatomic.h>

#include "simd/columns.h"
#include "simd/ops.h"

enum {
    STAGES = 7,         /* the screen looks at the first 8 channels, at 8 more, then at 16 at a time */
    SCREENED_MOST = 96, /* channels, all stages together */
    BOX_PAIRS = 4,      /* of channels that a box bounds */
    LEAF_GROUPS = 4,    /* groups of a leaf: 64 rows with one box around them */
    LEAF_ROWS = LEAF_GROUPS * LANES
};

/* Integers reach HALF in length from the middle of the bank's box, so that a distance between two of them fits 32 bits,
 * and twice one of their values 16. */
static const double HALF = 15000;
enum {
    MOST_DISTANCE = 1000000000, /* more than any distance between integers of the bank's box */
    NOWHERE = 1200000000        /* squared length of a row that is not there or not finite: never within a limit */
};

/* The memory of one search: `size` bytes a worker. */
typedef struct {
    char *memory;
    size_t size;
    int workers;
} flat_room;

struct panda_flat {
    const void *rows;
    panda_dtype dtype;
    size_t n, d;
    size_t screened;               /* channels */
    size_t groups, leaves, blocks; /* blocks: of 16 boxes */
    int stages;
    size_t pairs[STAGES];
    int16_t *slab[STAGES];
    int16_t *boxes;
    double low[SCREENED_MOST], high[SCREENED_MOST], middle[SCREENED_MOST];
    double scale;               /* integers a unit */
    double error;               /* the largest distance, in integers, of a row from its integers */
    _Atomic(flat_room *) spare; /* of the last search, for the next one; NULL while a search has it */
};

/* A query row as integers, moved into the bank's box where it lies outside. */
typedef struct {
    int16_t pairs[SCREENED_MOST];     /* -2 times */
    int16_t box_pairs[2 * BOX_PAIRS]; /* once */
    int32_t own[STAGES];              /* squared length in each stage's channels */
    double moved, error;              /* squared distance moved; distance of what was moved from its integers */
} flat_query;

/* Fills slabs and boxes. False when memory is short. */
bool flat_make_integers(panda_flat *f);
/* False where the row is not finite. */
bool flat_quantise(const panda_flat *f, const float *row, flat_query *query);
/* The largest integer distance at which a row may still be within `limit` (squared) of the query. */
int32_t flat_limit(const panda_flat *f, const flat_query *query, float limit);

#endif
