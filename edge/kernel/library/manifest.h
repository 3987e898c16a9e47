/* What libpanda_edge needs of a bundle's manifest (FORMAT.md). */
#ifndef PANDA_MANIFEST_H
#define PANDA_MANIFEST_H

#include "library/failure.h"
#include "library/json.h"
#include "library/sha256.h"
#include "panda_kernel.h"

/* Image scores that decide, in the order of calibration.npy's rows. */
typedef enum { PANDA_EMBEDDING = 0, PANDA_MAXIMUM, PANDA_TOP1, PANDA_LOCAL } panda_rule;

typedef struct {
    panda_edge_shape shape;
    size_t grid_h, grid_w; /* of the coarsest level */
    size_t strides[PANDA_MAX_LEVELS];
    size_t vectors, knn;      /* the embedding bank's */
    bool gaussian;            /* or exact */
    size_t images, neighbors; /* of an exact bank */
    panda_dtype dtype;        /* of what is stored */
    int32_t window;           /* PANDA_EVERYWHERE, or in cells */
    int steps;                /* the manifest's list, by its number there; JSON_NONE: none */
    size_t average, rank;     /* of a gaussian bank; rank 0: the whole covariance */
    double sigma;             /* of the heat map's blur, input pixels */
    panda_rule rule;          /* which image score decides */
    double sharp;             /* blur of the map that the local score looks at, input pixels */
} panda_manifest;

/* A bundle that is being opened. */
typedef struct {
    const char *folder;
    json_text json;
} panda_source;

/* What the manifest says of another file of the bundle. */
typedef struct {
    size_t bytes;
    uint8_t sha256[SHA256_BYTES];
} panda_file;

/* Leaves the text in source->json; the caller frees it, whatever the answer. */
bool manifest_read(panda_source *source, panda_manifest *manifest, panda_edge_error *error);
bool manifest_file(const panda_source *source, const char *name, panda_file *file, panda_edge_error *error);

#endif
